use super::{
    BoxTokenFuture, Error, ErrorKind, Grant, RefreshPolicy, TokenEndpoint, TokenResponse,
    TokenSource,
    fetcher::{Fetcher, FromFn, Repeat, Session},
    flight::{self, Waiter},
    machine::{self, Ask, Failed, Fetched, Machine, Now},
    status::TokenStatus,
};
use crate::{AccessToken, Answer, Clock, ConfigError, RequestHead, ScopeSet, random, token::Giver};
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A [`TokenSource`] that fetches a token when it is first needed, keeps it fresh, and fetches
/// another when it is rejected.
///
/// 1. Fresh: the token goes out. Stale: it goes out, and one fetch runs in the background.
///    Expired or none: every caller waits for the same one fetch.
/// 2. A fetch belongs to no caller: dropping one, or all, neither loses nor repeats it.
/// 3. While a token is good, failing fetches disturb nobody. Without one, callers wait as long
///    as their patience and then get the error, with the time until the next try.
/// 4. How often the server is asked is bounded, whatever it answers.
///
/// A clone is the same cache. Nothing is fetched, and no task is started, before a token is
/// asked for; a fetch ends by itself within its deadline.
///
/// # Defaults
///
/// Those of [`RefreshPolicy`].
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{AddBearer, Grant, RefreshPolicy, TokenCache, TokenEndpoint},
/// };
///
/// let endpoint = TokenEndpoint::new(
///     "https://as.example/token",
///     ClientAuthentication::basic("id", "secret"),
///     Transport::https(),
/// )?;
/// let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
/// let layer = AddBearer::from_source(cache, "https://api.example")?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct TokenCache {
    shared: Arc<Shared>,
}

/// What the clones of a cache share.
///
/// Everything that is decided is decided under `state`. Beside it there are two atomics, which
/// only spare callers the lock: `warm`, a hint, and the lease inside the token that is held (see
/// [`AccessToken::lease`]), which is written under the lock alone: set when the token is handed
/// out, cleared before another takes its place. A reader that still sees the old lease sends a
/// token that was good when the lease was given.
pub(super) struct Shared {
    state: Mutex<State>,
    warm: AtomicBool,
    fetcher: Box<dyn Fetcher>,
    policy: RefreshPolicy,
    clock: Clock,
    /// Where the nanoseconds of a lease are counted from.
    base: Instant,
    fetches: AtomicU64,
}

struct State {
    machine: Machine,
    token: Option<AccessToken>,
    granted: Option<ScopeSet>,
    withheld: ScopeSet,
    flight: Option<flight::Joined>,
    last_error: Option<Error>,
}

impl State {
    /// The token that is held, where it may go out.
    fn usable(&self, now: Now) -> Option<AccessToken> {
        self.token.clone().filter(|_| self.machine.is_usable(now))
    }
}

/// A fetcher made of another.
type Made = Result<Box<dyn Fetcher>, ConfigError>;

/// What a caller does next.
pub(super) enum Next {
    Take(Result<AccessToken, Error>),
    Wait(flight::Joined),
    AskAgainAt(Instant),
}

