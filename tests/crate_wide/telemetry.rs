//! What the client half tells through `metrics` and `tracing`, and what it does not.

use crate::{
    engine::{self, Body, Reply, World, ask, at_once, call, exact, impatient, seconds},
    leaks::{assert_absent, own_lines, traced},
};
use http::Request;
use http_body_util::BodyExt;
use metrics_util::{
    CompositeKey, MetricKind,
    debugging::{DebugValue, DebuggingRecorder},
};
use std::{collections::BTreeMap, fs, io, time::Duration};
use tower::service_fn;
use tower_oauth2::{
    AccessToken, ClientAuthentication, Transport,
    client::{Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenResponse, TokenSource},
};

const SECRET: &str = "s3cr3t+T0ken/W1th.Ev3ry~Ch4r-And_More==";

fn name_of(key: &CompositeKey) -> String {
    let labels = key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
    format!("{} {}", key.key().name(), labels.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
}

/// What `recorder` has: counters are taken, gauges stay.
fn taken(recorder: &DebuggingRecorder) -> BTreeMap<String, f64> {
    let metrics = recorder.snapshotter().snapshot().into_vec().into_iter();
    let told = metrics.filter_map(|(key, _, _, value)| match (key.kind(), value) {
        (MetricKind::Counter, DebugValue::Counter(0)) => None,
        (MetricKind::Counter, DebugValue::Counter(count)) => {
            Some((name_of(&key), f64::from(u32::try_from(count).unwrap())))
        }
        (MetricKind::Gauge, DebugValue::Gauge(gauge)) => Some((name_of(&key), gauge.into_inner())),
        other => panic!("{other:?}"),
    });
    told.collect()
}

fn counted(event: &str) -> String {
    format!("tower_oauth2_client_tokens_total event={event}")
}

const EXPIRY: &str =
    "tower_oauth2_client_token_expires_in_seconds endpoint=https://as.example/token";

#[track_caller]
fn assert_told(recorder: &DebuggingRecorder, counters: &[(&str, f64)], expires_in: f64) {
    let mut expected: BTreeMap<_, _> =
        counters.iter().map(|(event, count)| (counted(event), *count)).collect();
    expected.insert(EXPIRY.to_owned(), expires_in);
    assert_eq!(taken(recorder), expected);
}

#[tokio::test]
async fn tokens_are_counted_by_what_becomes_of_them_and_their_expiry_is_a_gauge() {
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::answering(|asked| match asked.number {
        1 => Reply::broken(),
        2 => Reply::token("T2", 100),
        _ => Reply::refusal(503, "temporarily_unavailable"),
    });
    let layer = world.layer(impatient());
    let client = world.client_of(&layer);
    assert!(at_once(call(&client)).await.is_err());
    assert_eq!(taken(&recorder), BTreeMap::from([(counted("failed"), 1.0)]));

    world.advance(seconds(2)).await;
    for _ in 0..3 {
        at_once(call(&client)).await.unwrap();
    }
    assert_told(&recorder, &[("retried", 1.0), ("fetched", 1.0), ("used", 3.0)], 100.0);

    world.advance(seconds(40)).await;
    at_once(call(&client)).await.unwrap();
    assert_told(&recorder, &[("used", 1.0)], 60.0);

    assert!(layer.cache().reject(&AccessToken::new("T2").unwrap()));
    assert_told(&recorder, &[("rejected", 1.0)], 60.0);
    at_once(call(&client)).await.unwrap();
    engine::settle().await;
    assert_told(&recorder, &[("used", 1.0), ("failed", 1.0)], 60.0);

    let stored = TokenResponse::new(AccessToken::new("S").unwrap()).with_lifetime(seconds(50));
    layer.cache().store(&stored);
    assert_told(&recorder, &[], 50.0);
    layer.cache().shutdown();
    assert_told(&recorder, &[], 0.0);
}

/// One service, which finds the recorder again when its lease is over.
#[tokio::test]
async fn a_recorder_that_comes_later_counts_what_comes_later() {
    use tower::{Service, ServiceExt};
    let world = World::new();
    let mut client = world.client_of(&world.layer(exact()).without_recovery());
    at_once(client.ready().await.unwrap().call(engine::get())).await.unwrap();
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    world.advance(seconds(1)).await;
    for _ in 0..3 {
        at_once(client.ready().await.unwrap().call(engine::get())).await.unwrap();
    }
    assert_told(&recorder, &[("used", 3.0)], 3599.0);
}

#[tokio::test]
async fn a_fetch_is_one_span_however_many_wait_for_it() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::refusal(503, "temporarily_unavailable").takes(seconds(1)),
        _ => Reply::token("T2", 100).takes(seconds(1)),
    });
    let cache = world.cache(RefreshPolicy::default());
    let ((), log) = traced(async {
        let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ask(&cache))).collect();
        world.advance(seconds(1)).await;
        world.advance(seconds(1)).await;
        world.advance(seconds(1)).await;
        for call in waiting {
            at_once(call).await.unwrap().unwrap();
        }
        assert!(cache.reject(&AccessToken::new("T2").unwrap()));
    })
    .await;
    let own: Vec<_> = log.lines().filter(|line| line.contains("tower_oauth2")).collect();
    let lines = |text: &str| own.iter().filter(|line| line.contains(text)).count();
    for attempt in [1, 2] {
        let span = format!(
            "tower_oauth2.fetch{{endpoint=\"https://as.example/token\" \
             grant_type=\"client_credentials\" attempt={attempt}}}"
        );
        assert_eq!(lines(&format!(" {span}: tower_oauth2::client: new")), 1, "{log}");
        assert_eq!(lines(&format!(" {span}: tower_oauth2::client: close")), 1, "{log}");
    }
    assert_eq!(lines(": tower_oauth2::client: new"), 2, "{log}");
    for (told, level) in [
        ("attempt=1}: tower_oauth2::client: access token not fetched kind=Refused", "WARN"),
        ("attempt=2}: tower_oauth2::client: access token fetch retried attempt=2", "DEBUG"),
        ("attempt=2}: tower_oauth2::client: access token fetched", "DEBUG"),
        ("tower_oauth2::client: access token rejected endpoint=", "INFO"),
    ] {
        let line = own.iter().find(|line| line.contains(told));
        assert!(line.is_some_and(|line| line.contains(level)), "{told} is not in {log}");
        assert_eq!(lines(told), 1, "{told}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_credentials_of_a_resource_is_a_warning_once_in_a_while() {
    use tower_oauth2::{
        RequestHead,
        validate::{Introspection, ValidateToken},
    };
    let refuses = service_fn(|_: Request<Body>| async {
        let body = Body::from(r#"{"error":"invalid_client"}"#);
        Ok::<_, io::Error>(http::Response::builder().status(401).body(body).unwrap())
    });
    let client = ClientAuthentication::basic("api", SECRET);
    let url = "https://as.example/introspect";
    let introspection = Introspection::new(url, client, Transport::new(refuses)).unwrap();
    let ((), log) = traced(async {
        for _ in 0..3 {
            let request = Request::new(());
            let head = RequestHead::from_request(&request);
            assert!(introspection.validate("mF_9.B5f-4.1JqM", head).wait().await.is_err());
        }
    })
    .await;
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("tower_oauth2::server: tokens not introspected"), "{log}");
    assert!(warnings[0].contains("(401 Unauthorized): invalid_client"), "{log}");
    assert_absent(&[SECRET], &log);
}

#[tokio::test]
async fn a_layer_that_is_missing_is_an_error_in_the_log_and_a_bad_token_is_none() {
    use tower::{Layer, ServiceExt};
    use tower_oauth2::{
        TokenLocation,
        server::{EndWithToken, RequireScope, RequireToken},
        validate::StaticTokens,
    };
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, io::Error>(http::Response::new(Body::default()))
    });
    let require = RequireToken::new("api", StaticTokens::new()).unwrap();
    let form = require.clone().with_locations([TokenLocation::Form]).unwrap();
    let post = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let post = post.body(Body::default()).unwrap();
    let (statuses, log) = traced(async {
        let scope = RequireScope::all_of(["read"]).unwrap().layer(inner);
        [
            scope.oneshot(engine::get()).await.unwrap().status(),
            EndWithToken::new().layer(inner).oneshot(engine::get()).await.unwrap().status(),
            form.layer(inner).oneshot(post).await.unwrap().status(),
            require.layer(inner).oneshot(engine::get()).await.unwrap().status(),
        ]
    })
    .await;
    assert_eq!(statuses.map(|status| status.as_u16()), [500, 500, 500, 401]);
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    for (line, why) in errors.iter().zip([
        "no RequireToken is above this policy",
        "no RequireToken is above EndWithToken",
        "no BufferForm is above it",
    ]) {
        assert!(line.contains("tower_oauth2::server: access token checked"), "{line}");
        assert!(line.contains(why), "{line}");
    }
    assert_eq!(errors.len(), 3, "{log}");
}

