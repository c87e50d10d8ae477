//! Access tokens that are JWTs, and the keys that sign them (feature `jwt`).

use super::{AuthorizationServer, IssuedToken, answer::Refusal};
use crate::{ConfigError, SigningKey};
use serde_json::{Map, Value, json};
use std::{fmt, time::SystemTime};

/// What a JWT of an [`AuthorizationServer`] looks like.
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
    /// As [RFC 9068](https://www.rfc-editor.org/rfc/rfc9068) says: `typ` is `at+jwt`, and `iss`,
    /// `exp`, `aud`, `sub`, `client_id`, `iat` and `jti` are there.
    pub fn rfc9068<I>(issuer: impl Into<Box<str>>, audience: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let audience = audience.into_iter().map(Into::into).collect();
        Self { issuer: issuer.into(), audience, keycloak: false, claims: Map::new() }
    }

    /// As a realm of Keycloak issues them, Relatics' for example: `typ` is `JWT`, there is no
    /// `aud`, and claims named `typ` and `azp` are there. The endpoints are where a realm has them,
    /// below `/protocol/openid-connect`.
    pub fn keycloak(issuer: impl Into<Box<str>>) -> Self {
        Self { keycloak: true, ..Self::rfc9068(issuer, [] as [&str; 0]) }
    }

    /// Sets a claim of every token, `json` as its value. It replaces one of that name, and `null`
    /// takes it out.
    ///
    /// # Errors
    ///
    /// When `json` is no JSON text.
    pub fn with_claim(mut self, name: &str, json: &str) -> Result<Self, ConfigError> {
        let invalid =
            |_| ConfigError::new("the value of the claim is no JSON: text stands in quotes");
        self.claims.insert(name.to_owned(), serde_json::from_str(json).map_err(invalid)?);
        Ok(self)
    }

    fn typ(&self) -> &'static str {
        if self.keycloak { "JWT" } else { "at+jwt" }
    }

    fn claims(&self, token: &IssuedToken, id: &str, now: SystemTime) -> Map<String, Value> {
        let seconds = |instant: SystemTime| {
            instant.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
        };
        let client = token.client_id().unwrap_or_default();
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("sub".into(), json!(token.subject().unwrap_or(client)));
        claims.insert("client_id".into(), json!(client));
        claims.insert("iat".into(), json!(seconds(now)));
        claims.insert("jti".into(), json!(id));
        if let Some(expires_at) = token.expires_at() {
            claims.insert("exp".into(), json!(seconds(expires_at)));
        }
        if !self.audience.is_empty() {
            claims.insert("aud".into(), json!(self.audience));
        }
        if !token.scopes().is_empty() {
            claims.insert("scope".into(), json!(token.scopes().to_string()));
        }
        if self.keycloak {
            claims.insert("typ".into(), json!("Bearer"));
            claims.insert("azp".into(), json!(client));
        }
        claims.extend(self.claims.clone());
        claims.retain(|_, value| !value.is_null());
        claims
    }
}

/// Names the claims that were set, without their values.
impl fmt::Debug for JwtFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtFormat")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The format, and the keys.
#[derive(Default)]
pub(super) struct Jwts {
    format: Option<JwtFormat>,
    signing: Option<SigningKey>,
    published: Vec<SigningKey>,
}

impl Jwts {
    /// The issuer that the tokens name, where they are JWTs.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.format.as_ref().map(|format| &*format.issuer)
    }

    /// Between the issuer and the name of an endpoint.
    pub(super) fn prefix(&self) -> &'static str {
        match &self.format {
            Some(format) if format.keycloak => "/protocol/openid-connect",
            _ => "",
        }
    }

    /// The token of this identifier, where tokens are JWTs.
    pub(super) fn token(
        &self,
        token: &IssuedToken,
        id: &str,
        now: SystemTime,
    ) -> Option<Result<String, Refusal>> {
        let (format, key) = (self.format.as_ref()?, self.signing.as_ref()?);
        let claims = Value::Object(format.claims(token, id, now)).to_string();
        let failed = |_| Refusal::new("server_error", "the token cannot be signed");
        Some(key.sign(format.typ(), claims.as_bytes()).map_err(failed))
    }

    /// The published keys as a JWK set.
    pub(super) fn key_set(&self) -> String {
        let keys: Vec<_> = self.published.iter().filter_map(SigningKey::public_jwk).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    fn publish(&mut self, key: SigningKey) {
        self.published.retain(|own| own.key_id() != key.key_id());
        self.published.push(key);
    }
}

