//! Signing a user in by the authorization code grant: values in, values out.

mod callback;
mod pending;
mod pkce;

use super::{
    Error, ErrorKind, Grant, TokenEndpoint, TokenResponse,
    token_endpoint::{
        digest::FieldDigest,
        grant::{RESOURCE, absolute},
    },
};
use crate::{
    AuthorizationServerMetadata, ClientAuthentication, Clock, ConfigError, Origin, ScopeSet,
    Transport, vocabulary::query::with_more,
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
    "request",
    "request_uri",
];

/// Signs a user in by the authorization code grant with PKCE
/// ([RFC 6749 §4.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1),
/// [RFC 7636](https://www.rfc-editor.org/rfc/rfc7636)).
///
/// [`begin`](Self::begin) gives the URL to send the browser to, and a [`PendingSignIn`] to keep
/// until it comes back; [`finish`](Self::finish) checks what came back and exchanges the code.
///
/// # Defaults
///
/// A random `state` that must come back, PKCE with S256, ten minutes to sign in.
///
/// # Security
///
/// A sign-in is bound to its server: [`finish`](Self::finish) refuses a [`PendingSignIn`] that was
/// begun with another authorization URL, token endpoint, issuer, client identifier or redirect URI.
/// So the code of one server is never sent to another because the client mixed up their `SignIn`s
/// ([RFC 9700 §4.4](https://www.rfc-editor.org/rfc/rfc9700#section-4.4)).
///
/// An attacker may also make one server answer a sign-in that was begun at another. A client of
/// several servers notices this by the issuer in the answer
/// ([`with_issuer`](Self::with_issuer)). Where a server sends none, give each server a redirect URI
/// of its own, and finish with the `SignIn` of the redirect URI that the browser came back to.
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
    state_may_miss: bool,
    lifetime: Duration,
    clock: Clock,
}

/// What is known of RFC 9207's `iss`.
#[derive(Clone, Debug)]
struct Issuer {
    expected: Option<Box<str>>,
    required: bool,
}

