//! The second level of a cache: a store that replicas share.

use std::{error::Error as StdError, fmt, future::Future, pin::Pin, time::Duration};

mod key;
mod level;
mod stored_token;

use crate::ClientSecret;

pub use key::StoreKey;
pub(in crate::client::token_cache) use level::Level;
pub use stored_token::StoredToken;

/// What a [`TokenStore`] fails with; its text is shown nowhere, so log it in the store.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// The future of a [`TokenStore`].
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where the replicas of a service keep the tokens that they share: a Redis, a database table.
///
/// [`TokenCache::with_store`](crate::client::TokenCache::with_store) puts one behind a cache. It is looked into before a token is
/// fetched, and told what was fetched. It may lose what it was given, and may be down: that costs
/// a fetch, never an error.
///
/// # Security
///
/// What is kept here opens what the tokens open:
///
/// 1. Encrypt values before they leave the process, with a key that the store does not know, and
///    bind them to their [`StoreKey`], so that nobody can put one in the place of another. A value
///    that does not decrypt is one that is not there.
/// 2. Let nobody write who may not have the tokens: a token that was put in goes out to the
///    resource.
/// 3. Let values go when they expire, and do not log them.
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
///             // SET … NX PX: only where nobody holds it.
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
    /// What is kept under `key`, whether it has expired or not; nothing where nothing is.
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredToken>>;

    /// Keeps `token` under `key` in the place of what is there; after `lifetime` it is of no use.
    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        token: &'a StoredToken,
        lifetime: Duration,
    ) -> StoreFuture<'a, ()>;

    /// Forgets `token`, which was kept under `key` and is revoked. Where another is there by now, it
    /// stays.
    ///
    /// Defaults to nothing: a replica may then find the token and have it rejected, once.
    fn remove<'a>(&'a self, key: &'a StoreKey, token: &'a StoredToken) -> StoreFuture<'a, ()> {
        let _ = (key, token);
        Box::pin(async { Ok(()) })
    }

    /// Asks to be the one that fetches the token of `key`, as `holder`, a name made up for this
    /// one fetch. It lapses after `ttl`.
    ///
    /// Defaults to letting everybody fetch.
    fn acquire<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, Acquired> {
        let _ = (key, holder, ttl);
        Box::pin(async { Ok(Acquired::Yours) })
    }

    /// `holder` has fetched, or failed to. Where another is the holder by now, nothing happens.
    ///
    /// Defaults to nothing.
    fn release<'a>(&'a self, key: &'a StoreKey, holder: &'a str) -> StoreFuture<'a, ()> {
        let _ = (key, holder);
        Box::pin(async { Ok(()) })
    }
}

/// Whose turn it is to fetch: the answer of [`TokenStore::acquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// Whoever asked.
    Yours,
    /// Somebody else, whose token may be there after `look_again`.
    Taken {
        /// How long to wait before the next look, between 10 ms and 1 s.
        look_again: Duration,
    },
}

/// How long a [`TokenCache`](crate::client::TokenCache) waits for its store, and for the other replicas.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::client::StorePolicy;
///
/// let policy = StorePolicy::default().with_deadline(Duration::from_millis(50));
/// ```
#[derive(Clone)]
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
    /// How long the store may take for one answer; after the first that is late, or is an error,
    /// the fetch does without it. Defaults to 250 ms.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long to wait for the token that another replica is fetching, before fetching one all
    /// the same; keep it below the callers' patience. Defaults to 2 s.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long a replica counts as fetching that does not say that it is done: it may have died.
    /// Defaults to 10 s.
    pub fn with_guard(mut self, guard: Duration) -> Self {
        self.guard = guard;
        self
    }

    /// Mixes `secret`, the same at every replica, into the keys. Without it, whoever can read the
    /// keys can try out what is in them, which matters where that can be guessed: a user's
    /// password. Defaults to none.
    pub fn with_key_secret(mut self, secret: impl Into<ClientSecret>) -> Self {
        self.key_secret = Some(secret.into());
        self
    }

    pub(in crate::client::token_cache) fn key_secret(&self) -> Option<&ClientSecret> {
        self.key_secret.as_ref()
    }
}

impl fmt::Debug for StorePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePolicy")
            .field("deadline", &self.deadline)
            .field("wait", &self.wait)
            .field("guard", &self.guard)
            .field("key_secret", &self.key_secret)
            .finish()
    }
}
