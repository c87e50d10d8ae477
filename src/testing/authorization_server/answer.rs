//! Builds answers: JSON, refusals ([RFC 6749 §5]) and statuses without a body.
//!
//! [RFC 6749 §5]: https://www.rfc-editor.org/rfc/rfc6749#section-5

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use serde_json::Value;
use std::borrow::Cow;

/// What an endpoint answers.
pub(super) type Answered = Result<Response<Bytes>, Refusal>;

/// An OAuth error with its description, which repeats nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) error: &'static str,
    pub(super) description: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { error, description: description.into() }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn invalid_client() -> Self {
        Self::new("invalid_client", "the client is unknown or did not authenticate")
    }

    pub(super) fn invalid_grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(super) fn invalid_scope() -> Self {
        Self::new("invalid_scope", "the scope is malformed or exceeds what may be granted")
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut members = Members::default();
        members.set_text("error", self.error);
        members.set_text("error_description", &self.description);
        let mut response = members.into_response();
        *response.status_mut() = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        if self.error == "invalid_client" {
            let challenge = HeaderValue::from_static(r#"Basic realm="authorization server""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The members of a JSON object, in the order in which they were first set. The values are JSON
/// text, which is sent as it is.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(String, String)>);

impl Members {
    pub(super) fn set(&mut self, name: &str, json: String) {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, value)) => *value = json,
            None => self.0.push((name.to_owned(), json)),
        }
    }

    pub(super) fn set_text(&mut self, name: &str, text: &str) {
        self.set(name, Value::from(text).to_string());
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| own != name);
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let member = |(name, json)| format!("{}:{json}", Value::from(name));
        let members: Vec<String> = self.0.into_iter().map(member).collect();
        let mut response = bare(StatusCode::OK);
        *response.body_mut() = format!("{{{}}}", members.join(",")).into();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Builds an answer without a body, which no cache may keep.
pub(super) fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn not_found() -> Response<Bytes> {
    bare(StatusCode::NOT_FOUND)
}

pub(super) fn method_not_allowed(allowed: &Method) -> Response<Bytes> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    if let Ok(allowed) = HeaderValue::try_from(allowed.as_str()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_set_again_keeps_its_place() {
        let mut members = Members::default();
        members.set_text("a\"", "x\ny");
        members.set("b", "1e3".into());
        members.set("a\"", "null".into());
        assert_eq!(members.into_response().body(), r#"{"a\"":null,"b":1e3}"#);
    }

    #[test]
    fn a_refused_client_is_challenged_and_others_are_not() {
        let refused = Refusal::invalid_client().into_response();
        assert_eq!(refused.status(), 401);
        let challenge = r#"Basic realm="authorization server""#;
        assert_eq!(refused.headers()[WWW_AUTHENTICATE], challenge);
        let refused = Refusal::invalid_scope().into_response();
        assert_eq!(refused.status(), 400);
        assert_eq!(refused.headers().get(WWW_AUTHENTICATE), None);
        assert_eq!(refused.headers()[CACHE_CONTROL], "no-store");
    }
}
