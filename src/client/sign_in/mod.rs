//! The sign-in of a user by the authorization code grant.
//!
//! **In**: settings, then the URI that the browser comes back to. **Out**: a URL for the browser
//! with a [`PendingSignIn`], then a [`TokenResponse`]. **Uses** `vocabulary`, `back_channel` and,
//! within the client, its error and `token_endpoint`.

mod callback;
mod pending;
mod pkce;

use super::{
    Error, ErrorKind, Grant, TokenEndpoint, TokenResponse,
    token_endpoint::{
        digest::FieldDigest,
        parameters::{RESOURCE, absolute, new_param},
    },
};
use crate::{
    AuthorizationServerMetadata, ClientAuthentication, Clock, ConfigError, Origin, ScopeSet,
    Transport,
    vocabulary::{clock::MAX_LIFETIME, query::with_more},
};
use callback::Callback;
use http::Uri;
pub use pending::PendingSignIn;
use pkce::{CodeVerifier, random_text};
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Parameters that a sign-in sets itself.
const RESERVED: &[&str] = &[
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "audience",
    "resource",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "request",
    "request_uri",
];

/// An example for error texts.
const REDIRECT: &str = "https://app.example/callback";

/// Returns `false` for an absolute URI that was not meant to be one: `localhost:8080/callback` has
/// the scheme `localhost`, and `https:/callback` no host.
fn has_scheme(uri: &str) -> bool {
    let (scheme, rest) = uri.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => uri.parse().is_ok_and(|uri| Origin::from_uri(&uri).is_some()),
        _ => !rest.starts_with(|first: char| first.is_ascii_digit()),
    }
}

/// Signs a user in by the authorization code grant with PKCE
/// ([RFC 6749 §4.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1),
/// [RFC 7636](https://www.rfc-editor.org/rfc/rfc7636)).
///
/// [`begin`](Self::begin) returns the URL to send the browser to, and a [`PendingSignIn`] to keep
/// until it comes back. [`finish`](Self::finish) checks the answer and exchanges its code.
///
/// # Defaults
///
/// A random `state` that must come back; PKCE with S256; ten minutes to sign in.
///
/// # Security
///
/// A sign-in is bound to its server: [`finish`](Self::finish) refuses a [`PendingSignIn`] that was
/// begun with another authorization URL, token endpoint, issuer, client identifier or redirect URI.
/// So a client that mixes up its `SignIn`s does not send the code of one server to another
/// ([RFC 9700 §4.4](https://www.rfc-editor.org/rfc/rfc9700#section-4.4)).
///
/// An attacker may also make one server answer a sign-in that was begun at another. A client of
/// several servers detects this by the issuer in the answer ([`with_issuer`](Self::with_issuer)). If
/// a server sends none, give each server a redirect URI of its own, and finish with the `SignIn` of
/// the redirect URI that the browser came back to.
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{SignIn, TokenEndpoint},
/// };
///
/// let endpoint = TokenEndpoint::new(
///     "https://as.example/token",
///     ClientAuthentication::basic("id", "secret"),
///     Transport::https(),
/// )?;
/// let callback = "https://app.example/callback";
/// let sign_in = SignIn::new(endpoint, "id", "https://as.example/authorize", callback)?;
/// let (url, pending) = sign_in.begin()?;
/// assert!(url.to_string().starts_with("https://as.example/authorize?response_type=code&"));
/// # let _ = pending;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SignIn {
    endpoint: TokenEndpoint,
    client_id: Box<str>,
    authorize_url: Uri,
    redirect_uri: Box<str>,
    scopes: ScopeSet,
    audience: Option<Box<str>>,
    resources: Vec<String>,
    params: Vec<(String, String)>,
    issuer: Issuer,
    pkce: bool,
    allow_missing_state: bool,
    lifetime: Duration,
}

/// The `iss` of an answer (RFC 9207).
#[derive(Clone, Debug)]
struct Issuer {
    expected: Option<Box<str>>,
    required: bool,
}

