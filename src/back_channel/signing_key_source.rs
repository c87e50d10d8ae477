use super::scrub;
use crate::{ConfigError, SigningKey};
use std::{error::Error, fmt, sync::Arc};
use zeroize::Zeroizing;

/// The source of the key that signs assertions: a fixed [`SigningKey`], or a closure that is called
/// at each attempt (feature `jwt`).
///
/// ```
/// use tower_oauth2::{Algorithm, ClientAuthentication, SigningKey, SigningKeySource};
///
/// # fn newest_pem() -> std::io::Result<String> { Ok(String::new()) }
/// let rotating = SigningKeySource::from_fn(|| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
///     Ok(SigningKey::from_pkcs8_pem(Algorithm::Es256, &newest_pem()?)?)
/// });
/// let client = ClientAuthentication::private_key_jwt("id", rotating)?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SigningKeySource(Source);

type AskForKey = dyn Fn() -> Result<SigningKey, Box<str>> + Send + Sync;

#[derive(Clone)]
enum Source {
    Fixed(SigningKey),
    Asked { ask: Arc<AskForKey>, private: bool },
}

impl SigningKeySource {
    /// Calls `key` at each attempt, on the task that fetches tokens. It must not block for long.
    pub fn from_fn<F, E>(key: F) -> Self
    where
        F: Fn() -> Result<SigningKey, E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let ask = Arc::new(move || {
            key().map_err(|error| {
                let why = scrub::chain(error.into().as_ref(), str::to_owned);
                format!("there is no key to sign with: {why}").into()
            })
        });
        Self(Source::Asked { ask, private: false })
    }

    /// Returns the same source, restricted to private keys.
    ///
    /// # Errors
    ///
    /// When it is known to be a shared secret.
    pub(super) fn private(self) -> Result<Self, ConfigError> {
        match self.0 {
            Source::Fixed(key) if key.algorithm().is_symmetric() => Err(ConfigError::new(
                "private_key_jwt needs a private key; client_secret_jwt is for a shared secret",
            )),
            Source::Fixed(key) => Ok(Self(Source::Fixed(key))),
            Source::Asked { ask, .. } => Ok(Self(Source::Asked { ask, private: true })),
        }
    }

    pub(super) fn key(&self) -> Result<SigningKey, Box<str>> {
        match &self.0 {
            Source::Fixed(key) => Ok(key.clone()),
            Source::Asked { ask, private } => match ask()? {
                key if *private && key.algorithm().is_symmetric() => {
                    Err("private_key_jwt needs a private key".into())
                }
                key => Ok(key),
            },
        }
    }

    /// Returns what distinguishes a fixed key from others: its public key, or the signature that a
    /// shared secret makes of a fixed text.
    pub(super) fn identity(&self) -> Option<Zeroizing<String>> {
        let Source::Fixed(key) = &self.0 else { return None };
        let public = key.public_jwk();
        public.or_else(|| key.sign("key", b"told apart by").ok()).map(Zeroizing::new)
    }
}

impl From<SigningKey> for SigningKeySource {
    fn from(key: SigningKey) -> Self {
        Self(Source::Fixed(key))
    }
}

impl fmt::Debug for SigningKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(key) => f.debug_tuple("SigningKeySource").field(key).finish(),
            Source::Asked { .. } => f.write_str("SigningKeySource(closure)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    fn key() -> SigningKey {
        SigningKey::from_secret(Algorithm::Hs256, "a client secret of 32 characters").unwrap()
    }

    #[test]
    fn a_closure_is_asked_each_time_and_its_failure_is_the_error() {
        let sealed = AtomicBool::new(true);
        let source = SigningKeySource::from_fn(move || match sealed.swap(false, Relaxed) {
            true => Err("the vault is sealed"),
            false => Ok(key()),
        });
        let error = source.key().unwrap_err();
        assert_eq!(&*error, "there is no key to sign with: the vault is sealed");
        assert!(source.key().is_ok());
        // A shared secret is no private key, however late that is seen.
        assert!(source.private().unwrap().key().is_err());
        assert!(SigningKeySource::from(key()).private().is_err());
    }
}
