use crate::{HealthPart, ScopeSet, client::Error};
use serde_json::json;
use std::time::Duration;

/// A snapshot of a [`TokenCache`](crate::client::TokenCache). It holds no secret.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    pub(in crate::client) state: TokenState,
    pub(in crate::client) fetching: bool,
    pub(in crate::client) expires_in: Option<Duration>,
    pub(in crate::client) granted: Option<ScopeSet>,
    pub(in crate::client) withheld: ScopeSet,
    pub(in crate::client) counts: Counts,
    pub(in crate::client) last_error: Option<Error>,
    /// How many changes there were before it.
    pub(in crate::client) events: u64,
    pub(in crate::client) store_failures: u64,
}

/// The state of a [`TokenCache`](crate::client::TokenCache).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenState {
    /// No token: none was fetched yet, or the last was revoked. The next caller starts a fetch.
    Absent,
    /// A token that need not be renewed yet.
    Fresh,
    /// A token that is sent, and is due to be renewed, or that a resource rejected: the next caller
    /// starts a fetch, if one may start.
    Stale,
    /// A token that is no longer sent. The next caller starts a fetch.
    Expired,
    /// No token, and none can be fetched: the user has to sign in.
    SignInNeeded,
    /// No token, because the cache was shut down.
    ShutDown,
}

/// Ready while a token may be sent. `state` is the name of the [`TokenState`].
impl From<TokenStatus> for HealthPart {
    fn from(status: TokenStatus) -> Self {
        Self::new(json!({
            "ready": status.is_usable(),
            "state": format!("{:?}", status.state),
            "expires_in": status.expires_in.map(|left| left.as_secs()),
            "error": status.last_error.map(|error| error.to_string()),
        }))
    }
}

/// How often each thing happened. In few bytes, because each user of a pool has these.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::client) struct Counts {
    started: u32,
    retried: u32,
    failed: u32,
    rejected: u32,
    /// How many fetches failed since the last that did not.
    failed_in_a_row: u32,
}

impl Counts {
    pub(in crate::client) fn started(&mut self) {
        self.started = self.started.saturating_add(1);
        self.retried = self.retried.saturating_add(u32::from(self.failed_in_a_row > 0));
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

    /// Returns which try the fetch in flight is, from 1.
    pub(in crate::client) fn attempt(&self) -> u64 {
        u64::from(self.failed_in_a_row.saturating_add(1))
    }
}

impl TokenStatus {
    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> TokenState {
        self.state
    }

    /// Returns `true` if there is a token that may be sent.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.state, TokenState::Fresh | TokenState::Stale)
    }

    /// Returns `true` if there is a token that need not be renewed yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.state == TokenState::Fresh
    }

    /// Returns `true` if a fetch is in flight.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// Returns how long the token is good, if there is one and its expiry is known.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Returns the scopes that were granted, if the server named them. A renewal that names none leaves
    /// those before it (RFC 6749 §6).
    #[must_use]
    pub fn granted(&self) -> Option<&ScopeSet> {
        self.granted.as_ref()
    }

    /// Returns the scopes that were asked for and not granted: calls that need them will be refused.
    /// Empty if the server named none, which means that it granted all (RFC 6749 §5.1).
    #[must_use]
    pub fn withheld(&self) -> &ScopeSet {
        &self.withheld
    }

    /// Returns how many fetches were started.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.counts.started.into()
    }

    /// Returns how many fetches followed one that failed.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.counts.retried.into()
    }

    /// Returns how many fetches failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counts.failed.into()
    }

    /// Returns how many tokens a resource rejected.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.counts.rejected.into()
    }

    /// Returns why the last fetch failed, if it did.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// Returns how often the store failed, was late, or had a value that no key opens; see
    /// [`TokenCache::with_store`](crate::client::TokenCache::with_store).
    #[must_use]
    pub fn store_failures(&self) -> u64 {
        self.store_failures
    }
}
