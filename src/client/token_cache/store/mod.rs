//! The second level of a cache: a store that replicas share.

use std::{error::Error as StdError, future::Future, pin::Pin, time::Duration};

mod backend;
mod key;
mod level;
mod stored_token;

use crate::ClientSecret;

pub use key::StoreKey;
pub(in crate::client::token_cache) use level::Level;
pub use stored_token::StoredToken;

/// The error of a [`TokenStore`]. The cache shows its text nowhere, so log it in the store.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// The future of a [`TokenStore`].
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps the tokens that the replicas of a service share, for example in Redis or in a database
/// table.
///
/// [`TokenCache::with_store`](crate::client::TokenCache::with_store) puts one behind a cache, which
/// loads from it before a fetch, and saves what was fetched after the callers have it. A store that
/// loses a token, is down or panics costs a fetch and the time of its deadline, never an error.
///
/// Each operation runs as a task of its own, which is dropped at the
/// [deadline](StorePolicy::with_deadline) and with the fetch. It must not block its thread.
///
/// # Security
///
/// A reader of the store can use the tokens:
///
/// 1. Encrypt values before they leave the process, with a key that the store does not know, and
///    bind them to their [`StoreKey`], so that one cannot replace another. Treat a value that does
///    not decrypt as absent.
/// 2. Grant write access only to those who may have the tokens: the cache sends a token of the store
///    to the resource.
/// 3. Delete values when they expire, and do not log them.
///
/// # Example
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tower_oauth2::client::{
///     Acquired, StoreError, StoreFuture, StoreKey, StoredToken, TokenStore,
/// };
/// # struct Redis;
/// # impl Redis {
/// #     async fn get(&self, _: &str) -> Result<Option<String>, StoreError> { Ok(None) }
/// #     async fn set(&self, _: &str, _: &str, _: Duration) -> Result<(), StoreError> { Ok(()) }
/// #     async fn set_nx(&self, _: &str, _: &str, _: Duration) -> Result<bool, StoreError> { Ok(true) }
/// #     async fn delete(&self, _: &str) -> Result<(), StoreError> { Ok(()) }
/// #     async fn delete_if(&self, _: &str, _: &str) -> Result<(), StoreError> { Ok(()) }
/// # }
/// # fn seal(_: &str, text: &str) -> String { text.into() }
/// # fn open(_: &str, text: &str) -> Option<String> { Some(text.into()) }
/// struct Shared(Redis);
///
/// impl TokenStore for Shared {
///     fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredToken>> {
///         Box::pin(async move {
///             let Some(sealed) = self.0.get(key.as_str()).await? else { return Ok(None) };
///             Ok(open(key.as_str(), &sealed).and_then(|text| text.parse().ok()))
///         })
///     }
///
///     fn save<'a>(
///         &'a self,
///         key: &'a StoreKey,
///         token: &'a StoredToken,
///         lifetime: Duration,
///     ) -> StoreFuture<'a, ()> {
///         Box::pin(async move {
///             let sealed = seal(key.as_str(), token.to_secret_string().expose());
///             self.0.set(key.as_str(), &sealed, lifetime).await
///         })
///     }
///
///     fn remove<'a>(&'a self, key: &'a StoreKey, token: &'a StoredToken) -> StoreFuture<'a, ()> {
///         Box::pin(async move {
///             // Two that read and write at once cost a fetch, no more.
///             match self.load(key).await? {
///                 Some(kept) if kept.access_token().expose() == token.access_token().expose() => {
///                     self.0.delete(key.as_str()).await
///                 }
///                 _ => Ok(()),
///             }
///         })
///     }
///
///     fn acquire<'a>(
///         &'a self,
///         key: &'a StoreKey,
///         holder: &'a str,
///         ttl: Duration,
///     ) -> StoreFuture<'a, Acquired> {
///         Box::pin(async move {
///             // SET … NX PX: only if it is not held.
///             Ok(match self.0.set_nx(&format!("{}.guard", key.as_str()), holder, ttl).await? {
///                 true => Acquired::Yours,
///                 false => Acquired::Taken { look_again: Duration::from_millis(50) },
///             })
///         })
///     }
///
///     fn release<'a>(&'a self, key: &'a StoreKey, holder: &'a str) -> StoreFuture<'a, ()> {
///         // Compared and deleted in one step: by now it may be another's.
///         Box::pin(async move {
///             self.0.delete_if(&format!("{}.guard", key.as_str()), holder).await
///         })
///     }
/// }
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the token that is kept under `key`, if there is one, expired or not.
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredToken>>;

    /// Keeps `token` under `key` and replaces what is there. After `lifetime` it is of no use.
    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        token: &'a StoredToken,
        lifetime: Duration,
    ) -> StoreFuture<'a, ()>;

    /// Deletes `token`, which was kept under `key` and is revoked. Leaves another token that is there
    /// by now.
    ///
    /// Defaults to doing nothing: a replica may then find the token and have it rejected, once.
    fn remove<'a>(&'a self, key: &'a StoreKey, token: &'a StoredToken) -> StoreFuture<'a, ()> {
        let _ = (key, token);
        Box::pin(async { Ok(()) })
    }

    /// Makes `holder`, a name of this one fetch, the only one that fetches the token of `key`, for
    /// `ttl` at most.
    ///
    /// Defaults to letting every replica fetch.
    fn acquire<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, Acquired> {
        let _ = (key, holder, ttl);
        Box::pin(async { Ok(Acquired::Yours) })
    }

    /// Ends what `holder` acquired, after its fetch succeeded or failed. Does nothing if there is
    /// another holder by now.
    ///
    /// Defaults to doing nothing.
    fn release<'a>(&'a self, key: &'a StoreKey, holder: &'a str) -> StoreFuture<'a, ()> {
        let _ = (key, holder);
        Box::pin(async { Ok(()) })
    }
}

