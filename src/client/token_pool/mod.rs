//! One token cache for each user or tenant.
//!
//! **In**: a key in each request. **Out**: the token of the cache of that key. **Uses** `vocabulary`, and the client's
//! error, source and token cache.

use super::{BoxTokenFuture, Error, TokenCache, TokenSource};
use crate::{AccessToken, Answer, RequestHead};
use shards::Shards;
use std::{fmt, hash::Hash, sync::Arc};

mod shards;

/// A [`TokenSource`] that keeps a [`TokenCache`] for each user or tenant, and returns the token of
/// the user whom the request names.
///
/// 1. The pool reads the key of every request, and never returns a token of another key. A request
///    without a key fails with an error of the kind [`NoKey`](crate::client::ErrorKind::NoKey), and
///    is not sent.
/// 2. Every key has a cache of its own. A rejection, an outage or a refused refresh of one key does
///    not affect the others.
/// 3. The closure of [`with_caches`](Self::with_caches) makes a cache for a new key. Without a
///    closure, or if it returns `None`, the error asks the user to sign in.
/// 4. The number of caches is bounded. A new key evicts a cache that was not used lately, but none
///    that is in use: whose token is being fetched, for which a caller waits, or of which the program
///    holds a clone. While all are in use, the pool grows by the new ones; later calls evict what is
///    above the bound and no longer in use.
///
/// A clone is the same pool. Setters empty the pool: call them before it is used.
///
/// # Defaults
///
/// At most 10,000 keys; only caches that were inserted.
///
/// # Deployment
///
/// The refresh token of a session is in its cache only, so a user whose cache was evicted has to sign
/// in again. To avoid that, keep the sessions in a store (`TokenCache::from_shared_session`, feature
/// `store`), which any replica of the service can use; or keep each new refresh token
/// ([`TokenCache::on_rotation`]) and let the closure go on from there
/// ([`TokenCache::from_refresh_token`]); or set the bound above the number of users who are signed in at
/// once. A cache whose refresh token is on its way is not evicted, so
/// eviction does not send a refresh token twice at once. Calls that wait for a token make the pool
/// larger than its bound: to limit them, put a concurrency limit above the layer.
///
/// Take the key from what the server has verified, for example from an extension that an outer layer
/// inserts. With a key from a header, a caller can choose to be another user.
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{AddBearer, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenPool},
/// };
///
/// #[derive(Clone)]
/// struct Tenant(u32);
///
/// let endpoint = TokenEndpoint::new(
///     "https://as.example/token",
///     ClientAuthentication::basic("id", "secret"),
///     Transport::https(),
/// )?;
/// let pool = TokenPool::new(|request| request.extensions().get().map(|Tenant(id)| *id))
///     .with_caches(move |tenant: &u32| {
///         let grant = Grant::client_credentials().with_param("tenant", tenant.to_string());
///         Some(TokenCache::new(endpoint.clone(), grant.ok()?, RefreshPolicy::default()))
///     });
/// let layer = AddBearer::from_source(pool, "https://api.example")?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// # Example: users who sign in
///
/// ```
/// use tower_oauth2::{
///     AccessToken, Clock,
///     client::{AddBearer, RefreshPolicy, TokenCache, TokenEndpoint, TokenPool, TokenResponse},
/// };
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct User(String);
///
/// # fn example(endpoint: TokenEndpoint, signed_in: TokenResponse)
/// # -> Result<(), tower_oauth2::ConfigError> {
/// let pool = TokenPool::new(|request| request.extensions().get::<User>().cloned());
/// let layer = AddBearer::from_source(pool.clone(), "https://api.example")?;
///
/// // After a sign-in:
/// let policy = RefreshPolicy::default();
/// let cache = TokenCache::from_sign_in(endpoint, &signed_in, policy, Clock::system());
/// pool.insert(User("alice".into()), cache);
/// // After the sign-out:
/// pool.remove(&User("alice".into()));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct TokenPool<K> {
    key: Arc<dyn KeyOf<K>>,
    make: Option<Arc<dyn Make<K>>>,
    caches: Arc<Shards<K>>,
}

const CAPACITY: usize = 10_000;

