//! Signing a user in by the authorization code grant: values in, values out.

use super::{
    Error, ErrorKind, Grant, TokenEndpoint, TokenResponse,
    grant::{RESOURCE, absolute},
};
use crate::{
    AuthorizationServerMetadata, ClientAuthentication, ClientSecret, Clock, ConfigError, Origin,
    ScopeSet, Transport, random, secret::REDACTED,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Uri;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
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
    promised: bool,
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
            .filter(|url| Origin::of(url).is_some_and(|origin| origin.is_secure()))
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
            issuer: Issuer { expected: None, promised: false },
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
        let promised = metadata.extra("authorization_response_iss_parameter_supported");
        let endpoint = TokenEndpoint::new(token, client, transport)?;
        let sign_in = Self::new(endpoint, id, authorize, redirect_uri)?;
        Ok(sign_in.with_issuer(metadata.issuer(), promised.unwrap_or(false)))
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
    /// called again for another. Defaults to none.
    ///
    /// # Errors
    ///
    /// When `resource` is no absolute URI without a fragment.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        self.resources.push(absolute("a resource", RESOURCE, resource.into())?);
        Ok(self)
    }

    /// Adds a parameter to the authorization URL: `prompt`, `login_hint`, `ui_locales`. Browsers
    /// and proxies see it, so nothing secret belongs there.
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

    /// Compares the `iss` of an answer, where there is one, with `issuer`
    /// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)); `promised`: the server's metadata
    /// say that it always sends one, so that an answer without it is refused.
    pub fn with_issuer(mut self, issuer: impl Into<Box<str>>, promised: bool) -> Self {
        self.issuer = Issuer { expected: Some(issuer.into()), promised };
        self
    }

    /// Sends no PKCE challenge, for servers that choke on it.
    pub fn without_pkce(mut self) -> Self {
        self.pkce = false;
        self
    }

    /// Accepts an answer without `state`, for servers that do not return it. Whoever can make the
    /// user's browser open a URL can then sign them in as somebody else. A `state` that does come
    /// is compared all the same.
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
        let url = super::endpoint::with_query(&self.authorize_url, &query.finish())?;
        let begun = self.clock.wall();
        let expires_at = begun.checked_add(self.lifetime).unwrap_or(begun);
        Ok((url, PendingSignIn { state, verifier, expires_at }))
    }

    /// Checks the URI that the browser came back to, and exchanges its code for a token. The code
    /// is sent once; after an error the sign-in has to begin anew.
    ///
    /// # Errors
    ///
    /// When the answer is not one to `pending`, came too late, or says that the sign-in failed;
    /// no request is sent then. When the exchange fails.
    pub async fn finish(
        &self,
        pending: PendingSignIn,
        callback: &Uri,
    ) -> Result<TokenResponse, Error> {
        let code = self.check(&pending, callback)?;
        let verifier = pending.verifier.as_ref();
        let grant = Grant::authorization_code(&code, &self.redirect_uri, verifier)
            .with_resources(&self.resources);
        self.endpoint.fetch(&grant).await.map_err(Error::of_exchange)
    }

    /// The code in `callback`, where everything about it is right.
    fn check(&self, pending: &PendingSignIn, callback: &Uri) -> Result<Zeroizing<String>, Error> {
        let refused = |text: &str| Err(Error::new(ErrorKind::SignIn, text));
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
            (None, Some(_)) if self.issuer.promised => {
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

/// What a callback says; every parameter at most once.
#[derive(Default)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Callback {
    fn read(uri: &Uri) -> Result<Self, Error> {
        let mut callback = Self::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let slot = match &*name {
                "code" => &mut callback.code,
                "state" => &mut callback.state,
                "iss" => &mut callback.issuer,
                "error" => &mut callback.error,
                "error_description" => &mut callback.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                let text = format!("the answer has the parameter {name} twice");
                return Err(Error::new(ErrorKind::SignIn, text));
            }
        }
        Ok(callback)
    }
}

/// A sign-in under way: what the answer is compared with. It is used up by
/// [`SignIn::finish`].
///
/// It is secret: whoever has it and the callback is the user. Keep it on the server, or in an
/// encrypted cookie as [`to_secret_string`](Self::to_secret_string).
pub struct PendingSignIn {
    state: Zeroizing<String>,
    verifier: Option<CodeVerifier>,
    expires_at: SystemTime,
}

impl PendingSignIn {
    /// All of it as one text, which [`FromStr`] reads.
    #[must_use]
    pub fn to_secret_string(&self) -> ClientSecret {
        let expiry = self.expires_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let verifier = self.verifier.as_ref().map_or("", CodeVerifier::expose);
        ClientSecret::new(format!("{expiry}.{}.{verifier}", *self.state))
    }

