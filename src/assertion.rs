//! A client's signed statement of who it is
//! ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).

use crate::{Algorithm, ClientAuthentication, ClientSecret, ConfigError, SigningKey, jose, random};
use serde_json::json;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How long one may be used: as long as a slow request takes, and clocks differ.
const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    key: SigningKey,
    audience: Option<Box<str>>,
}

impl Assertion {
    /// A new one of `client_id` for `endpoint`, with a `jti` that was never there before.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers, the clock is before the epoch, or signing fails.
    pub(crate) fn sign(
        &self,
        client_id: &str,
        endpoint: &str,
        now: SystemTime,
    ) -> Result<Zeroizing<String>, &'static str> {
        let jti = random::secret().ok_or("the system gives no random numbers")?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_err(|_| "the clock shows a time before 1970")?.as_secs();
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": self.audience.as_deref().unwrap_or(endpoint),
            "jti": jose::base64url::encode(&jti),
            "iat": now,
            "exp": now.saturating_add(LIFETIME.as_secs()),
        });
        let signed = self.key.sign("JWT", claims.to_string().as_bytes());
        signed.map(Zeroizing::new).map_err(|_| "the client's assertion could not be signed")
    }

    /// What only holders of this key have in common: the public key, or what a shared secret makes
    /// of the same text. It is secret.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "only clients share tokens"))]
    pub(crate) fn told_apart_by(&self) -> Option<Zeroizing<String>> {
        let public = self.key.public_jwk();
        public.or_else(|| self.key.sign("key", b"told apart by").ok()).map(Zeroizing::new)
    }
}

/// Clients that sign who they are (feature `jwt`).
impl ClientAuthentication {
    /// `private_key_jwt` ([OpenID Connect Core §9]): an assertion that `key` signs, a new one at
    /// each attempt, with a lifetime of a minute.
    ///
    /// # Errors
    ///
    /// When `key` is a shared secret.
    ///
    /// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
    pub fn private_key_jwt(
        client_id: impl Into<Box<str>>,
        key: SigningKey,
    ) -> Result<Self, ConfigError> {
        match key.algorithm().is_symmetric() {
            true => Err(ConfigError::new("private_key_jwt needs a private key")),
            false => Ok(Self::asserted(client_id.into(), Assertion { key, audience: None })),
        }
    }

    /// `client_secret_jwt` ([OpenID Connect Core §9]): an assertion that `secret` signs by
    /// `algorithm`, a new one at each attempt, with a lifetime of a minute.
    ///
    /// # Errors
    ///
    /// When `algorithm` is none with a shared secret, or `secret` is shorter than its hash.
    ///
    /// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
    pub fn client_secret_jwt(
        client_id: impl Into<Box<str>>,
        algorithm: Algorithm,
        secret: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let key = SigningKey::symmetric(algorithm, secret)?;
        Ok(Self::asserted(client_id.into(), Assertion { key, audience: None }))
    }

    /// Names whom assertions are for: the issuer identifier, where the authorization server asks
    /// for that. Defaults to the URL of the endpoint that is asked. Without an assertion it has no
    /// effect.
    #[must_use]
    pub fn with_assertion_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        if let Some(assertion) = self.assertion_mut() {
            assertion.audience = Some(audience.into());
        }
        self
    }
}