#[tokio::test]
async fn the_first_refusal_for_each_reason_is_logged_for_operators_and_then_one_in_a_while() {
    use tower::{Layer, ServiceExt};
    use tower_oauth2::{
        server::RequireToken,
        testing::ManualClock,
        validate::{Principal, Rejection, Validated},
    };
    // The token says what is wrong with it.
    let validator = async |token: AccessToken| match token.expose().split_once('-') {
        Some((claim, found)) => {
            Err(Rejection::invalid(format!("{claim}: expected 'a', found '{found}'")))
        }
        None => Ok(Validated::from(Principal::new("alice"))),
    };
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, io::Error>(http::Response::new(Body::default()))
    });
    let clock = ManualClock::new();
    let layer = RequireToken::new("api", validator).unwrap().with_clock(clock.clock());
    let present = async |token: &str| {
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::default()).unwrap();
        layer.clone().layer(inner).oneshot(request).await.unwrap().status()
    };
    let (_, log) = traced(async {
        for token in ["aud-b", "aud-c", "good", "iss-b", "aud-d", "aud-e"] {
            present(token).await;
        }
        clock.advance(seconds(9));
        present("aud-f").await;
        clock.advance(seconds(1));
        present("aud-g").await;
        present("aud-h").await;
        clock.advance(seconds(10));
        present("aud-i").await;
        present("iss-c").await;
    })
    .await;
    let of = |level: &str| {
        let start = format!("{level} tower_oauth2::server: access token checked");
        log.lines().filter(|line| line.contains(&start)).collect::<Vec<_>>()
    };
    let expected =
        [("aud", "b", 0), ("iss", "b", 0), ("aud", "g", 4), ("aud", "i", 1), ("iss", "c", 0)];
    let told = of("INFO");
    assert_eq!(told.len(), expected.len(), "{log}");
    for (line, (claim, found, suppressed)) in told.iter().zip(expected) {
        let end = format!(
            "reason=\"invalid\" source=\"header\" suppressed={suppressed} \
             description=\"{claim}: expected 'a', found '{found}'\""
        );
        assert!(line.ends_with(&end), "{line} does not end in {end}");
    }
    assert_eq!(of("DEBUG").len(), 6, "{log}");
}

