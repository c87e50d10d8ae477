//! A request head with every source on: header, query, Basic, cookie, WebSocket, another header.
//! Input: a line for the method and the URI, then one line for each header.
#![no_main]

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::WWW_AUTHENTICATE,
};
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    Answer, Challenge, RequestHead, TokenLocation,
    server::{Authenticated, RequireToken},
    validate::{Principal, Rejection, ValidateToken, Validated, Verdict},
};

/// Finds tokens that begin with `t` good, and checks what it is given.
struct Judge;

impl ValidateToken for Judge {
    type Claims = ();
    type Future = std::future::Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        let body = token.trim_end_matches('=');
        assert!(!body.is_empty() && token.len() <= 16 * 1024);
        assert!(body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)));
        Answer::Ready(match token.starts_with('t') {
            true => Ok(Arc::new(Validated::from(Principal::new("alice")))),
            false => Err(Rejection::invalid(token.to_owned())),
        })
    }
}

static LAYER: LazyLock<RequireToken<Judge>> = LazyLock::new(|| {
    RequireToken::new("api", Judge)
        .unwrap()
        .with_locations([
            TokenLocation::Bearer,
            TokenLocation::Query,
            TokenLocation::BasicUserName,
            TokenLocation::header("x-api-key").unwrap(),
            TokenLocation::cookie("at").unwrap(),
            TokenLocation::websocket_protocol("b64.").unwrap(),
            TokenLocation::websocket_protocol_pair("bearer").unwrap(),
        ])
        .unwrap()
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(request) = head(&mut lines) else { return };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_post = request.method() == Method::POST;
    let is_query_read = [Method::GET, Method::HEAD, Method::CONNECT].contains(request.method());
    let seen = Arc::new(Mutex::new(None));
    let inner = {
        let seen = seen.clone();
        service_fn(move |request: Request<()>| {
            *seen.lock().unwrap() = Some(request);
            ready(Ok::<_, Infallible>(Response::new(String::new())))
        })
    };
    let mut service = LAYER.layer(inner);
    let mut call = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("a verdict that is there at once is waited for");
    };
    match seen.lock().unwrap().take() {
        Some(request) => {
            assert_eq!(response.status(), StatusCode::OK);
            let authenticated = request.extensions().get::<Authenticated>().expect("claims");
            let left = request.uri().query().unwrap_or_default();
            if *authenticated.location() == TokenLocation::Query {
                assert!(left.len() < query.len());
                assert!(left.split('&').all(|pair| !pair.starts_with("access_token=")));
            } else if is_query_read {
                assert_eq!(left, query);
            } else {
                // The tokens of a query that is not read are removed: it is logged all the same.
                let is_token = |pair: &&str| pair.split('=').next() == Some("access_token");
                assert!(left.split('&').all(|pair| !is_token(&pair)));
                if !query.split('&').any(|pair| is_token(&pair) || pair.contains('%')) {
                    assert_eq!(left, query);
                }
            }
        }
        None => {
            let grpc = response.headers().contains_key("grpc-status");
            assert!((grpc && is_post) || response.status().is_client_error());
            for value in response.headers().get_all(WWW_AUTHENTICATE) {
                let read = Challenge::parse(value.as_bytes()).expect("what we write can be read");
                assert_eq!(read.len(), 1);
            }
        }
    }
});

fn head<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Option<Request<()>> {
    let first = lines.next()?;
    let (method, uri) = first.split_at(first.iter().position(|byte| *byte == b' ')?);
    let uri = http::Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(uri.get(1..)?)).ok()?;
    let request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    let mut request = request.body(()).ok()?;
    for line in lines.take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(&value[1..]))
        {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}
