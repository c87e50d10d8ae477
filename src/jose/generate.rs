use super::{
    Algorithm, SigningKey,
    curve::CURVES,
    key_pair::{KeyPair, rsa_encoding},
    pem, verifying,
};
use crate::{ClientSecret, ConfigError};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use std::sync::Arc;

impl SigningKey {
    /// Generates a key for `algorithm`, without a name. RSA keys have 2048 bits and take some hundred
    /// milliseconds. The key ends with the process; see [`generate_pem`](Self::generate_pem).
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

    /// Generates a key for ECDSA or Ed25519 that can be kept: the PEM is for
    /// [`from_pkcs8_pem`](Self::from_pkcs8_pem).
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, SigningKey};
    ///
    /// let (key, pem) = SigningKey::generate_pem(Algorithm::Es256)?;
    /// let kept = SigningKey::from_pkcs8_pem(Algorithm::Es256, pem.expose())?;
    /// assert_eq!(kept.public_jwk(), key.public_jwk());
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `algorithm` is of another kind, or the random number generator of the system fails.
    pub fn generate_pem(algorithm: Algorithm) -> Result<(Self, ClientSecret), ConfigError> {
        let random = SystemRandom::new();
        let curve = CURVES.iter().find(|curve| curve.algorithm == algorithm);
        let document = match curve {
            Some(curve) => EcdsaKeyPair::generate_pkcs8(curve.signing, &random),
            None if algorithm.checked_as() == Algorithm::EdDsa => {
                Ed25519KeyPair::generate_pkcs8(&random)
            }
            None => {
                return Err(ConfigError::new(format!(
                    "generate_pem makes keys for ECDSA and Ed25519, not for {algorithm}"
                )));
            }
        };
        let document = document.map_err(|_| ConfigError::new("no key could be generated"))?;
        let pem = ClientSecret::new(pem::of_private_key(document.as_ref()));
        Ok((Self::from_pkcs8_pem(algorithm, pem.expose())?, pem))
    }
}
