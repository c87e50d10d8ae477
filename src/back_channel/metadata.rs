//! The metadata of authorization servers: [RFC 8414] and [OpenID Connect Discovery].
//!
//! [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
//! [OpenID Connect Discovery]: https://openid.net/specs/openid-connect-discovery-1_0.html

use super::{json, retry_after::retry_after, scrub};
use crate::{
    ConfigError, Transport, TransportError,
    vocabulary::{
        origin::{NO_URL, fetchable},
        query::with_path_and_query,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::ACCEPT};
use http_body_util::Full;
use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{error::Error, fmt, time::Duration};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
/// What to do about an issuer with a place for a tenant, as Entra's metadata of `common` name one.
const CURE: &str = "name one tenant, or use Jwks::from_url with TrustedIssuer::from_template";

/// The longest document that is read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 256 * 1024;

/// The metadata of an authorization server
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
///
/// An endpoint is left out unless it is an absolute `https` URL, or `http` to the machine itself.
///
/// ```
/// use tower_oauth2::AuthorizationServerMetadata;
///
/// let body = br#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token"}"#;
/// let metadata = AuthorizationServerMetadata::parse("https://as.example", body)?;
/// assert_eq!(metadata.token_endpoint(), Some("https://as.example/token"));
/// assert_eq!(metadata.jwks_uri(), None);
/// # Ok::<(), tower_oauth2::DiscoveryError>(())
/// ```
#[derive(Clone)]
pub struct AuthorizationServerMetadata {
    issuer: Box<str>,
    members: Map<String, Value>,
    plain_http: bool,
}

impl AuthorizationServerMetadata {
    /// Parses the document of `issuer`.
    ///
    /// # Errors
    ///
    /// When `body` is not a JSON object, or names another issuer: the two are compared byte for
    /// byte ([RFC 8414 §3.3](https://www.rfc-editor.org/rfc/rfc8414#section-3.3)).
    pub fn parse(issuer: &str, body: &[u8]) -> Result<Self, DiscoveryError> {
        Self::read(issuer, body, false)
    }

    /// Fetches the document of `issuer` through `transport`, from the well-known path of OpenID
    /// Connect Discovery, and from that of RFC 8414 if there is none. Redirects are not followed.
    /// At most 256 KiB are read.
    ///
    /// # Errors
    ///
    /// When `issuer` is not an absolute `https` URL (or `http` where that is allowed) without query
    /// and fragment, when there is neither document, and as [`parse`](Self::parse).
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future drops the exchange.
    pub async fn discover(issuer: &str, transport: &Transport) -> Result<Self, DiscoveryError> {
        let places = Places::of(issuer, transport)
            .map_err(|error| DiscoveryError::new(DiscoveryErrorKind::Issuer, error.to_string()))?;
        let transport = transport.clone().at_most(MAX_DOCUMENT);
        let mut response = get(&transport, places.openid, issuer).await?;
        if is_absent(response.status()) {
            response = get(&transport, places.oauth, issuer).await?;
        }
        if response.status() != StatusCode::OK {
            return Err(DiscoveryError::refused(&response, &transport, issuer));
        }
        Self::read(issuer, response.body(), transport.allows_plain_http())
    }

    fn read(issuer: &str, body: &[u8], plain_http: bool) -> Result<Self, DiscoveryError> {
        let unusable = |text: &str| DiscoveryError::new(DiscoveryErrorKind::InvalidResponse, text);
        let members = object(body)?;
        match members.get("issuer").and_then(Value::as_str) {
            None => Err(unusable("the metadata names no issuer")),
            Some(own) if own != issuer => {
                let own = scrub::description(own);
                let mut text = format!("the metadata of {issuer} is that of another issuer, {own}");
                if own.contains('{') {
                    text = format!("{text}, a template: {CURE}");
                }
                Err(DiscoveryError::new(DiscoveryErrorKind::OtherIssuer, text))
            }
            Some(_) => Ok(Self { issuer: issuer.into(), members, plain_http }),
        }
    }

    /// Returns the metadata for a client that authenticates by a certificate: the endpoints that it
    /// calls itself are replaced by those of `mtls_endpoint_aliases`, if there are any
    /// ([RFC 8705 §5](https://www.rfc-editor.org/rfc/rfc8705#section-5)).
    ///
    /// ```
    /// use tower_oauth2::AuthorizationServerMetadata;
    ///
    /// let body = br#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token",
    ///     "mtls_endpoint_aliases":{"token_endpoint":"https://mtls.as.example/token"}}"#;
    /// let metadata = AuthorizationServerMetadata::parse("https://as.example", body)?;
    /// let metadata = metadata.with_mtls_aliases();
    /// assert_eq!(metadata.token_endpoint(), Some("https://mtls.as.example/token"));
    /// # Ok::<(), tower_oauth2::DiscoveryError>(())
    /// ```
    #[must_use]
    pub fn with_mtls_aliases(mut self) -> Self {
        let aliases = self.extra::<Map<String, Value>>("mtls_endpoint_aliases");
        for (name, url) in aliases.unwrap_or_default() {
            // A browser goes there, which does not have the certificate of the client.
            let is_browsers = ["authorization_endpoint", "end_session_endpoint"].contains(&&*name);
            let is_asked = name.ends_with("_endpoint") && !is_browsers;
            let is_url = url.as_str().is_some_and(|url| fetchable(url, self.plain_http).is_ok());
            if is_asked && is_url {
                self.members.insert(name, url);
            }
        }
        self
    }

    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the URL at which tokens are requested ([RFC 6749 §3.2]).
    ///
    /// [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2
    #[must_use]
    pub fn token_endpoint(&self) -> Option<&str> {
        self.url("token_endpoint")
    }

    /// Returns the URL at which users sign in ([RFC 6749 §3.1]).
    ///
    /// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    #[must_use]
    pub fn authorization_endpoint(&self) -> Option<&str> {
        self.url("authorization_endpoint")
    }

    /// Returns the URL at which a device requests a code for its user ([RFC
    /// 8628](https://www.rfc-editor.org/rfc/rfc8628)).
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> Option<&str> {
        self.url("device_authorization_endpoint")
    }

    /// Returns the URL of the keys that tokens are signed with.
    #[must_use]
    pub fn jwks_uri(&self) -> Option<&str> {
        self.url("jwks_uri")
    }

    /// Returns the URL at which tokens are introspected ([RFC
    /// 7662](https://www.rfc-editor.org/rfc/rfc7662)).
    #[must_use]
    pub fn introspection_endpoint(&self) -> Option<&str> {
        self.url("introspection_endpoint")
    }

    /// Returns the URL at which tokens are revoked ([RFC
    /// 7009](https://www.rfc-editor.org/rfc/rfc7009)).
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.url("revocation_endpoint")
    }

    /// Returns the member `name` as a `T`, or `None` when it is absent or not a `T`.
    #[must_use]
    pub fn extra<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.members.get(name)?.clone()).ok()
    }

    fn url(&self, name: &str) -> Option<&str> {
        let url = self.members.get(name)?.as_str()?;
        fetchable(url, self.plain_http).is_ok().then_some(url)
    }
}

