//! What the protected service answers.

use axum::{body::Body, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONTENT_TYPE, TRAILER},
};
use http_body::Frame;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};
use tower_oauth2::{server::Authenticated, validate::Principal};

/// A message of gRPC without a field: not compressed, no bytes long.
const EMPTY_MESSAGE: [u8; 5] = [0; 5];

/// Whose token it was, and what is left of the request.
pub(crate) async fn answer<B>(request: Request<B>) -> Result<Response, Infallible> {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    Ok(match kind.as_ref().and_then(|kind| kind.to_str().ok()) {
        Some(kind) if kind.starts_with("application/grpc-web-text") => {
            let body = BASE64_STANDARD.encode(web_message());
            with_type(kind, Body::from(body))
        }
        Some(kind) if kind.starts_with("application/grpc-web") => {
            with_type(kind, Body::from(web_message()))
        }
        Some(kind) if kind.starts_with("application/grpc") => {
            grpc(kind, request.uri().path().ends_with("/Watch"))
        }
        _ => with_type("application/json", Body::from(described(&request).to_string())),
    })
}

fn described<B>(request: &Request<B>) -> Value {
    let authenticated = request.extensions().get::<Authenticated>();
    let headers: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
    json!({
        "principal": authenticated.map(|who| principal(who.principal())),
        "location": authenticated.map(|who| who.location().kind()),
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers,
    })
}

fn principal(principal: &Principal) -> Value {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map(|it| it.as_secs()).ok();
    json!({
        "sub": principal.subject(),
        "client_id": principal.client_id(),
        "scopes": principal.scopes().iter().collect::<Vec<_>>(),
        "roles": principal.roles().collect::<Vec<_>>(),
        "iss": principal.issuer(),
        "aud": principal.audience().collect::<Vec<_>>(),
        "exp": principal.expires_at().and_then(seconds),
    })
}

/// An answer to any method: an empty message, then the status in trailers, if it ever ends.
fn grpc(kind: &str, endless: bool) -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Frame::data(Bytes::from_static(&EMPTY_MESSAGE));
    let end = (!endless).then(|| Frame::trailers(trailers));
    let mut response = with_type(kind, Body::new(Frames { message: Some(message), end, endless }));
    // Over HTTP/1 only trailers that were announced are sent.
    response.headers_mut().insert(TRAILER, HeaderValue::from_static("grpc-status"));
    response
}

/// A body that does not say how long it is: one that does has no trailers over HTTP/1.
struct Frames {
    message: Option<Frame<Bytes>>,
    end: Option<Frame<Bytes>>,
    endless: bool,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.message.take().or_else(|| self.end.take()) {
            None if self.endless => Poll::Pending,
            frame => Poll::Ready(frame.map(Ok)),
        }
    }
}

/// The same for gRPC-Web, where the trailers are a message of their own.
fn web_message() -> Vec<u8> {
    let trailers = b"grpc-status:0\r\n";
    [&EMPTY_MESSAGE, &[0x80, 0, 0, 0, 15], trailers.as_slice()].concat()
}

fn with_type(kind: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    match HeaderValue::from_str(kind) {
        Ok(kind) => drop(response.headers_mut().insert(CONTENT_TYPE, kind)),
        Err(_) => *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE,
    }
    response
}