/// Reads the key of a request.
trait KeyOf<K>: Fn(RequestHead<'_>) -> Option<K> + Send + Sync {}

impl<K, F: Fn(RequestHead<'_>) -> Option<K> + Send + Sync> KeyOf<K> for F {}

/// Makes the cache of a key.
trait Make<K>: Fn(&K) -> Option<TokenCache> + Send + Sync {}

impl<K, F: Fn(&K) -> Option<TokenCache> + Send + Sync> Make<K> for F {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenPool<K> {
    /// Creates an empty pool. `key` returns the key of a request.
    ///
    /// The pool calls `key` for every request, so it must be quick. A key that is cheap to clone (a
    /// number, an `Arc<str>`) keeps calls cheap.
    pub fn new<F>(key: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<K> + Send + Sync + 'static,
    {
        Self { key: Arc::new(key), make: None, caches: Arc::new(Shards::new(CAPACITY)) }
    }

    /// Sets a closure that makes the cache of a new key, or returns `None` if there is no such user.
    /// Defaults to none: only inserted caches are used.
    ///
    /// The pool may call `make` more than once for a key that many calls need at once. It keeps one
    /// of the caches, and only that one fetches. It calls `make` again if a key was
    /// [removed](Self::remove) meanwhile: a user who signs out during their first call stays signed
    /// out.
    pub fn with_caches<F>(self, make: F) -> Self
    where
        F: Fn(&K) -> Option<TokenCache> + Send + Sync + 'static,
    {
        let caches = Arc::new(Shards::new(self.caches.capacity()));
        Self { make: Some(Arc::new(make)), caches, ..self }
    }

    /// Sets how many caches the pool keeps, at least one, beside those in use. Defaults to 10,000.
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { caches: Arc::new(Shards::new(capacity)), ..self }
    }

    /// Inserts the cache of `key`, and returns the one that it replaces. Calls in flight with a token
    /// of the old cache go on, but its [`TokenCache::on_rotation`] is not called any more: the refresh
    /// token to keep is that of the new cache.
    pub fn insert(&self, key: K, cache: TokenCache) -> Option<TokenCache> {
        let kept = cache.clone();
        let replaced = self.caches.replace(key, cache)?;
        if !replaced.is_clone_of(&kept) {
            replaced.sign_out();
        }
        Some(replaced)
    }

    /// Removes the cache of `key` and returns it: signs the user out. The next call with that key counts
    /// as one with a new key.
    ///
    /// [`TokenCache::on_rotation`] of that cache is not called any more, not even with the refresh token
    /// that a renewal in flight brings. Delete what [`with_caches`](Self::with_caches) makes the cache of
    /// before you call this. To take the tokens back at the authorization server too, call
    /// [`TokenCache::revoke`] on what this returns.
    pub fn remove(&self, key: &K) -> Option<TokenCache> {
        self.caches.remove(key).inspect(TokenCache::sign_out)
    }

    /// Returns the cache of `key`, if there is one, and makes none. The look does not count as use;
    /// the cache is not evicted while the returned clone lives.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<TokenCache> {
        self.caches.peek(key)
    }

    /// Returns the token of `key` without a request, as [`TokenCache::access_token`] does, and makes
    /// its cache if there is none.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::access_token`], and if there is no cache for `key`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    pub async fn access_token(&self, key: &K) -> Result<AccessToken, Error> {
        self.cache_of(key).ok_or_else(Error::not_signed_in)?.access_token().await
    }

    /// Returns how many keys have a cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.caches.len()
    }

    /// Returns `true` if no key has a cache.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cache_of(&self, key: &K) -> Option<TokenCache> {
        if let Some(cache) = self.caches.get(key) {
            return Some(cache);
        }
        loop {
            let removals = self.caches.removals(key);
            // Not under a lock: the closure is the user's, and may use this pool.
            let made = self.make.as_ref()?(key)?;
            // Again if its user may have signed out since.
            if let Some(cache) = self.caches.keep(key.clone(), made, removals) {
                return Some(cache);
            }
        }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenSource for TokenPool<K> {
    type Future = BoxTokenFuture;

    fn token(&self, request: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        let Some(key) = (self.key)(request) else { return Answer::Ready(Err(Error::no_key())) };
        match self.cache_of(&key) {
            Some(cache) => cache.token(request),
            None => Answer::Ready(Err(Error::not_signed_in())),
        }
    }

    fn can_recover(&self) -> bool {
        true
    }

    /// Rejects the token at the cache that gave it out, whichever cache its key has by now.
    fn reject(&self, rejected: &AccessToken) -> bool {
        match rejected.giver() {
            Some(cache) => cache.reject(rejected),
            // The cache was evicted, and the next cache of its key has another token.
            None => true,
        }
    }
}

impl<K> Clone for TokenPool<K> {
    fn clone(&self) -> Self {
        let (key, make) = (self.key.clone(), self.make.clone());
        Self { key, make, caches: self.caches.clone() }
    }
}

/// Shows how many keys there are, but no key: they may be names of users.
impl<K> fmt::Debug for TokenPool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPool")
            .field("len", &self.caches.len())
            .field("capacity", &self.caches.capacity())
            .finish_non_exhaustive()
    }
}