impl SignIn {
    /// Sends browsers to `authorize_url`, from where they come back to `redirect_uri`; the code
    /// that they bring is exchanged at `endpoint`.
    ///
    /// # Errors
    ///
    /// When `authorize_url` is no absolute `https` URL (or `http` to the machine itself), or
    /// `redirect_uri` is no absolute URI without a fragment.
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
                    "the authorization URL is no absolute https URL, such as https://as.example/authorize",
                )
            })?;
        let absolute = redirect_uri.parse::<Uri>().is_ok_and(|uri| uri.scheme().is_some());
        if !absolute || redirect_uri.contains('#') {
            return Err(ConfigError::new(
                "the redirect URI is no absolute URI without a fragment, such as https://app.example/callback",
            ));
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
            state_may_miss: false,
            lifetime: Duration::from_secs(10 * 60),
            clock: Clock::system(),
        })
    }

    /// Signs in at the server of `metadata`, as `client`: its two endpoints, and its issuer, with
    /// which the answer is compared ([`with_issuer`](Self::with_issuer)).
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
    /// As [`new`](Self::new), and when the metadata lack an endpoint, or `client` an identifier.
    pub fn from_metadata(
        metadata: &AuthorizationServerMetadata,
        client: ClientAuthentication,
        transport: Transport,
        redirect_uri: &str,
    ) -> Result<Self, ConfigError> {
        let by_certificate = client.is_tls().then(|| metadata.clone().with_mtls_aliases());
        let metadata = by_certificate.as_ref().unwrap_or(metadata);
        let (Some(authorize), Some(token)) =
            (metadata.authorization_endpoint(), metadata.token_endpoint())
        else {
            return Err(ConfigError::new(
                "the metadata name no authorization_endpoint or no token_endpoint that may be asked",
            ));
        };
        let Some(id) = client.client_id().map(Box::<str>::from) else {
            return Err(ConfigError::new(
                "a client that signs users in has an identifier, which ClientAuthentication::none has not",
            ));
        };
        let required: Option<bool> =
            metadata.extra("authorization_response_iss_parameter_supported");
        let endpoint = TokenEndpoint::new(token, client, transport)?;
        let sign_in = Self::new(endpoint, id, authorize, redirect_uri)?;
        Ok(match required.unwrap_or(false) {
            true => sign_in.with_required_issuer(metadata.issuer()),
            false => sign_in.with_issuer(metadata.issuer()),
        })
    }

    /// Asks for `scopes`. Defaults to none: the server decides.
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Asks for a token for `audience`, a parameter of the authorization URL that many servers
    /// know. Defaults to none.
    pub fn with_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Asks for a token for `resource`, in the authorization URL and again where the code is
    /// exchanged ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)), and may be
    /// called again for another. The renewals of a
    /// [`TokenCache::from_sign_in`](super::TokenCache::from_sign_in) name it too. Defaults to none.
    ///
    /// # Errors
    ///
    /// When `resource` is no absolute URI without a fragment.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        self.resources.push(absolute("a resource", RESOURCE, resource.into())?);
        Ok(self)
    }

    /// Adds a parameter to the authorization URL: `prompt`, `login_hint`, `ui_locales`. Browsers
    /// and proxies see it, so nothing secret belongs there. Defaults to none but those of the
    /// sign-in itself.
    ///
    /// # Errors
    ///
    /// When `name` is empty, there already, or one that the sign-in sets itself.
    pub fn with_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() {
            return Err(ConfigError::new("a parameter has a name"));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(ConfigError::new(format!("the parameter {name:?} is set by the sign-in")));
        }
        if self.params.iter().any(|(own, _)| *own == name) {
            return Err(ConfigError::new(format!("the parameter {name:?} is there twice")));
        }
        self.params.push((name, value.into()));
        Ok(self)
    }

    /// Compares the `iss` of an answer, if it has one, with `issuer`
    /// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)). Defaults to comparing nothing;
    /// [`from_metadata`](Self::from_metadata) does as the metadata say.
    pub fn with_issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.issuer = Issuer { expected: Some(issuer.into()), required: false };
        self
    }

    /// Does as [`with_issuer`](Self::with_issuer), and refuses an answer without `iss`: for
    /// servers whose metadata say that they always send one.
    pub fn with_required_issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.issuer = Issuer { expected: Some(issuer.into()), required: true };
        self
    }

    /// Sends no PKCE challenge, for servers that choke on it. Defaults to one by S256.
    pub fn without_pkce(mut self) -> Self {
        self.pkce = false;
        self
    }

    /// Accepts an answer without `state`, for servers that do not return it. Whoever can make the
    /// user's browser open a URL can then sign them in as somebody else. A `state` that does come
    /// is compared all the same. Defaults to refusing an answer without it.
    pub fn dangerous_allow_missing_state(mut self) -> Self {
        self.state_may_miss = true;
        self
    }

    /// How long the user has. Defaults to ten minutes.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The clock that tells how long the user took. Defaults to the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The URL to send the browser to, and what to keep until it comes back.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers, or the URL becomes too long.
    pub fn begin(&self) -> Result<(Uri, PendingSignIn), Error> {
        let verifier = if self.pkce { Some(CodeVerifier::random()?) } else { None };
        self.begin_with(verifier)
    }

    fn begin_with(&self, verifier: Option<CodeVerifier>) -> Result<(Uri, PendingSignIn), Error> {
        let state = random_text()?;
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
        query.extend_pairs(self.audience.iter().map(|audience| ("audience", audience)));
        query.extend_pairs(self.resources.iter().map(|resource| ("resource", resource)));
        query.extend_pairs(&self.params);
        let url = with_more(&self.authorize_url, &query.finish())
            .ok_or_else(|| Error::placement("the URL cannot take the parameters in its query"))?;
        let begun = self.clock.wall();
        let expires_at = begun.checked_add(self.lifetime).unwrap_or(begun);
        Ok((url, PendingSignIn { begun_with: self.identity(), state, verifier, expires_at }))
    }

    /// A digest of what a sign-in is bound to. It is the same at every replica, and holds no
    /// secret of the client: that may be replaced while a user signs in.
    fn identity(&self) -> [u8; 32] {
        let (address, client) = self.endpoint.asks();
        let (kind, address) = address.told_apart_by();
        let mut identity = FieldDigest::default();
        identity.add(kind, Some(&address));
        identity.add("authorization_endpoint", Some(&self.authorize_url.to_string()));
        identity.add("iss", self.issuer.expected.as_deref());
        identity.add("client", client.client_id());
        identity.add("client_id", Some(&self.client_id));
        identity.add("redirect_uri", Some(&self.redirect_uri));
        identity.finish()
    }

    /// Checks the URI that the browser came back to, and exchanges its code for a token. The code
    /// is sent once; after an error the sign-in has to begin anew.
    ///
    /// `pending` has to come from a [`SignIn`] with the same authorization URL, token endpoint,
    /// issuer, client identifier and redirect URI, in this process or another.
    ///
    /// # Errors
    ///
    /// When `pending` was begun with other settings ([`ErrorKind::SignIn`]), or the answer is not
    /// one to `pending`, came too late, or says that the sign-in failed; no request is sent then.
    /// When the exchange fails.
    ///
    /// # Panics
    ///
    /// As [`Transport::send`], once there is a code to exchange.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: once it was polled the code may be spent, and the sign-in has to begin anew.
    /// Servers such as hyper drop a handler whose browser has gone: call this in a task of its own
    /// (`tokio::spawn`) where a sign-in must not be lost to that.
    pub async fn finish(
        &self,
        pending: PendingSignIn,
        callback: &Uri,
    ) -> Result<TokenResponse, Error> {
        let code = self.check(&pending, callback)?;
        let verifier = pending.verifier.as_ref().map(CodeVerifier::expose);
        let grant = Grant::authorization_code(&code, &self.redirect_uri, verifier)
            .with_resources(&self.resources);
        let response = self.endpoint.fetch(&grant).await.map_err(Error::of_exchange)?;
        Ok(response.with_resources(self.resources.clone()))
    }

    /// The code in `callback`, where everything about it is right.
    fn check(&self, pending: &PendingSignIn, callback: &Uri) -> Result<Zeroizing<String>, Error> {
        let refused = |text: &str| Err(Error::new(ErrorKind::SignIn, text));
        if pending.begun_with != self.identity() {
            return refused(
                "the sign-in was begun with another server, client or redirect URI; finish it with \
                 the same settings",
            );
        }
        let answer = Callback::read(callback)?;
        match &answer.state {
            Some(state) if bool::from(state.as_bytes().ct_eq(pending.state.as_bytes())) => {}
            None if self.state_may_miss => {}
            Some(_) => return refused("the answer is to another sign-in: its state differs"),
            None => return refused("the answer has no state"),
        }
        match (&answer.issuer, &self.issuer.expected) {
            (Some(issuer), Some(expected)) if **issuer != **expected => {
                return refused("the answer is from another issuer");
            }
            (None, Some(_)) if self.issuer.required => {
                return refused("the answer names no issuer, which the server promised");
            }
            _ => {}
        }
        if self.clock.wall() >= pending.expires_at {
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