impl TokenCache {
    /// Fetches by asking `endpoint` with `grant`, the same each time.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, grant: Grant, policy: RefreshPolicy) -> Self {
        Self::with_clock(endpoint, grant, policy, Clock::system())
    }

    /// The same, its time told by `clock`.
    #[must_use]
    pub fn with_clock(
        endpoint: TokenEndpoint,
        grant: Grant,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        Self::build(Box::new(Repeat { endpoint, grant }), policy, clock, true)
    }

    /// Fetches by asking `fetch`: any other library that gets tokens, or a grant of one's own.
    #[must_use]
    pub fn from_fn<F, Fut, E>(fetch: F, policy: RefreshPolicy, clock: Clock) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TokenResponse, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        Self::build(Box::new(FromFn(fetch)), policy, clock, true)
    }

    /// Keeps the token of a sign-in, and renews it by its refresh token. Without one the token is
    /// used until it is rejected, and from then on the error says that the user has to sign in;
    /// [`store`](Self::store) takes the new token.
    ///
    #[must_use]
    pub fn signed_in(
        endpoint: TokenEndpoint,
        response: &TokenResponse,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let refresh_tokens = Mutex::default();
        let grant = Grant::client_credentials();
        let session = Session { endpoint, grant, refresh_tokens };
        let cache = Self::build(Box::new(session), policy, clock, false);
        cache.store(response);
        cache
    }

    fn build(
        fetcher: Box<dyn Fetcher>,
        policy: RefreshPolicy,
        clock: Clock,
        refetchable: bool,
    ) -> Self {
        let machine = Machine::new(policy.clone(), random::fraction(), refetchable);
        let state = State {
            machine,
            token: None,
            granted: None,
            withheld: ScopeSet::empty(),
            flight: None,
            last_error: None,
        };
        let base = clock.monotonic();
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                warm: AtomicBool::new(false),
                fetcher,
                policy,
                clock,
                base,
                fetches: AtomicU64::new(0),
            }),
        }
    }

    /// Puts a token in the place of the one that is held: that of a new sign-in. Its refresh token
    /// comes with it, and a fetch in flight for the old one changes neither.
    pub fn store(&self, response: &TokenResponse) {
        self.shared.store(response);
    }

    /// The client's secret was changed: a refusal of the old one is forgotten, and the next call
    /// may try at once.
    pub fn credential_changed(&self) {
        let now = self.shared.now();
        self.shared.lock().machine.credential_changed(now);
    }

    /// How the cache is doing. It holds no secret, and is quick even while a fetch hangs.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        self.shared.status()
    }

    /// The same cache, with the fetcher that `make` makes of its own.
    ///
    /// # Errors
    ///
    /// When it has a clone, which would go on without, or `make` says no.
    pub(super) fn over(
        self,
        make: impl FnOnce(Box<dyn Fetcher>, &RefreshPolicy, &Clock) -> Made,
    ) -> Result<Self, ConfigError> {
        let Some(Shared { state, warm, fetcher, policy, clock, base, fetches }) =
            Arc::into_inner(self.shared)
        else {
            return Err(ConfigError::new("the token cache was cloned before it was complete"));
        };
        let fetcher = make(fetcher, &policy, &clock)?;
        let shared = Shared { state, warm, fetcher, policy, clock, base, fetches };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether there is another clone of it, or somebody waits for its token.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }
}

impl TokenSource for TokenCache {
    type Future = BoxTokenFuture;

    fn token(&self, _: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        let shared = &self.shared;
        let now = shared.now();
        let patience = shared.policy.patience;
        let give_up = machine::after(now.monotonic, patience);
        match shared.next(now, give_up) {
            Next::Take(result) => Answer::Ready(result),
            next => {
                let waiter = Waiter::new(shared.clone(), give_up, patience.is_zero());
                Answer::Pending(Box::pin(waiter.wait(next)))
            }
        }
    }

    fn is_current(&self, held: &AccessToken, _: RequestHead<'_>) -> bool {
        let lease = held.lease().load(Ordering::Acquire);
        lease != 0 && self.shared.nanos(self.shared.clock.monotonic()) < lease
    }

    fn is_warm(&self) -> bool {
        self.shared.warm.load(Ordering::Relaxed)
    }

