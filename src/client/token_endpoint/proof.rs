use super::{TokenEndpoint, digest::bound};
use crate::{AccessToken, ConfigError, ProofKey, vocabulary::bond::Prove};
use std::sync::Arc;

impl TokenEndpoint {
    /// Binds the tokens to `key` ([RFC 9449 §5]): each request proves its possession, and so does each
    /// call with one of the tokens. Defaults to tokens that are bound to nothing.
    ///
    /// A nonce that the authorization server asks for is used from then on, at the cost of one more
    /// request. A token that it does not bind is an error; see [`ProofKey::allow_bearer`].
    ///
    /// [RFC 9449 §5]: https://www.rfc-editor.org/rfc/rfc9449#section-5
    pub fn with_proof(self, key: ProofKey) -> Self {
        self.with_key(Arc::new(key))
    }
}

impl AccessToken {
    /// Returns the token, bound to `key`: it goes as `DPoP`, with a proof for each request. For a token
    /// that comes from elsewhere with its key.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn bound_to(&self, key: &ProofKey) -> Result<Self, ConfigError> {
        let key: Arc<dyn Prove> = Arc::new(key.clone());
        bound(self, &key)
    }
}
