//! Refusals in the form of gRPC: status 200 and trailers only.

use crate::{
    RequestHead,
    back_channel::scrub::MAX_TEXT,
    vocabulary::{
        grpc::{self, GRPC_STATUS, Grpc},
        location::DPOP_NONCE,
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What gRPC escapes in `grpc-message`: all but 0x20 to 0x7E, and the percent sign.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Returns the content type of a call of gRPC, which is a POST over HTTP/2, or of gRPC-Web, which is
/// a POST over any version. A refusal of anything else is never 200, since its caller may look at
/// nothing but the status.
pub(super) fn content_type(head: RequestHead<'_>) -> Option<&HeaderValue> {
    if *head.method() != Method::POST {
        return None;
    }
    let (value, protocol) = grpc::content_type(head.headers())?;
    let is_call = protocol == Grpc::Web || head.version() == Version::HTTP_2;
    is_call.then_some(value)
}

/// Turns a refusal into one of gRPC.
pub(super) fn convert<R>(response: &mut Response<R>, content_type: &HeaderValue, message: &str) {
    let code = code(response.status());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert(GRPC_STATUS, code);
    headers.insert(GRPC_MESSAGE, escape(message));
    let exposed = match headers.contains_key(DPOP_NONCE) {
        true => "grpc-status, grpc-message, www-authenticate, dpop-nonce",
        false => "grpc-status, grpc-message, www-authenticate",
    };
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

/// Returns the trailers that end a stream whose token is no longer good.
pub(in crate::server) fn token_ended() -> HeaderMap {
    let message = HeaderValue::from_static("the access token is no longer good");
    let status = code(StatusCode::UNAUTHORIZED);
    HeaderMap::from_iter([(GRPC_STATUS, status), (GRPC_MESSAGE, message)])
}

fn code(status: StatusCode) -> HeaderValue {
    HeaderValue::from_static(match status {
        StatusCode::FORBIDDEN => "7",
        StatusCode::PAYLOAD_TOO_LARGE => "8",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "16",
    })
}

fn escape(message: &str) -> HeaderValue {
    let message: String = message.chars().take(MAX_TEXT).collect();
    let escaped = utf8_percent_encode(&message, ESCAPED).to_string();
    HeaderValue::try_from(escaped).unwrap_or(HeaderValue::from_static(""))
}