    /// From when on the answer comes too late.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl FromStr for PendingSignIn {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::new("this is no pending sign-in as to_secret_string writes it");
        let mut parts = text.splitn(3, '.');
        let (Some(expiry), Some(state), Some(verifier)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let expiry = Duration::from_secs(expiry.parse().map_err(|_| wrong())?);
        let expires_at = UNIX_EPOCH.checked_add(expiry).ok_or_else(wrong)?;
        if state.is_empty() {
            return Err(wrong());
        }
        let verifier = match verifier {
            "" => None,
            verifier => Some(CodeVerifier::new(verifier).ok_or_else(wrong)?),
        };
        Ok(Self { state: Zeroizing::new(state.to_owned()), verifier, expires_at })
    }
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("state", &format_args!("{REDACTED}"))
            .field("verifier", &format_args!("{REDACTED}"))
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A PKCE verifier ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
pub(super) struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    fn random() -> Result<Self, Error> {
        Ok(Self(random_text()?))
    }

    /// 43 to 128 unreserved characters.
    fn new(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let good = (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
        good.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

/// 43 characters that nobody can guess.
fn random_text() -> Result<Zeroizing<String>, Error> {
    let bytes = Zeroizing::new(
        random::secret()
            .ok_or_else(|| Error::new(ErrorKind::SignIn, "the system has no random numbers"))?,
    );
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientAuthentication, Transport};
    use proptest::prelude::*;

    fn sign_in() -> SignIn {
        let unused = tower::service_fn(async |_| {
            Err::<http::Response<http_body_util::Full<bytes::Bytes>>, _>("no request is sent here")
        });
        let client = ClientAuthentication::public("id");
        let endpoint =
            TokenEndpoint::new("https://as.example/token", client, Transport::new(unused));
        SignIn::new(endpoint.unwrap(), "id", "https://as.example/authorize", "https://app.example/")
            .unwrap()
    }

    fn assert_same(one: &PendingSignIn, other: &PendingSignIn) {
        assert_eq!(one.state, other.state);
        assert_eq!(one.expires_at, other.expires_at);
        let verifier = |pending: &PendingSignIn| pending.verifier.as_ref().map(|it| it.0.clone());
        assert_eq!(verifier(one), verifier(other));
    }

    fn round_trip(pending: &PendingSignIn) -> PendingSignIn {
        pending.to_secret_string().expose().parse().unwrap()
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b_code_02() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let (url, _) = sign_in().begin_with(verifier).unwrap();
        let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                         &code_challenge_method=S256";
        assert!(url.query().unwrap().ends_with(challenge), "{url}");
    }

    #[test]
    fn a_pending_sign_in_that_was_begun_is_the_same_after_a_round_trip() {
        for sign_in in [sign_in(), sign_in().without_pkce()] {
            let (_, mut pending) = sign_in.begin().unwrap();
            let read = round_trip(&pending);
            assert!(pending.expires_at.duration_since(read.expires_at).unwrap().as_secs() == 0);
            pending.expires_at = read.expires_at;
            assert_same(&pending, &read);
        }
    }

    #[test]
    fn what_is_no_pending_sign_in_is_an_error() {
        let verifier = "v".repeat(43);
        let beyond = format!("{}.state.{verifier}", u64::MAX);
        for bad in ["", "1", "1.state", "1..", "-1.state.", "x.state.", "1.state.short", &beyond] {
            assert!(bad.parse::<PendingSignIn>().is_err(), "{bad}");
        }
        assert!(format!("1.state.{verifier}").parse::<PendingSignIn>().is_ok());
        for odd in ["v".repeat(129), format!("{verifier} "), "\u{e9}".repeat(43)] {
            assert!(format!("1.state.{odd}").parse::<PendingSignIn>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_pending_sign_in_is_the_same_after_a_round_trip(
            state in "[A-Za-z0-9_-]{1,43}",
            verifier in prop::option::of("[A-Za-z0-9._~-]{43,128}"),
            expiry in 0..=u64::from(u32::MAX) << 8,
        ) {
            let pending = PendingSignIn {
                state: Zeroizing::new(state),
                verifier: verifier.map(|text| CodeVerifier::new(&text).unwrap()),
                expires_at: UNIX_EPOCH + Duration::from_secs(expiry),
            };
            assert_same(&pending, &round_trip(&pending));
        }

        #[test]
        fn what_can_be_read_is_the_same_after_a_round_trip(
            text in "([0-9+]{1,20}|\\PC{0,4})\\.?\\PC{0,9}\\.?([A-Za-z0-9._~-]{43}|\\PC{0,9})",
        ) {
            if let Ok(pending) = text.parse::<PendingSignIn>() {
                assert_same(&pending, &round_trip(&pending));
            }
        }
    }
}
