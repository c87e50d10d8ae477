//! The sessions that replicas share, in a store that compares and swaps.

use super::record::SessionRecord;
use crate::{
    ClientSecret, Clock,
    client::{
        Error, ErrorKind, RefreshPolicy, StoreError, StoreFuture, StoreKey, StoreKeys, StoredValue,
        TokenEndpoint, TokenResponse, Version,
        token_cache::store::{Asker, Kind},
    },
    vocabulary::clock::MAX_LIFETIME,
};
use std::{fmt, sync::Arc, time::Duration};

/// Keeps the sessions of users for all replicas of a service: in Redis, for example, or in a database table.
///
/// Unlike a [`TokenStore`](crate::client::TokenStore), it is not a cache: a user whose session is lost has
/// to sign in again. Let it write to a disk. The values are encrypted already.
///
/// Each operation runs as a task of its own, which is dropped at the
/// [deadline](SharedSessions::with_deadline). It must not block its thread.
///
/// # Security
///
/// Who may write can end sessions, and can put back an older value of the same session, whose refresh
/// token was used: the authorization server may then end the session. Grant access to the replicas alone.
pub trait SessionStore: Send + Sync + 'static {
    /// Returns the value of `key`, with the time until the store deletes it: what is left of the
    /// [`left`](StoredValue::left) with which it was kept.
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>>;

    /// Keeps `to` in the place of the version `from` of `key`, or deletes that if `to` is `None`. With `None`
    /// as `from`, keeps `to` if there is nothing. Has to be one step for all who ask at once.
    ///
    /// The store keeps `to` for the whole of its [`left`](StoredValue::left), by its own clock. Replicas tell
    /// from that how old a value is: with a shorter time, two of them may send one refresh token; if it does
    /// not go down, they send expired access tokens.
    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap>;
}

/// Whether a [`SessionStore::swap`] had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value was the expected one.
    Done,
    /// Another version is there, or none.
    Lost,
}

/// Sessions that any replica of a service can use and renew: a [`SessionStore`], the keys that encrypt what
/// it keeps, and how it is asked.
///
/// 1. A session has a name, for example the user and the device. The store sees a digest of it.
/// 2. Before a replica sends the refresh token, it writes down that it does. Others wait for what comes
///    of it, for the deadline of the fetch at most. A replica that dies meanwhile costs that time, and its
///    successor sends the refresh token once more, as a single process would.
/// 3. Callers get a new access token at once. The refresh token is saved right after that, and no renewal
///    begins before it is.
/// 4. If the store fails, the access token is used to its end, and no refresh token is sent: callers then get
///    an error, which is transient. So they do if the keys do not open what the store has.
///
/// Clones share the sessions.
///
/// ```
/// use std::sync::Arc;
/// use tower_oauth2::{
///     ConfigError,
///     client::{
///         Error, RefreshPolicy, SessionStore, SharedSessions, StoreKeys, TokenCache, TokenEndpoint,
///         TokenPool, TokenResponse,
///     },
/// };
///
/// #[derive(Clone)]
/// struct User(Arc<str>);
///
/// fn pool(
///     endpoint: TokenEndpoint,
///     store: Arc<dyn SessionStore>,
///     (key, name_secret): (&[u8; 32], &str),
/// ) -> Result<(SharedSessions, TokenPool<Arc<str>>), ConfigError> {
///     let sessions = SharedSessions::new(endpoint, store, StoreKeys::new(key)?, name_secret);
///     let of_all = sessions.clone();
///     let pool = TokenPool::new(|request| request.extensions().get().map(|User(id)| id.clone()))
///         .with_caches(move |user: &Arc<str>| {
///             let policy = RefreshPolicy::default();
///             Some(TokenCache::from_shared_session(&of_all, user, policy))
///         });
///     Ok((sessions, pool))
/// }
///
/// async fn signed_in(sessions: &SharedSessions, user: &str, response: &TokenResponse) -> Result<(), Error> {
///     sessions.sign_in(user, response).await
/// }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SharedSessions {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    endpoint: TokenEndpoint,
    store: Arc<dyn SessionStore>,
    keys: StoreKeys,
    key_secret: ClientSecret,
    lifetime: Duration,
    asker: Arc<Asker>,
}

/// What a store has of a session.
pub(super) struct Found {
    pub(super) version: Version,
    /// As it is now. `None`: no key opens it.
    pub(super) record: Option<SessionRecord>,
}

const DEADLINE: Duration = Duration::from_millis(250);
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What is written ahead has to be there when the answer comes.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
/// A value that changes more often than this under one who wants to replace it is left alone.
const SWAPS: usize = 8;

impl SharedSessions {
    /// Creates the sessions in `store` whose tokens `endpoint` issues, by the clock of that. `name_secret`, the
    /// same at every replica, keeps a reader of the store from guessing at names.
    ///
    /// The same name at another endpoint, or of another client, is another session.
    pub fn new(
        endpoint: TokenEndpoint,
        store: Arc<dyn SessionStore>,
        keys: StoreKeys,
        name_secret: impl Into<ClientSecret>,
    ) -> Self {
        let asker = Arc::new(Asker::new(endpoint.clock().clone(), DEADLINE));
        let (key_secret, lifetime) = (name_secret.into(), LIFETIME);
        Self { settings: Settings { endpoint, store, keys, key_secret, lifetime, asker }.into() }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        change(&mut settings);
        Self { settings: settings.into() }
    }

