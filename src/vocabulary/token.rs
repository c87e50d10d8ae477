use super::{
    bond::{Bond, Prove},
    secret::{REDACTED, wiped},
};
use crate::ConfigError;
use http::HeaderValue;
use std::{
    fmt,
    sync::{Arc, Weak, atomic::AtomicU64},
};
use zeroize::Zeroizing;

/// The longest token that is accepted, in bytes.
pub(crate) const MAX_TOKEN_LEN: usize = 16 * 1024;

/// An access token ([RFC 6749 §1.4]), an opaque text.
///
/// Clones share the text. It prints as `[redacted]`, and has no `Display` and no `Serialize`. Two
/// tokens are equal if their texts are, so that a token can be part of a key. A comparison, and the
/// hash of a token, digest its text with SHA-256: a microsecond or two for a token of 1 KiB. The time
/// that this takes tells nothing of where two texts differ. (`clippy::mutable_key_type` warns of such keys
/// in vain: what changes in a token is not compared.) Its bytes are wiped when the last clone and the last header made of it are dropped.
///
/// ```
/// use tower_oauth2::AccessToken;
///
/// let token = AccessToken::new("mF_9.B5f-4.1JqM")?;
/// assert_eq!(token.expose(), "mF_9.B5f-4.1JqM");
/// assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
/// assert!(AccessToken::new("two words").is_err());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 6749 §1.4]: https://www.rfc-editor.org/rfc/rfc6749#section-1.4
#[derive(Clone)]
pub struct AccessToken {
    inner: Arc<Inner>,
}

struct Inner {
    /// The scheme and the token. A pool holds one for each user, so the text is not kept twice.
    authorization: HeaderValue,
    /// The key that the token is bound to. Its scheme is then `DPoP`.
    bond: Option<Arc<Bond>>,
    /// See [`AccessToken::lease`].
    lease: AtomicU64,
    /// See [`AccessToken::giver`].
    giver: Option<Weak<dyn Giver>>,
}

const BEARER: &str = "Bearer ";
const DPOP: &str = "DPoP ";

/// The issuer of a token to callers, which reacts to its rejection.
pub(crate) trait Giver: Send + Sync {
    /// Reports that the resource refused `rejected`. Returns `true` if another token may be had.
    fn reject(&self, rejected: &AccessToken) -> bool;

    /// Returns `true` if another replica fetched `token`, which was found in a store.
    fn found(&self, token: &AccessToken) -> bool;
}

impl AccessToken {
    /// Takes a token of at most 16 KiB of visible ASCII. That is more than the `b64token` of
    /// [RFC 6750 §2.1], because some servers issue other tokens.
    ///
    /// # Errors
    ///
    /// When `token` is empty, longer, or has any other character. The error does not repeat it.
    ///
    /// [RFC 6750 §2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    pub fn new(token: impl Into<String>) -> Result<Self, ConfigError> {
        let text = Zeroizing::new(token.into());
        if text.is_empty() {
            return Err(ConfigError::new("the access token is empty"));
        }
        if text.len() > MAX_TOKEN_LEN {
            return Err(ConfigError::new("the access token is longer than 16 KiB"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "the access token holds a character that is not visible ASCII",
            ));
        }
        Ok(Self::of(sensitive_header(&[BEARER, text.as_str()])?, None, None))
    }

    fn of(
        authorization: HeaderValue,
        bond: Option<Arc<Bond>>,
        giver: Option<Weak<dyn Giver>>,
    ) -> Self {
        let lease = AtomicU64::new(0);
        Self { inner: Arc::new(Inner { authorization, bond, lease, giver }) }
    }

    /// Returns another token of the same text that is bound to `key`, and goes with a proof of it.
    /// `ath` is the SHA-256 digest of the text, in base64url.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn with_key(
        &self,
        key: Arc<dyn Prove>,
        ath: impl Into<Box<str>>,
    ) -> Result<Self, ConfigError> {
        let bond = Some(Arc::new(Bond::new(key, ath.into())));
        Ok(Self::of(sensitive_header(&[DPOP, self.expose()])?, bond, None))
    }

    /// Returns the key that the token is bound to, if it is.
    #[inline]
    pub(crate) fn bond(&self) -> Option<&Arc<Bond>> {
        self.inner.bond.as_ref()
    }

    /// Returns the token itself. The caller is responsible for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        let scheme = if self.inner.bond.is_some() { DPOP } else { BEARER };
        let text = self.inner.authorization.as_bytes().get(scheme.len()..).unwrap_or_default();
        // It was checked to be visible ASCII.
        str::from_utf8(text).unwrap_or_default()
    }

    /// Returns the value of an `Authorization` header, marked sensitive: `Bearer` and the token, or
    /// `DPoP` and the token if it is bound to a key.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.inner.authorization
    }

    /// Returns the time until which the token may be sent without asking its cache, as that cache
    /// counts time. Zero is never. A holder of the token finds it without the cache.
    pub(crate) fn lease(&self) -> &AtomicU64 {
        &self.inner.lease
    }

    /// Returns the issuer of this token, if it still exists.
    pub(crate) fn giver(&self) -> Option<Arc<dyn Giver>> {
        self.inner.giver.as_ref()?.upgrade()
    }

    /// Returns `true` if its issuer found it in a store.
    pub(crate) fn was_found(&self) -> bool {
        self.giver().is_some_and(|giver| giver.found(self))
    }

    /// Returns another token of the same text, without a lease, that `giver` gives out.
    pub(crate) fn given_by(&self, giver: Weak<dyn Giver>) -> Self {
        Self::of(self.inner.authorization.clone(), self.inner.bond.clone(), Some(giver))
    }

    /// Returns `true` if both have the same text, and both are bound or neither is.
    pub(crate) fn has_text_of(&self, other: &Self) -> bool {
        self.is_same(other) || self.inner.authorization == other.inner.authorization
    }

    /// Returns `true` if both are clones of one token, and thus of the same answer of the same
    /// authorization server.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// Joins `parts` to a header value that is marked sensitive, and wiped when dropped.
///
/// # Errors
///
/// When `parts` have a character that a header value cannot have.
pub(crate) fn sensitive_header(parts: &[&str]) -> Result<HeaderValue, ConfigError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    sensitive_value(bytes)
}

/// Returns `bytes` as a header value that is marked as sensitive.
pub(crate) fn sensitive_value(bytes: Zeroizing<Vec<u8>>) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_maybe_shared(wiped(bytes))
        .map_err(|_| ConfigError::new("the credential does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessToken").field(&format_args!("{REDACTED}")).finish()
    }
}

impl TryFrom<String> for AccessToken {
    type Error = ConfigError;

    fn try_from(token: String) -> Result<Self, ConfigError> {
        Self::new(token)
    }
}

impl TryFrom<&str> for AccessToken {
    type Error = ConfigError;

    fn try_from(token: &str) -> Result<Self, ConfigError> {
        Self::new(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_header_is_sensitive_and_exact() {
        let token = AccessToken::new("abc").unwrap();
        assert_eq!(token.authorization(), "Bearer abc");
        assert!(token.authorization().is_sensitive());
    }

    // case: place-09
    #[test]
    fn an_illegal_byte_is_an_error_that_does_not_repeat_the_token() {
        for bad in ["", "a b", "a\nb", "caf\u{e9}", "a\u{7f}", &"x".repeat(MAX_TOKEN_LEN + 1)] {
            let error = AccessToken::new(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
