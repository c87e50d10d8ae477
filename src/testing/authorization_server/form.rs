//! The parameters of a request, in its query or its body ([RFC 6749 §3.2]).
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

use super::answer::Refusal;
use crate::ScopeSet;
use bytes::Bytes;
use http::{HeaderMap, Request, header::CONTENT_TYPE};

/// Decoded names and values, in the order of the request.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes a form as a browser encodes it: `+` is a space. Bytes that are not UTF-8 are replaced.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Reads the query.
    pub(super) fn from_query(request: &Request<Bytes>) -> Self {
        Self::parse(request.uri().query().unwrap_or_default().as_bytes())
    }

    /// Reads the body, or the query if there is no body.
    ///
    /// # Errors
    ///
    /// When the body is not a form, or a parameter is in the query and in the body.
    pub(super) fn from_request(request: &Request<Bytes>) -> Result<Self, Refusal> {
        let query = Self::from_query(request);
        let body = request.body();
        if body.is_empty() {
            return Ok(query);
        }
        if !is_form(request.headers()) {
            return Err(Refusal::invalid_request("the body is not a form"));
        }
        let form = Self::parse(body);
        let in_both = |(name, _): &(String, String)| form.0.iter().any(|(own, _)| own == name);
        match query.0.iter().any(in_both) {
            true => Err(Refusal::invalid_request("a parameter is in the query and in the body")),
            false => Ok(form),
        }
    }

    /// Returns the value of `name`, or `None` if it is missing or empty.
    ///
    /// # Errors
    ///
    /// When the parameter is repeated.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(String::as_str).filter(|value| !value.is_empty())),
            _ => Err(Refusal::invalid_request(format!("{name} is repeated"))),
        }
    }

    /// Returns the value of `name`.
    ///
    /// # Errors
    ///
    /// When the parameter is missing, empty or repeated.
    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::invalid_request(format!("{name} is missing"));
        self.get(name)?.ok_or_else(missing)
    }

    /// Returns the requested scopes.
    ///
    /// # Errors
    ///
    /// When the parameter is malformed or repeated.
    pub(super) fn scopes(&self) -> Result<ScopeSet, Refusal> {
        let scopes = self.get("scope")?.unwrap_or_default();
        scopes.parse().map_err(|_| Refusal::invalid_scope())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(|value| value.split(';').next()).is_some_and(|media_type| {
        media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, content_type: &str, body: &str) -> Result<Form, Refusal> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = Request::post(uri).header(CONTENT_TYPE, content_type).body(body).unwrap();
        Form::from_request(&request)
    }

    const FORM: &str = "Application/X-WWW-Form-Urlencoded ; charset=UTF-8";

    #[test]
    fn the_query_is_read_only_without_a_body() {
        let form = read("/token?a=1&b=2", "", "").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Ok(Some("1")), Ok(Some("2"))));
        let form = read("/token?a=1", FORM, "b=x+y%2B%ff&c=").unwrap();
        assert_eq!((form.get("a"), form.get("c")), (Ok(None), Ok(None)));
        assert_eq!(form.require("b"), Ok("x y+\u{fffd}"));
        assert!(form.require("c").is_err());
        assert!(read("/token?a=1", FORM, "%61=1").is_err());
        assert!(read("/token", "application/json", "{}").is_err());
    }

    #[test]
    fn a_repeated_parameter_is_refused_when_it_is_read() {
        let form = Form::parse(b"resource=a&resource=b&scope=x+y&a&a=");
        assert_eq!(form.scopes().unwrap().len(), 2);
        assert!(form.get("a").is_err());
        assert!(Form::parse(b"scope=%22").scopes().is_err());
    }
}
