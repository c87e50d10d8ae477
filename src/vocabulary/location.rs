use crate::ConfigError;
use http::{HeaderName, header};
use std::{fmt, sync::Arc};

/// The query parameter and form field of [RFC 6750 §2.2 and §2.3].
///
/// [RFC 6750 §2.2 and §2.3]: https://www.rfc-editor.org/rfc/rfc6750#section-2.2
pub(crate) const ACCESS_TOKEN: &str = "access_token";

/// The header of a proof of possession, and that of the nonce for the next one (RFC 9449 §4.1, §8.1).
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The place of a token in a request, where the client layer puts it and the server layer reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenLocation {
    /// `Authorization: Bearer TOKEN` ([RFC 6750 §2.1]), the one to prefer.
    ///
    /// [RFC 6750 §2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    Bearer,
    /// `Authorization: DPoP TOKEN` beside a proof ([RFC 9449 §7.1]). Servers only, by
    /// [`RequireToken::with_dpop`](crate::server::RequireToken::with_dpop); a client uses it by itself
    /// for a token that is bound to a key.
    ///
    /// [RFC 9449 §7.1]: https://www.rfc-editor.org/rfc/rfc9449#section-7.1
    Dpop,
    /// Another header or another scheme: see [`header`](Self::header) and
    /// [`header_with_scheme`](Self::header_with_scheme).
    Header(HeaderLocation),
    /// The query parameter `access_token` ([RFC 6750 §2.3]). Use it only where nothing else works:
    /// URIs are logged and cached on the way, and servers copy queries into redirects.
    ///
    /// [RFC 6750 §2.3]: https://www.rfc-editor.org/rfc/rfc6750#section-2.3
    Query,
    /// A query parameter of another name: see [`query_parameter`](Self::query_parameter). Servers
    /// only.
    QueryParameter(LocationName),
    /// The user name of `Authorization: Basic`, with an empty password ([RFC 7617]). Browsers
    /// remember and send it as they do a [`cookie`](Self::cookie).
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    BasicUserName,
    /// The password of a fixed user: see [`basic_password`](Self::basic_password). Servers only.
    BasicPassword(LocationName),
    /// The form field `access_token` of a POST, PUT or PATCH ([RFC 6750 §2.2]). Servers only, and
    /// only below a [`BufferForm`](crate::server::BufferForm).
    ///
    /// [RFC 6750 §2.2]: https://www.rfc-editor.org/rfc/rfc6750#section-2.2
    Form,
    /// A cookie: see [`cookie`](Self::cookie). Servers only.
    Cookie(LocationName),
    /// A WebSocket subprotocol: see [`websocket_protocol`](Self::websocket_protocol). Servers
    /// only.
    WebSocketProtocol(LocationName),
    /// The WebSocket subprotocol after one of a fixed name: see
    /// [`websocket_protocol_pair`](Self::websocket_protocol_pair). Servers only.
    WebSocketProtocolPair(LocationName),
}

/// The name of a cookie, a query parameter or a user, or the prefix of a subprotocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationName(Arc<str>);

impl LocationName {
    fn new(name: &str) -> Result<Self, ConfigError> {
        match is_token(name.as_bytes()) {
            true => Ok(Self(name.into())),
            false => Err(ConfigError::new(
                "the name of the cookie, parameter or subprotocol is not a token of RFC 9110 section 5.6.2",
            )),
        }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A header that holds the token, after a scheme or alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLocation(Arc<Header>);

#[derive(Debug, PartialEq, Eq)]
struct Header {
    name: HeaderName,
    scheme: Option<Box<str>>,
}

impl HeaderLocation {
    fn new(name: HeaderName, scheme: Option<&str>) -> Self {
        Self(Arc::new(Header { name, scheme: scheme.map(Into::into) }))
    }

    /// Returns the name of the header.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.0.name
    }

    /// Returns the scheme before the token, or `None` when the whole value is the token.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.0.scheme.as_deref()
    }
}

impl TokenLocation {
    /// Returns the header `name` whose whole value is the token, `X-Api-Key: TOKEN` for example.
    ///
    /// # Errors
    ///
    /// When `name` is not a header name, or is a header with another meaning (`Authorization`,
    /// `Cookie`, `Host`, framing headers).
    pub fn header(name: &str) -> Result<Self, ConfigError> {
        let name = header_name(name)?;
        if name == header::AUTHORIZATION {
            return Err(ConfigError::new(
                "Authorization needs a scheme before the token: use header_with_scheme",
            ));
        }
        Ok(Self::Header(HeaderLocation::new(name, None)))
    }

