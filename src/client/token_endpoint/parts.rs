//! A digest of several texts.

use sha2::{Digest, Sha256};

/// Named texts, each with its length before it: no two lists of them are one.
#[derive(Default)]
pub(in crate::client) struct Parts(Sha256);

impl Parts {
    pub(in crate::client) fn add(&mut self, name: &str, value: Option<&str>) {
        for text in [Some(name), value] {
            // A length that no text has stands for one that is not there.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            self.0.update(length.to_le_bytes());
            self.0.update(text.unwrap_or_default());
        }
    }

    pub(in crate::client) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
