//! Tokens as parts of keys.

use crate::AccessToken;
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use subtle::ConstantTimeEq;

fn digest(token: &AccessToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

/// In constant time, by a digest.
impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || digest(self).ct_eq(&digest(other)).into()
    }
}

impl Eq for AccessToken {}

impl Hash for AccessToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        digest(self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    #[allow(clippy::mutable_key_type, reason = "what changes in a token is no part of the key")]
    fn tokens_of_one_text_are_one_key_and_others_are_not() {
        let token = |text: &str| AccessToken::new(text).unwrap();
        let mut users = HashMap::from([(token("abc"), 1)]);
        users.insert(token("abc"), 2);
        users.insert(token("abd"), 3);
        assert_eq!(users.len(), 2);
        assert_eq!(users.get(&token("abc")), Some(&2));
        assert_ne!(token("abc"), token("ab"));
        let own = token("abc");
        assert!(own == own.clone() && own == token("abc"));
    }
}
