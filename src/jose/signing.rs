use super::Algorithm;
use crate::{ClientSecret, ConfigError};
use std::{fmt, sync::Arc};

/// A key that signs: for `private_key_jwt` and `client_secret_jwt`.
#[derive(Clone)]
pub struct SigningKey {
    inner: Arc<Inner>,
    kid: Option<Box<str>>,
    algorithm: Algorithm,
}

struct Inner {}

impl SigningKey {
    /// Parses a private JWK.
    ///
    /// # Errors
    ///
    /// x
    pub fn from_jwk(json: &str) -> Result<Self, ConfigError> {
        let _ = json;
        unimplemented!()
    }

    /// Parses a private key in PKCS#8, as PEM.
    ///
    /// # Errors
    ///
    /// x
    pub fn from_pkcs8_pem(algorithm: Algorithm, pem: &str) -> Result<Self, ConfigError> {
        let _ = (algorithm, pem);
        unimplemented!()
    }

    /// A shared secret, for HMAC.
    ///
    /// # Errors
    ///
    /// x
    pub fn symmetric(
        algorithm: Algorithm,
        secret: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let _ = (algorithm, secret.into());
        unimplemented!()
    }

    /// Names the key in the header of what it signs.
    #[must_use]
    pub fn with_key_id(mut self, kid: impl Into<Box<str>>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its name, where it has one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The public half as a JWK; nothing for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<String> {
        unimplemented!()
    }

    /// The compact JWS of `payload`, `typ` in its header.
    ///
    /// # Errors
    ///
    /// When the library cannot sign.
    pub(crate) fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, ConfigError> {
        let _ = (typ, payload, &self.inner);
        unimplemented!()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
