//! Digests that mean nothing outside of this process.

use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

/// A key that is random per process and per use, and never shown.
#[derive(Clone)]
pub(crate) struct Key([u64; 2]);

impl Key {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0_u8), random.hash_one(1_u8)])
    }

    /// The digest of `text` under this key.
    pub(crate) fn digest(&self, text: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        hash.update(text);
        hash.finalize().into()
    }

    /// The digest of the pair under this key; no other pair has the same text.
    pub(crate) fn digest_pair(&self, first: Option<&[u8]>, second: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        // A length that no text has stands for the first that is not there.
        let length = first.map_or(u64::MAX, |first| first.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(first.unwrap_or_default());
        hash.update(second);
        hash.finalize().into()
    }
}
