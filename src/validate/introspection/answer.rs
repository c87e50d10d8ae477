//! Reads the answer of the endpoint ([RFC 7662 §2.2]).
//!
//! 1. Only `"active": true` finds a token good, and only `"active": false` finds it bad.
//! 2. Anything else is an outage.
//!
//! [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2

use crate::{
    back_channel::{json, retry_after::retry_after, secrets::Secrets},
    validate::Rejection,
    vocabulary::members,
};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

pub(super) type Members = Map<String, Value>;

/// The back-off after a 429 without `Retry-After`.
const PAUSE: Duration = Duration::from_secs(1);

/// Returns the back-off that the server asks for.
pub(super) fn back_off(response: &Response<Bytes>, now: SystemTime) -> Option<Duration> {
    let asked = || retry_after(response.headers(), now);
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(asked().unwrap_or(PAUSE)),
        status if status.is_server_error() => asked(),
        _ => None,
    }
}

/// Returns the body of an answer about the token.
///
/// # Errors
///
/// The rejection that any other answer means, without any of `secrets`.
pub(super) fn body<'r>(
    response: &'r Response<Bytes>,
    secrets: &Secrets,
    now: SystemTime,
) -> Result<&'r [u8], Rejection> {
    match response.status() {
        StatusCode::OK => Ok(response.body()),
        _ => Err(refusal(response, secrets, now)),
    }
}

/// Returns the members of an answer if they find the token good.
pub(super) fn active(members: Members) -> Result<Members, Rejection> {
    match members.get("active") {
        Some(Value::Bool(true)) => Ok(members),
        Some(Value::Bool(false)) => Err(Rejection::invalid("the access token is not active")),
        Some(_) => Err(malformed("`active` is neither true nor false")),
        None => Err(malformed("there is no `active`")),
    }
}

/// Parses the body: one JSON object, without a repeated member.
pub(super) fn object(body: &[u8]) -> Result<Members, Rejection> {
    // Its errors repeat no text of the body except a name.
    members::check(json::without_bom(body))
        .map_err(|_| malformed("it is not a JSON object without repeated members"))?;
    json::object(body).ok_or_else(|| malformed("it is not a JSON object"))
}

/// Reports an answer that cannot be read, which is no verdict on the token.
pub(super) fn malformed(what: &str) -> Rejection {
    Rejection::unavailable(None)
        .with_cause(format!("the introspection answer is malformed: {what}"))
}

