//! Layers that read DPoP beside Bearer, alone, or not at all, and those that let others pass.

use super::*;
use http::header::AUTHORIZATION;
use tower_oauth2::{Algorithm, TokenLocation};

#[tokio::test]
async fn a_layer_that_reads_both_offers_both() {
    let fixture = Fixture::new();
    let reply = send(&fixture.layer(), Request::get("/r").body(()).unwrap()).await;
    assert_eq!((reply.status.as_u16(), reply.kind), (401, Some(RejectionKind::Missing)));
    assert_eq!(reply.challenges, [BEARER, DPOP]);
    for (request, who) in [
        (by("Bearer", UNBOUND), "alice"),
        (request(BOUND, &fixture.proof()), "alice"),
        (with_proof(by("dpop", BOUND), &fixture.proof().text()), "alice"),
        (with_proof(by("DPOP ", BOUND), &fixture.proof().text()), "alice"),
    ] {
        assert_eq!(send(&fixture.layer(), request).await.who, who);
    }
}

#[tokio::test]
async fn a_layer_without_bearer_reads_dpop_alone() {
    let fixture = Fixture::new();
    let every = [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName];
    for layer in [
        fixture.plain().with_dpop(dpop().without_bearer()),
        fixture.plain().with_locations(every.clone()).unwrap().with_dpop(dpop().without_bearer()),
        fixture.plain().with_dpop(dpop().without_bearer()).with_locations(every).unwrap(),
    ] {
        let in_query = Request::get(format!("/r?access_token={UNBOUND}")).body(()).unwrap();
        for request in [by("Bearer", UNBOUND), in_query, Request::get("/r").body(()).unwrap()] {
            let reply = send(&layer, request).await;
            assert_eq!((reply.status.as_u16(), reply.kind), (401, Some(RejectionKind::Missing)));
            assert_eq!(reply.challenges, [DPOP]);
        }
        assert_eq!(send(&layer, request(BOUND, &fixture.proof())).await.who, "alice");
        let reply = send(&layer, request(UNBOUND, &fixture.key.proof(UNBOUND))).await;
        assert_eq!((reply.status.as_u16(), reply.errors()), (401, vec!["invalid_token"]));
    }
}

