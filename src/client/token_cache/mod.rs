//! A token that is fetched once for all callers and kept fresh.
//!
//! **In**: a way to get a token. **Out**: the current token, at once if there is one. **Uses** `vocabulary`,
//! `observe`, and the client's error, source and token endpoint.
//!
//! From the top down: [`TokenCache`] is the public face; `wait` is a caller without a token; `engine` is what the
//! clones share, which decides by `state` and the pure `machine`, and starts each fetch as a
//! [`flight`](crate::vocabulary::flight); `source` is what it fetches with, `session` and `store` are kinds of that.

mod engine;
mod machine;
mod policy;
mod session;
mod source;
mod state;
mod status;
mod step_up;
mod store;
mod wait;

pub use policy::RefreshPolicy;
pub use status::{TokenState, TokenStatus};
pub use store::{
    Acquired, StoreError, StoreFuture, StoreKey, StorePolicy, StoredToken, TokenStore,
};

use super::{
    BoxTokenFuture, Error, Grant, TokenEndpoint, TokenResponse, TokenRevocation, TokenSource,
    token_endpoint::grant::{RESOURCE, absolute},
};
use crate::{
    AccessToken, Answer, ClientSecret, Clock, ConfigError, RequestHead, ScopeSet,
    vocabulary::token::Giver,
};
use engine::Engine;
use session::Session;
use source::{Fetch, Source};
use state::{Setup, State};
use std::{error::Error as StdError, fmt, future::Future, sync::Arc};

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
    engine: Arc<Engine>,
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
        Self::of(Self::repeating(endpoint, grant, None, policy, clock))
    }

    /// The state of a cache for `grant`, whose scopes a resource may widen up to `ceiling`.
    fn repeating(
        endpoint: TokenEndpoint,
        grant: Grant,
        ceiling: Option<ScopeSet>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> State {
        let setup = Setup::new(Source::grant(endpoint, grant, ceiling), &policy, clock);
        State::new(setup, policy, true)
    }

    /// Fetches by asking `fetch`: any other library that gets tokens, or a grant of one's own.
    #[must_use]
    pub fn from_fn<F, Fut, E>(fetch: F, policy: RefreshPolicy, clock: Clock) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TokenResponse, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let fetch = move || -> Fetch {
            let fetch = fetch();
            Box::pin(async move { fetch.await.map_err(Error::from_source) })
        };
        let setup = Setup::new(Source::Closure(Arc::new(fetch)), &policy, clock);
        Self::of(State::new(setup, policy, true))
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
        let cache = Self::renewing(Session::new(endpoint, &policy, &clock), policy, clock);
        cache.store(response);
        cache
    }

    /// Goes on with a session of which only the refresh token was kept: the newest, as
    /// [`on_rotation`](Self::on_rotation) told it. The first call has an access token fetched.
    /// Resources that the sign-in named have to be [named again](Self::with_resources).
    ///
    /// ```
    /// use tower_oauth2::{
    ///     ClientAuthentication, Clock, Transport,
    ///     client::{RefreshPolicy, TokenCache, TokenEndpoint},
    /// };
    ///
    /// # fn keep(_: &str) {}
    /// # let kept = "8xLOxBtZp8";
    /// let endpoint = TokenEndpoint::new(
    ///     "https://as.example/token",
    ///     ClientAuthentication::public("id"),
    ///     Transport::https(),
    /// )?;
    /// let cache = TokenCache::from_refresh_token(endpoint, kept, RefreshPolicy::default(), Clock::system())
    ///     .on_rotation(|newest| keep(newest.expose()));
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    #[must_use]
    pub fn resumed(
        endpoint: TokenEndpoint,
        refresh_token: impl Into<ClientSecret>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let session = Session::new(endpoint, &policy, &clock);
        session.tokens().replace(Some(refresh_token.into()), &[]);
        Self::renewing(session, policy, clock)
    }

    fn renewing(session: Session, policy: RefreshPolicy, clock: Clock) -> Self {
        let can_renew = session.tokens().can_renew();
        let setup = Setup::new(Source::Session(Arc::new(session)), &policy, clock);
        Self::of(State::new(setup, policy, can_renew))
    }

    fn of(state: State) -> Self {
        Self { engine: Arc::new(Engine::new(state)) }
    }

    /// Looks into `store` before it fetches, and puts there what it has fetched, so that the
    /// replicas of a service fetch one token between them.
    ///
    /// 1. A token that is there and need not be renewed yet is used, and nothing is fetched.
    ///    Whoever finds none asks to be the one that fetches; the others wait for a while, and
    ///    look again.
    /// 2. A store that fails, or is late, is one that has nothing: the token is fetched, a warning
    ///    is logged (feature `tracing`), and
    ///    [`store_failures`](crate::client::TokenStatus::store_failures) counts it.
    /// 3. A token that this cache had once is not taken from the store again: it was rejected, or
    ///    has to be renewed.
    ///
    /// The key is made of everything that tells tokens apart: the endpoint, the client and its
    /// secret, the grant with its scopes, audience, resources and parameters. Another client,
    /// another secret or another scope never finds the token.
    ///
    /// A look counts as a fetch in [`fetches`](crate::client::TokenStatus::fetches). Replicas tell the
    /// time by their wall clocks, which have to agree within the lead of [`RefreshPolicy`].
    ///
    /// [`RefreshPolicy`]: crate::client::RefreshPolicy
    ///
    /// # Errors
    ///
    /// When the cache was cloned or used before, or holds a session or a closure: their tokens are
    /// not the same for everybody.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_oauth2::{
    ///     ConfigError,
    ///     client::{Grant, RefreshPolicy, StorePolicy, TokenCache, TokenEndpoint, TokenStore},
    /// };
    ///
    /// fn cache(
    ///     endpoint: TokenEndpoint,
    ///     store: Arc<dyn TokenStore>,
    /// ) -> Result<TokenCache, ConfigError> {
    ///     TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default())
    ///         .with_store(store, StorePolicy::default())
    /// }
    /// ```
    pub fn with_store(
        self,
        store: Arc<dyn TokenStore>,
        policy: StorePolicy,
    ) -> Result<Self, ConfigError> {
        let used = || {
            ConfigError::new("the token cache was cloned or used already: call this on a new one")
        };
        let state = Arc::into_inner(self.engine).ok_or_else(used)?.into_state();
        let is_used = state.is_used;
        let cache = Self::of(state.with_store(store, policy)?);
        if is_used { Err(used()) } else { Ok(cache) }
    }

    /// Tells `told` of each new refresh token that a renewal brings, once and before it is used:
    /// to be kept where a restart finds it. It takes the place of what was told before. That of a
    /// sign-in is not told, since the caller has it; a cache without a session tells nothing.
    ///
    /// It runs on the task that renews, even after the cache was shut down or dropped meanwhile:
    /// callers wait for it, and it should do no more than a short write. One that panics fails the
    /// renewal; the new refresh token is kept here all the same.
    #[must_use]
    pub fn on_rotation(self, told: impl Fn(&ClientSecret) + Send + Sync + 'static) -> Self {
        if let Some(session) = self.engine.source().session() {
            session.tokens().on_rotation = Some(Arc::new(told));
        }
        self
    }

    /// Names `resources`, and no others, in each renewal of the session from now on
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). Name none for a server
    /// that takes them at a sign-in alone. Defaults to those of the
    /// [sign-in](crate::client::SignIn::with_resource) whose token is held.
    ///
    /// ```
    /// # use tower_oauth2::{ConfigError, client::TokenCache};
    /// fn resumed(cache: TokenCache) -> Result<TokenCache, ConfigError> {
    ///     cache.with_resources(&["https://api.example/v1"])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When one is no absolute URI without a fragment, or the cache has no session.
    pub fn with_resources(self, resources: &[&str]) -> Result<Self, ConfigError> {
        let resources = resources.iter().map(|it| absolute("a resource", RESOURCE, (*it).into()));
        let resources = resources.collect::<Result<Vec<_>, _>>()?;
        match self.engine.source().session() {
            Some(session) => session.tokens().named = Some(resources),
            None => {
                let text = "the token cache has no session to renew: Grant::with_resource is for other grants";
                return Err(ConfigError::new(text));
            }
        }
        Ok(self)
    }

    /// Changes what this cache and all its clones fetch with, or returns another cache if this one is
    /// used already.
    pub(super) fn reconfigure(
        &self,
        endpoint: TokenEndpoint,
        grant: Grant,
        ceiling: Option<ScopeSet>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Option<Self> {
        let state = Self::repeating(endpoint, grant, ceiling, policy, clock);
        self.engine.replace(state).err().map(Self::of)
    }

    /// Keeps the settings as they are from now on.
    pub(super) fn freeze(&self) {
        self.engine.setup();
    }

    /// Whether there is another clone of it, somebody waits for its token, or one is fetched.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.engine) > 1 || self.engine.lock().machine.is_fetching()
    }

    /// Puts a token in the place of the one that is held: that of a new sign-in. Its refresh token
    /// comes with it, and a fetch in flight for the old one changes neither.
    pub fn store(&self, response: &TokenResponse) {
        self.engine.store(response);
    }

    /// The client's secret was changed: a refusal of the old one is forgotten, and the next call
    /// may try at once.
    pub fn credential_changed(&self) {
        self.engine.credential_changed();
    }

    /// Fetches a token where there is none that may be sent, as a caller would: at the start of a
    /// program, before the first call needs it.
    ///
    /// # Errors
    ///
    /// Why there is still none when the patience of [`RefreshPolicy`] ends. The cache is as good
    /// as before: the next call tries again.
    ///
    /// # Panics
    ///
    /// As [a caller](Self#panics).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    ///
    /// [`RefreshPolicy`]: crate::client::RefreshPolicy
    pub async fn warm_up(&self) -> Result<(), Error> {
        wait::token(&self.engine).wait().await.map(drop)
    }

    /// How the cache is doing. It holds no secret, and is quick even while a fetch hangs.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        self.engine.lock().status()
    }

    /// Waits until something has happened since `since`: a fetch began or ended, or a token was
    /// stored, rejected, revoked, or the cache shut down. That a token becomes old by time alone
    /// is no such event.
    ///
    /// ```
    /// # use tower_oauth2::client::TokenCache;
    /// async fn watch(cache: TokenCache) {
    ///     let mut status = cache.status();
    ///     loop {
    ///         status = cache.changed(&status).await;
    ///         println!("{:?}", status.state());
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever asks again with the same status misses nothing.
    pub async fn changed(&self, since: &TokenStatus) -> TokenStatus {
        self.engine.changed(since.events).await;
        self.status()
    }

    /// Takes the token out of use and has `endpoint` revoke it; the refresh token of a sign-in
    /// too, which ends the session. Where tokens can be fetched without the user, the next call
    /// has another fetched. Without a token nothing is sent. Before that it is
    /// [removed](crate::client::TokenStore::remove) from the [store](Self::with_store), if that can
    /// and is not down, so that no other replica finds it; one that has it already uses it until it
    /// is rejected.
    ///
    /// A renewal of a session that is in flight is not kept, and its refresh token revoked when it
    /// comes: one request, of whose failure nobody is told.
    ///
    /// # Errors
    ///
    /// When the server did not revoke what it was asked to. The cache has forgotten it all the
    /// same; whoever stole it can use it until it expires.
    ///
    /// # Panics
    ///
    /// As [`TokenRevocation::revoke`], where there is a token to revoke.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled the token is out of use; whether the server knows is then unknown.
    pub async fn revoke(&self, endpoint: &TokenRevocation) -> Result<(), Error> {
        let (token, refresh_token) = self.engine.take_tokens(endpoint);
        if let (Some(token), Some(store)) = (&token, self.engine.source().store()) {
            store.withdraw(token).await;
        }
        let refresh_revoked = match &refresh_token {
            Some(token) => endpoint.revoke(token.expose(), "refresh_token").await,
            None => Ok(()),
        };
        let revoked = match &token {
            Some(token) => endpoint.revoke(token.expose(), "access_token").await,
            None => Ok(()),
        };
        refresh_revoked.and(revoked)
    }

    /// Ends the cache and all its clones: a fetch in flight is dropped, tokens are forgotten, and
    /// whoever asks or waits for one gets an error of the kind [`ShutDown`]. What is stored from
    /// now on is not kept.
    ///
    /// One request goes on, as after the last clone is dropped: a renewal of a session, of which the
    /// server may have used up the refresh token. No longer than a fetch may take
    /// ([`with_fetch_deadline`]), and for nothing but to tell [`on_rotation`](Self::on_rotation) the
    /// new one; a program that ends should leave its runtime that time.
    ///
    /// [`with_fetch_deadline`]: crate::client::RefreshPolicy::with_fetch_deadline
    /// [`ShutDown`]: crate::client::ErrorKind::ShutDown
    pub fn shutdown(&self) {
        self.engine.shut_down();
    }
}

impl TokenSource for TokenCache {
    type Future = BoxTokenFuture;

    fn token(&self, _: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        wait::token(&self.engine)
    }

    fn is_current(&self, held: &AccessToken, _: RequestHead<'_>) -> bool {
        self.engine.is_leased(held)
    }

    fn is_warm(&self) -> bool {
        self.engine.is_warm()
    }

    fn recovers(&self) -> bool {
        true
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        self.engine.reject(rejected)
    }

    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<BoxTokenFuture> {
        wait::widen(&self.engine, held, scopes)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("status", &self.status()).finish_non_exhaustive()
    }
}