    /// Sets how long the store may take for one answer. An answer that is late counts as a failure; after
    /// three in a row the store is left alone for 5 s. Defaults to 250 ms.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|settings| {
            settings.asker = Asker::new(settings.endpoint.clock().clone(), deadline).into();
        })
    }

    /// Sets how long the store keeps a session after its last renewal, at least as long as its refresh
    /// tokens are good. Between 1 min and ten years. Defaults to 30 days.
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        self.with(|settings| settings.lifetime = lifetime.clamp(LIFETIME_MIN, MAX_LIFETIME))
    }

    /// Saves the session of a sign-in, in the place of another of this name. Call it as soon as `response`
    /// has come.
    ///
    /// A cache that found no session of this name looks again after 10 s at the latest, or after
    /// [`credential_changed`](crate::client::TokenCache::credential_changed). One that has a token of an
    /// earlier sign-in uses that to its end.
    ///
    /// # Errors
    ///
    /// If the store fails, is late, or has another value each time. The session may be saved all the same.
    ///
    /// # Cancel safety
    ///
    /// After a cancellation it is unknown whether the session was saved.
    pub async fn sign_in(&self, name: &str, response: &TokenResponse) -> Result<(), Error> {
        let default = RefreshPolicy::default().values().default_lifetime;
        let lifetime = response.lifetime_at(self.clock().wall()).unwrap_or(default);
        let record = SessionRecord::of(response, lifetime, self.settings.lifetime);
        self.replace(&self.key(name), Some(&record)).await.map(drop)
    }

    /// Deletes a session, and returns its refresh token, which is to be
    /// [revoked](crate::client::TokenRevocation::revoke). Other replicas use the access token that they have
    /// to its end.
    ///
    /// # Errors
    ///
    /// As [`sign_in`](Self::sign_in).
    ///
    /// # Cancel safety
    ///
    /// After a cancellation it is unknown whether the session was deleted.
    pub async fn sign_out(&self, name: &str) -> Result<Option<ClientSecret>, Error> {
        self.end(&self.key(name)).await
    }

    pub(super) async fn end(&self, key: &StoreKey) -> Result<Option<ClientSecret>, Error> {
        let ended = self.replace(key, None).await?;
        Ok(ended.and_then(|record| record.refresh_token))
    }

    /// Puts `record` in the place of whatever is there, and returns that.
    async fn replace(
        &self,
        key: &StoreKey,
        record: Option<&SessionRecord>,
    ) -> Result<Option<SessionRecord>, Error> {
        for _ in 0..SWAPS {
            let found = self.read(key).await?;
            let from = found.as_ref().map(|found| found.version.clone());
            let old = found.and_then(|found| found.record);
            if from.is_none() && record.is_none() {
                return Ok(None);
            }
            let to = record.map(|record| Ok((self.version()?, record.clone()))).transpose()?;
            if self.swap(key, from, to).await? == Swap::Done {
                return Ok(old);
            }
        }
        Err(store_failed())
    }

    pub(super) fn key(&self, name: &str) -> StoreKey {
        StoreKey::of_session(&self.settings.endpoint, name, &self.settings.key_secret)
    }

    pub(in crate::client::token_cache) fn endpoint(&self) -> &TokenEndpoint {
        &self.settings.endpoint
    }

    pub(in crate::client::token_cache) fn clock(&self) -> &Clock {
        &self.settings.asker.clock
    }

    /// Returns a new version.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub(super) fn version(&self) -> Result<Version, Error> {
        Version::random(self.clock()).ok_or_else(store_failed)
    }

    /// Returns what the store has.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(super) async fn read(&self, key: &StoreKey) -> Result<Option<Found>, Error> {
        // Each use of the store begins here; what is to be saved is saved as soon as it is back.
        if self.settings.asker.is_spared() {
            return Err(store_failed());
        }
        let (store, own) = (self.settings.store.clone(), key.clone());
        let value = self.ask("read", async move { store.read(&own).await }).await?;
        Ok(value.map(|StoredValue { version, sealed, left }| {
            let name = (key, &version);
            let record =
                self.settings.keys.open(Kind::Session, name, &sealed, SessionRecord::from_json);
            if record.is_none() {
                self.settings.asker.does_not_open();
            }
            // Only the store knows how old it is.
            let record = record.map(|record| {
                let age = record.kept_for.saturating_sub(left);
                record.aged(age)
            });
            Found { version, record }
        }))
    }

    /// Saves `to` in the place of `from`.
    ///
    /// # Errors
    ///
    /// If the store fails. It may have saved it all the same.
    pub(super) async fn swap(
        &self,
        key: &StoreKey,
        from: Option<Version>,
        to: Option<(Version, SessionRecord)>,
    ) -> Result<Swap, Error> {
        let to = to.map(|(version, record)| {
            let record = SessionRecord { kept_for: self.settings.lifetime, ..record };
            let sealed =
                self.settings.keys.seal(Kind::Session, (key, &version), record.to_json())?;
            Some(StoredValue::new(version, sealed, record.kept_for))
        });
        let to = to.map(|sealed| sealed.ok_or_else(store_failed)).transpose()?;
        let (store, key) = (self.settings.store.clone(), key.clone());
        let swap = async move { store.swap(&key, from.as_ref(), to.as_ref()).await };
        self.ask("swap", swap).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Error> {
        self.settings.asker.ask(operation, question).await.ok_or_else(store_failed)
    }
}

fn store_failed() -> Error {
    let text =
        "the store of the sessions failed or was late, and no refresh token is sent without it";
    Error::new(ErrorKind::Source, text)
}

/// Shows no name, key or secret.
impl fmt::Debug for SharedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSessions")
            .field("keys", &self.settings.keys)
            .field("lifetime", &self.settings.lifetime)
            .finish_non_exhaustive()
    }
}
