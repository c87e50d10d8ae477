//! What a cache is made of, what it holds, and how each event changes that. The engine keeps it under
//! its lock. Nothing here waits, starts a task or reports.

#[cfg(feature = "store")]
use super::store::SharedStore;
use super::{
    machine::{Ended, Fetched, Machine},
    source::Source,
    status::Counts,
};
use crate::{
    AccessToken, Clock, ScopeSet,
    back_channel::retry_after::MAX_RETRY_AFTER,
    client::{Error, ErrorKind, RefreshPolicy, TokenResponse, TokenState, TokenStatus},
    observe::tokens::Reporter,
    vocabulary::{clock::Now, flight::Joined, token::Giver},
};
use std::{
    convert::Infallible,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::oneshot};

/// What a caller gets.
pub(super) type Outcome = Result<AccessToken, Error>;

/// What a cache is made of. It does not change once the cache is used.
pub(super) struct Setup {
    pub(super) source: Source,
    policy: RefreshPolicy,
    pub(super) clock: Clock,
    /// Where leases are counted from.
    base: Instant,
    pub(super) reporter: Reporter,
}

pub(super) struct State {
    pub(super) setup: Arc<Setup>,
    pub(super) machine: Machine,
    token: Option<AccessToken>,
    pub(super) granted: Option<ScopeSet>,
    withheld: ScopeSet,
    pub(super) flight: Option<RunningFetch>,
    /// The last fetch that was abandoned because its task did not run. Its late token still counts.
    stalled: Option<Box<RunningFetch>>,
    pub(super) last_error: Option<Error>,
    pub(super) counts: Counts,
    /// How often anything happened.
    pub(super) events: u64,
    /// How often the user changed something, after which waiting callers ask again.
    pub(super) interventions: u64,
    pub(super) is_used: bool,
    pub(super) is_shut_down: bool,
}

/// A fetch in flight. Dropping this ends it.
pub(super) struct RunningFetch {
    pub(super) joined: Joined<Outcome>,
    pub(super) _end: oneshot::Sender<Infallible>,
}

/// What became of a fetch.
pub(super) struct Landing {
    pub(super) ended: Ended,
    pub(super) result: Result<TokenResponse, Error>,
}

impl Setup {
    pub(super) fn new(source: Source, policy: &RefreshPolicy, clock: Clock) -> Self {
        let (base, reporter) = (clock.monotonic(), Reporter::new(source.labels()));
        Self { source, policy: policy.clone(), clock, base, reporter }
    }

    pub(super) fn patience(&self) -> Duration {
        self.policy.values().patience
    }

    pub(super) fn fetch_deadline(&self) -> Duration {
        self.policy.values().fetch_deadline
    }

    /// Returns where a fetch, and the timers of those who wait for one, run.
    pub(super) fn runtime(&self) -> Result<Handle, Error> {
        self.clock.runtime().ok_or_else(|| {
            let text = "a token has to be fetched, which needs a tokio runtime with timers: \
                        call from within one";
            Error::new(ErrorKind::NoRuntime, text)
        })
    }

    /// Returns `true` while `held` may be sent without asking the cache.
    #[inline]
    pub(super) fn is_leased(&self, held: &AccessToken) -> bool {
        let lease = held.lease().load(Ordering::Acquire);
        let (secs, nanos) = (lease >> NANOS_BITS, lease & !(u64::MAX << NANOS_BITS));
        #[expect(clippy::cast_possible_truncation, reason = "30 bits of it are left")]
        let since = Duration::new(secs, nanos as u32);
        // The end is computed rather than the time since the base: half the arithmetic.
        let until = self.base.checked_add(since);
        lease != 0 && until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// The lease until `instant`: seconds since the base, and nanoseconds in the lowest bits, which
    /// spares each call a division.
    fn lease_until(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.base);
        (since.as_secs() << NANOS_BITS) | u64::from(since.subsec_nanos())
    }
}

