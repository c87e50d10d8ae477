//! Turns a rejection into the answer of [RFC 6750 §3], or of gRPC.
//!
//! [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3

use super::settings::Settings;
use crate::{
    RequestHead,
    observe::{self, Outcome},
    validate::{RETRY_AFTER_DEFAULT, Rejection, RejectionKind},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::time::Duration;

/// What `Cache-Control` says of every refusal.
pub(in crate::server) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What gRPC escapes in `grpc-message`: all but 0x20 to 0x7E, and the percent sign.
const GRPC_ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The refusal of the request of `head`, in the extensions of which `rejection` rides.
pub(in crate::server) fn response<R: Default>(
    mut rejection: Rejection,
    settings: &Settings,
    head: RequestHead<'_>,
) -> Response<R> {
    let made = settings.challenges.headers(&rejection);
    rejection.set_terse(settings.challenges.are_terse());
    let mut response = with_headers(made, rejection);
    if let Some(content_type) = grpc_content_type(head).filter(|_| settings.speaks_grpc) {
        make_grpc(&mut response, content_type);
    }
    response
}

/// The refusal without a challenge.
pub(in crate::server) fn plain<R: Default>(rejection: Rejection) -> Response<R> {
    with_headers([(CACHE_CONTROL, NO_STORE)].into_iter().collect(), rejection)
}

fn with_headers<R: Default>(headers: HeaderMap, rejection: Rejection) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = rejection.kind().status();
    *response.headers_mut() = headers;
    if rejection.kind() == RejectionKind::Unavailable {
        response.headers_mut().insert(RETRY_AFTER, retry_after(rejection.retry_after()));
    }
    response.extensions_mut().insert(rejection);
    response
}

/// When to come back, in whole seconds.
pub(in crate::server) fn retry_after(after: Option<Duration>) -> HeaderValue {
    let after = after.unwrap_or(RETRY_AFTER_DEFAULT);
    // Rounded up: who comes back early is refused again.
    let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    HeaderValue::from(seconds.max(1))
}

/// The refusal of what stands where it cannot do its work, recorded for whoever runs the server.
pub(in crate::server) fn misplaced<R: Default>(reason: &'static str) -> Response<R> {
    let rejection = Rejection::internal(reason);
    observe::decided(Outcome::Rejected, Some(&rejection), None);
    plain(rejection)
}

/// Puts the refusal into gRPC's words: 200 and trailers only.
fn make_grpc<R>(response: &mut Response<R>, content_type: &HeaderValue) {
    let rejection = response.extensions().get::<Rejection>();
    let message = rejection.map(|rejection| grpc_message(rejection.public_description()));
    let status = grpc_status(response.status());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert(GRPC_STATUS, status);
    headers.insert(GRPC_MESSAGE, message.unwrap_or(HeaderValue::from_static("")));
    let exposed = HeaderValue::from_static("grpc-status, grpc-message, www-authenticate");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// The content type of a call of gRPC, which is a POST over HTTP/2, or of gRPC-Web, which is a POST
/// over any version. A refusal of anything else is never 200: who asked may look at nothing but the
/// status.
fn grpc_content_type(head: RequestHead<'_>) -> Option<&HeaderValue> {
    let value = head.headers().get(CONTENT_TYPE)?;
    let rest = strip_prefix(value.as_bytes(), b"application/grpc")?;
    let web = strip_prefix(rest, b"-web-text").or_else(|| strip_prefix(rest, b"-web"));
    let is_call = *head.method() == Method::POST
        && (web.is_some() || head.version() == Version::HTTP_2)
        && matches!(web.unwrap_or(rest).first(), None | Some(b'+' | b';' | b' '));
    is_call.then_some(value)
}

fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn grpc_status(status: StatusCode) -> HeaderValue {
    HeaderValue::from_static(match status {
        StatusCode::FORBIDDEN => "7",
        StatusCode::PAYLOAD_TOO_LARGE => "8",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "16",
    })
}

fn grpc_message(text: &str) -> HeaderValue {
    let text: String = text.chars().take(crate::back_channel::scrub::MAX_TEXT).collect();
    let escaped = utf8_percent_encode(&text, GRPC_ESCAPED).to_string();
    HeaderValue::try_from(escaped).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn call(content_type: &str) -> Request<()> {
        let call = Request::post("/pkg.S/M").version(Version::HTTP_2);
        call.header(CONTENT_TYPE, content_type).body(()).unwrap()
    }

    #[test]
    fn grpc_is_recognised_exactly() {
        let is_grpc =
            |content_type: &str| grpc_content_type(RequestHead::of(&call(content_type))).is_some();
        for yes in [
            "application/grpc",
            "Application/GRPC+proto",
            "application/grpc;x=y",
            "application/grpc-web",
            "application/grpc-web-text+proto",
            "application/grpc ;x",
        ] {
            assert!(is_grpc(yes), "{yes}");
        }
        for no in ["application/grpcx", "application/grpc-webx", "application/json", "text/grpc"] {
            assert!(!is_grpc(no), "{no}");
        }
    }

    #[test]
    fn an_internal_error_is_not_described_to_the_caller() {
        let settings = Settings::new("api".into()).unwrap();
        let call = call("application/grpc");
        let rejection = Rejection::internal("the database said: relation users");
        let response: Response<()> = response(rejection.clone(), &settings, RequestHead::of(&call));
        assert_eq!(response.headers()[GRPC_STATUS], "13");
        assert!(!format!("{:?}", response.headers()).contains("users"));
        assert_eq!(response.extensions().get(), Some(&rejection));
    }
}
