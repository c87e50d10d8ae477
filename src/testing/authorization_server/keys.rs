use super::{
    AuthorizationServer, RegisteredClient,
    state::{ClientKeys, JwtFormat},
};
use crate::{ConfigError, SigningKey};
use serde_json::{Map, Value};

/// # JWTs and their keys (feature `jwt`)
impl AuthorizationServer {
    /// Issues JWTs of this format, signed by `key`, and publishes the key at `…/jwks` and `…/certs`.
    /// Like opaque tokens, the JWTs can be revoked and introspected.
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

    /// Issues opaque tokens again, as by default. The keys stay published.
    pub fn issue_opaque_tokens(&self) {
        self.lock().jwts.format = None;
    }

    /// Publishes `key`, and signs with it from now on. Earlier keys stay published.
    pub fn rotate_key(&self, key: SigningKey) {
        let jwts = &mut self.lock().jwts;
        jwts.publish(key.clone());
        jwts.signing_key = Some(key);
    }

    /// Publishes `key` and does not sign with it, as before a rotation.
    pub fn publish_key(&self, key: SigningKey) {
        self.lock().jwts.publish(key);
    }

    /// Removes the key of this name from the published keys. Returns `true` if it was there.
    pub fn retire_key(&self, kid: &str) -> bool {
        self.lock().jwts.retire(kid)
    }

    /// Returns the published keys as `…/jwks` serves them.
    #[must_use]
    pub fn key_set(&self) -> String {
        self.lock().jwts.key_set()
    }

    /// Signs a JWT of any claims with the current key, with `typ` in its header. The server does not
    /// know the token. [`mint_opaque`](Self::mint_opaque) mints a token that it knows.
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
    /// assert!(server.retire_key("first"), "the first token no longer verifies");
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no key, or `claims` is not a JSON object.
    pub fn mint(&self, typ: &str, claims: &str) -> Result<String, ConfigError> {
        let parsed: Result<Map<String, Value>, _> = serde_json::from_str(claims);
        parsed.map_err(|_| ConfigError::new("the claims are not a JSON object"))?;
        let key = self.lock().jwts.signing_key.clone();
        let key = key.ok_or_else(|| {
            ConfigError::new("there is no key to sign with; call rotate_key or issue_jwts first")
        })?;
        key.sign(typ, claims.as_bytes())
    }

    /// Accepts assertions of `issuer` about users, signed by the private half of this JWK: the grant
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` ([RFC 7523 §2.1], feature `jwt`). The `sub` of
    /// an assertion must be a user. Defaults to no issuer.
    ///
    /// # Errors
    ///
    /// When the JWK cannot be used.
    ///
    /// [RFC 7523 §2.1]: https://www.rfc-editor.org/rfc/rfc7523#section-2.1
    pub fn trust_issuer(
        &self,
        issuer: impl Into<Box<str>>,
        public_jwk: &str,
    ) -> Result<(), ConfigError> {
        let keys = ClientKeys::from_jwk(public_jwk)?;
        self.lock().trusted_issuers.insert(issuer.into(), keys);
        Ok(())
    }
}

impl RegisteredClient {
    /// Creates a client that authenticates with assertions signed by the private half of this JWK
    /// (`private_key_jwt`, [RFC 7523 §2.2], feature `jwt`).
    ///
    /// # Errors
    ///
    /// When the JWK cannot be used.
    ///
    /// [RFC 7523 §2.2]: https://www.rfc-editor.org/rfc/rfc7523#section-2.2
    pub fn private_key_jwt(id: impl Into<Box<str>>, public_jwk: &str) -> Result<Self, ConfigError> {
        let mut client = Self::public(id);
        client.keys = ClientKeys::from_jwk(public_jwk)?;
        Ok(client)
    }
}
