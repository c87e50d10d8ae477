use super::{
    Algorithm, SigningKey,
    curve::CURVES,
    key_pair::{KeyPair, rsa_encoding},
    verifying,
};
use crate::ConfigError;
use aws_lc_rs::{
    rsa::KeySize,
    signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use std::sync::Arc;

impl SigningKey {
    /// Generates a key for `algorithm`, without a name, for tests (feature `test-util`). RSA keys
    /// have 2048 bits and take some hundred milliseconds.
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, SigningKey};
    ///
    /// let key = SigningKey::generate(Algorithm::Es256)?.with_key_id("test");
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the random number generator of the system fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ConfigError> {
        let pair = if let Some(encoding) = rsa_encoding(algorithm) {
            RsaKeyPair::generate(KeySize::Rsa2048).ok().map(|pair| KeyPair::Rsa(pair, encoding))
        } else if let Some(curve) = CURVES.iter().find(|curve| curve.algorithm == algorithm) {
            EcdsaKeyPair::generate(curve.signing).ok().map(|pair| KeyPair::Ec(pair, curve))
        } else if algorithm.checked_as() == Algorithm::EdDsa {
            Ed25519KeyPair::generate().ok().map(KeyPair::Ed25519)
        } else {
            let mut secret = [0; 64];
            let filled = getrandom::fill(&mut secret).ok();
            let key = filled.and_then(|()| verifying::shared(algorithm, &secret).ok());
            key.map(|key| KeyPair::Shared(Arc::new(key)))
        };
        match pair {
            Some(pair) => Ok(Self::new(algorithm, pair)),
            None => Err(ConfigError::new("no key could be generated")),
        }
    }
}
