//! A token that is fetched once for everybody and kept fresh.
//!
//! **In**: a way to get a token. **Out**: the token of the moment, at once where there is one. **Uses** `vocabulary`,
//! `observe`, and the client's error, source and token endpoint.

pub(in crate::client) mod fetcher;
pub(in crate::client) mod flight;
mod life;
pub(in crate::client) mod machine;
mod news;
mod policy;
mod rotation;
pub(in crate::client) mod session;
mod shared;
mod state;
pub(in crate::client) mod status;
pub(in crate::client) mod step_up;
mod store;
mod wider;

pub use policy::RefreshPolicy;
pub use status::{TokenState, TokenStatus};
pub use store::{
    Acquired, StoreError, StoreFuture, StoreKey, StorePolicy, StoredToken, TokenStore,
};

use super::{BoxTokenFuture, Grant, TokenEndpoint, TokenResponse, TokenSource};
use crate::{
    AccessToken, Answer, Clock, ConfigError, RequestHead, ScopeSet, vocabulary::token::Giver,
};
use fetcher::{Fetcher, FromFn, Repeat};
use flight::Waiter;
pub(super) use news::Listener;
use session::Session;
pub(super) use shared::{Made, Next, Shared};
use std::{error::Error as StdError, fmt, future::Future, sync::Arc};
use step_up::StepUp;

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
/// asked for; a fetch ends within its deadline, and with the last clone and the last caller who
/// waits, but for a renewal of a session: its new refresh token is told before.
///
/// Its life: [`warm_up`](Self::warm_up), [`status`](Self::status), [`changed`](Self::changed),
/// [`revoke`](Self::revoke), [`shutdown`](Self::shutdown).
///
/// # Defaults
///
/// Those of [`RefreshPolicy`].
///
/// # Panics
///
/// Whoever has to wait for a token, with the system's clock in a tokio runtime whose timers are off.
/// Outside of any runtime that is an error of the kind [`NoRuntime`]; a token that is there needs
/// neither.
///
/// [`NoRuntime`]: crate::client::ErrorKind::NoRuntime
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
        let repeat = Repeat { endpoint: endpoint.detached(), grant, step_up: None };
        Self::build(Box::new(repeat), policy, clock, true)
    }

    /// The same, which asks for more where a resource wants it and `ceiling` has it.
    pub(super) fn with_ceiling(
        endpoint: TokenEndpoint,
        grant: Grant,
        ceiling: ScopeSet,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let step_up = Some(Arc::new(StepUp::new(grant.scopes().clone(), ceiling)));
        let repeat = Repeat { endpoint: endpoint.detached(), grant, step_up };
        Self::build(Box::new(repeat), policy, clock, true)
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

    /// Keeps the token of a sign-in, and renews it by its refresh token, for the resources that the
    /// [sign-in](crate::client::SignIn::with_resource) named. Without a refresh token it is used until it
    /// is rejected, and from then on the error says that the user has to sign in;
    /// [`store`](Self::store) takes the new token.
    #[must_use]
    pub fn signed_in(
        endpoint: TokenEndpoint,
        response: &TokenResponse,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let session = Session::new(endpoint, &policy, &clock);
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
        Self { shared: Arc::new(Shared::new(fetcher, policy, clock, refetchable)) }
    }

    /// The same cache, with the fetcher that `make` makes of its own.
    ///
    /// # Errors
    ///
    /// When it has a clone, a token or a fetch in flight, which would go on without, or `make` says
    /// no.
    pub(super) fn over(
        self,
        make: impl FnOnce(Box<dyn Fetcher>, &RefreshPolicy, &Clock) -> Made,
    ) -> Result<Self, ConfigError> {
        let used = || {
            ConfigError::new("the token cache was cloned or used already: call this on a new one")
        };
        let shared = Arc::into_inner(self.shared).ok_or_else(used)?;
        let is_used = shared.has_begun();
        let shared = shared.over(make)?;
        match is_used {
            true => Err(used()),
            false => Ok(Self { shared: Arc::new(shared) }),
        }
    }

    /// Whether there is another clone of it, somebody waits for its token, or one is fetched.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.shared) > 1 || self.shared.is_fetching()
    }

    /// Puts a token in the place of the one that is held: that of a new sign-in. Its refresh token
    /// comes with it, and a fetch in flight for the old one changes neither.
    pub fn store(&self, response: &TokenResponse) {
        self.shared.store(response);
    }

    /// The client's secret was changed: a refusal of the old one is forgotten, and the next call
    /// may try at once.
    pub fn credential_changed(&self) {
        self.shared.credential_changed();
    }
}

impl TokenSource for TokenCache {
    type Future = BoxTokenFuture;

    fn token(&self, _: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        let shared = &self.shared;
        let now = shared.now();
        let patience = shared.patience();
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
        self.shared.is_leased(held)
    }

    fn is_warm(&self) -> bool {
        self.shared.is_warm()
    }

    fn recovers(&self) -> bool {
        true
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        self.shared.reject(rejected)
    }

    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<BoxTokenFuture> {
        self.shared.widen(held, scopes)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("status", &self.status()).finish_non_exhaustive()
    }
}