impl fmt::Debug for AuthorizationServerMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServerMetadata")
            .field("issuer", &self.issuer)
            .field("members", &self.members.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The URLs of the two documents of an issuer.
pub(crate) struct Places {
    openid: Uri,
    oauth: Uri,
}

impl Places {
    /// # Errors
    ///
    /// When `issuer` cannot be an issuer.
    pub(crate) fn of(issuer: &str, transport: &Transport) -> Result<Self, ConfigError> {
        let wrong = |why| ConfigError::new(format!("the issuer {why}"));
        let uri = fetchable(issuer, transport.allows_plain_http()).map_err(wrong)?;
        // `Uri` drops a fragment.
        if issuer.contains(['?', '#']) {
            return Err(ConfigError::new("the issuer has a query or a fragment: leave it out"));
        }
        if issuer.contains('{') {
            let text =
                format!("the issuer {issuer:?} is a template, which has no metadata: {CURE}");
            return Err(ConfigError::new(text));
        }
        let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
        let at = |path: String| with_path_and_query(&uri, path).ok_or_else(|| wrong(NO_URL));
        // RFC 8414 §3.1 puts its path before that of the issuer, OpenID §4 after it.
        Ok(Self { openid: at(format!("{path}{OPENID}"))?, oauth: at(format!("{OAUTH}{path}"))? })
    }
}

/// Returns the members of a document.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, DiscoveryError> {
    json::object(body).ok_or_else(|| {
        let text = "the metadata is no JSON object";
        DiscoveryError::new(DiscoveryErrorKind::InvalidResponse, text)
    })
}

