//! What the client benches send, and what answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceExt};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, TokenEndpoint},
};

pub const ORIGIN: &str = "https://api.example";

type Body = Full<Bytes>;

/// A token of the length of a small JWT.
pub fn token() -> String {
    "t".repeat(600)
}

/// Answers at once: 200 where the request has a credential, 204 where it has none.
#[derive(Clone)]
pub struct Inner;

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::default());
        if !request.headers().contains_key(header::AUTHORIZATION) && request.uri().query().is_none()
        {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        std::future::ready(Ok(response))
    }
}

pub fn has(response: &Response<Body>) -> bool {
    response.status() == StatusCode::OK
}

/// A request of five headers with room for more, as a client library makes it.
pub fn request() -> Request<Body> {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        (header::ACCEPT, "application/json"),
        (header::ACCEPT_ENCODING, "gzip"),
        (header::USER_AGENT, "bench/1"),
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_LENGTH, "0"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let mut request = Request::new(Body::default());
    *request.uri_mut() = http::Uri::from_static("https://api.example/v1/calls");
    *request.headers_mut() = headers;
    request
}

/// What a layer with recovery cannot do without, by hand: clone the head, box it, insert the
/// header.
#[derive(Clone)]
pub struct CloneHead {
    pub value: HeaderValue,
    pub inner: Inner,
}

impl Service<Request<Body>> for CloneHead {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Kept;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Kept {
        let (parts, body) = request.into_parts();
        let copy = Box::new((parts.clone(), body.clone()));
        let mut request = Request::from_parts(parts, body);
        request.headers_mut().insert(header::AUTHORIZATION, self.value.clone());
        Kept { inner: self.inner.call(request), copy: Some(copy) }
    }
}

/// A future that keeps the copy until the answer is there.
pub struct Kept {
    inner: Ready<Result<Response<Body>, Infallible>>,
    copy: Option<Box<(http::request::Parts, Body)>>,
}

impl Future for Kept {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = std::pin::Pin::new(&mut self.inner).poll(cx);
        drop(self.copy.take());
        polled
    }
}

/// `ClientCredentialsRefresh` whose token is there already and good for an hour.
pub fn warm() -> ClientCredentialsRefresh {
    let layer = cold(ORIGIN);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let call = layer.layer(Inner).oneshot(request());
    let response = runtime.expect("a runtime").block_on(call).expect("an answer");
    assert!(has(&response), "the first call fetches the token");
    layer
}

/// The same before its first call.
pub fn cold(origin: &str) -> ClientCredentialsRefresh {
    let answer = format!(r#"{{"access_token":"{}","expires_in":3600}}"#, token());
    let service = tower::service_fn(move |_: Request<Body>| {
        let answer = Body::from(answer.clone());
        async { Ok::<_, Infallible>(Response::new(answer)) }
    });
    let client = ClientAuthentication::basic("id", "secret");
    let url = "https://as.example/token";
    let endpoint = TokenEndpoint::new(url, client, Transport::new(service)).expect("an endpoint");
    ClientCredentialsRefresh::new(endpoint, origin).expect("a layer")
}
