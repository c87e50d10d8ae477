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
#[cfg(feature = "store")]
mod store;
mod token_file;
mod wait;

pub use policy::RefreshPolicy;
#[cfg(feature = "store")]
pub use session::{SessionStore, SharedSessions, Swap};
pub use status::{TokenState, TokenStatus};
#[cfg(feature = "store")]
use store::SharedStore;
#[cfg(feature = "store")]
pub use store::{
    Begun, Holder, Lease, StoreError, StoreFuture, StoreKey, StoreKeys, StorePolicy, StoredValue,
    TokenStore, Version,
};

use super::{
    BoxTokenFuture, Error, Grant, TokenEndpoint, TokenResponse, TokenRevocation, TokenSource,
    token_endpoint::parameters::{RESOURCE, absolute},
};
use crate::{
    AccessToken, Answer, ClientSecret, Clock, ConfigError, RequestHead, ScopeSet,
    vocabulary::token::Giver,
};
use engine::Engine;
use machine::Need;
use session::Session;
use source::{Fetch, Source};
use state::{Setup, State};
use std::{error::Error as StdError, fmt, future::Future, path::PathBuf, sync::Arc};
use token_file::TokenFile;

/// A [`TokenSource`] that fetches a token when it is first needed, keeps it fresh, and fetches
/// another when it is rejected.
///
/// 1. A fresh token is returned at once. So is a stale one, and one fetch runs in the background.
///    Without a token, or with an expired one, all callers wait for the same one fetch.
/// 2. A fetch belongs to no caller: a caller that is dropped neither ends nor repeats it.
/// 3. While the token is good, callers do not notice a fetch that fails. Without a good token they
///    wait no longer than their patience, and then get the error, with the time until the next try.
/// 4. The cache limits how often it asks the authorization server, whatever that answers.
/// 5. A token that a resource rejected is suspect. Another is fetched, at once the first time and then
///    once per [`with_min_interval`] at most. Meanwhile calls that can be repeated go on with the
///    suspect token, and other calls wait for a fetch in flight, within their patience. If no other
///    token comes, all go on with it: one route that always answers 401 takes it from nobody. A token
///    that cannot be fetched again is dropped at once.
/// 6. Only time in which the server was really asked counts against it. A process that was stopped
///    does not miss its deadlines, a fetch whose runtime does not run is replaced after its deadline,
///    and time in which nobody asked makes no back-off longer.
///
/// [`with_min_interval`]: RefreshPolicy::with_min_interval
///
/// A clone is the same cache. Nothing is fetched, and no task is started, before the first caller
/// asks. A fetch ends within its deadline, or with the last clone and the last waiting caller. A
/// renewal of a session goes on, so that [`on_rotation`](Self::on_rotation) sees the new refresh
/// token.
///
/// See also [`warm_up`](Self::warm_up), [`status`](Self::status), [`changed`](Self::changed),
/// [`revoke`](Self::revoke) and [`shutdown`](Self::shutdown).
///
/// # Defaults
///
/// Those of [`RefreshPolicy`].
///
/// # Errors
///
/// A caller that has to wait for a token, outside of a tokio runtime or (with the system's clock) in
/// one without timers, gets an error of the kind [`NoRuntime`]. A caller that gets a token at once
/// needs neither.
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
    /// Creates a cache that fetches each token from `endpoint` with `grant`, by the clock of the
    /// endpoint.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, grant: Grant, policy: RefreshPolicy) -> Self {
        let clock = endpoint.clock().clone();
        Self::new_with_clock(endpoint, grant, policy, clock)
    }

    /// Creates the same cache with `clock` in the place of the endpoint's, for the endpoint too.
    #[must_use]
    pub fn new_with_clock(
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
        let setup = Setup::new(
            Source::grant(endpoint.with_clock(clock.clone()), grant, ceiling),
            &policy,
            clock,
        );
        State::new(setup, policy, true)
    }

    /// Creates a cache that fetches each token by calling `fetch`, for example with another OAuth
    /// library.
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

    /// Creates a cache with the token in the file at `path`, which another program replaces: that of a
    /// Kubernetes service account, for the Kubernetes API. It remembers a token for a minute at most.
    ///
    /// The cache reads at most 64 KiB of a regular file, without the line ends after the token, on the
    /// task that fetches. The read blocks, so the file should be local. When a resource rejects the
    /// token, the file is read again, and the call is repeated if it holds another token. While the
    /// file is bad, the last token is used on, to the end that it names itself (`exp` of a JWT).
    ///
    /// # Errors
    ///
    /// Callers get an error of the kind [`Source`](crate::client::ErrorKind::Source) if there is no
    /// such token, and the file is missing, empty, too long, or holds a JWT that has expired or is cut
    /// off before its signature, or a character that is not visible ASCII.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>, policy: RefreshPolicy, clock: Clock) -> Self {
        let file = TokenFile::new(path.into(), clock.clone());
        Self::from_fn(move || std::future::ready(file.read()), policy, clock)
    }

    /// Creates a cache with the token of a sign-in, which it renews with the refresh token, for the
    /// resources that the [sign-in](crate::client::SignIn::with_resource) named.
    ///
    /// Without a refresh token, the token is used until a resource rejects it. From then on callers
    /// get an error that asks the user to sign in; [`store`](Self::store) takes the new token.
    #[must_use]
    pub fn from_sign_in(
        endpoint: TokenEndpoint,
        response: &TokenResponse,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let cache = Self::renewing(
            Session::new(endpoint.with_clock(clock.clone()), &policy, &clock),
            policy,
            clock,
        );
        cache.store(response);
        cache
    }

    /// Creates a cache that goes on with a session, of which the program kept the newest refresh
    /// token (see [`on_rotation`](Self::on_rotation)). The first caller starts a fetch. Call
    /// [`with_resources`](Self::with_resources) if the sign-in named resources.
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
    pub fn from_refresh_token(
        endpoint: TokenEndpoint,
        refresh_token: impl Into<ClientSecret>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let session = Session::new(endpoint.with_clock(clock.clone()), &policy, &clock);
        session.tokens().replace(Some(refresh_token.into()), &[]);
        Self::renewing(session, policy, clock)
    }

    /// Creates a cache for the session `name` of `sessions`, which the replicas of a service share. The first
    /// caller looks into their store.
    ///
    /// A cache whose session is not in the store returns errors that ask the user to sign in. It goes on
    /// soon after any replica has [saved](SharedSessions::sign_in) the sign-in. [`store`](Self::store)
    /// changes only this cache, until its next renewal.
    #[cfg(feature = "store")]
    #[must_use]
    pub fn from_shared_session(
        sessions: &SharedSessions,
        name: &str,
        policy: RefreshPolicy,
    ) -> Self {
        let session = Session::shared(&policy, sessions, name);
        Self::renewing(session, policy, sessions.clock().clone())
    }

    fn renewing(session: Session, policy: RefreshPolicy, clock: Clock) -> Self {
        let can_renew = session.can_renew();
        let setup = Setup::new(Source::Session(Arc::new(session)), &policy, clock);
        Self::of(State::new(setup, policy, can_renew))
    }

    fn of(state: State) -> Self {
        Self { engine: Arc::new(Engine::new(state)) }
    }

    /// Sets a store that the replicas of a service share, so that they fetch one token between them.
    ///
    /// 1. The cache asks `store` before it fetches, and saves what it fetched after the callers have it,
    ///    encrypted with the first of `keys`. It uses a token of the store that need not be renewed yet.
    ///    Otherwise one replica fetches, however long that takes, and the others wait for it.
    /// 2. If that fetch fails, no replica asks the authorization server for a while: for a fifth of the
    ///    outage's age, between 1 and 30 s, or as long as the server asks for. Callers get an error of the
    ///    kind [`Paused`](crate::client::ErrorKind::Paused) if their patience ends before.
    /// 3. If the store fails, panics or is late, the cache fetches the token without it, logs a
    ///    warning (feature `tracing`), and counts the failure in
    ///    [`store_failures`](crate::client::TokenStatus::store_failures).
    /// 4. The cache never takes a token from the store that it had before: that one was rejected, or
    ///    has to be renewed.
    ///
    /// The key is a digest of everything that tells tokens apart: the endpoint, the client and its
    /// secret, the grant with its scopes, audience, resources and parameters. Another client,
    /// another secret or another scope never finds the token.
    ///
    /// A look into the store counts in [`fetches`](crate::client::TokenStatus::fetches). The clocks of the
    /// replicas need not agree: the store alone measures how long a token is good.
    ///
    /// # Errors
    ///
    /// If the cache was cloned or used before, or fetches by a session or a closure: the tokens of
    /// those are not the same for every replica.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_oauth2::{
    ///     ConfigError,
    ///     client::{
    ///         Grant, RefreshPolicy, StoreKeys, StorePolicy, TokenCache, TokenEndpoint, TokenStore,
    ///     },
    /// };
    ///
    /// fn cache(
    ///     endpoint: TokenEndpoint,
    ///     store: Arc<dyn TokenStore>,
    ///     key: &[u8; 32],
    /// ) -> Result<TokenCache, ConfigError> {
    ///     TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default())
    ///         .with_store(store, StoreKeys::new(key)?, StorePolicy::default())
    /// }
    /// ```
    #[cfg(feature = "store")]
    pub fn with_store(
        self,
        store: Arc<dyn TokenStore>,
        keys: StoreKeys,
        policy: StorePolicy,
    ) -> Result<Self, ConfigError> {
        let used = || {
            ConfigError::new("the token cache was cloned or used already: call this on a new one")
        };
        let state = Arc::into_inner(self.engine).ok_or_else(used)?.into_state();
        let is_used = state.is_used;
        let cache = Self::of(state.with_store(SharedStore { store, keys, policy })?);
        if is_used { Err(used()) } else { Ok(cache) }
    }

    /// Sets a closure that is called with each new refresh token, once and before that is used, to
    /// keep it for the next start of the program. Replaces the closure set before. Defaults to none.
    ///
    /// It is not called with the refresh token of a sign-in, which the caller has, nor by a cache
    /// without a session.
    ///
    /// The closure runs on the task that renews, even if the cache was dropped meanwhile. After
    /// [`shutdown`](Self::shutdown), [`revoke`](Self::revoke) or [`TokenPool::remove`](crate::client::TokenPool::remove) it is not called
    /// any more, since that would sign the user in again. Callers wait for it, so it should do no more than a short write. If it panics, the
    /// renewal fails, and the cache keeps the new refresh token all the same.
    #[must_use]
    pub fn on_rotation(self, newest: impl Fn(&ClientSecret) + Send + Sync + 'static) -> Self {
        if let Some(session) = self.engine.source().session() {
            session.tokens().on_rotation = Some(Arc::new(newest));
        }
        self
    }

    /// Sets the resources that each renewal of the session names
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). Pass none for a server
    /// that takes them at a sign-in only. Defaults to those of the latest
    /// [sign-in](crate::client::SignIn::with_resource).
    ///
    /// ```
    /// # use tower_oauth2::{ConfigError, client::TokenCache};
    /// fn named(cache: TokenCache) -> Result<TokenCache, ConfigError> {
    ///     cache.with_resources(&["https://api.example/v1"])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If one is not an absolute URI without a fragment, or the cache has no session.
    pub fn with_resources(self, resources: &[&str]) -> Result<Self, ConfigError> {
        let resources = resources.iter().map(|it| absolute("the resource", RESOURCE, (*it).into()));
        let resources = resources.collect::<Result<Vec<_>, _>>()?;
        let source = self.engine.source();
        source.session().ok_or_else(no_session)?.tokens().renewal().resources = Some(resources);
        Ok(self)
    }

    /// Adds a parameter to each renewal of the session, such as the `audience` or the narrower `scope`
    /// of its tokens. Defaults to none.
    ///
    /// ```
    /// # use tower_oauth2::{ConfigError, client::TokenCache};
    /// fn for_orders(cache: TokenCache) -> Result<TokenCache, ConfigError> {
    ///     cache.with_param("audience", "https://orders.example")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If `name` is empty, set already, or one that a renewal sets itself, or the cache has no session.
    pub fn with_param(
        self,
        name: impl Into<String>,
        value: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let source = self.engine.source();
        let session = source.session().ok_or_else(no_session)?;
        session.tokens().renewal().add_param(name.into(), value.into())?;
        Ok(self)
    }

    /// Changes what this cache and its clones fetch with, or returns another cache if this one is in
    /// use.
    pub(super) fn reconfigure(
        &self,
        endpoint: TokenEndpoint,
        grant: Grant,
        ceiling: Option<ScopeSet>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Option<Self> {
        let state = Self::repeating(endpoint, grant, ceiling, policy, clock);
        self.engine.replace(state).map(Self::of)
    }

    /// Passes no refresh token to [`on_rotation`](Self::on_rotation) any more.
    pub(super) fn sign_out(&self) {
        if let Some(session) = self.engine.source().session() {
            session.tokens().on_rotation = None;
        }
    }

    pub(super) fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.engine, &other.engine)
    }

    /// Keeps the settings as they are from now on.
    pub(super) fn freeze(&self) {
        self.engine.setup();
    }

    /// Returns `true` if it has another clone, a waiting caller or a fetch in flight.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.engine) > 1 || self.engine.lock().machine.is_fetching()
    }

    /// Replaces the token and the refresh token, after a new sign-in. A fetch in flight changes
    /// neither.
    pub fn store(&self, response: &TokenResponse) {
        self.engine.store(response);
    }

    /// Makes the cache forget that the authorization server refused the client, so that the next
    /// call tries at once. Call it after the client's secret was changed.
    pub fn credential_changed(&self) {
        self.engine.credential_changed();
    }

    /// Fetches a token unless there is a usable one, for example at the start of a program.
    ///
    /// # Errors
    ///
    /// If there is no token when the patience of [`RefreshPolicy`] ends. The cache stays usable: the
    /// next call tries again.
    ///
    /// # Panics
    ///
    /// Like [any caller](Self#panics).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    ///
    /// [`RefreshPolicy`]: crate::client::RefreshPolicy
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.access_token().await.map(drop)
    }

    /// Returns a token without a request: for a connection string, a subprocess, another library.
    ///
    /// A cache that has a token returns it at once. Otherwise this waits as a call does, for the
    /// patience of [`RefreshPolicy`] at most. Ask again for each use: the token may expire.
    ///
    /// ```
    /// # use tower_oauth2::client::{Error, TokenCache};
    /// async fn password(cache: &TokenCache) -> Result<String, Error> {
    ///     Ok(cache.access_token().await?.expose().to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`warm_up`](Self::warm_up).
    ///
    /// # Panics
    ///
    /// Like [any caller](Self#panics).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    ///
    /// [`RefreshPolicy`]: crate::client::RefreshPolicy
    pub async fn access_token(&self) -> Result<AccessToken, Error> {
        wait::token(&self.engine, Need::Any).wait().await
    }

    /// Returns a snapshot of the cache, without a secret. It does not wait for a fetch in flight.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        self.engine.lock().status()
    }

    /// Waits until the cache has changed since the status `since`, and returns the new status.
    ///
    /// A change is: a fetch began or ended, a token was stored, rejected or revoked, the credential
    /// changed, or the cache was shut down. A token that expires is not a change.
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
    /// Cancel safe: a second call with the same status misses no change.
    pub async fn changed(&self, since: &TokenStatus) -> TokenStatus {
        self.engine.changed(since.events).await;
        self.status()
    }

    /// Stops using the token and revokes it at `endpoint`. Revokes the refresh token of a sign-in
    /// too, which ends the session.
    ///
    /// Unless the token came from a sign-in, the next call fetches another. Without a token nothing
    /// is sent. The cache first [removes](crate::client::TokenStore::remove) the token from the
    /// [store](Self::with_store), if that works, so that no other replica finds it; a replica that
    /// has it uses it until it is rejected.
    ///
    /// If a renewal of the session is in flight, its token is not kept, and the refresh token that it
    /// brings is revoked with one request, whose failure is not reported.
    ///
    /// # Errors
    ///
    /// If the server did not revoke a token, or the store of a [shared session](Self::from_shared_session)
    /// failed to delete it. The cache has forgotten it all the same; a thief can use it until it expires.
    ///
    /// # Panics
    ///
    /// Like [`TokenRevocation::revoke`], if there is a token to revoke.
    ///
    /// # Cancel safety
    ///
    /// The first poll takes the token out of use. After a cancellation it is unknown whether the
    /// server revoked it.
    pub async fn revoke(&self, endpoint: &TokenRevocation) -> Result<(), Error> {
        let (token, refresh_token) = self.engine.take_tokens(endpoint);
        #[cfg(feature = "store")]
        if let (Some(token), Some(store)) = (&token, self.engine.source().store()) {
            store.withdraw(token).await;
        }
        let (refresh_token, ended) = match self.engine.source().session() {
            Some(session) => session.end(refresh_token).await,
            None => (refresh_token, Ok(())),
        };
        let refresh_revoked = match &refresh_token {
            Some(token) => endpoint.revoke(token.expose(), "refresh_token").await,
            None => Ok(()),
        };
        let revoked = match &token {
            Some(token) => endpoint.revoke(token.expose(), "access_token").await,
            None => Ok(()),
        };
        refresh_revoked.and(revoked).and(ended)
    }

    /// Ends the cache and all its clones. A fetch in flight is dropped, tokens are forgotten, and
    /// callers get an error of the kind [`ShutDown`], also those that wait. Tokens that are stored
    /// later are ignored.
    ///
    /// This signs the user of a session out: a refresh token that a renewal in flight brings is
    /// dropped, and not passed to [`on_rotation`](Self::on_rotation). To have it revoked, call
    /// [`revoke`](Self::revoke) instead. A program that ends and wants to keep its sessions drops the
    /// cache: a renewal in flight then goes on, for [`with_fetch_deadline`] at most, and the new
    /// refresh token is passed on. Leave the runtime that time. A
    /// [shared session](crate::client::SharedSessions) goes on at the other replicas.
    ///
    /// [`with_fetch_deadline`]: crate::client::RefreshPolicy::with_fetch_deadline
    /// [`ShutDown`]: crate::client::ErrorKind::ShutDown
    pub fn shutdown(&self) {
        self.engine.shut_down();
    }
}

fn no_session() -> ConfigError {
    ConfigError::new(
        "the token cache has no session to renew: Grant::with_resource and with_param are for other grants",
    )
}

impl TokenSource for TokenCache {
    type Future = BoxTokenFuture;

    fn token(&self, request: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        wait::token(&self.engine, Need::of(request))
    }

    fn clock(&self) -> Option<Clock> {
        Some(self.engine.lock().setup.clock.clone())
    }

    fn is_current(&self, held: &AccessToken, _: RequestHead<'_>) -> bool {
        self.engine.is_leased(held)
    }

    fn is_warm(&self) -> bool {
        self.engine.is_warm()
    }

    fn can_recover(&self) -> bool {
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