/// Fetches the document of `owner`, an issuer or a resource.
pub(crate) async fn get(
    transport: &Transport,
    uri: Uri,
    owner: &str,
) -> Result<Response<Bytes>, DiscoveryError> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    transport.ask(request).await.map_err(|error| DiscoveryError::transport(&error, owner))
}

/// Returns `true` if the server has no such document, rather than being unable to answer now.
fn is_absent(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429)
}

/// The error of fetching or reading the metadata of an authorization server or of a resource.
///
/// It repeats nothing of a document but the issuers that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryError {
    kind: DiscoveryErrorKind,
    text: Box<str>,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    issuers: Vec<Box<str>>,
}

/// The kinds of [`DiscoveryError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryErrorKind {
    /// The issuer is not a URL that metadata can be fetched from.
    Issuer,
    /// The server could not be reached, or did not answer in time.
    Transport,
    /// The server answered with another status than 200.
    Refused,
    /// The document is not valid metadata.
    InvalidResponse,
    /// The document is that of another issuer.
    OtherIssuer,
    /// The resource is not a URL that metadata can be fetched from, or its challenge names none.
    Resource,
    /// The document is that of another resource.
    OtherResource,
    /// The resource accepts tokens of none of the allowed issuers.
    UnknownIssuer,
}

impl DiscoveryError {
    pub(crate) fn new(kind: DiscoveryErrorKind, text: impl Into<Box<str>>) -> Self {
        let (status, retry_after, issuers) = (None, None, Vec::new());
        Self { kind, text: text.into(), status, retry_after, issuers }
    }