    /// Returns the header `name` with `scheme` and a space before the token,
    /// `Authorization: Token T` for example. `Authorization` with `Bearer` is
    /// [`Bearer`](Self::Bearer).
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header), and when `scheme` is not an `auth-scheme` ([RFC 9110 §11.1]),
    /// or is `Basic` or `DPoP` in `Authorization`, which need more than a token.
    ///
    /// [RFC 9110 §11.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.1
    pub fn header_with_scheme(name: &str, scheme: &str) -> Result<Self, ConfigError> {
        let name = header_name(name)?;
        if !is_token(scheme.as_bytes()) {
            return Err(ConfigError::new(
                "the scheme of the header is not a token of RFC 9110 section 5.6.2, such as Token",
            ));
        }
        if name == header::AUTHORIZATION {
            if scheme.eq_ignore_ascii_case("bearer") {
                return Ok(Self::Bearer);
            }
            if scheme.eq_ignore_ascii_case("basic") || scheme.eq_ignore_ascii_case("dpop") {
                return Err(ConfigError::new(
                    "Basic and DPoP need more than a token: use BasicUserName or basic_password for Basic",
                ));
            }
        }
        Ok(Self::Header(HeaderLocation::new(name, Some(scheme))))
    }

    /// Returns the query parameter `name`, for callers that use another name than `access_token`,
    /// which is [`Query`](Self::Query).
    ///
    /// # Errors
    ///
    /// When `name` is not a token ([RFC 9110 §5.6.2]).
    ///
    /// [RFC 9110 §5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
    pub fn query_parameter(name: &str) -> Result<Self, ConfigError> {
        match name {
            ACCESS_TOKEN => Ok(Self::Query),
            _ => LocationName::new(name).map(Self::QueryParameter),
        }
    }

    /// Returns the password of `Authorization: Basic` with the user name `user`, which may be empty
    /// ([RFC 7617]). Credentials of other users are ignored. Browsers remember and send it as they
    /// do a [`cookie`](Self::cookie).
    ///
    /// # Errors
    ///
    /// When `user` has a colon or a control character: no request could present it.
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    pub fn basic_password(user: &str) -> Result<Self, ConfigError> {
        match user.contains(|char: char| char == ':' || char.is_control()) {
            true => Err(ConfigError::new("the Basic user name has a colon or a control character")),
            false => Ok(Self::BasicPassword(LocationName(user.into()))),
        }
    }

    /// Returns the cookie `name`. Browsers also send cookies with requests that another site makes:
    /// [`RequireToken`](crate::server::RequireToken#requests-of-other-sites) refuses those that may
    /// change something or open a WebSocket.
    ///
    /// # Errors
    ///
    /// When `name` is not a cookie name.
    pub fn cookie(name: &str) -> Result<Self, ConfigError> {
        LocationName::new(name).map(Self::Cookie)
    }

    /// Returns the subprotocol of a WebSocket upgrade that is `prefix` and the token in base64url
    /// without padding, as in Kubernetes (`base64url.bearer.authorization.k8s.io.`). It is for
    /// browsers, which cannot set a header on an upgrade.
    ///
    /// # Errors
    ///
    /// When `prefix` is not a token.
    pub fn websocket_protocol(prefix: &str) -> Result<Self, ConfigError> {
        LocationName::new(prefix).map(Self::WebSocketProtocol)
    }

    /// Returns the subprotocol after `name` in a WebSocket upgrade. `name` itself stays in the
    /// request, for the application to accept.
    ///
    /// # Errors
    ///
    /// When `name` is not a token.
    pub fn websocket_protocol_pair(name: &str) -> Result<Self, ConfigError> {
        LocationName::new(name).map(Self::WebSocketProtocolPair)
    }

    /// Returns a word for metrics and logs: `header`, `query`, `basic`, `form`, `cookie`,
    /// `websocket`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bearer | Self::Dpop | Self::Header(_) => "header",
            Self::Query | Self::QueryParameter(_) => "query",
            Self::BasicUserName | Self::BasicPassword(_) => "basic",
            Self::Form => "form",
            Self::Cookie(_) => "cookie",
            Self::WebSocketProtocol(_) | Self::WebSocketProtocolPair(_) => "websocket",
        }
    }
}

impl fmt::Display for TokenLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer | Self::Dpop => f.write_str("the Authorization header"),
            Self::Header(header) => write!(f, "the header {}", header.name()),
            Self::Query => f.write_str("the query"),
            Self::QueryParameter(name) => write!(f, "the query parameter {}", name.0),
            Self::BasicUserName => f.write_str("the Basic user name"),
            Self::BasicPassword(user) => write!(f, "the Basic password of {}", user.0),
            Self::Form => f.write_str("the form"),
            Self::Cookie(name) => write!(f, "the cookie {}", name.0),
            Self::WebSocketProtocol(_) | Self::WebSocketProtocolPair(_) => {
                f.write_str("the WebSocket subprotocol")
            }
        }
    }
}

fn header_name(name: &str) -> Result<HeaderName, ConfigError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConfigError::new("the name of the header is not a header name, such as x-api-key")
    })?;
    let taken = [
        DPOP,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::HOST,
        header::SET_COOKIE,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::WWW_AUTHENTICATE,
    ];
    if taken.contains(&name) {
        return Err(ConfigError::new(format!(
            "the header {name} has another meaning and cannot hold a token"
        )));
    }
    Ok(name)
}

/// `token` of [RFC 9110 §5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_another_meaning_are_refused() {
        for name in ["authorization", "Cookie", "host", "content-length", "a b", ""] {
            assert!(TokenLocation::header(name).is_err(), "{name:?}");
        }
        for scheme in ["", "a b", "Basic", "DPoP", "x\"y"] {
            let made = TokenLocation::header_with_scheme("Authorization", scheme);
            assert!(made.is_err(), "{scheme:?}");
        }
    }

    #[test]
    fn a_user_is_what_may_stand_before_the_colon() {
        for user in ["", "x-token-auth", "J\u{fc}rgen"] {
            assert!(TokenLocation::basic_password(user).is_ok(), "{user:?}");
        }
        for user in ["a:b", "a\n"] {
            assert!(TokenLocation::basic_password(user).is_err(), "{user:?}");
        }
    }

    #[test]
    fn authorization_with_bearer_is_the_usual_place() {
        let made = TokenLocation::header_with_scheme("AUTHORIZATION", "bearer").unwrap();
        assert_eq!(made, TokenLocation::Bearer);
        assert_eq!(TokenLocation::query_parameter("access_token"), Ok(TokenLocation::Query));
    }
}
