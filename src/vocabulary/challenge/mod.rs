//! `WWW-Authenticate`: written by the server, read by the client
//! ([RFC 9110 §11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).

mod parse;

pub use parse::ChallengeError;

use super::location::is_token;
use crate::{ConfigError, ScopeSet};
use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use std::fmt::Write;

/// The most field lines that are parsed.
const MAX_LINES: usize = 16;

/// One challenge: a scheme and its parameters, each once.
///
/// It is written with quoted strings, separated by commas, which every parser reads. The parser
/// takes all of RFC 9110's grammar: token and quoted values, `token68`, and several challenges in
/// one or more field lines.
///
/// ```
/// use tower_oauth2::Challenge;
///
/// let challenge = Challenge::bearer().with_param("realm", "my \"api\"")?;
/// let written = challenge.to_header_value();
/// assert_eq!(written, r#"Bearer realm="my \"api\"""#);
///
/// let read = Challenge::parse(br#"Negotiate abc==, Bearer error=invalid_token, realm="x""#)?;
/// assert_eq!(read[0].token68(), Some("abc=="));
/// assert_eq!(read[1].param("ERROR"), Some("invalid_token"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    token68: Option<String>,
    params: Vec<(String, String)>,
}

impl Challenge {
    /// Returns a challenge of `scheme`, without parameters.
    ///
    /// # Errors
    ///
    /// When `scheme` is not an `auth-scheme`.
    pub fn new(scheme: impl Into<String>) -> Result<Self, ConfigError> {
        let scheme = scheme.into();
        if !is_token(scheme.as_bytes()) {
            return Err(ConfigError::new(
                "the scheme of the challenge is not a token of RFC 9110 section 5.6.2, such as Bearer",
            ));
        }
        Ok(Self { scheme, token68: None, params: Vec::new() })
    }

    /// Returns a `Bearer` challenge ([RFC 6750 §3]), without parameters.
    ///
    /// [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3
    #[must_use]
    pub fn bearer() -> Self {
        Self { scheme: "Bearer".into(), token68: None, params: Vec::new() }
    }

    /// Returns a `Basic` challenge ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), without
    /// parameters.
    #[must_use]
    pub fn basic() -> Self {
        Self { scheme: "Basic".into(), token68: None, params: Vec::new() }
    }

    /// Returns a `DPoP` challenge with the algorithms of proofs (RFC 9449 §7.1).
    pub(crate) fn dpop(algorithms: &str) -> Self {
        let algorithms = ("algs".into(), algorithms.into());
        Self { scheme: "DPoP".into(), token68: None, params: vec![algorithms] }
    }

    /// Adds a parameter after the others.
    ///
    /// # Errors
    ///
    /// When `name` is not a token or is set already, or when `value` has anything but visible ASCII
    /// and spaces. Quotes and backslashes are escaped when written.
    pub fn with_param(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        if !is_token(name.as_bytes()) {
            return Err(ConfigError::new(
                "the name of the challenge parameter is not a token of RFC 9110 section 5.6.2, such as realm",
            ));
        }
        if self.param(name).is_some() {
            return Err(ConfigError::new(format!("the challenge parameter {name} is set twice")));
        }
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ConfigError::new(format!(
                "the value of the challenge parameter {name} has a character that is not printable ASCII"
            )));
        }
        self.params.push((name.into(), value.into()));
        Ok(self)
    }

    /// Adds a parameter that is known to be new. What cannot be written becomes `?`.
    pub(crate) fn push(&mut self, name: &'static str, value: &str) {
        let printable = |char| if matches!(char, ' '..='~') { char } else { '?' };
        self.params.push((name.to_owned(), value.chars().map(printable).collect()));
    }

    /// Returns the scheme as it was written. Compare it with [`is_scheme`](Self::is_scheme).
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns `true` if the scheme is `scheme`, in any case.
    #[must_use]
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns what follows the scheme when it is not a list of parameters.
    #[must_use]
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    /// Returns the unescaped value of the parameter `name`, in any case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Iterates over names and values of the parameters, in their order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the required scopes, if there is a well-formed `scope` ([RFC 6750 §3]).
    ///
    /// [RFC 6750 §3]: https://www.rfc-editor.org/rfc/rfc6750#section-3
    #[must_use]
    pub fn scope(&self) -> Option<ScopeSet> {
        self.param("scope")?.parse().ok()
    }

    /// Returns the challenge as one field line.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        let mut text = self.scheme.clone();
        if let Some(token68) = &self.token68 {
            text.push(' ');
            text.push_str(token68);
        }
        for (index, (name, value)) in self.params.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{separator}{name}={}", Quoted(value));
        }
        // Parsed text may hold bytes beyond ASCII, which a header value takes as they are.
        HeaderValue::from_bytes(text.as_bytes())
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    /// Parses one field value, which may have several challenges.
    ///
    /// # Errors
    ///
    /// When the value is not of the grammar, is longer than 16 KiB, has more than 128 challenges and
    /// parameters, or repeats a parameter within one challenge.
    pub fn parse(value: &[u8]) -> Result<Vec<Self>, ChallengeError> {
        parse::challenges(value)
    }

    /// Returns every challenge of the first 16 `WWW-Authenticate` lines of `headers`. A line that
    /// cannot be parsed is left out, so that one broken proxy does not hide the other challenges.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Vec<Self> {
        headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .take(MAX_LINES)
            .filter_map(|value| Self::parse(value.as_bytes()).ok())
            .flatten()
            .collect()
    }
}

/// A `quoted-string` of [RFC 9110 §5.6.4](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.4).
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            if matches!(char, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(char)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_could_inject_is_refused_and_quotes_are_escaped() {
        for bad in ["a\r\nSet-Cookie: x", "a\0", "caf\u{e9}", "tab\t"] {
            assert!(Challenge::bearer().with_param("realm", bad).is_err(), "{bad:?}");
        }
        let challenge = Challenge::bearer().with_param("realm", r#"my "api" \ x"#).unwrap();
        assert_eq!(challenge.to_header_value(), r#"Bearer realm="my \"api\" \\ x""#);
    }

    #[test]
    fn a_parameter_is_there_once() {
        let challenge = Challenge::bearer().with_param("realm", "a").unwrap();
        assert!(challenge.with_param("REALM", "b").is_err());
    }

    #[test]
    fn the_first_16_lines_are_parsed() {
        let mut headers = HeaderMap::new();
        for _ in 0..40 {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        assert_eq!(Challenge::from_headers(&headers).len(), 16);
    }

    #[test]
    fn every_line_of_a_response_is_read_and_a_broken_one_is_left_out() {
        let mut headers = HeaderMap::new();
        for line in [r#"Basic realm="x""#, "Bearer realm=\"", "Bearer scope=\"read write\""] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
        }
        let read = Challenge::from_headers(&headers);
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].scope(), Some("write read".parse().unwrap()));
    }
}
