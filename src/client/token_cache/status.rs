use crate::{ScopeSet, client::Error};
use std::time::Duration;

/// A snapshot of a [`TokenCache`](crate::client::TokenCache), without a secret.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    pub(in crate::client) state: TokenState,
    pub(in crate::client) fetching: bool,
    pub(in crate::client) expires_in: Option<Duration>,
    pub(in crate::client) granted: Option<ScopeSet>,
    pub(in crate::client) withheld: ScopeSet,
    pub(in crate::client) counts: Counts,
    pub(in crate::client) last_error: Option<Error>,
    /// How much had happened.
    pub(in crate::client) events: u64,
    pub(in crate::client) store_failures: u64,
}

/// What a [`TokenCache`](crate::client::TokenCache) has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenState {
    /// Nothing: no token was fetched yet, or the last was rejected or revoked. The next caller
    /// has one fetched.
    Absent,
    /// A token that need not be renewed yet.
    Fresh,
    /// A token that goes out, and is due to be renewed: the next caller has that begun.
    Stale,
    /// A token that does not go out any more. The next caller has another fetched.
    Expired,
    /// Nothing, and nothing can be fetched: the user has to sign in.
    SignInNeeded,
    /// Nothing, for good.
    ShutDown,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::client) struct Counts {
    started: u64,
    retried: u64,
    failed: u64,
    rejected: u64,
    /// How many fetches failed since one did not.
    failed_in_a_row: u64,
}

impl Counts {
    pub(in crate::client) fn started(&mut self) {
        self.started = self.started.saturating_add(1);
        self.retried = self.retried.saturating_add(u64::from(self.failed_in_a_row > 0));
    }

    pub(in crate::client) fn fetched(&mut self) {
        self.failed_in_a_row = 0;
    }

    pub(in crate::client) fn failed(&mut self) {
        self.failed = self.failed.saturating_add(1);
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
    }

    pub(in crate::client) fn rejected(&mut self) {
        self.rejected = self.rejected.saturating_add(1);
    }

    /// Which try the fetch in flight is, from 1.
    pub(in crate::client) fn attempt(&self) -> u64 {
        self.failed_in_a_row.saturating_add(1)
    }
}

impl TokenStatus {
    /// What there is.
    #[must_use]
    pub fn state(&self) -> TokenState {
        self.state
    }

    /// Whether there is a token that may be sent.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.state, TokenState::Fresh | TokenState::Stale)
    }

    /// Whether there is one that need not be renewed yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.state == TokenState::Fresh
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
        self.counts.started
    }

    /// How many of them began after a failure, and before a token came.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.counts.retried
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counts.failed
    }

    /// How many tokens were rejected by what they were for.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.counts.rejected
    }

    /// Why the last fetch failed; nothing once one succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// In how many fetches the store failed or was late; see
    /// [`TokenCache::with_store`](crate::client::TokenCache::with_store).
    #[must_use]
    pub fn store_failures(&self) -> u64 {
        self.store_failures
    }
}
