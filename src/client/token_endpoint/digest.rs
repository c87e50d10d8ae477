//! Digests of named texts, and of tokens.

use crate::{AccessToken, ConfigError, vocabulary::bond::Prove};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Returns `token`, bound to `key`.
pub(in crate::client) fn bound(
    token: &AccessToken,
    key: &Arc<dyn Prove>,
) -> Result<AccessToken, ConfigError> {
    let ath = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose()));
    token.with_key(key.clone(), ath)
}

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
