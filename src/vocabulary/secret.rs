//! Secrets that print a marker and are wiped from memory.

use bytes::Bytes;
use std::fmt;
use zeroize::Zeroizing;

/// What [`fmt::Debug`] shows instead of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// The secret of an OAuth client ([RFC 6749 §2.3.1]).
///
/// It also carries other secret text: that of a pending sign-in, the key of a JWT, the secret in a
/// revocation request.
///
/// It has no `Display`, no `Serialize` and no comparison, prints as `[redacted]` under `Debug`, and
/// wipes its bytes when dropped. Each clone has bytes of its own.
///
/// ```
/// use tower_oauth2::ClientSecret;
///
/// let secret = ClientSecret::new("s3cr3t");
/// assert_eq!(format!("{secret:?}"), "ClientSecret([redacted])");
/// ```
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Wraps `secret` byte for byte; nothing is trimmed.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// Returns the secret itself. The caller must keep it out of logs and errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientSecret").field(&format_args!("{REDACTED}")).finish()
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

/// Bytes that are wiped when dropped.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Returns `bytes` to share. They are wiped when the last that shares them is dropped.
pub(crate) fn wiped(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(Wiped(bytes))
}