#[tokio::test]
async fn a_token_in_a_place_that_is_not_read_beside_dpop_is_removed_all_the_same() {
    let fixture = Fixture::new();
    let header = || TokenLocation::header("x-api-key").unwrap();
    let places = || {
        let pair = TokenLocation::websocket_protocol_pair("bearer").unwrap();
        [TokenLocation::Bearer, TokenLocation::Query, header(), pair]
    };
    let alone = || dpop().without_bearer();
    let plain = || fixture.plain().allow_anonymous().allow_cors_preflights();
    for layer in [
        plain().with_dpop(alone()).with_locations(places()).unwrap(),
        plain().with_locations(places()).unwrap().with_dpop(alone()),
    ] {
        let unproved = || Request::builder();
        let proved = || {
            let (head, ()) = request(BOUND, &fixture.proof()).into_parts();
            let mut builder = Request::builder();
            builder.headers_mut().unwrap().extend(head.headers);
            builder
        };
        let preflight = || {
            let asked = Request::options("/").header("origin", "https://app.example");
            asked.header("access-control-request-method", "GET")
        };
        for start in [&unproved as &dyn Fn() -> http::request::Builder, &proved, &preflight] {
            let request = start()
                .uri(format!("/r?a=b&access_token={UNBOUND}"))
                .header("x-api-key", UNBOUND)
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-protocol", format!("bearer, {UNBOUND}, chat"))
                .body(())
                .unwrap();
            let is_upgrade = request.method() == "GET";
            let head = below(&layer, request).await;
            assert_eq!(head.uri, "/r?a=b");
            assert!(!is_upgrade || head.headers["sec-websocket-protocol"] == "bearer, chat");
            assert!(head.headers["x-api-key"].is_sensitive());
            let full = layer.clone().with_full_token_removal();
            let head =
                below(&full, start().uri("/r").header("x-api-key", UNBOUND).body(()).unwrap())
                    .await;
            assert!(!head.headers.contains_key("x-api-key"));
        }
        // What is in `Authorization` is no token, and not nobody's.
        let full = layer.with_full_token_removal();
        let mut twice = by("Bearer", UNBOUND);
        assert_eq!(send(&full, by("Bearer", UNBOUND)).await.status, 401);
        twice.headers_mut().append(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(send(&full, twice).await.status, 400);
    }
}

/// What the inner service sees of a request that passes.
async fn below(layer: &RequireToken<StaticTokens>, request: Request<()>) -> http::request::Parts {
    let seen = Arc::new(Mutex::new(None));
    let inner = seen.clone();
    let note = service_fn(move |request: Request<()>| {
        *inner.lock().unwrap() = Some(request.into_parts().0);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let status = layer.layer(note).oneshot(request).await.unwrap().status();
    assert_eq!(status, 200);
    seen.lock().unwrap().take().unwrap()
}

#[tokio::test]
async fn the_last_of_two_settings_holds() {
    let fixture = Fixture::new();
    let both = fixture.plain().with_dpop(dpop().without_bearer()).with_dpop(dpop());
    let alone = fixture.layer().with_dpop(dpop().without_bearer());
    let places = [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName];
    let every = fixture.plain().with_locations(places).unwrap();
    let every = every.with_dpop(dpop().without_bearer()).with_dpop(dpop());
    let in_query = Request::get(format!("/r?access_token={UNBOUND}")).body(()).unwrap();
    assert_eq!(send(&every, in_query).await.who, "alice");
    let offered = send(&every, Request::get("/r").body(()).unwrap()).await.challenges;
    assert!(offered.len() == 3 && offered[2].starts_with("Basic "), "{offered:?}");
    assert_eq!(send(&both, by("Bearer", UNBOUND)).await.who, "alice");
    assert_eq!(send(&both, request(BOUND, &fixture.proof())).await.who, "alice");
    assert_eq!(send(&alone, by("Bearer", UNBOUND)).await.challenges, [DPOP]);
}

#[tokio::test]
async fn a_layer_that_reads_no_proofs_refuses_bound_tokens_and_offers_no_dpop() {
    let fixture = Fixture::new();
    for (request, error) in [
        (by("Bearer", BOUND), Some("invalid_token")),
        (with_certificate(by("Bearer", BOTH), CERTIFICATE), Some("invalid_token")),
        (by("Bearer", CERTIFIED), Some("invalid_token")),
        (request(BOUND, &fixture.proof()), None),
    ] {
        let reply = send(&fixture.plain(), request).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.errors().first().copied(), error);
        assert!(reply.challenges.iter().all(|line| line.starts_with("Bearer ")));
    }
    // A stray proof proves nothing, and takes nothing away.
    let stray = with_proof(by("Bearer", UNBOUND), "stray");
    assert_eq!(send(&fixture.plain(), stray).await.who, "alice");
}

#[tokio::test]
async fn a_request_with_a_token_of_either_scheme_is_never_anonymous() {
    let fixture = Fixture::new();
    let optional = fixture.layer().allow_anonymous();
    let required = fixture.plain().with_dpop(dpop().without_bearer()).allow_anonymous();
    let nothing = || Request::get("/r").body(()).unwrap();
    let basic = || Request::get("/r").header(AUTHORIZATION, "Basic YTpi").body(()).unwrap();
    for layer in [&optional, &required] {
        assert_eq!(send(layer, nothing()).await.who, "anonymous");
        assert_eq!(send(layer, basic()).await.who, "anonymous");
        assert_eq!(send(layer, with_proof(nothing(), "stray")).await.who, "anonymous");
        assert_eq!(send(layer, by("DPoP", BOUND)).await.status, 400);
        assert_eq!(
            send(layer, request(BOUND, &fixture.proof().claim("htm", "PUT"))).await.status,
            401
        );
        assert_eq!(send(layer, by("Bearer", BOUND)).await.status, 401);
        assert_eq!(send(layer, request(BOUND, &fixture.proof())).await.who, "alice");
    }
    assert_eq!(send(&optional, by("Bearer", UNBOUND)).await.who, "alice");
    let reply = send(&required, by("Bearer", UNBOUND)).await;
    assert_eq!((reply.status.as_u16(), reply.kind), (401, Some(RejectionKind::Missing)));
}

#[tokio::test]
async fn lenient_layers_take_a_bad_token_for_none_and_a_bad_proof_for_what_it_is() {
    let fixture = Fixture::new();
    let other = Key::new();
    let down = Memory::default();
    down.say(Err("down"));
    let lenient = fixture.layer().dangerous_pass_bad_tokens_as_anonymous();
    for (request, who) in [
        (by("Bearer", "unknown"), "anonymous"),
        (request("unknown", &fixture.key.proof("unknown")), "anonymous"),
        (by("Bearer", BOUND), ""),
        (by("Bearer", CERTIFIED), ""),
        (with_certificate(by("Bearer", CERTIFIED), b"another"), ""),
        (with_certificate(by("Bearer", BOTH), CERTIFICATE), ""),
        (request(BOTH, &fixture.key.proof(BOTH)), ""),
        (by("DPoP", BOUND), ""),
        (request(UNBOUND, &fixture.key.proof(UNBOUND)), ""),
        (request(BOUND, &other.proof(BOUND)), ""),
        (request(BOUND, &fixture.proof().claim("ath", "x")), ""),
        (with_proof(request(BOUND, &fixture.proof()), "x"), ""),
        (request(BOUND, &fixture.proof()), "alice"),
    ] {
        let reply = send(&lenient, request).await;
        assert_eq!(reply.who, who, "{reply:?}");
    }
    let lenient = fixture.plain().with_dpop(dpop().with_replay(down));
    let lenient = lenient.dangerous_pass_bad_tokens_as_anonymous();
    assert_eq!(send(&lenient, request(BOUND, &fixture.proof())).await.status, 503);
}

#[tokio::test]
async fn tokens_elsewhere_are_read_beside_dpop_and_bound_ones_are_refused_there() {
    let fixture = Fixture::new();
    let layer = fixture.layer().with_locations([
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
    ]);
    let layer = layer.unwrap();
    let query = |token: &str| Request::get(format!("/r?access_token={token}")).body(()).unwrap();
    let header = |token: &str| Request::get("/r").header("x-api-key", token).body(()).unwrap();
    let basic = |user: &str| {
        let credentials = base64::prelude::BASE64_STANDARD.encode(format!("{user}:"));
        Request::get("/r").header(AUTHORIZATION, format!("Basic {credentials}")).body(()).unwrap()
    };
    for place in [&query as &dyn Fn(&str) -> Request<()>, &header, &basic] {
        assert_eq!(send(&layer, place(UNBOUND)).await.who, "alice");
        assert_eq!(send(&layer, place(BOUND)).await.errors(), ["invalid_token"]);
        let proof = fixture.proof().text();
        let reply = send(&layer, with_proof(place(BOUND), &proof)).await;
        assert_eq!((reply.status.as_u16(), reply.errors()), (400, vec!["invalid_request"]));
    }
    let mut both = request(BOUND, &fixture.proof());
    both.headers_mut().insert("x-api-key", UNBOUND.parse().unwrap());
    assert_eq!(send(&layer, both).await.status, 400);
    assert_eq!(send(&layer, request(BOUND, &fixture.proof())).await.who, "alice");
}

#[test]
fn settings_that_would_check_nothing_are_refused() {
    for (wrong, text) in [
        (Dpop::new("/v1").err(), "the public URL \"/v1\" is not one such as"),
        (dpop().with_algorithms([]).err(), "proofs need an algorithm"),
        (dpop().with_algorithms([Algorithm::Es256, Algorithm::Hs256]).err(), "HS256"),
        (dpop().with_window(Duration::ZERO, seconds(30)).err(), "is empty or more than an hour"),
        (dpop().with_window(seconds(3600), seconds(1)).err(), "is empty or more than an hour"),
        (dpop().with_window(Duration::MAX, seconds(1)).err(), "is empty or more than an hour"),
    ] {
        let error = wrong.unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
    assert!(dpop().with_window(seconds(3570), seconds(30)).is_ok());
    let locations = [TokenLocation::Bearer, TokenLocation::Dpop];
    let error = Fixture::new().plain().with_locations(locations).unwrap_err().to_string();
    assert!(error.contains("with_dpop"), "{error}");
}

#[tokio::test]
async fn the_window_and_the_algorithms_are_those_that_are_set() {
    let fixture = Fixture::new();
    let dpop = dpop().with_window(seconds(5), Duration::ZERO).unwrap();
    let dpop = dpop.with_algorithms([Algorithm::Es384, Algorithm::Es256]).unwrap();
    let layer = fixture.plain().with_dpop(dpop);
    for (iat, who) in [
        (json!(NOW), "alice"),
        (json!(NOW - 4), "alice"),
        (json!(NOW as f64 - 4.75), "alice"),
        (json!(NOW - 5), ""),
        (json!(NOW + 1), ""),
        (json!(-1), ""),
        (json!(1e300), ""),
        (json!("now"), ""),
        (json!(null), ""),
    ] {
        assert_eq!(send(&layer, request(BOUND, &fixture.proof().claim("iat", iat))).await.who, who);
    }
    let reply = send(&layer, Request::get("/r").body(()).unwrap()).await;
    assert_eq!(reply.challenges[1], r#"DPoP algs="ES384 ES256", realm="api""#);
}
