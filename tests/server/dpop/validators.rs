//! Every validator tells what its tokens are bound to.

use super::*;
use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::Full;
use std::future::ready;
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, Transport,
    validate::{
        Cached, Introspection, Jwks, JwtValidator, Revocable, Revocations, Route, SharedValidator,
        TrustedIssuer, Validated, first_of,
    },
};

const SECRET: &str = "a secret of more than thirty-two bytes";
const ISSUER: &str = "https://as.example";

/// A JWT with `cnf`.
fn jwt(cnf: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": URL, "sub": "alice", "client_id": "c1", "jti": "j1",
        "iat": NOW, "exp": NOW + 300,
    });
    set(&mut claims, "cnf", cnf.clone());
    let input =
        format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"at+jwt"}"#), encoded(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{input}.{}", encoded(hmac::sign(&key, input.as_bytes())))
}

fn jwts(fixture: &Fixture) -> JwtValidator {
    let keys = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([URL]);
    JwtValidator::new(issuer).unwrap().with_clock(fixture.clock.clock())
}

/// An endpoint that says `members` of every token.
fn introspection(fixture: &Fixture, members: &Value) -> Introspection {
    let mut answer = json!({ "active": true, "aud": URL, "sub": "alice" });
    for (name, value) in members.as_object().unwrap() {
        set(&mut answer, name, value.clone());
    }
    let endpoint = service_fn(move |_: Request<Full<Bytes>>| {
        let answer = Full::new(Bytes::from(answer.to_string()));
        let response = Response::builder().header("content-type", "application/json");
        ready(Ok::<_, Infallible>(response.body(answer).unwrap()))
    });
    let transport = Transport::new(endpoint).with_clock(fixture.clock.clock());
    let client = ClientAuthentication::basic("api", "s3cr3t");
    let introspection = Introspection::new("https://as.example/introspect", client, transport);
    introspection.unwrap().with_audience([URL]).with_clock(fixture.clock.clock())
}

fn guarded<V: ValidateToken>(fixture: &Fixture, validator: V) -> RequireToken<V> {
    let layer = RequireToken::new("api", validator).unwrap().with_clock(fixture.clock.clock());
    layer.with_dpop(dpop())
}

#[tokio::test]
async fn a_jwt_is_bound_by_its_cnf_and_refused_where_that_cannot_be_checked() {
    let fixture = Fixture::new();
    let layer = guarded(&fixture, jwts(&fixture));
    let (jkt, x5t) = (fixture.key.thumbprint(), digest(CERTIFICATE));
    let has_both = (true, true);
    for (cnf, takes_proof, takes_certificate) in [
        (json!({ "jkt": jkt }), true, false),
        (json!({ "x5t#S256": x5t }), false, true),
        // Members that are not understood are ignored (RFC 7800 §3.1).
        (json!({ "jkt": jkt, "x-other": { "jwk": {} } }), true, false),
    ] {
        let token = jwt(&cnf);
        let proof = fixture.key.proof(&token);
        let reply = send(&layer, request(&token, &proof)).await;
        assert_eq!(reply.who == "alice", takes_proof, "{cnf}: {reply:?}");
        let reply = send(&layer, with_certificate(by("Bearer", &token), CERTIFICATE)).await;
        assert_eq!(reply.who == "alice", takes_certificate, "{cnf}: {reply:?}");
        assert_eq!(send(&layer, by("Bearer", &token)).await.errors(), ["invalid_token"]);
    }
    let token = jwt(&json!({ "jkt": jkt, "x5t#S256": x5t }));
    for (proves, shows) in [(true, true), (true, false), (false, true), (false, false)] {
        let call = match proves {
            true => request(&token, &fixture.key.proof(&token)),
            false => by("Bearer", &token),
        };
        let call = if shows { with_certificate(call, CERTIFICATE) } else { call };
        let reply = send(&layer, call).await;
        assert_eq!(reply.who == "alice", (proves, shows) == has_both, "{reply:?}");
    }
    for cnf in [
        json!({}),
        json!({ "kid": "k" }),
        json!({ "jkt": jkt, "kid": "k" }),
        json!({ "jkt": jkt, "jwk": fixture.key.jwk() }),
        json!({ "x5t#S256": x5t, "jku": "https://as.example" }),
        json!({ "jkt": "" }),
        json!({ "jkt": null }),
        json!({ "jkt": 1 }),
        json!({ "jkt": [jkt] }),
        json!({ "jkt": jkt, "x5t#S256": null }),
        json!([]),
        json!("jkt"),
        json!(true),
    ] {
        let token = jwt(&cnf);
        for call in [
            by("Bearer", &token),
            request(&token, &fixture.key.proof(&token)),
            with_certificate(by("Bearer", &token), CERTIFICATE),
        ] {
            assert_eq!(send(&layer, call).await.errors(), ["invalid_token"], "{cnf}");
        }
    }
}

