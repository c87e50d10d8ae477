//! What the server benches send, and what answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};
use tower::Service;

pub type Body = Full<Bytes>;

/// Answers 200 at once.
#[derive(Clone)]
pub struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::default())))
    }
}

pub fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("a header value")
}

/// A request as it comes from a browser's fetch, with `authorization` when there is one.
pub fn request(authorization: Option<&HeaderValue>) -> Request<()> {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        (header::HOST, "api.example"),
        (header::ACCEPT, "application/json"),
        (header::ACCEPT_ENCODING, "gzip"),
        (header::USER_AGENT, "bench/1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(value) = authorization {
        headers.insert(header::AUTHORIZATION, value.clone());
    }
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("/v1/calls");
    *request.headers_mut() = headers;
    request
}
