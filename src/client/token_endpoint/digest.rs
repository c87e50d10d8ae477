//! A digest of named texts.

use sha2::{Digest, Sha256};

/// Digests named texts, each after its length, so that different lists have different digests.
#[derive(Default)]
pub(in crate::client) struct FieldDigest(Sha256);

impl FieldDigest {
    pub(in crate::client) fn add(&mut self, name: &str, value: Option<&str>) {
        for text in [Some(name), value] {
            // No text has this length: it stands for an absent one.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            self.0.update(length.to_le_bytes());
            self.0.update(text.unwrap_or_default());
        }
    }

    pub(in crate::client) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
