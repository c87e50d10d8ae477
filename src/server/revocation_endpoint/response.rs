//! The response to a client.

use crate::{
    server::uncached,
    validate::{Rejection, RejectionKind},
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use serde_json::json;
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Why a token is not revoked: an error of
/// [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) or
/// [RFC 7009 §2.2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1), or 503.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RevocationError {
    status: StatusCode,
    code: Option<&'static str>,
    description: &'static str,
    retry_after: Option<Duration>,
}

impl RevocationError {
    const fn of(status: StatusCode, code: &'static str, description: &'static str) -> Self {
        Self { status, code: Some(code), description, retry_after: None }
    }

    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) const fn method() -> Self {
        let description = "tokens are revoked with POST";
        Self { code: None, ..Self::of(StatusCode::METHOD_NOT_ALLOWED, "", description) }
    }

    /// The error of a form that could not be read.
    pub(super) fn unreadable(rejection: &Rejection) -> Self {
        match rejection.kind() {
            RejectionKind::TooLarge => {
                Self::of(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "the form is too long")
            }
            _ => Self::invalid_request("the form could not be read to its end"),
        }
    }

    /// Returns the word for metrics and logs.
    pub(super) fn reason(&self) -> &'static str {
        let kind = match (self.status, self.code) {
            (StatusCode::UNAUTHORIZED, _) => RejectionKind::Invalid,
            (StatusCode::PAYLOAD_TOO_LARGE, _) => RejectionKind::TooLarge,
            (StatusCode::SERVICE_UNAVAILABLE, _) => RejectionKind::Unavailable,
            (_, Some("unauthorized_client")) => RejectionKind::Forbidden,
            _ => RejectionKind::Malformed,
        };
        kind.as_str()
    }

    /// The client is unknown, or its secret is wrong: 401.
    pub const fn invalid_client() -> Self {
        let description = "the client is unknown, or its secret is wrong";
        Self::of(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    /// The token was issued to another client, or the client may not revoke it: 400.
    pub const fn unauthorized_client() -> Self {
        let description = "the client may not revoke this token";
        Self::of(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    /// Tokens of this kind cannot be revoked: 400.
    pub const fn unsupported_token_type() -> Self {
        let description = "tokens of this type are not revoked";
        Self::of(StatusCode::BAD_REQUEST, "unsupported_token_type", description)
    }

    /// The token may still be valid: 503. The client is to try again after `retry_after`, which
    /// defaults to 5 s.
    pub const fn unavailable(retry_after: Option<Duration>) -> Self {
        let description = "the token cannot be revoked at the moment";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: None, description, retry_after }
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description)
    }
}

impl Error for RevocationError {}

pub(super) fn response(result: Result<(), RevocationError>) -> Response<EndpointBody> {
    let Err(error) = result else {
        return uncached::response(StatusCode::OK, uncached::headers(), None);
    };
    let mut response: Response<EndpointBody> =
        uncached::response(error.status, uncached::headers(), error.retry_after);
    let headers = response.headers_mut();
    match error.status {
        StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Basic realm=\"oauth\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    if let Some(code) = error.code {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let json = json!({ "error": code, "error_description": error.description });
        *response.body_mut() = EndpointBody(Full::from(json.to_string()));
    }
    response
}

/// The body of a response of a [`RevocationEndpoint`](super::RevocationEndpoint).
#[derive(Clone, Debug, Default)]
pub struct EndpointBody(Full<Bytes>);

impl Body for EndpointBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
