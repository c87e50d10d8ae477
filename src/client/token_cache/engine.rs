//! What the clones of a cache share: one lock, under which everything is decided, and the start of
//! each fetch.

use super::{
    machine::{Ask, Attempt, Ended, Need},
    session::Session,
    source::Source,
    state::{Landing, Outcome, RunningFetch, Setup, State},
};
use crate::{
    AccessToken, ClientSecret,
    client::{Error, ErrorKind, TokenResponse, TokenRevocation},
    observe::tokens::{Instrument, Reporter},
    vocabulary::{
        clock::Now,
        deadline::Deadline,
        flight::{Joined, Launch},
        race::before,
        token::Giver,
    },
};
use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{
    Notify,
    oneshot::{self, error::TryRecvError},
};

/// What the clones of a cache share.
///
/// Everything that is decided is decided under `state`. Beside it there are two atomics, which
/// only spare callers the lock: `warm`, a hint, and the lease inside the token (see
/// [`AccessToken::lease`]), which is written under the lock only: set when the token is served,
/// cleared before another replaces it. A reader that still sees the old lease sends a token that was
/// good when the lease was set.
pub(super) struct Engine {
    state: Mutex<State>,
    /// Wakes the tasks that wait for a change of `state`, after the lock is released. No `watch`
    /// channel, which is eight times as large: a pool has an engine for each user.
    changed: Notify,
    warm: AtomicBool,
    /// That of `state`, from the first use on: it then does not change.
    setup: OnceLock<Arc<Setup>>,
}

/// What a caller does next. The numbers are [`State::interventions`].
pub(super) enum Next {
    Take(Outcome),
    /// Waits for the fetch in flight, and asks again at this instant.
    Join(Joined<Outcome>, Instant, u64),
    AskAgainAt(Instant, u64),
    /// The authorization server refused the client, whose secret may have changed since.
    CompareSecret(Error),
}

impl Engine {
    pub(super) fn new(state: State) -> Self {
        let (changed, warm) = (Notify::new(), AtomicBool::new(false));
        Self { state: Mutex::new(state), changed, warm, setup: OnceLock::new() }
    }

    /// Replaces its setup by that of `other`, or returns `other` if this one is in use.
    pub(super) fn replace(&self, other: State) -> Option<State> {
        let mut state = self.lock();
        if state.is_used {
            return Some(other);
        }
        (state.setup, state.machine) = (other.setup, other.machine);
        None
    }

    pub(super) fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it fetches with, without counting as use.
    pub(super) fn source(&self) -> Source {
        self.lock().setup.source.clone()
    }

    /// Returns what it is made of. From now on it is in use, and its setup stays.
    pub(super) fn setup(&self) -> &Setup {
        self.setup.get_or_init(|| {
            let mut state = self.lock();
            state.is_used = true;
            state.setup.clone()
        })
    }

    /// For a look; only this file changes the state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change: counts it, releases the lock, reports it, and wakes the tasks that wait. Reports
    /// run without the lock, because they run foreign code.
    fn publish(&self, mut state: MutexGuard<'_, State>, now: Now, report: impl FnOnce(&Reporter)) {
        state.events = state.events.wrapping_add(1);
        self.warm.store(state.usable(now).is_some(), Ordering::Relaxed);
        let setup = state.setup.clone();
        drop(state);
        report(&setup.reporter);
        self.changed.notify_waiters();
    }

    /// The same for a change by the user, after which waiting callers ask again.
    fn intervene(&self, mut state: MutexGuard<'_, State>, now: Now, expires_in: Option<Duration>) {
        state.interventions = state.interventions.wrapping_add(1);
        self.publish(state, now, |reporter| reporter.expires_in(expires_in));
    }

