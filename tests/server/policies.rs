//! Scopes, closures and step-up below a `RequireToken`, and without one.

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode, Version,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    Challenge, RequestHead, ScopeSet,
    server::{
        Authenticated, BufferForm, BufferFormBody, EndWithToken, Policy, RequirePolicy,
        RequireRole, RequireScope, RequireToken, StepUp,
    },
    testing::ManualClock,
    validate::{Principal, Rejection, RejectionKind, StaticTokens},
};

type Body = Full<Bytes>;
type Service = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

fn inner() -> Service {
    Service::new(service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("in")))))
}

/// A layer whose tokens are their scopes.
fn layer(scopes: &[&str]) -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    for scopes in scopes {
        let scopes: ScopeSet = scopes.parse().unwrap();
        let token = scopes.to_string().replace(' ', "-");
        tokens.insert(&token, Principal::new("alice").with_scopes(scopes)).unwrap();
    }
    RequireToken::new("api", tokens).unwrap()
}

fn request(token: &str) -> Request<Body> {
    let header = format!("Bearer {token}");
    Request::get("/r").header("authorization", header).body(Body::default()).unwrap()
}

fn kind(response: &Response<Body>) -> Option<RejectionKind> {
    response.extensions().get::<Rejection>().map(Rejection::kind)
}

#[tokio::test]
async fn any_of_several_sets_of_scopes_is_enough_and_a_refusal_names_the_first() {
    let scopes = RequireScope::all_of(["read", "write"]).unwrap().or_all_of(["admin"]).unwrap();
    let granted = ["read write", "write read other", "admin", "read", "other"];
    let service = layer(&granted).layer(scopes.layer(inner()));
    for (token, status) in [
        ("read-write", 200),
        ("write-read-other", 200),
        ("admin", 200),
        ("read", 403),
        ("other", 403),
    ] {
        let response = service.clone().oneshot(request(token)).await.unwrap();
        assert_eq!(response.status(), status, "{token}");
        if status == 403 {
            let [challenge] = &Challenge::from_headers(response.headers())[..] else { panic!() };
            assert_eq!(challenge.param("error"), Some("insufficient_scope"));
            assert_eq!(challenge.param("scope"), Some("read write"));
            assert_eq!(kind(&response), Some(RejectionKind::InsufficientScope));
        }
    }
}

#[test]
fn a_policy_that_asks_for_no_scope_is_a_mistake() {
    assert!(RequireScope::all_of([""; 0]).is_err());
    assert!(RequireScope::all_of(["a b"]).is_err());
    assert!(RequireScope::all_of(["read"]).unwrap().or_all_of([""; 0]).is_err());
}

#[tokio::test]
async fn a_role_that_is_missing_is_403_without_a_challenge() {
    let tokens = StaticTokens::new();
    for (token, roles) in [("a", vec!["admin"]), ("ab", vec!["admin", "a b"]), ("none", vec![])] {
        tokens.insert(token, Principal::new("alice").with_roles(roles)).unwrap();
    }
    let layer = RequireToken::new("api", tokens).unwrap();
    for (role, passes) in [
        (RequireRole::any_of(["admin", "other"]), ["a", "ab"].as_slice()),
        (RequireRole::any_of(["a b", "x"]), &["ab"]),
        (RequireRole::all_of(["a b", "admin"]), &["ab"]),
        (RequireRole::all_of(["Admin"]), &[]),
    ] {
        let service = layer.layer(role.unwrap().layer(inner()));
        for token in ["a", "ab", "none"] {
            let response = service.clone().oneshot(request(token)).await.unwrap();
            if passes.contains(&token) {
                assert_eq!(response.status(), 200);
                continue;
            }
            assert_eq!(response.status(), 403);
            assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
            assert_eq!(kind(&response), Some(RejectionKind::Forbidden));
        }
    }
    assert!(RequireRole::any_of([""; 0]).is_err() && RequireRole::all_of([""; 0]).is_err());
}

/// A policy that cannot be cloned.
struct Limited(Mutex<u8>);

impl Policy for Limited {
    fn check(&self, _: &Authenticated, _: RequestHead<'_>) -> Result<(), Rejection> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(1).ok_or_else(|| Rejection::forbidden("no more today"))?;
        Ok(())
    }
}

