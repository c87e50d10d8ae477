//! What a cache has and how it is doing, under its lock.

use super::{
    flight,
    machine::{Machine, Now},
    status::Counts,
};
use crate::{
    AccessToken, ScopeSet,
    client::{Error, TokenState, TokenStatus},
};
use std::time::Duration;

pub(in crate::client::token_cache) struct State {
    pub(in crate::client::token_cache) machine: Machine,
    pub(in crate::client::token_cache) token: Option<AccessToken>,
    pub(in crate::client::token_cache) granted: Option<ScopeSet>,
    pub(in crate::client::token_cache) withheld: ScopeSet,
    pub(in crate::client::token_cache) flight: Option<flight::Joined>,
    pub(in crate::client::token_cache) last_error: Option<Error>,
    pub(in crate::client::token_cache) counts: Counts,
    /// Shut down.
    pub(in crate::client::token_cache) closed: bool,
}

impl State {
    pub(in crate::client::token_cache) fn new(machine: Machine) -> Self {
        Self {
            machine,
            token: None,
            granted: None,
            withheld: ScopeSet::empty(),
            flight: None,
            last_error: None,
            counts: Counts::default(),
            closed: false,
        }
    }

    /// The token that is held, where it may go out.
    pub(in crate::client::token_cache) fn usable(&self, now: Now) -> Option<AccessToken> {
        self.token.clone().filter(|_| self.machine.is_usable(now))
    }

    /// How long the token that is held is good, where that is known.
    pub(in crate::client::token_cache) fn expires_in(&self, now: Now) -> Option<Duration> {
        self.machine.expires_in(now).filter(|_| self.token.is_some())
    }

    pub(in crate::client::token_cache) fn status(&self, now: Now, events: u64) -> TokenStatus {
        let state = match &self.token {
            _ if self.closed => TokenState::ShutDown,
            Some(_) if self.machine.is_fresh(now) => TokenState::Fresh,
            Some(_) if self.machine.is_usable(now) => TokenState::Stale,
            _ if !self.machine.is_refetchable() => TokenState::SignInNeeded,
            Some(_) => TokenState::Expired,
            None => TokenState::Absent,
        };
        TokenStatus {
            state,
            fetching: self.machine.is_fetching(),
            expires_in: self.expires_in(now),
            granted: self.granted.clone(),
            withheld: self.withheld.clone(),
            counts: self.counts,
            last_error: self.last_error.clone(),
            store_failures: 0,
            events,
        }
    }
}