    /// Asks the machine, and starts the fetch that it wants.
    pub(super) fn next(self: &Arc<Self>, now: Now, give_up: Instant, need: Need) -> Next {
        let setup = self.setup();
        let mut state = self.lock();
        if state.is_shut_down {
            return Next::Take(Err(Error::shut_down()));
        }
        let seen = state.interventions;
        let ask = state.machine.ask(now, give_up, need);
        let fetches = matches!(ask, Ask::Fetch | Ask::ServeAndFetch);
        let start = fetches.then(|| self.prepare(&mut state)).transpose();
        let next = match ask {
            // Without a runtime the token is still good, and the next call tries again.
            Ask::Serve | Ask::ServeAndFetch => Next::Take(state.serve(now)),
            Ask::Fetch | Ask::Join => match (&start, &state.flight) {
                (Err(error), _) => Next::Take(state.usable_or(now, error.clone())),
                (Ok(_), Some(flight)) => {
                    let look_at = state.machine.look_at().unwrap_or(now.monotonic);
                    Next::Join(flight.joined.clone(), look_at, seen)
                }
                (Ok(_), None) => Next::Take(state.usable_or(now, Error::aborted())),
            },
            Ask::WaitUntil(instant) => Next::AskAgainAt(instant, seen),
            Ask::Fail { next_try } => {
                let error = state.last_error.clone().unwrap_or_else(Error::too_soon);
                let refused = error.kind() == ErrorKind::Refused && !error.is_transient();
                // That of a secret which could not be read, or had expired.
                let unread = error.kind() == ErrorKind::Source;
                let error = error.with_retry_after(next_try);
                match (refused || unread) && setup.source.rotates_its_secret() {
                    true => Next::CompareSecret(error),
                    false => Next::Take(Err(error)),
                }
            }
            Ask::Gone => Next::Take(Err(Error::sign_in_needed())),
        };
        if !matches!(ask, Ask::Serve | Ask::ServeAndFetch) {
            self.warm.store(false, Ordering::Relaxed);
        }
        let expires_in = state.expires_in(now);
        drop(state);
        setup.reporter.expires_in(expires_in);
        if let Ok(Some(start)) = start {
            start();
        }
        next
    }

    /// Starts a fetch although the token is good, or joins the one in flight. `None`: none may be
    /// started now.
    pub(super) fn fetch_wider(self: &Arc<Self>) -> Option<Joined<Outcome>> {
        let mut state = self.lock();
        let mut start = None;
        if !state.machine.is_fetching() {
            let now = state.now();
            if state.is_shut_down || !state.machine.ask_for_better(now) {
                return None;
            }
            start = Some(self.prepare(&mut state).ok()?);
        }
        let joined = state.flight.as_ref().map(|flight| flight.joined.clone());
        drop(state);
        start.into_iter().for_each(|start| start());
        joined
    }