#[tokio::test]
async fn an_introspected_token_is_bound_by_its_cnf_and_by_its_type() {
    let fixture = Fixture::new();
    let (jkt, x5t) = (fixture.key.thumbprint(), digest(CERTIFICATE));
    for (members, bearer, proved, shown) in [
        (json!({}), true, false, true),
        (json!({ "token_type": "Bearer" }), true, false, true),
        (json!({ "cnf": { "jkt": jkt } }), false, true, false),
        (json!({ "token_type": "DPoP", "cnf": { "jkt": jkt } }), false, true, false),
        (json!({ "token_type": "dpop", "cnf": { "jkt": jkt } }), false, true, false),
        (json!({ "token_type": "Bearer", "cnf": { "jkt": jkt } }), false, true, false),
        (json!({ "token_type": "Bearer", "cnf": { "x5t#S256": x5t } }), false, false, true),
        (json!({ "token_type": "DPoP" }), false, false, false),
        (json!({ "token_type": "DPoP", "cnf": { "x5t#S256": x5t } }), false, false, false),
        (json!({ "token_type": "DPoP", "cnf": {} }), false, false, false),
        (json!({ "token_type": "pop", "cnf": { "jkt": jkt } }), false, false, false),
    ] {
        let cached =
            Cached::new(introspection(&fixture, &members)).with_clock(fixture.clock.clock());
        let layer = guarded(&fixture, cached);
        for _ in 0..2 {
            let passes = [
                send(&layer, by("Bearer", "opaque")).await.who == "alice",
                send(&layer, request("opaque", &fixture.key.proof("opaque"))).await.who == "alice",
                send(&layer, with_certificate(by("Bearer", "opaque"), CERTIFICATE)).await.who
                    == "alice",
            ];
            assert_eq!(passes, [bearer, proved, shown], "{members}");
        }
    }
}

#[tokio::test]
async fn what_wraps_a_validator_keeps_what_its_tokens_are_bound_to() {
    let fixture = Fixture::new();
    let alice = fixture.clone_of_bound();
    let closure = move |_: AccessToken| {
        let validated = Validated::from(alice.clone());
        async move { Ok::<_, Rejection>(validated) }
    };
    let tokens = || fixture.tokens.clone();
    let nobody = StaticTokens::new();
    let list = Revocations::new().with_clock(fixture.clock.clock());
    let validators: [(&str, SharedValidator); 9] = [
        ("a closure", closure.into_shared()),
        ("a set", tokens().into_shared()),
        ("the first of two", first_of(nobody.clone(), tokens()).into_shared()),
        ("the second of two", first_of(tokens(), nobody.clone()).into_shared()),
        ("a route", Route::new().when(|_| false, nobody).otherwise(tokens()).into_shared()),
        ("a map", tokens().map_claims(|()| ()).into_shared()),
        ("a list of revocations", Revocable::new(tokens(), list).into_shared()),
        ("a cache", Cached::new(tokens()).with_clock(fixture.clock.clock()).into_shared()),
        ("another name", tokens().into_shared().into_shared()),
    ];
    for (name, validator) in validators {
        let layer = guarded(&fixture, validator);
        for _ in 0..2 {
            assert_eq!(
                send(&layer, by("Bearer", BOUND)).await.errors(),
                ["invalid_token"],
                "{name}"
            );
            let reply = send(&layer, request(BOUND, &Key::new().proof(BOUND))).await;
            assert_eq!(reply.errors(), ["invalid_token"], "{name}");
            assert_eq!(send(&layer, request(BOUND, &fixture.proof())).await.who, "alice", "{name}");
        }
    }
}

#[tokio::test]
async fn a_handler_reads_what_the_token_is_bound_to() {
    let fixture = Fixture::new();
    let bound_to = |request: Request<()>| {
        let authenticated = request.extensions().get::<Authenticated>().unwrap();
        let confirmation = authenticated.principal().confirmation().unwrap();
        let key = confirmation.key_thumbprint().unwrap().to_owned();
        assert_eq!(confirmation.certificate_thumbprint(), None);
        assert_eq!(*authenticated.location(), tower_oauth2::TokenLocation::Dpop);
        ready(Ok::<_, Infallible>(Response::new(key)))
    };
    let service = fixture.layer().layer(service_fn(bound_to));
    let response = service.oneshot(request(BOUND, &fixture.proof())).await.unwrap();
    assert_eq!(response.into_body(), fixture.key.thumbprint());
}

#[tokio::test]
async fn a_proof_is_removed_or_kept_with_its_token() {
    let fixture = Fixture::new();
    let headers = |request: Request<()>| {
        let told = |name: &str| request.headers().get(name).map(http::HeaderValue::is_sensitive);
        let told = format!("{:?} {:?}", told("authorization"), told("dpop"));
        ready(Ok::<_, Infallible>(Response::new(told)))
    };
    for (layer, told) in [
        (fixture.layer(), "Some(true) Some(true)"),
        (fixture.layer().without_token_removal(), "Some(true) Some(true)"),
        (fixture.layer().with_full_token_removal(), "None None"),
    ] {
        let service = layer.layer(service_fn(headers));
        let response = service.oneshot(request(BOUND, &fixture.proof())).await.unwrap();
        assert_eq!(response.into_body(), told);
    }
}

impl Fixture {
    /// The principal of the bound token.
    fn clone_of_bound(&self) -> Principal {
        Principal::new("alice").with_confirmation(Confirmation::from_key(self.key.thumbprint()))
    }
}