#[tokio::test]
async fn a_validator_that_takes_too_long_is_told_to_operators() {
    use tower::{Layer, Service};
    use tower_oauth2::{
        server::RequireToken,
        testing::ManualClock,
        validate::{Rejection, Validated},
    };
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, io::Error>(http::Response::new(Body::default()))
    });
    let (clock, judge) = (ManualClock::new(), |_: AccessToken| {
        std::future::pending::<Result<Validated, Rejection>>()
    });
    let layer = RequireToken::new("api", judge).unwrap().with_clock(clock.clock());
    let request = Request::get("/").header("authorization", "Bearer x").body(Body::default());
    let (status, log) = traced(async {
        let answer = tokio::spawn(layer.layer(inner).call(request.unwrap()));
        engine::settle().await;
        clock.advance(seconds(10));
        answer.await.unwrap().unwrap().status()
    })
    .await;
    assert_eq!(status, 503);
    let told = "reason=\"unavailable\" source=\"header\" suppressed=0 \
                description=\"the validator took longer than allowed\"";
    assert!(log.lines().any(|line| line.contains("INFO") && line.contains(told)), "{log}");
}

#[tokio::test]
async fn the_refusals_of_a_revocation_endpoint_are_counted() {
    use tower::ServiceExt;
    use tower_oauth2::server::{
        ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest,
    };
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let endpoint = RevocationEndpoint::new(
        async |client: ClientCredentials| match client.client_id() {
            "app" => Ok(()),
            _ => Err(RevocationError::invalid_client()),
        },
        async |request: RevokeRequest| match request.expose_token() {
            "away" => Err(RevocationError::unavailable(None)),
            "another's" => Err(RevocationError::unauthorized_client()),
            _ => Ok(()),
        },
    );
    let post = async |form: String| {
        let request = Request::post("/revoke");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(http_body_util::Full::<bytes::Bytes>::from(form)).unwrap();
        endpoint.clone().with_form_limit(200).oneshot(request).await.unwrap().status().as_u16()
    };
    for (form, status, reason) in [
        (format!("client_id=app&token={SECRET}"), 200, None),
        ("client_id=evil&token=t".into(), 401, Some("invalid")),
        ("token=t".into(), 401, Some("invalid")),
        ("client_id=app".into(), 400, Some("malformed")),
        ("client_id=app&token=another's".into(), 400, Some("forbidden")),
        ("client_id=app&token=away".into(), 503, Some("unavailable")),
        ("x".repeat(300), 413, Some("too_large")),
    ] {
        let (seen, log) = traced(post(form.clone())).await;
        assert_eq!(seen, status, "{form}");
        let told = |reason| {
            format!("tower_oauth2_decisions_total outcome=rejected reason={reason} source=none")
        };
        let expected: BTreeMap<_, _> =
            reason.map(|reason| (told(reason), 1.0)).into_iter().collect();
        assert_eq!(taken(&recorder), expected, "{form}");
        assert_absent(&[SECRET], &log);
    }
}