    /// Makes a fetch, and the closure that starts it once the lock is released: where the runtime
    /// is shutting down, the fetch ends within that call.
    fn prepare<'a>(
        self: &'a Arc<Self>,
        state: &mut State,
    ) -> Result<impl FnOnce() + use<'a>, Error> {
        let runtime = state.setup.runtime().inspect_err(|_| state.machine.not_started())?;
        let attempt = state.machine.attempt().ok_or_else(Error::aborted)?;
        state.counts.started();
        state.events = state.events.wrapping_add(1);
        // Not held: a fetch ends with its cache.
        let (engine, watcher) = (Arc::downgrade(self), Arc::downgrade(self));
        let (launch, joined) = Launch::new(move |landing: Option<Landing>| {
            let engine = engine.upgrade().ok_or_else(Error::aborted)?;
            engine.fetched(landing.unwrap_or_else(|| Landing {
                ended: Ended { attempt, ran: Duration::ZERO },
                result: Err(Error::aborted()),
            }))
        });
        let (end, mut ended) = oneshot::channel();
        state.fly(RunningFetch { joined, _end: end });
        let (setup, tries) = (state.setup.clone(), state.counts.attempt());
        Ok(move || {
            let span = setup.reporter.started(tries);
            let fetch = async move {
                let mut deadline = Deadline::new(&setup.clock, setup.fetch_deadline());
                let runs = |ends_at| Self::runs_until(&watcher, attempt, ends_at);
                // A fetch that was abandoned before this task first ran has been replaced.
                let is_current = runs(deadline.ends_at());
                let result = if !is_current || ended.try_recv() == Err(TryRecvError::Closed) {
                    Err(Error::aborted())
                } else {
                    let passed = async {
                        deadline.passed(|ends_at| _ = runs(ends_at)).await;
                        // A renewal has this deadline too. Its task, which may have the answer
                        // already, is not asked here whether it has.
                        if setup.source.session().is_some() {
                            pending::<()>().await;
                        }
                    };
                    match before(before(setup.source.fetch(), passed), async { drop(ended.await) })
                        .await
                    {
                        Some(Some(result)) => result,
                        Some(None) => Err(Error::timed_out()),
                        None => Err(Error::aborted()),
                    }
                };
                Landing { ended: Ended { attempt, ran: deadline.ran() }, result }
            };
            runtime.spawn(launch.task(fetch).instrument(span));
            self.changed.notify_waiters();
        })
    }

    /// Notes that the task of `attempt` runs, and gives up at `ends_at`. Returns `true` if it is the
    /// fetch in flight.
    fn runs_until(engine: &Weak<Self>, attempt: Attempt, ends_at: Instant) -> bool {
        engine.upgrade().is_some_and(|it| it.lock().machine.runs_until(attempt, ends_at))
    }

    /// Takes what became of a fetch, and returns what its waiters get.
    fn fetched(self: &Arc<Self>, landing: Landing) -> Outcome {
        let mut state = self.lock();
        let now = state.now();
        if state.is_shut_down {
            state.machine.not_started();
            self.publish(state, now, |_| {});
            return Err(Error::shut_down());
        }
        let fetched = state.fetched(now, landing, Arc::downgrade(self) as Weak<dyn Giver>);
        let outcome = match &fetched {
            Ok(outcome) => outcome.clone(),
            // Who needs another token than the rejected one waits for the end of the pause.
            Err(error) if error.kind() == ErrorKind::Paused => Err(error.clone()),
            // A token that the user stored meanwhile serves the waiters as well, and one that a
            // resource rejected is better than none.
            Err(error) => state.usable_or(now, error.clone()),
        };
        let expires_in = state.expires_in(now);
        self.publish(state, now, |reporter| {
            reporter.expires_in(expires_in);
            match &fetched {
                Ok(_) => reporter.fetched(),
                Err(error) => reporter.failed(error.kind(), error),
            }
        });
        outcome
    }

    pub(super) fn store(self: &Arc<Self>, response: &TokenResponse) {
        self.setup();
        let mut state = self.lock();
        if !state.is_shut_down {
            let now = state.now();
            state.store(now, response, Arc::downgrade(self) as Weak<dyn Giver>);
            let expires_in = state.expires_in(now);
            self.intervene(state, now, expires_in);
        }
    }

    /// Takes the token and the refresh token out of use, and returns what is to be revoked.
    pub(super) fn take_tokens(
        &self,
        endpoint: &TokenRevocation,
    ) -> (Option<AccessToken>, Option<ClientSecret>) {
        let mut state = self.lock();
        let now = state.now();
        let token = state.retire();
        let session = state.setup.source.session();
        let refresh_token = session.and_then(|session| session.tokens().give_up(Some(endpoint)));
        let is_shared = session.is_some_and(Session::is_shared);
        state.machine.given_up(refresh_token.is_some(), is_shared);
        self.intervene(state, now, Some(Duration::ZERO));
        (token, refresh_token)
    }

    pub(super) fn shut_down(&self) {
        let mut state = self.lock();
        let now = state.now();
        state.is_shut_down = true;
        state.end_flights();
        state.retire();
        state.setup.source.session().and_then(|session| session.tokens().give_up(None));
        self.intervene(state, now, Some(Duration::ZERO));
    }

    pub(super) fn credential_changed(&self) {
        let mut state = self.lock();
        let now = state.now();
        state.machine.credential_changed(now);
        self.intervene(state, now, None);
    }

    /// Returns `true` while `held` may be sent without asking again.
    pub(super) fn is_leased(&self, held: &AccessToken) -> bool {
        self.setup.get().is_some_and(|setup| setup.is_leased(held))
    }

    /// Returns `true` if a token is likely to be there.
    pub(super) fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Relaxed)
    }

    /// Waits until anything happened since there were so many `events`.
    pub(super) async fn changed(&self, events: u64) {
        self.until(|state| state.events != events).await;
    }

    /// Waits until the user did something since there were so many interventions.
    pub(super) async fn intervened(&self, seen: u64) {
        self.until(|state| state.interventions != seen).await;
    }

    async fn until(&self, is_over: impl Fn(&State) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look: a change after it is not missed.
            changed.as_mut().enable();
            if is_over(&self.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl Giver for Engine {
    fn reject(&self, rejected: &AccessToken) -> bool {
        let mut state = self.lock();
        if !state.holds(rejected) {
            return state.may_have_another();
        }
        let now = state.now();
        let again = state.rejected(now);
        let expires_in = state.expires_in(now);
        self.publish(state, now, |reporter| {
            reporter.rejected();
            reporter.expires_in(expires_in.or(Some(Duration::ZERO)));
        });
        again
    }

    fn found(&self, token: &AccessToken) -> bool {
        self.source().found(token)
    }
}