const LATE: &str = "the token had expired when it came";

/// As many as hold the nanoseconds of a second.
const NANOS_BITS: u32 = 30;

impl State {
    pub(super) fn new(setup: Setup, policy: RefreshPolicy, can_fetch: bool) -> Self {
        Self {
            machine: Machine::new(policy, setup.clock.fraction(), can_fetch),
            setup: Arc::new(setup),
            token: None,
            granted: None,
            withheld: ScopeSet::empty(),
            flight: None,
            stalled: None,
            last_error: None,
            counts: Counts::default(),
            events: 0,
            interventions: 0,
            is_used: false,
            is_shut_down: false,
        }
    }

    /// Puts `store` in front of the source.
    ///
    /// # Errors
    ///
    /// See [`Source::with_store`].
    #[cfg(feature = "store")]
    pub(super) fn with_store(mut self, store: SharedStore) -> Result<Self, crate::ConfigError> {
        let (refresh, clock) = (self.machine.policy(), &self.setup.clock);
        let source = self.setup.source.with_store(store, refresh.clone(), clock.clone())?;
        self.setup = Arc::new(Setup::new(source, refresh, clock.clone()));
        Ok(self)
    }

    /// The time of this cache.
    pub(super) fn now(&self) -> Now {
        self.setup.clock.now()
    }

    /// Returns the token, if it may be sent.
    pub(super) fn usable(&self, now: Now) -> Option<&AccessToken> {
        self.token.as_ref().filter(|_| self.machine.is_usable(now))
    }

    /// Returns how long the token is good, if that is known.
    pub(super) fn expires_in(&self, now: Now) -> Option<Duration> {
        self.machine.expires_in(now).filter(|_| self.token.is_some())
    }

    pub(super) fn status(&self) -> TokenStatus {
        let now = self.now();
        let state = match &self.token {
            _ if self.is_shut_down => TokenState::ShutDown,
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
            store_failures: self.setup.source.store_failures(),
            events: self.events,
        }
    }

    /// Returns the token, and sets its lease.
    pub(super) fn serve(&self, now: Now) -> Outcome {
        let token = self.token.as_ref().ok_or_else(Error::aborted)?;
        let lease = self.machine.lease(now).map_or(0, |until| self.setup.lease_until(until));
        token.lease().store(lease, Ordering::Release);
        Ok(token.clone())
    }

    /// Returns the token if it may be sent, be it suspect, and `error` otherwise.
    pub(super) fn usable_or(&self, now: Now, error: Error) -> Outcome {
        self.usable(now).cloned().ok_or(error)
    }

    /// Makes `flight` the fetch in flight.
    pub(super) fn fly(&mut self, flight: RunningFetch) {
        if let Some(stalled) = self.flight.replace(flight) {
            self.stalled = Some(Box::new(stalled));
        }
    }

    /// Ends the fetches in flight.
    pub(super) fn end_flights(&mut self) {
        (self.flight, self.stalled) = (None, None);
    }

    /// Takes note that the resource rejected the token. Returns `true` if another may come; this one
    /// is out of use otherwise, and suspect until then.
    pub(super) fn rejected(&mut self, now: Now) -> bool {
        self.counts.rejected();
        let again = self.machine.rejected(now);
        if !again {
            self.retire();
        } else if let Some(token) = &self.token {
            token.lease().store(0, Ordering::Release);
        }
        again
    }

    /// Takes the token out of use.
    pub(super) fn retire(&mut self) -> Option<AccessToken> {
        let token = self.token.take()?;
        token.lease().store(0, Ordering::Release);
        Some(token)
    }

    pub(super) fn holds(&self, token: &AccessToken) -> bool {
        self.token.as_ref().is_some_and(|held| held.has_text_of(token))
    }

    /// Returns `true` if there is a token, or one may come.
    pub(super) fn may_have_another(&self) -> bool {
        let is_coming = self.machine.is_fetching() || self.machine.is_refetchable();
        self.token.is_some() || is_coming && !self.is_shut_down
    }

