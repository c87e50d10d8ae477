//! The digests of tokens in the tables.

use crate::vocabulary::keyed::Key;
use siphasher::sip128::SipHasher13;
use std::hash::{BuildHasher, Hasher};

/// 128 bits of a keyed digest: as good as random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(u128);

/// The keys of one cache. They are random and never shown.
pub(super) struct Digests {
    signatures: SipHasher13,
    tokens: Key,
}

impl Digests {
    pub(super) fn new() -> Self {
        let key = leading_bits(Key::random().digest(&[])).to_le_bytes();
        Self { signatures: SipHasher13::new_with_key(&key), tokens: Key::random() }
    }

    /// Digests a signature. The signed text is compared besides.
    pub(super) fn of_signature(&self, signature: &[u8]) -> Digest {
        Digest(self.signatures.hash(signature).into())
    }

    /// Digests a whole token, cryptographically: nothing else is compared.
    pub(super) fn of_token(&self, token: &[u8]) -> Digest {
        Digest(leading_bits(self.tokens.digest(token)))
    }
}

fn leading_bits(digest: [u8; 32]) -> u128 {
    digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Hashes a digest to itself: another hash would make it no more random.
#[derive(Clone, Copy, Default)]
pub(super) struct IdentityHash(u64);

impl BuildHasher for IdentityHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

impl Hasher for IdentityHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a random number is one too")]
    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // case: intro-020
    #[test]
    fn digests_are_kept_under_keys_of_each_cache() {
        let (one, other) = (Digests::new(), Digests::new());
        assert!(one.of_token(b"abc") == one.of_token(b"abc"));
        assert!(one.of_token(b"abc") != one.of_token(b"abd"));
        assert!(one.of_token(b"abc") != other.of_token(b"abc"));
        assert!(one.of_signature(b"abc") == one.of_signature(b"abc"));
        assert!(one.of_signature(b"abc") != one.of_signature(b"abd"));
        assert!(one.of_signature(b"abc") != other.of_signature(b"abc"));
        assert!(one.of_signature(b"abc") != one.of_token(b"abc"));
    }

    #[test]
    fn a_digest_is_its_own_hash() {
        let digest = Digests::new().of_token(b"abc");
        assert_eq!(
            u128::from(IdentityHash::default().hash_one(digest)),
            digest.0 & u128::from(u64::MAX)
        );
    }
}
