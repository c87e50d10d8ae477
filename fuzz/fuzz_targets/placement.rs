//! A token (the first line) and a request head (a line for the method and the path, one for each
//! header): where a client puts the token, a server of the same setting finds it, and only it, and
//! what is left is the request of before.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, LazyLock, Mutex},
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    AccessToken, TokenLocation, client::AddBearer, server::RequireToken, validate::ValidateToken,
};
use tower_oauth2_fuzz::{
    field, lines, now, runtime,
    tokens::{Judge, is_token, presented},
};

static LOCATIONS: LazyLock<[TokenLocation; 5]> = LazyLock::new(|| {
    [
        TokenLocation::Bearer,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
    ]
});

fuzz_target!(|input: &[u8]| {
    let _timers = runtime().enter();
    let (token, rest) = lines(input);
    let Some(request) = head(rest) else { return };
    let Ok(text) = str::from_utf8(token) else { return };
    let Ok(token) = AccessToken::new(text) else { return };
    for location in &*LOCATIONS {
        let Some(sent) = sent(&request, &token, location) else { continue };
        let judge = Judge::default();
        let layer = RequireToken::new("api", judge.clone()).unwrap();
        let layer = layer.with_locations([location.clone()]).unwrap().with_full_token_removal();
        let layer = layer.allow_query_on_any_method().dangerous_allow_cross_site_requests();
        let arrived = arrived(&layer, sent);
        let judged = judge.take();
        if !is_token(text) || is_taken(&request) {
            continue;
        }
        assert_eq!(judged.as_deref(), Some(text), "{location:?}");
        if let Some(arrived) = arrived {
            assert!(text.starts_with('t'));
            assert_eq!(arrived.uri().path(), request.uri().path());
            let query = |request: &Request<_>| request.uri().query().unwrap_or_default().to_owned();
            assert_eq!(query(&arrived).trim_matches('&'), query(&request).trim_matches('&'));
            assert_eq!(without_added(arrived.headers()), without_added(request.headers()));
        }
    }
});

/// A client says that caches keep nothing.
fn without_added(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove("cache-control");
    headers
}

/// Returns `true` if there is something of one kind or another where tokens stand.
fn is_taken(request: &Request<Full<Bytes>>) -> bool {
    let is_there = |name: &&str| request.headers().contains_key(*name);
    ["authorization", "x-api-key"].iter().any(is_there)
        || !presented(request, &TokenLocation::Query, true).is_empty()
}

fn sent(
    request: &Request<Full<Bytes>>,
    token: &AccessToken,
    location: &TokenLocation,
) -> Option<Request<Full<Bytes>>> {
    let layer = AddBearer::from_source(token.clone(), "https://api.example").unwrap();
    let layer = layer.with_location(location.clone());
    let (seen, inner) = watched();
    let _ = now(layer.layer(inner).call(request.clone()));
    seen.lock().unwrap().take()
}

fn arrived<V: ValidateToken>(
    layer: &RequireToken<V>,
    request: Request<Full<Bytes>>,
) -> Option<Request<Full<Bytes>>> {
    let (seen, inner) = watched();
    let _ = now(layer.layer(inner).call(request));
    seen.lock().unwrap().take()
}

type Seen = Arc<Mutex<Option<Request<Full<Bytes>>>>>;

fn watched() -> (
    Seen,
    impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send,
) {
    let seen = Seen::default();
    let inner = seen.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        *inner.lock().unwrap() = Some(request);
        ready(Ok::<_, Infallible>(Response::default()))
    });
    (seen, service)
}

fn head(input: &[u8]) -> Option<Request<Full<Bytes>>> {
    let (first, rest) = lines(input);
    let (method, path) = first.split_at(first.iter().position(|byte| *byte == b' ')?);
    let path = path.get(1..).filter(|path| path.starts_with(b"/"))?;
    let uri = [b"https://api.example", path].concat();
    let uri = Uri::from_maybe_shared(Bytes::from(uri)).ok()?;
    let mut request = Request::builder().method(method).uri(uri).body(Full::default()).ok()?;
    for (name, value) in rest.split(|byte| *byte == b'\n').take(32).filter_map(field) {
        request.headers_mut().append(name, value);
    }
    Some(request)
}
