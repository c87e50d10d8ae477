use crate::client::{Acquired, StoreError, StoreFuture, StoreKey, StoredToken, TokenStore};
use std::{
    collections::HashMap,
    fmt,
    future::{pending, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Stores tokens in the process, and fails or hangs on demand.
///
/// Clones share one store. No token and no lease in it expires; the cache checks the expiry of a
/// token. The store keeps tokens as the text that a real store keeps.
///
/// ```
/// use std::sync::Arc;
/// use tower_oauth2::{client::TokenStore, testing::InMemoryStore};
///
/// let store = InMemoryStore::new();
/// let shared: Arc<dyn TokenStore> = Arc::new(store.clone());
/// store.hang();
/// ```
#[derive(Clone, Default)]
pub struct InMemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<StoreKey, String>,
    leases: HashMap<StoreKey, String>,
    health: Health,
    operations: u64,
}

#[derive(Clone, Copy, Default)]
enum Health {
    #[default]
    Working,
    Failing,
    Hanging,
}

impl InMemoryStore {
    /// Creates an empty store that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails every operation from now on.
    pub fn fail(&self) {
        self.lock().health = Health::Failing;
    }

    /// Never completes an operation from now on.
    pub fn hang(&self) {
        self.lock().health = Health::Hanging;
    }

    /// Works again from now on.
    pub fn recover(&self) {
        self.lock().health = Health::Working;
    }

    /// Returns the keys of the stored tokens.
    #[must_use]
    pub fn keys(&self) -> Vec<StoreKey> {
        self.lock().tokens.keys().cloned().collect()
    }

    /// Returns the keys that a cache holds a lease on, that is, fetches a token for.
    #[must_use]
    pub fn leased_keys(&self) -> Vec<StoreKey> {
        self.lock().leases.keys().cloned().collect()
    }

    /// Returns the number of operations, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so the state behind a poisoned lock is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<'a, T: Send + 'a>(&self, answer: impl FnOnce(&mut State) -> T) -> StoreFuture<'a, T> {
        let mut state = self.lock();
        state.operations += 1;
        match state.health {
            Health::Working => Box::pin(ready(Ok(answer(&mut state)))),
            Health::Failing => Box::pin(ready(Err(StoreError::from("the store fails on demand")))),
            Health::Hanging => Box::pin(pending()),
        }
    }
}

impl TokenStore for InMemoryStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredToken>> {
        self.answer(|state| state.tokens.get(key)?.parse().ok())
    }

    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        token: &'a StoredToken,
        _: Duration,
    ) -> StoreFuture<'a, ()> {
        let text = token.to_secret_string().expose().to_owned();
        self.answer(|state| drop(state.tokens.insert(key.clone(), text)))
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, token: &'a StoredToken) -> StoreFuture<'a, ()> {
        let is_same = |stored: &String| {
            let stored = stored.parse::<StoredToken>();
            stored.is_ok_and(|stored| stored.access_token().has_text_of(token.access_token()))
        };
        self.answer(|state| {
            if state.tokens.get(key).is_some_and(is_same) {
                state.tokens.remove(key);
            }
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        _: Duration,
    ) -> StoreFuture<'a, Acquired> {
        self.answer(|state| {
            let current = state.leases.entry(key.clone()).or_insert_with(|| holder.to_owned());
            match current == holder {
                true => Acquired::Yours,
                false => Acquired::Taken { look_again: Duration::from_millis(50) },
            }
        })
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: &'a str) -> StoreFuture<'a, ()> {
        self.answer(|state| {
            if state.leases.get(key).is_some_and(|current| current == holder) {
                state.leases.remove(key);
            }
        })
    }
}

impl fmt::Debug for InMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("InMemoryStore")
            .field("tokens", &state.tokens.len())
            .field("leases", &state.leases.len())
            .finish_non_exhaustive()
    }
}
