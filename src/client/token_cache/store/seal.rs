use super::{StoreKey, Version};
use crate::ConfigError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// The keys that encrypt the tokens of a [`TokenStore`](crate::client::TokenStore), the same at every
/// replica: AES-256-GCM, bound to the [`StoreKey`] and the [`Version`] of a value.
///
/// The first key encrypts, all of them decrypt. To replace a key, first add the new one as an
/// [older key](Self::with_older_key) at every replica, then make it the first, then drop the old one.
///
/// ```
/// use tower_oauth2::client::StoreKeys;
///
/// # let (new, old) = ([1; 32], [2; 32]);
/// let keys = StoreKeys::new(&new)?.with_older_key(&old)?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct StoreKeys {
    keys: Vec<Arc<RandomizedNonceKey>>,
}

/// The format of what is sealed: its first byte.
const FORMAT: u8 = 1;
/// The largest value that is opened. One of a token that a header can carry is far smaller.
const MAX_LEN: usize = 256 * 1024;

impl StoreKeys {
    /// Creates the keys from the one that encrypts: 32 random bytes.
    ///
    /// # Errors
    ///
    /// If the library of cryptography refuses the key.
    pub fn new(key: &[u8; 32]) -> Result<Self, ConfigError> {
        Self { keys: Vec::new() }.with_older_key(key)
    }

    /// Adds a key that only decrypts.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_older_key(mut self, key: &[u8; 32]) -> Result<Self, ConfigError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key)
            .map_err(|_| ConfigError::new("a key of the store is not one of AES-256"))?;
        self.keys.push(Arc::new(key));
        Ok(self)
    }

    /// Returns `text` encrypted, or `None` if it is too long to be read again, or the library of cryptography
    /// fails.
    pub(in crate::client::token_cache) fn seal(
        &self,
        kind: Kind,
        (key, version): (&StoreKey, &Version),
        mut text: Zeroizing<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        // Grown beforehand, so that no copy of the text stays behind.
        text.reserve_exact(AES_256_GCM.tag_len());
        let bound = kind.bound_to(key, version);
        let nonce = self.keys.first()?.seal_in_place_append_tag(bound, &mut *text).ok()?;
        (nonce.as_ref().len() + text.len() <= MAX_LEN).then_some(())?;
        Some([&[FORMAT][..], nonce.as_ref(), &text].concat())
    }

    /// Returns what `read` makes of `sealed`, or `None` if no key opens it.
    pub(in crate::client::token_cache) fn open<T>(
        &self,
        kind: Kind,
        (key, version): (&StoreKey, &Version),
        sealed: &[u8],
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let [FORMAT, rest @ ..] = sealed else { return None };
        let (nonce, sealed) = rest.split_first_chunk().filter(|_| rest.len() <= MAX_LEN)?;
        self.keys.iter().find_map(|own| {
            let mut text = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::assume_unique_for_key(*nonce);
            read(own.open_in_place(nonce, kind.bound_to(key, version), &mut text).ok()?)
        })
    }
}

/// What is sealed.
#[derive(Clone, Copy, Debug)]
pub(in crate::client::token_cache) enum Kind {
    Token,
    Session,
}

impl Kind {
    /// A value opens as what it was, under its own key and version: none takes the place of another.
    fn bound_to(self, key: &StoreKey, version: &Version) -> Aad<String> {
        let kind = match self {
            Self::Token => "token",
            Self::Session => "session",
        };
        Aad::from(format!("tower-oauth2 {kind} {} {}", key.as_str(), version.as_str()))
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKeys").field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"mF_9.B5f-4.1JqM";

    fn sealed(keys: &StoreKeys, key: &StoreKey, version: &Version) -> Vec<u8> {
        keys.seal(Kind::Token, (key, version), Zeroizing::new(TEXT.to_vec())).unwrap()
    }

    fn open(keys: &StoreKeys, key: &StoreKey, version: &Version, sealed: &[u8]) -> Option<Vec<u8>> {
        keys.open(Kind::Token, (key, version), sealed, |text| Some(text.to_vec()))
    }

    #[test]
    fn what_was_sealed_opens_under_its_own_key_and_version_alone() {
        let (key, other) = (StoreKey::test("a"), StoreKey::test("b"));
        let (version, newer): (Version, Version) = ("v1".parse().unwrap(), "v2".parse().unwrap());
        let keys = StoreKeys::new(&[1; 32]).unwrap();
        let sealed = sealed(&keys, &key, &version);
        assert_eq!(open(&keys, &key, &version, &sealed).unwrap(), TEXT);
        let as_session =
            keys.open(Kind::Session, (&key, &version), &sealed, |text| Some(text.to_vec()));
        assert!(as_session.is_none());
        assert!(open(&keys, &other, &version, &sealed).is_none());
        assert!(open(&keys, &key, &newer, &sealed).is_none());
        assert!(open(&StoreKeys::new(&[2; 32]).unwrap(), &key, &version, &sealed).is_none());
    }

    #[test]
    fn a_value_that_was_changed_in_any_byte_does_not_open() {
        let (key, version) = (StoreKey::test("a"), "v1".parse().unwrap());
        let keys = StoreKeys::new(&[1; 32]).unwrap();
        let sealed = sealed(&keys, &key, &version);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&keys, &key, &version, &changed).is_none(), "byte {at}");
            assert!(open(&keys, &key, &version, &sealed[..at]).is_none(), "{at} bytes");
        }
        assert!(open(&keys, &key, &version, &[FORMAT; MAX_LEN + 2]).is_none());
    }

    #[test]
    fn older_keys_open_and_the_first_seals() {
        let (key, version) = (StoreKey::test("a"), "v1".parse().unwrap());
        let old = StoreKeys::new(&[1; 32]).unwrap();
        let new = StoreKeys::new(&[2; 32]).unwrap();
        let both = new.clone().with_older_key(&[1; 32]).unwrap();
        assert!(open(&both, &key, &version, &sealed(&old, &key, &version)).is_some());
        assert!(open(&new, &key, &version, &sealed(&both, &key, &version)).is_some());
        assert!(open(&old, &key, &version, &sealed(&both, &key, &version)).is_none());
    }

    #[test]
    fn nothing_of_a_token_can_be_read_in_what_is_sealed() {
        let (key, version) = (StoreKey::test("a"), "v1".parse().unwrap());
        let sealed = sealed(&StoreKeys::new(&[1; 32]).unwrap(), &key, &version);
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("mF_9") && !text.contains("JqM"));
    }
}