/// A validator of the user's may repeat what a peer sent.
#[tokio::test]
async fn reasons_without_end_are_so_many_lines_and_no_more() {
    use tower::{Layer, ServiceExt};
    use tower_oauth2::{
        server::RequireToken,
        testing::ManualClock,
        validate::{Principal, Rejection, Validated},
    };
    let validator = async |token: AccessToken| match token.expose() {
        "good" => Ok(Validated::from(Principal::new("alice"))),
        token => Err(Rejection::invalid(token.to_owned())),
    };
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, io::Error>(http::Response::new(Body::default()))
    });
    let clock = ManualClock::new();
    let layer = RequireToken::new("api", validator).unwrap().with_clock(clock.clock());
    for _ in 0..2 {
        let ((), log) = traced(async {
            for number in 1..200 {
                let request = Request::get("/")
                    .header("authorization", format!("Bearer {}", "x".repeat(number)))
                    .body(Body::default());
                layer.clone().layer(inner).oneshot(request.unwrap()).await.unwrap();
            }
        })
        .await;
        assert_eq!(log.matches("INFO tower_oauth2::server").count(), 64);
        assert_eq!(log.matches("DEBUG tower_oauth2::server").count(), 199 - 64);
        clock.advance(seconds(10));
    }
}

#[tokio::test]
async fn nothing_secret_is_told_whoever_repeats_it() {
    // The transport fails with everything that it was sent.
    let echoing = service_fn(async |request: Request<Body>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = format!("{} {:?} {}", head.uri, head.headers, String::from_utf8_lossy(&body));
        Err::<http::Response<Body>, _>(io::Error::other(text))
    });
    let url = format!(
        "https://as.example/token?key={}",
        form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>()
    );
    let clients = [
        ClientAuthentication::basic("id", SECRET),
        ClientAuthentication::post("id", SECRET),
        ClientAuthentication::query("id", SECRET),
    ];
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    for client in clients {
        let endpoint = TokenEndpoint::new(&url, client, Transport::new(echoing)).unwrap();
        let grant = Grant::client_credentials().with_param("signed", SECRET).unwrap();
        let form = Grant::form([("grant_type", SECRET), ("password", SECRET)]);
        let response = TokenResponse::new(AccessToken::new(SECRET).unwrap())
            .with_lifetime(Duration::ZERO)
            .with_refresh_token(SECRET);
        let world = World::new();
        let clock = world.clock.clock();
        let caches = [
            TokenCache::new_with_clock(endpoint.clone(), grant, impatient(), clock.clone()),
            TokenCache::new_with_clock(endpoint.clone(), form, impatient(), clock.clone()),
            TokenCache::from_sign_in(endpoint, &response, impatient(), clock),
        ];
        for cache in caches {
            let (asked, log) = traced(async {
                let failed = at_once(ask(&cache)).await;
                cache.store(&response);
                cache.reject(response.access_token());
                failed
            })
            .await;
            assert!(asked.is_err());
            assert!(log.contains("access token not fetched"), "{log}");
            assert!(log.contains("access token rejected"), "{log}");
            assert_absent(&[SECRET], &own_lines(&log));
        }
    }
    let told = taken(&recorder);
    assert_eq!((told[&counted("failed")], told[&counted("rejected")]), (9.0, 9.0));
    assert_absent(&[SECRET], &format!("{told:?}"));
}

#[test]
fn the_guide_lists_every_metric_and_target() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/telemetry.md");
    let page = fs::read_to_string(page).unwrap();
    for name in [
        "tower_oauth2_client_tokens_total",
        "`used`, `fetched`, `failed`, `retried`, `rejected`",
        "tower_oauth2_client_token_expires_in_seconds",
        "tower_oauth2_decisions_total",
        "tower_oauth2.fetch",
        "tower_oauth2::client",
        "tower_oauth2::server",
        "`suppressed`",
    ] {
        assert!(page.contains(name), "{name}");
    }
}