    fn recovers(&self) -> bool {
        true
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        self.shared.reject(rejected)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        Now { monotonic: self.clock.monotonic(), wall: self.clock.wall() }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn fetcher(&self) -> &dyn Fetcher {
        &*self.fetcher
    }

    pub(super) fn fetch_deadline(&self) -> Duration {
        self.policy.fetch_deadline
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.base);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Asks the machine, and starts the fetch that it wants.
    pub(super) fn next(self: &Arc<Self>, now: Now, give_up: Instant) -> Next {
        let mut launch = None;
        let mut state = self.lock();
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
                    Next::Wait(joined)
                }
                Err(error) => Next::Take(Err(error)),
            },
            Ask::Join => match &state.flight {
                Some(joined) => Next::Wait(joined.clone()),
                None => Next::Take(Err(aborted())),
            },
            Ask::WaitUntil(instant) => Next::AskAgainAt(instant),
            Ask::Fail { next_try } => {
                let error = state.last_error.clone().unwrap_or_else(too_soon);
                Next::Take(Err(error.with_next_try(next_try)))
            }
            Ask::Gone => Next::Take(Err(Error::sign_in_needed())),
        };
        if !matches!(ask, Ask::Serve | Ask::ServeAndFetch) {
            self.warm.store(false, Ordering::Relaxed);
        }
        // Not under the lock: a runtime that is shutting down ends the task at once.
        drop(state);
        if let Some((launch, _)) = launch {
            launch.spawn();
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
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let (launch, joined) = flight::Launch::new(handle, self.clone());
        state.flight = Some(joined.clone());
        Ok((launch, joined))
    }

    /// The fetch in flight ended: what its waiters get.
    pub(super) fn landed(
        self: &Arc<Self>,
        result: Result<TokenResponse, Error>,
    ) -> Result<AccessToken, Error> {
        let now = self.now();
        let mut state = self.lock();
        state.flight = None;
        let jitter = random::fraction();
        let error = match result {
            Ok(response) => {
                let (lifetime, refetchable) = (response.lifetime(), self.fetcher.accept(&response));
                match state.machine.fetched(now, lifetime, refetchable, jitter) {
                    Fetched::Kept => return Ok(self.hold(&mut state, &response)),
                    Fetched::Once => {
                        state.last_error = None;
                        return Ok(response.access_token().clone());
                    }
                    Fetched::Superseded => {
                        let text = "another token took its place, and is not good any more";
                        let lost = || Error::new(ErrorKind::Aborted, text);
                        return state.usable(now).ok_or_else(lost);
                    }
                    Fetched::Useless => {
                        let text = "the token had expired when it came";
                        Error::new(ErrorKind::InvalidResponse, text)
                    }
                }
            }
            Err(error) => {
                let failed = match error.is_transient() {
                    _ if error.is_sign_in_needed() => Failed::Gone,
                    true => Failed::Transient,
                    false => Failed::Permanent,
                };
                state.machine.failed(now, failed, error.retry_after(), jitter);
                error
            }
        };
        state.last_error = Some(error.clone());
        // A token that came in from outside meanwhile is as good to those who waited.
        state.usable(now).ok_or(error)
    }

    fn store(self: &Arc<Self>, response: &TokenResponse) {
        let now = self.now();
        let mut state = self.lock();
        let refetchable = self.fetcher.adopt(response);
        state.machine.stored(now, response.lifetime(), refetchable);
        self.hold(&mut state, response);
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

    fn retire(&self, state: &mut State) {
        if let Some(old) = state.token.take() {
            old.lease().store(0, Ordering::Release);
        }
        self.warm.store(false, Ordering::Relaxed);
    }

    pub(super) fn next_try(&self) -> Option<Duration> {
        self.lock().machine.next_try(self.now())
    }

    fn status(&self) -> TokenStatus {
        let now = self.now();
        let state = self.lock();
        TokenStatus {
            usable: state.machine.is_usable(now),
            fresh: state.machine.is_fresh(now),
            fetching: state.machine.is_fetching(),
            expires_in: state.machine.expires_in(now),
            granted: state.granted.clone(),
            withheld: state.withheld.clone(),
            fetches: self.fetches.load(Ordering::Relaxed),
            last_error: state.last_error.clone(),
            store_failures: self.fetcher.store_failures(),
        }
    }
}

impl Giver for Shared {
    fn reject(&self, rejected: &AccessToken) -> bool {
        let now = self.now();
        let mut state = self.lock();
        match &state.token {
            Some(held) if held.has_text_of(rejected) => {
                self.retire(&mut state);
                state.machine.rejected(now)
            }
            // Another has taken its place already, or is on its way.
            Some(_) => true,
            None => state.machine.is_fetching() || state.machine.is_refetchable(),
        }
    }
}

fn aborted() -> Error {
    flight::aborted()
}

fn too_soon() -> Error {
    let text = "there is no token, and the next may not be fetched yet";
    Error::new(ErrorKind::Transport, text)
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("status", &self.status()).finish_non_exhaustive()
    }
}
