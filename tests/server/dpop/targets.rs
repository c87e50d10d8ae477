//! The URL of a proof, and the one that the client calls.

use super::*;
use axum::{Router, body::Body, routing::get};
use http::Uri;

/// A request for `uri` whose proof is for `htu`.
fn call(fixture: &Fixture, uri: &str, htu: &str) -> Request<()> {
    let mut call = request(BOUND, &fixture.proof().claim("htu", htu));
    *call.uri_mut() = uri.parse().unwrap();
    call
}

#[tokio::test]
async fn host_and_forwarded_are_never_read() {
    let fixture = Fixture::new();
    let layer = fixture.layer();
    for (uri, htu, is_good) in [
        ("https://evil.example/r", "https://api.example/r", true),
        ("https://evil.example/r", "https://evil.example/r", false),
        ("/r", "https://evil.example/r", false),
    ] {
        let mut call = call(&fixture, uri, htu);
        for (name, value) in [
            ("host", "evil.example"),
            ("forwarded", "host=evil.example;proto=https"),
            ("x-forwarded-host", "evil.example"),
            ("x-original-url", "/r"),
        ] {
            call.headers_mut().insert(name, value.parse().unwrap());
        }
        assert_eq!(send(&layer, call).await.who == "alice", is_good, "{uri} {htu}");
    }
}

/// `OPTIONS *` has no path (RFC 9112 §3.3).
#[tokio::test]
async fn a_request_to_the_whole_server_has_the_url_that_is_above_all() {
    let fixture = Fixture::new();
    for (base, htu, is_good) in [
        (URL, "https://api.example", true),
        (URL, "https://api.example/", true),
        (URL, "https://api.example*", false),
        (URL, "https://api.example/*", false),
        ("https://api.example/v1", "https://api.example/v1", true),
        ("https://api.example/v1", "https://api.example/v1*", false),
        ("https://api.example/v1", "https://api.example/", false),
    ] {
        let layer = fixture.plain().with_dpop(Dpop::new(base).unwrap());
        let reply = send(&layer, call(&fixture, "*", htu)).await;
        assert_eq!(reply.who == "alice", is_good, "{base} {htu}");
    }
}

#[tokio::test]
async fn a_service_with_many_hosts_tells_which_url_it_is() {
    let fixture = Fixture::new();
    let by_tenant = Dpop::from_fn(|head| {
        let tenant = head.extensions().get::<&'static str>()?;
        Uri::try_from(format!("https://{tenant}.example/api{}", head.uri().path())).ok()
    });
    let layer = fixture.plain().with_dpop(by_tenant);
    for (tenant, htu, is_good) in [
        (Some("one"), "https://one.example/api/r", true),
        (Some("two"), "https://two.example/api/r", true),
        (Some("two"), "https://one.example/api/r", false),
        (Some("one"), "https://one.example/r", false),
        (None, "https://one.example/api/r", false),
    ] {
        let mut call = call(&fixture, "/r?q=1", htu);
        tenant.map(|tenant| call.extensions_mut().insert(tenant));
        let reply = send(&layer, call).await;
        assert_eq!(reply.who == "alice", is_good, "{tenant:?} {htu}");
        assert!(is_good || reply.kind == Some(RejectionKind::InvalidProof));
    }
    // A URL that is none is refused as well.
    let relative = fixture.plain().with_dpop(Dpop::from_fn(|head| Some(head.uri().clone())));
    assert_eq!(send(&relative, call(&fixture, "/r", "/r")).await.status, 401);
}

#[tokio::test]
async fn a_router_that_nests_the_layer_takes_its_prefix_away() {
    let fixture = Fixture::new();
    let layer = fixture.plain().with_dpop(Dpop::new("https://api.example/v1").unwrap());
    let inner = Router::new().route("/", get(|| async {})).route("/r", get(|| async {}));
    let app = Router::new().nest("/v1", inner.layer(layer));
    for (path, htu, status) in [
        ("/v1/r", "https://api.example/v1/r", 200),
        ("/v1/r", "https://api.example/r", 401),
        // The router calls the root of what is nested by either name.
        ("/v1", "https://api.example/v1", 200),
        ("/v1", "https://api.example/v1/", 200),
        ("/v1", "https://api.example/", 401),
        ("/v1", "https://api.example/v1//", 401),
    ] {
        let call = call(&fixture, path, htu).map(|()| Body::empty());
        let response = app.clone().oneshot(call).await.unwrap();
        assert_eq!(response.status(), status, "{path} {htu}");
    }
}
