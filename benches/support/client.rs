//! What the client benches send, and what answers.

use http::{HeaderMap, HeaderValue, Request, Response, header};
use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};
use tower::Service;

pub const ORIGIN: &str = "https://api.example";

/// A token of the length of a small JWT.
pub fn token() -> String {
    "t".repeat(600)
}

/// Answers at once whether the request has a credential.
#[derive(Clone)]
pub struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<bool>;
    type Error = Infallible;
    type Future = Ready<Result<Response<bool>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let has = request.headers().contains_key(header::AUTHORIZATION)
            || request.uri().query().is_some();
        std::future::ready(Ok(Response::new(has)))
    }
}

/// A request of five headers with room for more, as a client library makes it.
pub fn request() -> Request<()> {
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
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("https://api.example/v1/calls");
    *request.headers_mut() = headers;
    request
}
