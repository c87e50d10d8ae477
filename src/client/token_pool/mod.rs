use super::{BoxTokenFuture, Error, TokenCache, TokenSource};
use crate::{AccessToken, Answer, RequestHead};
use shards::Shards;
use std::{fmt, hash::Hash, sync::Arc};

mod shards;

/// A [`TokenSource`] that keeps a [`TokenCache`] for each user or tenant, and takes the token of
/// the one that a request names.
///
/// 1. Every call is asked for its key; a token goes out for the key that it came with, never for
///    another. A request without one gets an error of the kind
///    [`NoKey`](crate::client::ErrorKind::NoKey), and nothing is sent.
/// 2. Every key has its own cache: its own fetch, its own back-off, its own end. A rejection, an
///    outage or a refused refresh of one key does nothing to the others.
/// 3. A cache that is not there is made by the closure of [`with_caches`](Self::with_caches);
///    without one, or where it says no, the error says that the user has to sign in.
/// 4. There is a bound. The key that nobody asked for lately gives way to a new one; those who
///    wait for its token get it all the same.
///
/// A clone is the same pool. Setters empty it: call them before it is used.
///
/// # Defaults
///
/// At most 10,000 keys; no cache but those that were put in.
///
/// # Deployment
///
/// A session that is renewed by its refresh token lives in its cache alone. Where tokens come from
/// sign-ins, have each new refresh token kept ([`TokenCache::on_rotation`]) and the closure go on
/// from there ([`TokenCache::from_refresh_token`]), or let the bound be above the number of users who are
/// signed in at once: once a cache that nobody can make again has given way, its user has to sign
/// in. One whose token is being fetched gives way last.
///
/// Take the key from what the server itself has found out, as an extension that an outer layer
/// puts there. A key from a header is whoever the caller says.
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

/// Which key a request names.
trait KeyOf<K>: Fn(RequestHead<'_>) -> Option<K> + Send + Sync {}

impl<K, F: Fn(RequestHead<'_>) -> Option<K> + Send + Sync> KeyOf<K> for F {}

/// Makes the cache of a key.
trait Make<K>: Fn(&K) -> Option<TokenCache> + Send + Sync {}

impl<K, F: Fn(&K) -> Option<TokenCache> + Send + Sync> Make<K> for F {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenPool<K> {
    /// A pool without a cache; `key` says whose token a request wants.
    ///
    /// `key` is called for every request, so it must be quick. A key that is cheap to clone (a
    /// number, an `Arc<str>`) keeps calls cheap.
    pub fn new<F>(key: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Option<K> + Send + Sync + 'static,
    {
        Self { key: Arc::new(key), make: None, caches: Arc::new(Shards::new(CAPACITY)) }
    }

    /// Has `make` make the cache of a key that has none, when it is first asked for; nothing where
    /// there is no such user. Defaults to no cache but those that were put in.
    ///
    /// It may be called more than once for a key that many ask for at once; one of its caches is
    /// kept, and only that one fetches.
    pub fn with_caches<F>(self, make: F) -> Self
    where
        F: Fn(&K) -> Option<TokenCache> + Send + Sync + 'static,
    {
        let caches = Arc::new(Shards::new(self.caches.capacity()));
        Self { make: Some(Arc::new(make)), caches, ..self }
    }

    /// For how many keys there are caches at most, and at least one. Defaults to 10,000.
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { caches: Arc::new(Shards::new(capacity)), ..self }
    }

    /// Puts `cache` in the place of the one that `key` has, and gives that one back. Calls that are
    /// on their way with a token of the old one are not disturbed.
    pub fn insert(&self, key: K, cache: TokenCache) -> Option<TokenCache> {
        self.caches.replace(key, cache)
    }

    /// Takes the cache of `key` out and gives it back. The next call of that key is answered as
    /// that of a new one.
    pub fn remove(&self, key: &K) -> Option<TokenCache> {
        self.caches.remove(key)
    }

    /// The cache of `key`, where there is one; none is made. That somebody looked at it does not
    /// keep it from giving way, that somebody holds it does.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<TokenCache> {
        self.caches.peek(key)
    }

    /// How many keys have a cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.caches.len()
    }

    /// Whether no key has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cache_of(&self, key: K) -> Option<TokenCache> {
        if let Some(cache) = self.caches.get(&key) {
            return Some(cache);
        }
        // Not under a lock: it is the user's own, and may ask this pool.
        let made = self.make.as_ref()?(&key)?;
        Some(self.caches.keep(key, made))
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenSource for TokenPool<K> {
    type Future = BoxTokenFuture;

    fn token(&self, request: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        let Some(key) = (self.key)(request) else { return Answer::Ready(Err(Error::no_key())) };
        match self.cache_of(key) {
            Some(cache) => cache.token(request),
            None => Answer::Ready(Err(Error::not_signed_in())),
        }
    }

    fn recovers(&self) -> bool {
        true
    }

    /// The cache that gave the token out is told, whatever its key has by now.
    fn reject(&self, rejected: &AccessToken) -> bool {
        match rejected.giver() {
            Some(cache) => cache.reject(rejected),
            // It has given way, and its key's next one has another token.
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

/// Shows how many keys there are, none of them: they may be names of users.
impl<K> fmt::Debug for TokenPool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPool")
            .field("len", &self.caches.len())
            .field("capacity", &self.caches.capacity())
            .finish_non_exhaustive()
    }
}
