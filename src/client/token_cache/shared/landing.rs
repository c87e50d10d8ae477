//! What becomes of an answer, and of a token that comes in from outside.

use super::{Shared, State};
use crate::{
    AccessToken, ScopeSet,
    client::{
        Error, ErrorKind, TokenResponse,
        token_cache::machine::{Failed, Fetched, Now},
    },
    vocabulary::random,
};
use std::sync::{Arc, Weak, atomic::Ordering};

impl Shared {
    /// The fetch in flight ended: what its waiters get.
    pub(in crate::client) fn landed(
        self: &Arc<Self>,
        result: Result<TokenResponse, Error>,
    ) -> Result<AccessToken, Error> {
        let now = self.now();
        let mut state = self.lock();
        state.flight = None;
        if state.closed {
            state.machine.not_started();
            return Err(Error::shut_down());
        }
        let landed = self.land(&mut state, result, now);
        let outcome = match &landed {
            Ok(outcome) => outcome.clone(),
            // A token that came in from outside meanwhile is as good to those who waited.
            Err(error) => state.usable(now).ok_or_else(|| error.clone()),
        };
        let expires_in = state.expires_in(now);
        drop(state);
        self.reporter.expires_in(expires_in);
        match &landed {
            Ok(_) => self.reporter.fetched(),
            Err(error) => self.reporter.failed(error.kind(), error),
        }
        outcome
    }

    /// What those get who waited for a token that came, or why none did.
    fn land(
        self: &Arc<Self>,
        state: &mut State,
        result: Result<TokenResponse, Error>,
        now: Now,
    ) -> Result<Result<AccessToken, Error>, Error> {
        let jitter = random::fraction();
        let landed = match result {
            Ok(response) => self.keep(state, &response, now, jitter),
            Err(error) => {
                let failed = match error.is_transient() {
                    _ if error.is_sign_in_needed() => Failed::Gone,
                    true => Failed::Transient,
                    false if error.is_lasting() => Failed::OfNoUse,
                    false => Failed::Permanent,
                };
                state.machine.failed(now, failed, error.retry_after(), jitter);
                Err(error)
            }
        };
        match &landed {
            Ok(_) => state.counts.fetched(),
            Err(error) => {
                state.counts.failed();
                state.last_error = Some(error.clone());
            }
        }
        landed
    }

    /// What those get who waited for `response`, or why it counts as a failure.
    fn keep(
        self: &Arc<Self>,
        state: &mut State,
        response: &TokenResponse,
        now: Now,
        jitter: f64,
    ) -> Result<Result<AccessToken, Error>, Error> {
        let (lifetime, refetchable) = (response.lifetime(), self.fetcher.accept(response));
        Ok(match state.machine.fetched(now, lifetime, refetchable, jitter) {
            Fetched::Kept => Ok(self.hold(state, response)),
            Fetched::Once => {
                state.last_error = None;
                Ok(response.access_token().clone())
            }
            Fetched::Superseded if !state.machine.is_refetchable() => {
                state.usable(now).ok_or_else(Error::sign_in_needed)
            }
            Fetched::Superseded => {
                let text = "another token took its place, and is not good any more";
                state.usable(now).ok_or_else(|| Error::new(ErrorKind::Aborted, text))
            }
            Fetched::Useless => {
                let text = "the token had expired when it came";
                return Err(Error::new(ErrorKind::InvalidResponse, text));
            }
        })
    }

    /// Those who waited for the fetch that [`landed`](Self::landed) have heard of it.
    pub(in crate::client) fn tell_landed(&self) {
        self.news.happened();
    }

    pub(in crate::client::token_cache) fn store(self: &Arc<Self>, response: &TokenResponse) {
        let now = self.now();
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let refetchable = self.fetcher.adopt(response);
        state.machine.stored(now, response.lifetime(), refetchable);
        self.hold(&mut state, response);
        let expires_in = state.expires_in(now);
        drop(state);
        self.reporter.expires_in(expires_in);
        self.news.call();
    }

    fn hold(self: &Arc<Self>, state: &mut State, response: &TokenResponse) -> AccessToken {
        self.retire(state);
        // A token of its own: its lease is this cache's alone.
        let giver: Weak<Self> = Arc::downgrade(self);
        let token = response.access_token().given_by(giver);
        state.token = Some(token.clone());
        state.granted = response.scope().cloned();
        state.withheld = match (self.fetcher.scopes(), response.scope()) {
            (Some(asked), Some(granted)) => asked.filtered(|scope| !granted.contains(scope)),
            _ => ScopeSet::empty(),
        };
        state.last_error = None;
        self.warm.store(true, Ordering::Relaxed);
        token
    }
}