/// JWTs and their keys (feature `jwt`).
impl AuthorizationServer {
    /// Issues JWTs of this format, signed by `key`, which it publishes at `…/jwks` and `…/certs`.
    /// It stays in the books what they stand for: they can be revoked and introspected.
    ///
    /// ```
    /// use tower_oauth2::{
    ///     Algorithm, SigningKey,
    ///     testing::{AuthorizationServer, JwtFormat},
    /// };
    ///
    /// let server = AuthorizationServer::new();
    /// let key = SigningKey::generate(Algorithm::Es256)?.with_key_id("2026-11");
    /// server.issue_jwts(JwtFormat::rfc9068("https://as.example", ["https://api.example"]), key);
    ///
    /// let next = SigningKey::generate(Algorithm::Es256)?.with_key_id("2026-12");
    /// server.rotate_key(next);
    /// assert!(server.key_set().contains("2026-11") && server.key_set().contains("2026-12"));
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn issue_jwts(&self, format: JwtFormat, key: SigningKey) {
        self.lock().jwts.format = Some(format);
        self.rotate_key(key);
    }

    /// Issues opaque tokens again, which is the default. Keys stay published.
    pub fn issue_opaque_tokens(&self) {
        self.lock().jwts.format = None;
    }

    /// Publishes `key`, and signs with it from now on. The keys of before stay published.
    pub fn rotate_key(&self, key: SigningKey) {
        let jwts = &mut self.lock().jwts;
        jwts.publish(key.clone());
        jwts.signing = Some(key);
    }

    /// Publishes `key` without signing with it: a key that is announced before it is used.
    pub fn publish_key(&self, key: SigningKey) {
        self.lock().jwts.publish(key);
    }

    /// Publishes the key of this name no longer; whether it was there.
    pub fn retire_key(&self, kid: &str) -> bool {
        let published = &mut self.lock().jwts.published;
        let before = published.len();
        published.retain(|key| key.key_id() != Some(kid));
        published.len() < before
    }

    /// The published keys as `…/jwks` serves them.
    #[must_use]
    pub fn key_set(&self) -> String {
        self.lock().jwts.key_set()
    }

    /// A JWT of any claims, `typ` in its header, by the key that signs at the moment. The server
    /// keeps no books of it. [`mint_opaque`](Self::mint_opaque) makes one that is no JWT.
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, SigningKey, testing::AuthorizationServer};
    ///
    /// let server = AuthorizationServer::new();
    /// server.rotate_key(SigningKey::generate(Algorithm::Es256)?.with_key_id("first"));
    /// let claims = r#"{"iss":"https://as.example","sub":"alice","tenant":"acme"}"#;
    /// let token = server.mint("at+jwt", claims)?;
    ///
    /// server.rotate_key(SigningKey::generate(Algorithm::Es256)?.with_key_id("second"));
    /// assert_ne!(server.mint("at+jwt", claims)?, token);
    /// assert!(server.retire_key("first"), "from now on the first token is by nobody's key");
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no key, or `claims` is no JSON object.
    pub fn mint(&self, typ: &str, claims: &str) -> Result<String, ConfigError> {
        let parsed: Result<Map<String, Value>, _> = serde_json::from_str(claims);
        parsed.map_err(|_| ConfigError::new("the claims are no JSON object"))?;
        let key = self.lock().jwts.signing.clone();
        let key = key.ok_or_else(|| {
            ConfigError::new("there is no key to sign with: see rotate_key and issue_jwts")
        })?;
        key.sign(typ, claims.as_bytes())
    }
}