impl SignIn {
    /// Sends browsers to `authorize_url`, expects them back at `redirect_uri`, and exchanges their
    /// codes at `endpoint`. The redirect URI of a native app may have a scheme of its own, such as
    /// `com.example.app:/callback` ([RFC 8252 §7.1]).
    ///
    /// [RFC 8252 §7.1]: https://www.rfc-editor.org/rfc/rfc8252#section-7.1
    ///
    /// # Errors
    ///
    /// If `authorize_url` is not an absolute `https` URL (`http` is accepted to the machine itself),
    /// or `redirect_uri` is not an absolute URI without a fragment.
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: impl Into<Box<str>>,
        authorize_url: &str,
        redirect_uri: &str,
    ) -> Result<Self, ConfigError> {
        let authorize_url: Uri = authorize_url
            .parse()
            .ok()
            .filter(|url| Origin::from_uri(url).is_some_and(|origin| origin.is_secure()))
            .ok_or_else(|| {
                ConfigError::new(
                    "the authorization URL is not an absolute https URL, such as https://as.example/authorize",
                )
            })?;
        let redirect_uri = absolute("the redirect URI", REDIRECT, redirect_uri.to_owned())?;
        if !has_scheme(&redirect_uri) {
            return Err(ConfigError::new(format!(
                "the redirect URI `{redirect_uri}` has a host and no scheme, or a scheme and no \
                 host; write it as {REDIRECT}"
            )));
        }
        Ok(Self {
            endpoint,
            client_id: client_id.into(),
            authorize_url,
            redirect_uri: redirect_uri.into(),
            scopes: ScopeSet::empty(),
            audience: None,
            resources: Vec::new(),
            params: Vec::new(),
            issuer: Issuer { expected: None, required: false },
            pkce: true,
            allow_missing_state: false,
            lifetime: Duration::from_secs(10 * 60),
        })
    }

    /// Signs in at the server of `metadata` as `client`. It takes the two endpoints from there, and
    /// the issuer for [`with_issuer`](Self::with_issuer) or
    /// [`with_required_issuer`](Self::with_required_issuer).
    ///
    /// ```
    /// use tower_oauth2::{
    ///     AuthorizationServerMetadata, ClientAuthentication, Transport, client::SignIn,
    /// };
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let transport = Transport::https();
    /// let issuer = "https://as.example";
    /// let metadata = AuthorizationServerMetadata::discover(issuer, &transport).await?;
    /// let client = ClientAuthentication::public("id");
    /// let callback = "https://app.example/callback";
    /// let sign_in = SignIn::from_metadata(&metadata, client, transport, callback)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if the metadata lack an endpoint, or `client` an identifier.
    pub fn from_metadata(
        metadata: &AuthorizationServerMetadata,
        client: ClientAuthentication,
        transport: Transport,
        redirect_uri: &str,
    ) -> Result<Self, ConfigError> {
        let by_certificate = client.is_tls() || transport.shows_certificate();
        let by_certificate = by_certificate.then(|| metadata.clone().with_mtls_aliases());
        let metadata = by_certificate.as_ref().unwrap_or(metadata);
        let (Some(authorize), Some(token)) =
            (metadata.authorization_endpoint(), metadata.token_endpoint())
        else {
            return Err(ConfigError::new(
                "the metadata have no usable authorization_endpoint or no usable token_endpoint",
            ));
        };
        let Some(id) = client.client_id().map(Box::<str>::from) else {
            return Err(ConfigError::new(
                "ClientAuthentication::none has no client identifier, which a sign-in needs; use public",
            ));
        };
        let required: Option<bool> =
            metadata.extra("authorization_response_iss_parameter_supported");
        let endpoint = TokenEndpoint::new(token, client, transport)?.with_issuer(metadata.issuer());
        let sign_in = Self::new(endpoint, id, authorize, redirect_uri)?;
        Ok(match required.unwrap_or(false) {
            true => sign_in.with_required_issuer(metadata.issuer()),
            false => sign_in.with_issuer(metadata.issuer()),
        })
    }

    /// Requests `scopes`. Defaults to none: the server decides.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Requests a token for `audience`, a parameter of the authorization URL that many servers know.
    /// Defaults to none.
    pub fn with_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Requests a token for `resource`
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)), in the authorization URL, in
    /// the exchange of the code, and in the renewals of a
    /// [`TokenCache::from_sign_in`](super::TokenCache::from_sign_in). Another call adds another
    /// resource. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `resource` is not an absolute URI without a fragment.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        self.resources.push(absolute("the resource", RESOURCE, resource.into())?);
        Ok(self)
    }

    /// Adds a parameter to the authorization URL, such as `prompt`, `login_hint` or `ui_locales`.
    /// Browsers and proxies see it, so it must not be secret. Defaults to none.
    ///
    /// # Errors
    ///
    /// If `name` is empty, set already, or a name that the sign-in sets itself.
    pub fn with_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let name = new_param(name.into(), "sign-in", RESERVED, &self.params)?;
        self.params.push((name, value.into()));
        Ok(self)
    }

    /// Compares the `iss` of an answer, if it has one, with `issuer`
    /// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)). Defaults to no comparison in
    /// [`new`](Self::new), and to what the metadata say in [`from_metadata`](Self::from_metadata).
    pub fn with_issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.issuer = Issuer { expected: Some(issuer.into()), required: false };
        self
    }

    /// Requires an answer to have `issuer` as its `iss`, for servers that always send one. Defaults
    /// as [`with_issuer`](Self::with_issuer).
    pub fn with_required_issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.issuer = Issuer { expected: Some(issuer.into()), required: true };
        self
    }

    /// Sends no PKCE challenge, for servers that fail on it. Defaults to a challenge by S256.
    pub fn without_pkce(mut self) -> Self {
        self.pkce = false;
        self
    }

    /// Accepts an answer without `state`, for servers that do not return it. An attacker who makes the
    /// user's browser open a URL can then sign the user in to another account. A `state` that comes
    /// back is still compared. Defaults to refusing an answer without `state`.
    pub fn dangerous_allow_missing_state(mut self) -> Self {
        self.allow_missing_state = true;
        self
    }

    /// Sets how long the user may take to sign in, at most ten years. Defaults to ten minutes.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(MAX_LIFETIME);
        self
    }

    /// Sets the clock that measures how long the user takes, for the endpoint too. Defaults to the
    /// endpoint's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.endpoint = self.endpoint.with_clock(clock);
        self
    }

    /// Returns the URL to send the browser to, and the state to keep until it comes back.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers, or the URL becomes too long. If the token endpoint may
    /// be that of another server: it is discovered at another issuer than
    /// [`with_issuer`](Self::with_issuer) names, or by a resource with several issuers.
    pub fn begin(&self) -> Result<(Uri, PendingSignIn), Error> {
        let verifier =
            if self.pkce { Some(CodeVerifier::random(self.endpoint.clock())?) } else { None };
        self.begin_with(verifier)
    }

    fn begin_with(&self, verifier: Option<CodeVerifier>) -> Result<(Uri, PendingSignIn), Error> {
        let (address, _) = self.endpoint.identity();
        if !address.is_bound_to(self.issuer.expected.as_deref()) {
            return Err(Error::new(
                ErrorKind::SignIn,
                "the token endpoint may be that of another server; discover it by the issuer of the \
                 sign-in (TokenEndpoint::from_issuer)",
            ));
        }
        let state = random_text(self.endpoint.clock())?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &self.client_id);
        query.append_pair("redirect_uri", &self.redirect_uri);
        query.append_pair("state", &state);
        if !self.scopes.is_empty() {
            query.append_pair("scope", &self.scopes.to_string());
        }
        if let Some(verifier) = &verifier {
            query.append_pair("code_challenge", &verifier.challenge());
            query.append_pair("code_challenge_method", "S256");
        }
        if let Some(key) = self.endpoint.key() {
            query.append_pair("dpop_jkt", key.thumbprint());
        }
        query.extend_pairs(self.audience.iter().map(|audience| ("audience", audience)));
        query.extend_pairs(self.resources.iter().map(|resource| ("resource", resource)));
        query.extend_pairs(&self.params);
        let url = with_more(&self.authorize_url, &query.finish())
            .ok_or_else(|| Error::placement("the URL cannot take the parameters in its query"))?;
        let begun = self.endpoint.clock().wall();
        let expires_at = begun.checked_add(self.lifetime).unwrap_or(begun);
        Ok((url, PendingSignIn { identity: self.identity(), state, verifier, expires_at }))
    }

    /// Returns a digest of what a sign-in is bound to. It is the same at every replica, and leaves out
    /// the client's secret, which may be replaced while a user signs in.
    fn identity(&self) -> [u8; 32] {
        let (address, client) = self.endpoint.identity();
        let (kind, address) = address.identity();
        let mut identity = FieldDigest::default();
        identity.add(kind, Some(&address));
        identity.add("authorization_endpoint", Some(&self.authorize_url.to_string()));
        identity.add("iss", self.issuer.expected.as_deref());
        identity.add("client", client.client_id());
        identity.add("client_id", Some(&self.client_id));
        identity.add("redirect_uri", Some(&self.redirect_uri));
        if let Some(key) = self.endpoint.key() {
            identity.add("dpop_jkt", Some(key.thumbprint()));
        }
        identity.finish()
    }

    /// Checks the URI that the browser came back to, and exchanges its code for a token. The code is
    /// sent once: after an error, begin the sign-in again.
    ///
    /// `pending` must come from a [`SignIn`] with the same authorization URL, token endpoint,
    /// issuer, client identifier and redirect URI, in this process or another. Only the query of
    /// `callback` is read: of a URI such as `com.example.app:/callback?code=…`, which no
    /// [`Uri`] can hold, pass what follows the scheme.
    ///
    /// # Errors
    ///
    /// If `pending` was begun with other settings ([`ErrorKind::SignIn`]), or if the answer belongs to
    /// another sign-in, comes too late, or says that the sign-in failed: no request is sent then. If
    /// the exchange fails.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`], once there is a code to exchange.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: after the first poll the code may be spent, and the sign-in lost. Servers such
    /// as hyper drop a handler when its browser disconnects, so call this in a task of its own
    /// (`tokio::spawn`).
    pub async fn finish(
        &self,
        pending: PendingSignIn,
        callback: &Uri,
    ) -> Result<TokenResponse, Error> {
        let code = self.check(&pending, callback)?;
        let verifier = pending.verifier.as_ref().map(CodeVerifier::expose);
        let grant = Grant::authorization_code(&code, &self.redirect_uri, verifier)
            .with_resources(&self.resources);
        let response = self.endpoint.fetch(&grant).await.map_err(Error::after_code_exchange)?;
        Ok(response.with_resources(self.resources.clone()))
    }

    /// Checks `callback` and returns its code.
    fn check(&self, pending: &PendingSignIn, callback: &Uri) -> Result<Zeroizing<String>, Error> {
        let refused = |text: &str| Err(Error::new(ErrorKind::SignIn, text));
        if pending.identity != self.identity() {
            return refused(
                "the sign-in was begun with another server, client or redirect URI; finish it with \
                 the same settings",
            );
        }
        let answer = Callback::read(callback)?;
        match &answer.state {
            Some(state) if bool::from(state.as_bytes().ct_eq(pending.state.as_bytes())) => {}
            None if self.allow_missing_state => {}
            Some(_) => return refused("the answer belongs to another sign-in: its state differs"),
            None => return refused("the answer has no state"),
        }
        match (&answer.issuer, &self.issuer.expected) {
            (Some(issuer), Some(expected)) if **issuer != **expected => {
                return refused("the answer is from another issuer");
            }
            (None, Some(_)) if self.issuer.required => {
                return refused("the answer has no issuer (iss), which this server always sends");
            }
            _ => {}
        }
        if self.endpoint.clock().wall() >= pending.expires_at {
            return refused("the sign-in took too long");
        }
        match (answer.code, answer.error) {
            (Some(_), Some(_)) => refused("the answer has both a code and an error"),
            (None, None) => refused("the answer has no code"),
            (None, Some(error)) => {
                Err(Error::sign_in_refused(&error, answer.description.as_deref()))
            }
            (Some(code), None) if code.is_empty() => refused("the answer has an empty code"),
            (Some(code), None) => Ok(Zeroizing::new(code)),
        }
    }
}