#[tokio::test]
async fn clones_of_a_service_share_a_policy_that_cannot_be_cloned() {
    let service = layer(&["read"]).layer(RequirePolicy::new(Limited(Mutex::new(2))).layer(inner()));
    for status in [200, 200, 403] {
        let response = service.clone().oneshot(request("read")).await.unwrap();
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn a_closure_is_a_policy_that_sees_the_request() {
    let alice_only = RequirePolicy::new(|who: &Authenticated, head: RequestHead<'_>| {
        match who.principal().scopes().contains("read") && head.method() == Method::GET {
            true => Ok(()),
            false => Err(Rejection::insufficient_scope("read".parse().unwrap())),
        }
    });
    let service = layer(&["read", "write"]).layer(alice_only.layer(inner()));
    let good = service.clone().oneshot(request("read")).await.unwrap();
    assert_eq!(good.status(), StatusCode::OK);
    let mut put = request("read");
    *put.method_mut() = Method::PUT;
    for refused in [request("write"), put] {
        let refused = service.clone().oneshot(refused).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
}

/// What was counted while `service` answered `request`.
fn counted(service: Service, request: Request<Body>) -> (Response<Body>, Vec<[String; 3]>) {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let response = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(service.oneshot(request)).unwrap()
    });
    let counters = recorder.snapshotter().snapshot().into_vec();
    let mut labels: Vec<_> = counters
        .iter()
        .filter(|(.., value)| *value == DebugValue::Counter(1))
        .map(|(key, ..)| {
            let labels = key.key().labels().map(|label| (label.key(), label.value()));
            let labels: BTreeMap<_, _> = labels.collect();
            ["outcome", "reason", "source"].map(|name| labels[name].to_owned())
        })
        .collect();
    labels.sort();
    (response, labels)
}

#[test]
fn without_a_require_token_above_it_a_policy_refuses_everything_and_is_counted() {
    let service = Service::new(RequireScope::all_of(["read"]).unwrap().layer(inner()));
    let (response, counted) = counted(service, request("read"));
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::Internal);
    assert!(rejection.description().contains("RequireToken"), "{rejection}");
    assert_eq!(counted, [["rejected", "internal", "none"].map(String::from)]);
}

#[tokio::test]
async fn without_a_require_token_above_it_a_call_of_grpc_gets_its_code() {
    let scope = RequireScope::all_of(["read"]).unwrap().layer(inner());
    let ended = EndWithToken::new()
        .layer(inner())
        .map_response(|response| response.map(|_| Body::default()));
    for service in [Service::new(scope), Service::new(ended)] {
        let call = Request::post("/pkg.S/M").version(Version::HTTP_2);
        let call = call.header(CONTENT_TYPE, "application/grpc").body(Body::default()).unwrap();
        let response = service.clone().oneshot(call).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "13");
        let response = service.oneshot(request("read")).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(kind(&response), Some(RejectionKind::Internal));
    }
}

#[test]
fn a_form_that_is_too_large_is_counted() {
    let inner = inner().map_request(|_: Request<BufferFormBody<Body>>| Request::default());
    let service = Service::new(BufferForm::new(8).layer(inner));
    let form = Request::post("/").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let (response, counted) = counted(service, form.body(Body::from("access_token=good")).unwrap());
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(counted, [["rejected", "too_large", "none"].map(String::from)]);
}

#[test]
fn a_refusal_of_a_policy_is_a_decision_of_its_own() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = events.clone();
    let layer = layer(&["read"]).with_audit(move |event| {
        let subject = event.principal.and_then(Principal::subject).map(str::to_owned);
        told.lock().unwrap().push((event.allowed, event.rejection, subject, event.token_id));
    });
    let scopes = RequireScope::all_of(["write"]).unwrap();
    let service = Service::new(layer.layer(scopes.layer(inner())));
    let (response, counted) = counted(service, request("read"));
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let events = events.lock().unwrap();
    let [passed, refused] = &events[..] else { panic!("{events:?}") };
    assert_eq!((passed.0, passed.1), (true, None));
    assert_eq!((refused.0, refused.1), (false, Some(RejectionKind::InsufficientScope)));
    assert!(refused.3.is_some());
    assert_eq!((&refused.2, refused.3), (&passed.2, passed.3));
    let expected = [["accepted", "none", "header"], ["rejected", "insufficient_scope", "header"]];
    assert_eq!(counted, expected.map(|labels| labels.map(String::from)));
}

