use crate::{
    ClientSecret,
    client::{Grant, TokenEndpoint, token_endpoint::digest::FieldDigest},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// The name under which a [`TokenStore`](crate::client::token_cache::store::TokenStore) keeps a
/// token: a digest of everything that tells it apart from others. It is the same at every replica,
/// and in every version of this crate that can read what another wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreKey(Box<str>);

/// Changes with what goes into the digest, or with how tokens are written.
const VERSION: &str = "2";

impl StoreKey {
    /// Returns the key as text: letters, digits, `-`, `_` and one `.`, at most 64 of them. It holds
    /// no secret; see [`StorePolicy::with_key_secret`](crate::client::token_cache::store::StorePolicy::with_key_secret).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn test(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the key of the tokens that `endpoint` issues for `grant`.
    pub(in crate::client) fn of(
        endpoint: &TokenEndpoint,
        grant: &Grant,
        key_secret: Option<&ClientSecret>,
    ) -> Self {
        let (address, client) = endpoint.identity();
        let (kind, address) = address.identity();
        let mut digest = FieldDigest::default();
        digest.add("key", key_secret.map(ClientSecret::expose));
        digest.add(kind, Some(&address));
        digest.add("form", Some(if grant.is_standard() { "standard" } else { "own" }));
        // A form of its own does not show the client.
        if grant.is_standard() {
            let (method, secret) = client.identity();
            digest.add("client", client.client_id());
            digest.add("method", Some(method));
            digest.add("secret", secret.as_ref().map(|secret| secret.as_str()));
        }
        // Only then, so that the names of other tokens stay what they are.
        if let Some(key) = endpoint.key() {
            digest.add("jkt", Some(key.thumbprint()));
        }
        let mut params = grant.identity();
        params.sort_unstable_by(|one, other| (one.0, &*one.1).cmp(&(other.0, &*other.1)));
        for (name, value) in &params {
            digest.add(name, Some(value));
        }
        Self::named(VERSION, digest)
    }

    /// Returns the key of the session `name` at `endpoint`, which nobody guesses without `key_secret`.
    pub(in crate::client) fn of_session(
        endpoint: &TokenEndpoint,
        name: &str,
        key_secret: &ClientSecret,
    ) -> Self {
        let (address, client) = endpoint.identity();
        let (kind, address) = address.identity();
        let mut digest = FieldDigest::default();
        digest.add("session key", Some(key_secret.expose()));
        digest.add(kind, Some(&address));
        digest.add("client", client.client_id());
        digest.add("session", Some(name));
        Self::named("s1", digest)
    }

    fn named(version: &str, digest: FieldDigest) -> Self {
        Self(format!("{version}.{}", BASE64_URL_SAFE_NO_PAD.encode(digest.finish())).into())
    }
}
