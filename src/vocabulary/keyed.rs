//! Keyed digests, which cannot be compared with those of another process.

use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

/// A random key of this process, never shown.
#[derive(Clone)]
pub(crate) struct Key([u64; 2]);

impl Key {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0_u8), random.hash_one(1_u8)])
    }

    /// Returns the digest of `text` under this key.
    pub(crate) fn digest(&self, text: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        hash.update(text);
        hash.finalize().into()
    }

    /// Returns the digest of the pair under this key. No two pairs are hashed as the same bytes.
    pub(crate) fn digest_pair(&self, first: Option<&[u8]>, second: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        // A length that no text has stands for an absent first one.
        let length = first.map_or(u64::MAX, |first| first.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(first.unwrap_or_default());
        hash.update(second);
        hash.finalize().into()
    }
}
