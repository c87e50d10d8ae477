//! JWTs that the server issues, and keys of clients and issuers that sign JWTs for it (feature `jwt`).

use super::IssuedToken;
use crate::{
    Algorithm, ClientSecret, ConfigError, SigningKey,
    jose::{Compact, Header, KeySet, VerifyingKey, base64url},
    testing::authorization_server::answer::Refusal,
    vocabulary::clock::unix_seconds,
};
use serde_json::{Map, Value, json};
use std::{fmt, time::SystemTime};

/// The claims and the header of the JWTs that an
/// [`AuthorizationServer`](crate::testing::AuthorizationServer) issues.
///
/// ```
/// use tower_oauth2::testing::JwtFormat;
///
/// let format = JwtFormat::rfc9068("https://as.example", ["https://api.example"])
///     .with_claim("tenant", "\"acme\"")?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct JwtFormat {
    issuer: Box<str>,
    audience: Vec<Box<str>>,
    keycloak: bool,
    claims: Map<String, Value>,
}

impl JwtFormat {
    /// Creates the format of [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068): `typ` is `at+jwt`,
    /// and the claims are `iss`, `exp`, `aud`, `sub`, `client_id`, `iat`, `jti` and `scope`.
    pub fn rfc9068<I>(issuer: impl Into<Box<str>>, audience: I) -> Self
    where
        I: IntoIterator<Item: Into<Box<str>>>,
    {
        let audience = audience.into_iter().map(Into::into).collect();
        Self { issuer: issuer.into(), audience, keycloak: false, claims: Map::new() }
    }

    /// Creates the format of a Keycloak realm such as Relatics': `typ` is `JWT`, there is no `aud`,
    /// and there are the claims `typ` and `azp`. The metadata have the endpoints of a realm, below
    /// `/protocol/openid-connect`.
    pub fn keycloak(issuer: impl Into<Box<str>>) -> Self {
        Self { keycloak: true, ..Self::rfc9068(issuer, [] as [&str; 0]) }
    }

    /// Sets a claim of every token to the value `json`, also in place of a claim of the server. `null`
    /// removes the claim.
    ///
    /// # Errors
    ///
    /// When `json` is not JSON.
    pub fn with_claim(mut self, name: &str, json: &str) -> Result<Self, ConfigError> {
        let invalid =
            |_| ConfigError::new("the value of the claim is not JSON; put text in quotes");
        self.claims.insert(name.to_owned(), serde_json::from_str(json).map_err(invalid)?);
        Ok(self)
    }

    fn typ(&self) -> &'static str {
        if self.keycloak { "JWT" } else { "at+jwt" }
    }

    fn claims(&self, token: &IssuedToken, id: &str, now: SystemTime) -> Map<String, Value> {
        let client = token.client_id().unwrap_or_default();
        let scopes = Some(token.scopes().as_str()).filter(|scopes| !scopes.is_empty());
        let own = [
            ("iss", json!(self.issuer)),
            ("sub", json!(token.subject().unwrap_or(client))),
            ("client_id", json!(client)),
            ("iat", json!(unix_seconds(now))),
            ("jti", json!(id)),
            ("exp", json!(token.expires_at().map(unix_seconds))),
            ("aud", json!(Some(&self.audience).filter(|audience| !audience.is_empty()))),
            ("scope", json!(scopes)),
            ("cnf", json!(token.key_thumbprint().map(|key| json!({ "jkt": key })))),
            ("typ", json!(self.keycloak.then(|| token.token_type()))),
            ("azp", json!(self.keycloak.then_some(client))),
        ];
        let mut claims: Map<_, _> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        claims.extend(self.claims.clone());
        claims.retain(|_, value| !value.is_null());
        claims
    }
}

/// Shows the names of the claims that were set, not their values.
impl fmt::Debug for JwtFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtFormat")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The format of the JWTs, and their keys.
#[derive(Default)]
pub(crate) struct Jwts {
    pub(crate) format: Option<JwtFormat>,
    pub(crate) signing_key: Option<SigningKey>,
    published: Vec<SigningKey>,
}

impl Jwts {
    /// Returns the issuer that the tokens name.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.format.as_ref().map(|format| &*format.issuer)
    }

    /// Returns the path between the issuer and the name of an endpoint.
    pub(crate) fn path_prefix(&self) -> &'static str {
        match &self.format {
            Some(format) if format.keycloak => "/protocol/openid-connect",
            _ => "",
        }
    }

    /// Returns `token` as a signed JWT with the identifier `id`, or `None` while tokens are opaque.
    pub(crate) fn encode(
        &self,
        token: &IssuedToken,
        id: &str,
        now: SystemTime,
    ) -> Option<Result<String, Refusal>> {
        let (format, key) = (self.format.as_ref()?, self.signing_key.as_ref()?);
        let claims = Value::Object(format.claims(token, id, now)).to_string();
        let failed = |_| Refusal::new("server_error", "the token cannot be signed");
        Some(key.sign(format.typ(), claims.as_bytes()).map_err(failed))
    }

    /// Returns the published keys as a JWK set.
    pub(crate) fn key_set(&self) -> String {
        let keys: Vec<_> = self.published.iter().filter_map(SigningKey::public_jwk).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// Publishes `key` in place of the key of the same name.
    pub(crate) fn publish(&mut self, key: SigningKey) {
        self.published.retain(|published| published.key_id() != key.key_id());
        self.published.push(key);
    }

    /// Removes the key of this name from the key set. Returns `true` if it was published.
    pub(crate) fn retire(&mut self, kid: &str) -> bool {
        let before = self.published.len();
        self.published.retain(|key| key.key_id() != Some(kid));
        self.published.len() < before
    }
}

/// The public keys of a client, or of an issuer that the server trusts.
#[derive(Clone, Default)]
pub(crate) struct ClientKeys(KeySet);

impl ClientKeys {
    pub(crate) fn from_jwk(public_jwk: &str) -> Result<Self, ConfigError> {
        let unusable = |why| ConfigError::new(format!("the public JWK cannot be used: {why}"));
        VerifyingKey::from_jwk(public_jwk.as_bytes())
            .map(|key| Self(KeySet::of([key])))
            .map_err(unusable)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Returns `true` if `jwt` is signed by one of these keys, or by `secret`
    /// (`client_secret_jwt`).
    pub(crate) fn verify(&self, jwt: &str, secret: Option<&ClientSecret>) -> bool {
        self.check(jwt, secret).unwrap_or_default()
    }

    fn check(&self, jwt: &str, secret: Option<&ClientSecret>) -> Option<bool> {
        let compact = Compact::parse(jwt)?;
        let algorithm: Algorithm =
            Header::parse(&base64url::decode(compact.header)?)?.algorithm.ok()?;
        let signature = base64url::decode(compact.signature)?;
        let message = compact.signing_input.as_bytes();
        let verifies = |key: &VerifyingKey| key.verify(algorithm, message, &signature);
        Some(match algorithm.is_symmetric() {
            false => self.0.candidates(None, algorithm).any(verifies),
            true => {
                let key = VerifyingKey::symmetric(algorithm, secret?.expose().as_bytes());
                key.is_ok_and(|key| verifies(&key))
            }
        })
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKeys({})", self.0.len())
    }
}
