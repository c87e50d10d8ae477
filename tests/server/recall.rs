//! When a layer asks whether a token is known before it looks at anything else.

use http::{Method, Request, Response, StatusCode};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Answer, RequestHead, TokenLocation,
    server::{Authenticated, RequireToken},
    validate::{CacheSupport, Principal, Rejection, ValidateToken, Validated, Verdict},
};

/// Knows the token `known`, which its `validate` is never asked about.
struct Known;

impl ValidateToken for Known {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        assert_ne!(token, "known", "it is recalled");
        Answer::Ready(Err(Rejection::unknown()))
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for Known {
    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<()>>> {
        assert!(presented.len() <= 16 * 1024, "no token is so long");
        (presented == b"known").then(|| Arc::new(Principal::new("alice").into()))
    }
}

/// Is never asked what it knows.
struct Unasked;

impl ValidateToken for Unasked {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, _: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(Ok(Arc::new(Principal::new("alice").into())))
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for Unasked {
    fn recall(&self, _: &[u8]) -> Option<Arc<Validated<()>>> {
        panic!("anything about the request may be unusual");
    }
}

fn layer<V: ValidateToken>(validator: V) -> RequireToken<V> {
    RequireToken::new("api", validator).unwrap()
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// The status, and 204 where the inner service saw the header `authorization`.
async fn status<V: ValidateToken>(layer: &RequireToken<V>, request: Request<()>) -> StatusCode {
    let inner = service_fn(|request: Request<()>| {
        let subject = request
            .extensions()
            .get()
            .and_then(|whose: &Authenticated| whose.principal().subject().map(str::to_owned));
        let mut response = Response::new(());
        if subject.as_deref() == Some("alice") && request.headers().contains_key("authorization") {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        ready(Ok::<_, Infallible>(response))
    });
    layer.layer(inner).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_known_token_in_the_bearer_header_is_all_that_is_looked_at() {
    for value in ["Bearer known", "bearer   known", " Bearer known "] {
        let known = request("/", &[("x", "y"), ("authorization", value)]);
        assert_eq!(status(&layer(Known), known).await, StatusCode::NO_CONTENT, "{value}");
        let known = request("/", &[("authorization", value)]);
        let stripped = status(&layer(Known).with_full_token_removal(), known).await;
        assert_eq!(stripped, StatusCode::OK, "the token is taken out: {value}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_judged_as_ever() {
    let long = format!("Bearer {}", "!".repeat(20_000));
    for (value, expected) in [
        ("Bearer unknown", 401),
        ("Bearer known,", 400),
        ("Bearer known x", 400),
        ("Bearer", 400),
        (&long, 401),
        ("Basic known", 401),
        ("known", 401),
        ("", 401),
    ] {
        let answer = status(&layer(Known), request("/", &[("authorization", value)])).await;
        assert_eq!(answer.as_u16(), expected, "{value:.20}");
    }
    assert_eq!(status(&layer(Known), request("/", &[])).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nothing_is_recalled_where_anything_is_unusual() {
    let bearer = ("authorization", "Bearer known");
    // A header twice, be it another.
    let twice = request("/", &[bearer, bearer]);
    assert_eq!(status(&layer(Unasked), twice).await, StatusCode::BAD_REQUEST);
    let other = request("/", &[bearer, ("accept", "a"), ("accept", "b")]);
    assert_eq!(status(&layer(Unasked), other).await, StatusCode::NO_CONTENT);
    // Other places, alone or beside it.
    let beside =
        || layer(Unasked).with_locations([TokenLocation::Bearer, TokenLocation::Query]).unwrap();
    let both = request("/?access_token=known", &[bearer]);
    assert_eq!(status(&beside(), both).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(&beside(), request("/", &[bearer])).await, StatusCode::NO_CONTENT);
    let key = layer(Unasked).with_locations([TokenLocation::header("x-api-key").unwrap()]).unwrap();
    assert_eq!(status(&key, request("/", &[("x-api-key", "known")])).await, StatusCode::OK);
}

#[tokio::test]
async fn who_presents_nothing_is_told_apart_as_ever() {
    let optional = layer(Unasked).allow_anonymous();
    assert_eq!(status(&optional, request("/", &[])).await, StatusCode::OK);
    let mut preflight = request(
        "/",
        &[
            ("origin", "https://app.example"),
            ("access-control-request-method", "GET"),
            ("authorization", "Bearer known"),
        ],
    );
    *preflight.method_mut() = Method::OPTIONS;
    let passing = layer(Unasked).allow_cors_preflights();
    assert_eq!(status(&passing, preflight).await, StatusCode::OK, "as nobody");
}