    /// Returns how long it is until the next fetch may start, if it may not start at once.
    pub(super) fn next_try(&self) -> Option<Duration> {
        self.machine.next_try(self.now()).filter(|_| !self.is_shut_down)
    }

    /// Takes what became of a fetch. Returns what its waiters get, or why it counts as failed.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        landing: Landing,
        giver: Weak<dyn Giver>,
    ) -> Result<Outcome, Error> {
        let (jitter, Landing { ended, result }) = (self.setup.clock.fraction(), landing);
        self.flight.take_if(|_| self.machine.is_in_flight(ended.attempt));
        let late = || Err(Error::new(ErrorKind::InvalidResponse, LATE));
        let result = match result {
            Ok(response) if response.is_expired(now.wall) => late(),
            result => result,
        };
        let fetched = match result {
            Ok(response) => self.keep(&response, now, ended, giver, jitter),
            Err(error) => {
                let failed = self.setup.source.failed(&error);
                let wait = error.retry_after().map(|wait| wait.min(MAX_RETRY_AFTER));
                self.machine.failed(now, ended, failed, wait, jitter);
                Err(error)
            }
        };
        match &fetched {
            Ok(_) => self.counts.fetched(),
            Err(error) => {
                self.counts.failed();
                self.last_error = Some(error.clone());
            }
        }
        fetched
    }

    fn keep(
        &mut self,
        response: &TokenResponse,
        now: Now,
        ended: Ended,
        giver: Weak<dyn Giver>,
        jitter: f64,
    ) -> Result<Outcome, Error> {
        let can_fetch = self.setup.source.fetched();
        let lifetime = response.lifetime_at(now.wall);
        if self.setup.source.found(response.access_token()) {
            self.machine.found();
        }
        Ok(match self.machine.fetched(now, ended, lifetime, can_fetch, jitter) {
            Fetched::Kept => Ok(self.hold(response, giver)),
            Fetched::Once => {
                self.last_error = None;
                Ok(response.access_token().clone())
            }
            Fetched::Superseded if !self.machine.is_refetchable() => {
                self.usable_or(now, Error::sign_in_needed())
            }
            Fetched::Superseded => {
                let text = "another token took its place, and is not good any more";
                self.usable_or(now, Error::new(ErrorKind::Aborted, text))
            }
            Fetched::Useless => {
                return Err(Error::new(ErrorKind::InvalidResponse, LATE));
            }
        })
    }

    /// Replaces the token by that of the user.
    pub(super) fn store(&mut self, now: Now, response: &TokenResponse, giver: Weak<dyn Giver>) {
        let can_fetch = self.setup.source.stored(response);
        self.machine.stored(now, response.lifetime_at(now.wall), can_fetch);
        self.granted = None;
        self.hold(response, giver);
    }

    fn hold(&mut self, response: &TokenResponse, giver: Weak<dyn Giver>) -> AccessToken {
        self.retire();
        // A token of its own: its lease is this cache's alone.
        let token = response.access_token().given_by(giver);
        self.token = Some(token.clone());
        let renewed = self.granted.take().filter(|_| self.setup.source.session().is_some());
        self.granted = response.granted_after(renewed);
        self.withheld = match (self.setup.source.scopes(), response.scope()) {
            (Some(asked), Some(granted)) => asked.filtered(|scope| !granted.contains(scope)),
            _ => ScopeSet::empty(),
        };
        self.last_error = None;
        token
    }

    /// Returns the token that replaced `held`, if it has `scopes`.
    pub(super) fn wider_than(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<AccessToken> {
        let token = self.usable(self.now()).filter(|token| !token.has_text_of(held))?;
        let is_wide = match &self.granted {
            Some(granted) => granted.contains_all(scopes),
            None => self.setup.source.step_up().is_some_and(|step_up| step_up.asked_for(scopes)),
        };
        is_wide.then(|| token.clone())
    }
}