    /// None of the issuers that a resource names is allowed.
    pub(crate) fn unknown_issuers<'a>(named: impl Iterator<Item = &'a str>) -> Self {
        let issuers: Vec<Box<str>> = named.map(|one| scrub::description(one).into()).collect();
        let text = match issuers.first() {
            None => "the resource names no authorization server".to_owned(),
            Some(first) => {
                format!("the resource takes tokens of {first}, which was not listed beforehand")
            }
        };
        Self { issuers, ..Self::new(DiscoveryErrorKind::UnknownIssuer, text) }
    }

    fn transport(error: &TransportError, owner: &str) -> Self {
        let text = format!("the metadata of {owner} could not be fetched: {error}");
        Self::new(DiscoveryErrorKind::Transport, text)
    }

    pub(crate) fn refused(response: &Response<Bytes>, transport: &Transport, owner: &str) -> Self {
        let status = response.status();
        let text = match status.is_redirection() {
            true => {
                format!("the metadata of {owner} is elsewhere ({status}), which is not followed")
            }
            false => format!("the metadata of {owner} is not there ({status})"),
        };
        let retry_after = retry_after(response.headers(), transport.clock().wall());
        let error = Self::new(DiscoveryErrorKind::Refused, text);
        Self { status: Some(status), retry_after, ..error }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> DiscoveryErrorKind {
        self.kind
    }

    /// Returns `true` if the document could not be read, so that an older one still holds.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self.kind,
            DiscoveryErrorKind::Transport
                | DiscoveryErrorKind::Refused
                // A page for people, for example: no document, rather than that of another issuer.
                | DiscoveryErrorKind::InvalidResponse
        )
    }

    /// Returns the status of an answer other than 200.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the issuers that a resource names, the first 16 of them, if none of them is allowed.
    /// Do not trust them: the resource chose them.
    #[must_use]
    pub fn issuers(&self) -> &[Box<str>] {
        &self.issuers
    }

    /// Returns how long to wait before the next request, as the server asks; at most an hour.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for DiscoveryError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    fn document(issuer: &str, more: &str) -> String {
        format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/jwks"{more}}}"#)
    }

    type Asked = Arc<Mutex<Vec<String>>>;

    /// Answers with `answer` of the path, and remembers the URLs.
    fn server(
        answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> (Transport, Asked) {
        let (asked, answer) = (Asked::default(), Arc::new(answer));
        let log = asked.clone();
        let transport = Transport::new(tower::service_fn(move |request: Request<Full<Bytes>>| {
            log.lock().unwrap().push(request.uri().to_string());
            let (status, body) = answer(request.uri().path());
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status.try_into().unwrap();
            async { Ok::<_, Infallible>(response) }
        }));
        (transport, asked)
    }

    #[tokio::test]
    async fn the_second_place_is_asked_when_there_is_nothing_at_the_first() {
        let issuer = "https://as.example/tenant/";
        let (transport, asked) = server(move |path| match path.starts_with(OAUTH) {
            true => (200, document(issuer, "")),
            false => (404, "no".into()),
        });
        let metadata = AuthorizationServerMetadata::discover(issuer, &transport).await.unwrap();
        assert_eq!(metadata.jwks_uri(), Some("https://as.example/tenant//jwks"));
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "https://as.example/tenant/.well-known/openid-configuration",
                "https://as.example/.well-known/oauth-authorization-server/tenant"
            ]
        );
    }

    #[tokio::test]
    async fn what_is_no_absence_is_the_answer_of_the_first_place() {
        for status in [302, 429, 503] {
            let (transport, asked) = server(move |_| (status, "s3cr3t".into()));
            let issuer = "https://as.example";
            let error =
                AuthorizationServerMetadata::discover(issuer, &transport).await.unwrap_err();
            assert_eq!(error.status().map(|own| own.as_u16()), Some(status));
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
            assert_eq!(asked.lock().unwrap().len(), 1, "{status}");
        }
    }

    #[tokio::test]
    async fn another_issuer_is_refused_and_no_other_place_is_asked() {
        let (transport, asked) = server(|_| (200, document("https://as.example", "")));
        let issuer = "https://as.example/";
        let error = AuthorizationServerMetadata::discover(issuer, &transport).await.unwrap_err();
        assert_eq!(error.kind(), DiscoveryErrorKind::OtherIssuer);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_issuer_is_not_asked() {
        let (transport, _) = server(|_| (200, String::new()));
        for bad in
            ["", "as.example", "http://as.example", "https://as.example?x", "https://as.example#x"]
        {
            assert!(Places::of(bad, &transport).is_err(), "{bad}");
        }
        assert!(Places::of("http://127.0.0.1:8080/x", &transport).is_ok());
        assert!(Places::of("http://as.example", &transport.allow_plain_http()).is_ok());
    }

    #[test]
    fn an_endpoint_that_may_not_be_asked_is_left_out() {
        let more = r#","token_endpoint":"http://as.example/token","revocation_endpoint":7"#;
        let body = document("https://as.example", more);
        let parse = |plain| {
            AuthorizationServerMetadata::read("https://as.example", body.as_bytes(), plain).unwrap()
        };
        assert_eq!(parse(false).token_endpoint(), None);
        assert_eq!(parse(true).token_endpoint(), Some("http://as.example/token"));
        assert_eq!(parse(true).revocation_endpoint(), None);
        assert_eq!(parse(false).extra::<u8>("revocation_endpoint"), Some(7));
    }

    #[test]
    fn an_alias_for_clients_with_a_certificate_is_taken_where_it_is_an_endpoint() {
        let more = r#","token_endpoint":"https://as.example/t","revocation_endpoint":"https://as.example/r",
            "mtls_endpoint_aliases":{"token_endpoint":"https://m.example/t","revocation_endpoint":7,
                "introspection_endpoint":"http://m.example/i","issuer":"https://m.example",
                "authorization_endpoint":"https://m.example/a","jwks_uri":"https://m.example/k",
                "end_session_endpoint":"https://m.example/e"}"#;
        let body = document("https://as.example", more);
        let read = |body: &str| {
            let metadata =
                AuthorizationServerMetadata::parse("https://as.example", body.as_bytes());
            metadata.unwrap().with_mtls_aliases()
        };
        let metadata = read(&body);
        assert_eq!(metadata.token_endpoint(), Some("https://m.example/t"));
        assert_eq!(metadata.revocation_endpoint(), Some("https://as.example/r"));
        assert_eq!(metadata.introspection_endpoint(), None);
        assert_eq!(metadata.authorization_endpoint(), None);
        assert_eq!(metadata.extra::<String>("end_session_endpoint"), None);
        assert_eq!(metadata.jwks_uri(), Some("https://as.example/jwks"));
        assert_eq!(metadata.extra("issuer"), Some("https://as.example".to_owned()));

        let odd = document("https://as.example", r#","mtls_endpoint_aliases":["token_endpoint"]"#);
        assert_eq!(read(&odd).token_endpoint(), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_of_the_issuer_that_was_asked_for(
            body in prop_oneof![
                "[ -~]{0,40}",
                r#"\{"issuer":("a"|"b"|1|null|\["a"\])(,"issuer":"[ab]")?\}"#,
            ],
        ) {
            if let Ok(metadata) = AuthorizationServerMetadata::parse("a", body.as_bytes()) {
                prop_assert_eq!(metadata.extra("issuer"), Some("a".to_owned()));
            }
        }
    }
}
