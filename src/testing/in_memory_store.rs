use crate::client::{Acquired, StoreError, StoreFuture, StoreKey, StoredToken, TokenStore};
use std::{
    collections::HashMap,
    fmt,
    future::{pending, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A [`TokenStore`] in the process, which can be told to fail.
///
/// A clone is the same store. Nothing in it expires, and no guard lapses: what is too old is for
/// the cache to notice. A value is kept as the text that a real store would keep.
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
    guards: HashMap<StoreKey, String>,
    health: Health,
    asked: u64,
}

#[derive(Clone, Copy, Default)]
enum Health {
    #[default]
    Well,
    Fails,
    Hangs,
}

impl InMemoryStore {
    /// An empty store that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers everything with an error from now on.
    pub fn fail(&self) {
        self.lock().health = Health::Fails;
    }

    /// Never answers from now on.
    pub fn hang(&self) {
        self.lock().health = Health::Hangs;
    }

    /// Works from now on.
    pub fn recover(&self) {
        self.lock().health = Health::Well;
    }

    /// The keys of what is there.
    #[must_use]
    pub fn keys(&self) -> Vec<StoreKey> {
        self.lock().tokens.keys().cloned().collect()
    }

    /// Which keys somebody is fetching for.
    #[must_use]
    pub fn guarded(&self) -> Vec<StoreKey> {
        self.lock().guards.keys().cloned().collect()
    }

    /// How often it was asked anything.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.lock().asked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<'a, T: Send + 'a>(&self, answer: impl FnOnce(&mut State) -> T) -> StoreFuture<'a, T> {
        let mut state = self.lock();
        state.asked += 1;
        match state.health {
            Health::Well => Box::pin(ready(Ok(answer(&mut state)))),
            Health::Fails => Box::pin(ready(Err(StoreError::from("it was told to fail")))),
            Health::Hangs => Box::pin(pending()),
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
        let is_same = |kept: &String| {
            let kept = kept.parse::<StoredToken>();
            kept.is_ok_and(|kept| kept.access_token().has_text_of(token.access_token()))
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
            let current = state.guards.entry(key.clone()).or_insert_with(|| holder.to_owned());
            match current == holder {
                true => Acquired::Yours,
                false => Acquired::Taken { look_again: Duration::from_millis(50) },
            }
        })
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: &'a str) -> StoreFuture<'a, ()> {
        self.answer(|state| {
            if state.guards.get(key).is_some_and(|current| current == holder) {
                state.guards.remove(key);
            }
        })
    }
}

impl fmt::Debug for InMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("InMemoryStore")
            .field("tokens", &state.tokens.len())
            .field("guards", &state.guards.len())
            .finish_non_exhaustive()
    }
}