/// Says which replica fetches: the answer of [`TokenStore::acquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// The replica that asked.
    Yours,
    /// Another replica, whose token may be there after `look_again`.
    Taken {
        /// How long to wait before the next look, between 10 ms and 1 s.
        look_again: Duration,
    },
}

/// Decides how long a [`TokenCache`](crate::client::TokenCache) waits for its store and for other
/// replicas.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::client::StorePolicy;
///
/// let policy = StorePolicy::default().with_deadline(Duration::from_millis(50));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StorePolicy {
    deadline: Duration,
    wait: Duration,
    guard: Duration,
    key_secret: Option<ClientSecret>,
}

impl Default for StorePolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(250),
            wait: Duration::from_secs(2),
            guard: Duration::from_secs(10),
            key_secret: None,
        }
    }
}

impl StorePolicy {
    /// Sets how long the store may take for one answer. After an answer that is late or an error, or
    /// a panic, the fetch goes on without the store. Callers do not wait for
    /// [`save`](TokenStore::save) and [`release`](TokenStore::release). Defaults to 250 ms.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long to wait for the token that another replica is fetching, before fetching one all
    /// the same. Keep it below the callers' patience. Defaults to 2 s.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets how long a replica counts as fetching if it does not release the key, because it may have
    /// died. Defaults to 10 s.
    pub fn with_guard(mut self, guard: Duration) -> Self {
        self.guard = guard;
        self
    }

    /// Mixes `secret`, the same at every replica, into the keys. Without it a reader of the keys can
    /// guess at what they are made of, for example at a user's password. Defaults to none.
    pub fn with_key_secret(mut self, secret: impl Into<ClientSecret>) -> Self {
        self.key_secret = Some(secret.into());
        self
    }

    pub(in crate::client::token_cache) fn key_secret(&self) -> Option<&ClientSecret> {
        self.key_secret.as_ref()
    }
}
