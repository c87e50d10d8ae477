use super::Error;
use crate::ScopeSet;
use std::time::Duration;

/// A snapshot of a [`TokenCache`](super::TokenCache), without a secret.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    pub(super) usable: bool,
    pub(super) fresh: bool,
    pub(super) fetching: bool,
    pub(super) expires_in: Option<Duration>,
    pub(super) granted: Option<ScopeSet>,
    pub(super) withheld: ScopeSet,
    pub(super) fetches: u64,
    pub(super) last_error: Option<Error>,
    pub(super) store_failures: u64,
}

impl TokenStatus {
    /// Whether there is a token that may be sent.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether there is one that need not be renewed yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a fetch is in flight.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// How long the token is good; nothing where there is none, or no expiry is known.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// The scopes that were granted, where the server said so.
    #[must_use]
    pub fn granted(&self) -> Option<&ScopeSet> {
        self.granted.as_ref()
    }

    /// The scopes that were asked for and not granted: calls that need them will be refused. Empty
    /// where the server did not say, which means all of them.
    #[must_use]
    pub fn withheld(&self) -> &ScopeSet {
        &self.withheld
    }

    /// How many fetches were started.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.fetches
    }

    /// Why the last fetch failed; nothing once one succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// In how many fetches the store failed or was late; see
    /// [`TokenCache::with_store`](super::TokenCache::with_store).
    #[must_use]
    pub fn store_failures(&self) -> u64 {
        self.store_failures
    }
}
