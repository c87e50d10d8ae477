//! The parameters of a request, in its query or its body ([RFC 6749 §3.2]).
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

use super::answer::Refusal;
use crate::ScopeSet;
use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};

/// Decoded names and values, in their order.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes as a browser's form is: `+` is a space, and bytes that are no UTF-8 are replaced.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The form in the body, or that in the query where there is no body.
    ///
    /// # Errors
    ///
    /// When the body is of another type, and when a parameter is in both: no guess is made at
    /// which of them was meant.
    pub(super) fn of_request(head: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let query = Self::parse(head.uri.query().unwrap_or_default().as_bytes());
        if body.is_empty() {
            return Ok(query);
        }
        if !is_form(&head.headers) {
            return Err(Refusal::invalid_request("the body is no form"));
        }
        let form = Self::parse(body);
        let in_both = |(name, _): &(String, String)| form.0.iter().any(|(own, _)| own == name);
        match query.0.iter().any(in_both) {
            true => Err(Refusal::invalid_request("a parameter is in the query and in the body")),
            false => Ok(form),
        }
    }

    /// The value of `name`; an empty one is none.
    ///
    /// # Errors
    ///
    /// When it is there twice.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(String::as_str).filter(|value| !value.is_empty())),
            _ => Err(Refusal::invalid_request(format!("{name} is there more than once"))),
        }
    }

    /// The value of `name`, which has to be there.
    ///
    /// # Errors
    ///
    /// When it is not, or twice.
    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::invalid_request(format!("{name} is missing"));
        self.get(name)?.ok_or_else(missing)
    }

    /// The scopes that are asked for.
    ///
    /// # Errors
    ///
    /// When they are malformed, or there twice.
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
    use http::Request;

    fn of(uri: &str, content_type: &str, body: &str) -> Result<Form, Refusal> {
        let request = Request::post(uri).header(CONTENT_TYPE, content_type).body(()).unwrap();
        Form::of_request(&request.into_parts().0, body.as_bytes())
    }

    const FORM: &str = "Application/X-WWW-Form-Urlencoded ; charset=UTF-8";

    #[test]
    fn the_query_counts_only_where_there_is_no_body() {
        let form = of("/token?a=1&b=2", "", "").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Ok(Some("1")), Ok(Some("2"))));
        let form = of("/token?a=1", FORM, "b=x+y%2B%ff&c=").unwrap();
        assert_eq!((form.get("a"), form.get("c")), (Ok(None), Ok(None)));
        assert_eq!(form.require("b"), Ok("x y+\u{fffd}"));
        assert!(form.require("c").is_err());
        assert!(of("/token?a=1", FORM, "%61=1").is_err());
        assert!(of("/token", "application/json", "{}").is_err());
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_refused_where_it_is_read() {
        let form = Form::parse(b"resource=a&resource=b&scope=x+y&a&a=");
        assert_eq!(form.scopes().unwrap().len(), 2);
        assert!(form.get("a").is_err());
        assert!(Form::parse(b"scope=%22").scopes().is_err());
    }
}
