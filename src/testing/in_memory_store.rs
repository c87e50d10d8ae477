use crate::{
    Clock,
    client::{
        Begun, Holder, Lease, SessionStore, StoreError, StoreFuture, StoreKey, StoredValue, Swap,
        TokenStore, Version,
    },
    vocabulary::clock::after,
};
use std::{
    collections::HashMap,
    fmt,
    future::{pending, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Stores tokens and sessions in the process, and fails or hangs on demand.
///
/// Clones share one store.
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
    clock: Clock,
}

#[derive(Default)]
struct State {
    keys: HashMap<StoreKey, Kept>,
    health: Health,
    operations: u64,
}

/// What is kept under one key, each with its end.
#[derive(Default)]
struct Kept {
    value: Option<(Version, Vec<u8>, Instant)>,
    lease: Option<(Holder, Instant)>,
    paused_until: Option<Instant>,
}

impl Kept {
    fn begin(&mut self, now: Instant, holder: &Holder, lease: Duration, had: &[Version]) -> Begun {
        self.lease.take_if(|(_, end)| *end <= now);
        if let Some(value) = self.found(now).filter(|value| !had.contains(&value.version)) {
            return Begun::Found(value);
        }
        if let Some(end) = self.paused_until.filter(|end| *end > now) {
            return Begun::Paused { left: end.saturating_duration_since(now) };
        }
        if let Some((other, end)) = &self.lease
            && other != holder
        {
            return Begun::Taken { left: end.saturating_duration_since(now) };
        }
        self.lease = Some((holder.clone(), after(now, lease)));
        Begun::Yours
    }

    fn is_held(&self, now: Instant, holder: &Holder) -> bool {
        self.lease.as_ref().is_some_and(|(other, end)| other == holder && *end > now)
    }

    fn renew(&mut self, now: Instant, holder: &Holder, lease: Duration) -> Lease {
        if !self.is_held(now, holder) {
            return Lease::Lost;
        }
        self.lease = Some((holder.clone(), after(now, lease)));
        Lease::Held
    }

    fn finish(
        &mut self,
        now: Instant,
        holder: &Holder,
        value: &StoredValue,
        pause: Duration,
    ) -> Lease {
        let is_leased = self.lease.as_ref().is_some_and(|(_, end)| *end > now);
        let is_there = self.value.as_ref().is_some_and(|(.., end)| *end > now);
        if (is_leased || is_there) && !self.is_held(now, holder) {
            return Lease::Lost;
        }
        let end = after(now, value.left);
        self.value = Some((value.version.clone(), value.sealed.clone(), end));
        (self.lease, self.paused_until) = (None, Some(after(now, pause)));
        Lease::Held
    }

    fn found(&mut self, now: Instant) -> Option<StoredValue> {
        self.value.take_if(|(.., end)| *end <= now);
        let (version, sealed, end) = self.value.as_ref()?;
        let left = end.saturating_duration_since(now);
        Some(StoredValue::new(version.clone(), sealed.clone(), left))
    }

    fn swap(&mut self, now: Instant, from: Option<&Version>, to: Option<&StoredValue>) -> Swap {
        if self.found(now).map(|found| found.version).as_ref() != from {
            return Swap::Lost;
        }
        let kept = |to: &StoredValue| (to.version.clone(), to.sealed.clone(), after(now, to.left));
        self.value = to.map(kept);
        Swap::Done
    }

    fn release(&mut self, now: Instant, holder: &Holder, pause: Duration) {
        if self.is_held(now, holder) {
            (self.lease, self.paused_until) = (None, Some(after(now, pause)));
        }
    }
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

    /// Sets the clock by which values, leases and pauses end. Defaults to [`Clock::system`].
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
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
        let now = self.clock.monotonic();
        self.keys_where(|kept| kept.value.as_ref().is_some_and(|(.., end)| *end > now))
    }

    /// Returns the keys that a cache holds a lease on, that is, fetches a token for.
    #[must_use]
    pub fn leased_keys(&self) -> Vec<StoreKey> {
        let now = self.clock.monotonic();
        self.keys_where(|kept| kept.lease.as_ref().is_some_and(|(_, end)| *end > now))
    }

    /// Returns all that is kept, as a dump of a store shows it: keys, versions, holders and sealed values.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        for (key, kept) in &self.lock().keys {
            let holder = kept.lease.iter().map(|(holder, _)| holder.as_str().as_bytes());
            let value = kept
                .value
                .iter()
                .flat_map(|(version, sealed, _)| [version.as_str().as_bytes(), sealed]);
            for part in [key.as_str().as_bytes()].into_iter().chain(holder).chain(value) {
                dump.extend_from_slice(part);
                dump.push(b'\n');
            }
        }
        dump
    }

    fn keys_where(&self, is_meant: impl Fn(&Kept) -> bool) -> Vec<StoreKey> {
        let state = self.lock();
        let keys = state.keys.iter().filter(|(_, kept)| is_meant(kept));
        keys.map(|(key, _)| key.clone()).collect()
    }

    /// Loses everything, as a store that restarts empty.
    pub fn lose(&self) {
        self.lock().keys.clear();
    }

    /// Puts `bytes` in the place of each sealed value, as a hostile neighbour may.
    pub fn overwrite(&self, bytes: &[u8]) {
        for kept in self.lock().keys.values_mut() {
            if let Some((_, sealed, _)) = &mut kept.value {
                *sealed = bytes.to_vec();
            }
        }
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

    fn answer<'a, T: Send + 'a>(
        &self,
        key: &StoreKey,
        answer: impl FnOnce(&mut Kept, Instant) -> T,
    ) -> StoreFuture<'a, T> {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.operations += 1;
        match state.health {
            Health::Working => {
                let kept = state.keys.entry(key.clone()).or_default();
                Box::pin(ready(Ok(answer(kept, now))))
            }
            Health::Failing => Box::pin(ready(Err(StoreError::from("the store fails on demand")))),
            Health::Hanging => Box::pin(pending()),
        }
    }
}

impl TokenStore for InMemoryStore {
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun> {
        self.answer(key, |kept, now| kept.begin(now, holder, lease, had))
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.answer(key, |kept, now| kept.renew(now, holder, lease))
    }

    fn finish<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        value: &'a StoredValue,
        pause: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.answer(key, |kept, now| kept.finish(now, holder, value, pause))
    }

    fn release<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        pause: Duration,
    ) -> StoreFuture<'a, ()> {
        self.answer(key, |kept, now| kept.release(now, holder, pause))
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> StoreFuture<'a, ()> {
        self.answer(key, |kept, _| drop(kept.value.take_if(|(kept, ..)| kept == version)))
    }
}

impl SessionStore for InMemoryStore {
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>> {
        self.answer(key, Kept::found)
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap> {
        self.answer(key, |kept, now| kept.swap(now, from, to))
    }
}

impl fmt::Debug for InMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryStore")
            .field("keys", &self.lock().keys.len())
            .finish_non_exhaustive()
    }
}