/// Reads an answer of another status than 200.
fn refusal(response: &Response<Bytes>, secrets: &Secrets, now: SystemTime) -> Rejection {
    let status = response.status();
    let members = object(response.body()).unwrap_or_default();
    let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let error = text("error");
    match (status, error) {
        (StatusCode::BAD_REQUEST, Some("unsupported_token_type")) => return Rejection::not_mine(),
        (StatusCode::BAD_REQUEST, Some("invalid_token")) => return Rejection::unknown(),
        _ => {}
    }
    let what = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "does not let this resource ask",
        _ if status.is_redirection() => "redirects, which is not followed",
        _ => "does not answer",
    };
    let mut cause = format!("the introspection endpoint {what} ({status})");
    for text in error.into_iter().chain(text("error_description")) {
        cause.push_str(": ");
        cause.push_str(&secrets.scrub(text));
    }
    Rejection::unavailable(back_off(response, now)).with_cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::RejectionKind::{self, Invalid, NotMine, Unavailable};
    use http::header::RETRY_AFTER;
    use proptest::prelude::*;

    fn read(response: &Response<Bytes>, secrets: &Secrets) -> Result<Members, Rejection> {
        active(object(body(response, secrets, SystemTime::now())?)?)
    }

    fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn kind(status: u16, body: &'static str) -> Option<RejectionKind> {
        let read = read(&response(status, body), &Secrets::default());
        read.err().map(|rejection| rejection.kind())
    }

    #[test]
    fn only_a_true_active_is_good_and_only_a_false_one_is_bad() {
        for (body, refused) in [
            (r#"{"active":true}"#, None),
            ("\u{feff} {\"active\":true,\"x\":{\"a\":[1e9]}}\n", None),
            (r#"{"active":false}"#, Some(Invalid)),
            (r#"{"active":false,"exp":"never"}"#, Some(Invalid)),
            (r#"{"active":"true"}"#, Some(Unavailable)),
            (r#"{"active":1}"#, Some(Unavailable)),
            (r#"{"active":null}"#, Some(Unavailable)),
            (r#"{"Active":true}"#, Some(Unavailable)),
            (r#"{"sub":"x"}"#, Some(Unavailable)),
            (r#"{"active":true,"active":true}"#, Some(Unavailable)),
            (r#"{"active":false,"\u0061ctive":true}"#, Some(Unavailable)),
            (r#"{"active":true,"x":{"a":1,"a":2}}"#, Some(Unavailable)),
            (r#"{"active":true}{}"#, Some(Unavailable)),
            (r#"[{"active":true}]"#, Some(Unavailable)),
            ("true", Some(Unavailable)),
            ("active=true", Some(Unavailable)),
            ("<html>", Some(Unavailable)),
            ("", Some(Unavailable)),
        ] {
            assert_eq!(kind(200, body), refused, "{body}");
        }
    }

    #[test]
    fn a_400_about_the_token_is_a_verdict_and_any_other_status_an_outage() {
        for (status, body, refused) in [
            (400, r#"{"error":"unsupported_token_type"}"#, NotMine),
            (400, r#"{"error":"invalid_token"}"#, Invalid),
            (400, r#"{"error":"invalid_request"}"#, Unavailable),
            (400, r#"{"error":"invalid_client"}"#, Unavailable),
            (400, r#"{"error":"unauthorized_client"}"#, Unavailable),
            (400, "", Unavailable),
            (401, r#"{"error":"invalid_token"}"#, Unavailable),
            (403, r#"{"active":true}"#, Unavailable),
            (201, r#"{"active":true}"#, Unavailable),
            (204, "", Unavailable),
            (302, r#"{"active":true}"#, Unavailable),
            (404, r#"{"active":false}"#, Unavailable),
            (429, "", Unavailable),
            (500, r#"{"active":true}"#, Unavailable),
        ] {
            assert_eq!(kind(status, body), Some(refused), "{status} {body}");
        }
    }

    #[test]
    fn an_outage_is_described_to_the_log_alone_and_without_a_secret() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        let body = r#"{"error":"invalid_client","error_description":"no hunter2\nhere"}"#;
        let rejection = read(&response(401, body), &secrets).unwrap_err();
        assert_eq!(
            rejection.description(),
            "the introspection endpoint does not let this resource ask (401 Unauthorized): \
             invalid_client: no [redacted]?here"
        );
        assert_eq!(
            rejection.public_description(),
            "the access token cannot be checked at the moment"
        );
    }

    #[test]
    fn a_server_that_is_asked_too_often_is_left_alone() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (status, header, wait) in [
            (429, Some("7"), seconds(7)),
            (429, None, seconds(1)),
            (429, Some("soon"), seconds(1)),
            (503, Some("Sun, 06 Nov 1994 08:49:39 GMT"), seconds(2)),
            (503, Some("99999999999999999999999"), seconds(3600)),
            (503, None, None),
            (401, Some("7"), None),
            (200, Some("7"), None),
        ] {
            let mut response = response(status, "");
            if let Some(header) = header {
                response.headers_mut().insert(RETRY_AFTER, header.parse().unwrap());
            }
            assert_eq!(back_off(&response, now), wait, "{status} {header:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_good_that_does_not_say_so(
            status in prop_oneof![3 => Just(200), 1 => 100..=999_u16],
            body in prop_oneof![
                "\\{(\"(active|sub)\":(true|false|1|\"true\"|\\{\\}),?){0,3}\\}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..60),
            ],
        ) {
            let says_so = String::from_utf8_lossy(&body).contains("\"active\":true");
            match read(&response(status, body), &Secrets::default()) {
                Ok(members) => {
                    prop_assert!(says_so && status == 200);
                    prop_assert_eq!(&members["active"], &Value::Bool(true));
                }
                Err(rejection) => prop_assert!(matches!(rejection.kind(), Invalid | Unavailable)),
            }
        }
    }
}