#[tokio::test]
async fn below_an_optional_token_who_presents_none_is_asked_for_one() {
    let scopes = RequireScope::all_of(["read"]).unwrap();
    let service = layer(&["read"]).allow_anonymous().layer(scopes.layer(inner()));
    let nothing = Request::get("/r").body(Body::default()).unwrap();
    let response = service.clone().oneshot(nothing).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="api""#);
    assert_eq!(kind(&response), Some(RejectionKind::Missing));
    let response = service.oneshot(request("read")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_preflight_that_was_let_through_passes_policies_too() {
    let preflight = Request::options("/r")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .body(Body::default())
        .unwrap();
    let scoped = RequireScope::all_of(["read"]).unwrap().layer(inner());
    let service = layer(&["read"]).allow_cors_preflights().layer(scoped.clone());
    let response = service.clone().oneshot(preflight.clone()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // What one layer let through is nothing to the next.
    let strict = layer(&["read"]).layer(scoped);
    let both = layer(&["read"]).allow_cors_preflights().layer(strict);
    let response = both.oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn step_up_asks_for_what_is_missing_and_for_no_more() {
    let manual = ManualClock::new();
    let now = manual.clock().wall();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let tokens = StaticTokens::new();
    for (token, acr, since) in [
        ("fresh", Some("urn:mfa"), Some(minutes(5))),
        ("stale", Some("urn:mfa"), Some(minutes(6))),
        ("weak", Some("urn:pwd"), Some(minutes(1))),
        ("silent", None, None),
    ] {
        let since = since.map(|since| now - since);
        tokens.insert(token, Principal::new("alice").with_authentication(acr, since)).unwrap();
    }
    let layer = RequireToken::new("api", tokens).unwrap().with_clock(manual.clock());
    let step_up = StepUp::default().with_acr("urn:mfa").with_max_age(minutes(5));
    let service = layer.layer(RequirePolicy::new(step_up).layer(inner()));
    for (token, status) in [("fresh", 200), ("stale", 401), ("weak", 401), ("silent", 401)] {
        let response = service.clone().oneshot(request(token)).await.unwrap();
        assert_eq!(response.status(), status, "{token}");
        if status == 401 {
            let [challenge] = &Challenge::from_headers(response.headers())[..] else { panic!() };
            assert_eq!(challenge.param("error"), Some("insufficient_user_authentication"));
            assert_eq!(challenge.param("acr_values"), Some("urn:mfa"));
            assert_eq!(challenge.param("max_age"), Some("300"));
        }
    }
    manual.advance(Duration::from_secs(1));
    let response = service.oneshot(request("fresh")).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_authentication_that_lies_ahead_is_recent_within_the_leeway_alone() {
    let manual = ManualClock::new();
    let tokens = StaticTokens::new();
    for (token, ahead) in [("soon", 300), ("tomorrow", 24 * 3600)] {
        let since = manual.clock().wall() + Duration::from_secs(ahead);
        let alice = Principal::new("alice").with_authentication(None, Some(since));
        tokens.insert(token, alice).unwrap();
    }
    let layer = RequireToken::new("api", tokens).unwrap().with_clock(manual.clock());
    let step_up = StepUp::default().with_max_age(Duration::from_secs(60));
    let service = layer.layer(RequirePolicy::new(step_up).layer(inner()));
    for (token, status) in [("soon", 200), ("tomorrow", 401)] {
        let response = service.clone().oneshot(request(token)).await.unwrap();
        assert_eq!(response.status(), status, "{token}");
    }
}

#[tokio::test]
async fn a_policy_refuses_grpc_as_the_layer_above_it_does() {
    let call = |method: &str, version, token: Option<&str>| {
        let call = Request::builder().method(method).version(version).uri("/pkg.S/M");
        let mut call = call.header("content-type", "application/grpc");
        if let Some(token) = token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        call.body(Body::default()).unwrap()
    };
    let layer = layer(&["read"]).allow_anonymous();
    let (http_1, http_2) = (Version::HTTP_11, Version::HTTP_2);
    for (layer, method, version, grpc) in [
        (layer.clone(), "POST", http_2, true),
        (layer.clone(), "GET", http_2, false),
        (layer.clone(), "POST", http_1, false),
        (layer.without_grpc(), "POST", http_2, false),
    ] {
        let service = layer.layer(RequireScope::all_of(["write"]).unwrap().layer(inner()));
        for (token, grpc_status, status) in [(None, "16", 401), (Some("read"), "7", 403)] {
            let response = service.clone().oneshot(call(method, version, token)).await.unwrap();
            let told = response.headers().get("grpc-status").map(|it| it.to_str().unwrap());
            let expected = if grpc { (200, Some(grpc_status)) } else { (status, None) };
            let found = (response.status().as_u16(), told);
            assert_eq!(found, expected, "{method} {version:?} {token:?}");
        }
    }
}
