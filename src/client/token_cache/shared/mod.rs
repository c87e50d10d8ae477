//! What the clones of a cache share, and what they do with it under its lock.

mod landing;

use super::{
    fetcher::Fetcher,
    flight,
    machine::{Ask, Machine, Now},
    news::{Listener, News},
    state::State,
};
use crate::{
    AccessToken, ClientSecret, Clock, ConfigError, ScopeSet,
    client::{Error, ErrorKind, RefreshPolicy, TokenRevocation, TokenStatus},
    observe::tokens::Reporter,
    vocabulary::{random, token::Giver},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What the clones of a cache share.
///
/// Everything that is decided is decided under `state`. Beside it there are two atomics, which
/// only spare callers the lock: `warm`, a hint, and the lease inside the token that is held (see
/// [`AccessToken::lease`]), which is written under the lock alone: set when the token is handed
/// out, cleared before another takes its place. A reader that still sees the old lease sends a
/// token that was good when the lease was given.
pub(in crate::client) struct Shared {
    state: Mutex<State>,
    warm: AtomicBool,
    fetcher: Box<dyn Fetcher>,
    policy: RefreshPolicy,
    clock: Clock,
    /// Where the nanoseconds of a lease are counted from.
    base: Instant,
    news: News,
    reporter: Reporter,
}

/// A fetcher made of another.
pub(in crate::client) type Made = Result<Box<dyn Fetcher>, ConfigError>;

/// What a caller does next.
pub(in crate::client) enum Next {
    Take(Result<AccessToken, Error>),
    Wait(flight::Joined, Listener),
    AskAgainAt(Instant, Listener),
    /// The client was refused, with a secret that may have been changed since.
    LookAtSecret(Error),
}

impl Shared {
    pub(in crate::client::token_cache) fn new(
        fetcher: Box<dyn Fetcher>,
        policy: RefreshPolicy,
        clock: Clock,
        refetchable: bool,
    ) -> Self {
        let machine = Machine::new(policy.clone(), random::fraction(), refetchable);
        let base = clock.monotonic();
        let reporter = Reporter::new(fetcher.source());
        Self {
            state: Mutex::new(State::new(machine)),
            warm: AtomicBool::new(false),
            fetcher,
            policy,
            clock,
            base,
            news: News::new(),
            reporter,
        }
    }

    /// The same with the fetcher that `make` makes of its own.
    ///
    /// # Errors
    ///
    /// When `make` says no.
    pub(in crate::client::token_cache) fn over(
        self,
        make: impl FnOnce(Box<dyn Fetcher>, &RefreshPolicy, &Clock) -> Made,
    ) -> Result<Self, ConfigError> {
        let fetcher = make(self.fetcher, &self.policy, &self.clock)?;
        Ok(Self { fetcher, ..self })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::client) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(in crate::client) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(in crate::client) fn fetcher(&self) -> &dyn Fetcher {
        &*self.fetcher
    }

    pub(in crate::client) fn fetch_deadline(&self) -> Duration {
        self.policy.fetch_deadline
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.base);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Asks the machine, and starts the fetch that it wants.
    pub(in crate::client) fn next(self: &Arc<Self>, now: Now, give_up: Instant) -> Next {
        let mut launch = None;
        let mut state = self.lock();
        if state.closed {
            return Next::Take(Err(Error::shut_down()));
        }
        let ask = state.machine.ask(now, give_up);
        let next = match ask {
            Ask::Serve => self.serve(&state, now),
            Ask::ServeAndFetch => {
                // Without a runtime the token is still good, and the next call tries again.
                launch = self.prepare(&mut state).ok();
                self.serve(&state, now)
            }
            Ask::Fetch => match self.prepare(&mut state) {
                Ok((prepared, joined)) => {
                    launch = Some((prepared, joined.clone()));
                    Next::Wait(joined, self.news.listen())
                }
                Err(error) => Next::Take(Err(error)),
            },
            Ask::Join => match &state.flight {
                Some(joined) => Next::Wait(joined.clone(), self.news.listen()),
                None => Next::Take(Err(aborted())),
            },
            Ask::WaitUntil(instant) => Next::AskAgainAt(instant, self.news.listen()),
            Ask::Fail { next_try } => {
                let error = state.last_error.clone().unwrap_or_else(too_soon);
                let refused = error.kind() == ErrorKind::Refused && !error.is_transient();
                let error = error.with_next_try(next_try);
                match refused && self.fetcher.rotates_its_secret() {
                    true => Next::LookAtSecret(error),
                    false => Next::Take(Err(error)),
                }
            }
            Ask::Gone => Next::Take(Err(Error::sign_in_needed())),
        };
        if !matches!(ask, Ask::Serve | Ask::ServeAndFetch) {
            self.warm.store(false, Ordering::Relaxed);
        }
        let (expires_in, attempt) = (state.expires_in(now), state.counts.attempt());
        // Not under the lock: a runtime that is shutting down ends the task at once, and what is
        // told is told to code of others.
        drop(state);
        self.reporter.expires_in(expires_in);
        if let Some((launch, _)) = launch {
            launch.spawn(self.reporter.started(attempt));
            self.news.happened();
        }
        next
    }

    fn serve(&self, state: &State, now: Now) -> Next {
        match &state.token {
            Some(token) => {
                let lease = state.machine.lease(now).map_or(0, |until| self.nanos(until));
                token.lease().store(lease, Ordering::Release);
                Next::Take(Ok(token.clone()))
            }
            None => Next::Take(Err(aborted())),
        }
    }

    /// Makes the fetch, which reports to [`landed`](Self::landed) whatever becomes of it.
    fn prepare(
        self: &Arc<Self>,
        state: &mut State,
    ) -> Result<(flight::Launch, flight::Joined), Error> {
        let handle = flight::runtime().inspect_err(|_| state.machine.not_started())?;
        state.counts.started();
        let (launch, joined) = flight::Launch::new(handle, self, self.news.listen());
        state.flight = Some(joined.clone());
        Ok((launch, joined))
    }

    fn retire(&self, state: &mut State) {
        if let Some(old) = state.token.take() {
            old.lease().store(0, Ordering::Release);
        }
        self.warm.store(false, Ordering::Relaxed);
    }

    pub(in crate::client::token_cache) fn granted(&self) -> Option<ScopeSet> {
        self.lock().granted.clone()
    }

    /// The token that took the place of `held`, where it has `scopes`.
    pub(in crate::client::token_cache) fn wider_than(
        &self,
        held: &AccessToken,
        scopes: &ScopeSet,
    ) -> Option<AccessToken> {
        let now = self.now();
        let state = self.lock();
        let token = state.usable(now).filter(|token| !token.has_text_of(held))?;
        let is_wide = match &state.granted {
            Some(granted) => granted.contains_all(scopes),
            None => self.fetcher.step_up().is_some_and(|step_up| step_up.asked_for(scopes)),
        };
        is_wide.then_some(token)
    }

    /// The fetch in flight, or one that is started although the token is good; nothing where none
    /// may be started now.
    pub(in crate::client::token_cache) fn fetch_wider(self: &Arc<Self>) -> Option<flight::Joined> {
        let now = self.now();
        let mut state = self.lock();
        if let Some(joined) = &state.flight {
            return Some(joined.clone());
        }
        if state.closed || !state.machine.ask_for_better(now) {
            return None;
        }
        let (launch, joined) = self.prepare(&mut state).ok()?;
        let attempt = state.counts.attempt();
        drop(state);
        launch.spawn(self.reporter.started(attempt));
        self.news.happened();
        Some(joined)
    }

    /// Gives up the token that is held, and the refresh token: what is to be revoked at `endpoint`.
    pub(in crate::client::token_cache) fn give_up(
        &self,
        endpoint: &TokenRevocation,
    ) -> (Option<AccessToken>, Option<ClientSecret>) {
        let mut state = self.lock();
        let token = state.token.clone();
        self.retire(&mut state);
        let refresh_token = self.fetcher.forget(Some(endpoint));
        state.machine.given_up(refresh_token.is_some());
        drop(state);
        self.reporter.expires_in(Some(Duration::ZERO));
        self.news.call();
        (token, refresh_token)
    }

    pub(in crate::client::token_cache) fn shut_down(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.retire(&mut state);
        self.fetcher.forget(None);
        drop(state);
        self.reporter.expires_in(Some(Duration::ZERO));
        self.news.close();
    }

    /// The lease of `held` runs.
    pub(in crate::client::token_cache) fn is_leased(&self, held: &AccessToken) -> bool {
        let lease = held.lease().load(Ordering::Acquire);
        // The end is made out rather than the time since the base: half the arithmetic.
        let until = self.base.checked_add(Duration::from_nanos(lease));
        lease != 0 && until.is_some_and(|until| self.clock.monotonic() < until)
    }

    pub(in crate::client::token_cache) fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Relaxed)
    }

    pub(in crate::client::token_cache) fn patience(&self) -> Duration {
        self.policy.patience
    }

    /// The client has another secret.
    pub(in crate::client) fn credential_changed(&self) {
        let now = self.now();
        self.lock().machine.credential_changed(now);
        self.news.call();
    }

    pub(in crate::client) fn next_try(&self) -> Option<Duration> {
        let now = self.now();
        let state = self.lock();
        state.machine.next_try(now).filter(|_| !state.closed)
    }

    pub(in crate::client::token_cache) fn status(&self) -> TokenStatus {
        // Before the state: what happens meanwhile is news to whoever waits with this status.
        let events = self.news.events();
        let now = self.now();
        let status = self.lock().status(now, events);
        TokenStatus { store_failures: self.fetcher.store_failures(), ..status }
    }

    /// Whether there is a token or a fetch in flight: both report to this very place.
    pub(in crate::client::token_cache) fn has_begun(&self) -> bool {
        let state = self.lock();
        state.token.is_some() || state.machine.is_fetching()
    }

    /// Whether a fetch is in flight.
    pub(in crate::client::token_cache) fn is_fetching(&self) -> bool {
        self.lock().machine.is_fetching()
    }

    /// The news from now on.
    pub(in crate::client::token_cache) fn news(&self) -> Listener {
        self.news.listen()
    }
}

impl Giver for Shared {
    fn reject(&self, rejected: &AccessToken) -> bool {
        let now = self.now();
        let mut state = self.lock();
        let again = match &state.token {
            Some(held) if held.has_text_of(rejected) => {
                self.retire(&mut state);
                state.counts.rejected();
                state.machine.rejected(now)
            }
            // Another has taken its place already, or is on its way.
            Some(_) => return true,
            None => {
                let coming = state.machine.is_fetching() || state.machine.is_refetchable();
                return coming && !state.closed;
            }
        };
        drop(state);
        self.reporter.rejected();
        self.reporter.expires_in(Some(Duration::ZERO));
        self.news.happened();
        again
    }
}

fn aborted() -> Error {
    flight::aborted()
}

fn too_soon() -> Error {
    let text = "there is no token, and the next may not be fetched yet";
    Error::new(ErrorKind::Transport, text)
}
