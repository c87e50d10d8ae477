//! A bounded map from keys to caches, in shards that are locked only for a look. It evicts by second
//! chance (the clock algorithm): a hand goes round, clears marks, and evicts the first slot that has
//! none and whose cache is not in use. If all are in use it grows, and shrinks at later lookups:
//! another cache for the key of one in use might send the same refresh token.

use super::TokenCache;
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Enough to keep the cores of a large machine from contending.
const SHARDS: usize = 64;

/// How many caches without a mark a new key looks at, to evict those that are not in use.
const LOOKS: usize = 64;

/// The same for a call with a known key, while there are too many caches.
const LOOKS_OF_A_CALL: usize = 8;

pub(in crate::client::token_pool) struct Shards<K> {
    shards: Box<[Shard<K>]>,
    hasher: RandomState,
    len: AtomicUsize,
    capacity: usize,
}

/// On cache lines of its own.
#[repr(align(128))]
struct Shard<K>(Mutex<Ring<K>>);

struct Ring<K> {
    at: HashMap<K, usize>,
    slots: Vec<Slot<K>>,
    hand: usize,
    /// How often a key was removed, present or not.
    removals: u64,
}

/// A slot that was taken out, and its key as it was in the map.
struct Taken<K> {
    slot: Slot<K>,
    _key: Option<K>,
}

struct Slot<K> {
    key: K,
    cache: TokenCache,
    /// Used since the hand came by.
    marked: bool,
}

impl<K> Shards<K> {
    /// Creates shards for `capacity` keys, at least one. Few keys share one shard, so that the one to
    /// evict is chosen among all of them.
    pub(in crate::client::token_pool) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let shards = if capacity < 16 * SHARDS { 1 } else { SHARDS };
        let shards = (0..shards).map(|_| Shard(Mutex::new(Ring::new()))).collect();
        Self { shards, hasher: RandomState::new(), len: AtomicUsize::new(0), capacity }
    }

    pub(in crate::client::token_pool) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(in crate::client::token_pool) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

impl<K: Hash + Eq + Clone> Shards<K> {
    pub(in crate::client::token_pool) fn get(&self, key: &K) -> Option<TokenCache> {
        let index = self.index(key);
        let cache = {
            let mut ring = self.shards.get(index)?.lock();
            let slot = ring.slot(key)?;
            slot.marked = true;
            slot.cache.clone()
        };
        self.trim(index, LOOKS_OF_A_CALL);
        Some(cache)
    }

    /// Returns the cache without marking it.
    pub(in crate::client::token_pool) fn peek(&self, key: &K) -> Option<TokenCache> {
        Some(self.shards.get(self.index(key))?.lock().slot(key)?.cache.clone())
    }

    pub(in crate::client::token_pool) fn remove(&self, key: &K) -> Option<TokenCache> {
        let mut ring = self.shards.get(self.index(key))?.lock();
        ring.removals = ring.removals.wrapping_add(1);
        let at = ring.place(key)?;
        let removed = ring.take(at)?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        // Its keys are dropped after the lock: their `Drop` is the user's code.
        drop(ring);
        Some(removed.slot.cache)
    }

    /// Inserts `cache`, and returns the one that was there.
    pub(in crate::client::token_pool) fn replace(
        &self,
        key: K,
        cache: TokenCache,
    ) -> Option<TokenCache> {
        let index = self.index(&key);
        let mut ring = self.shards.get(index)?.lock();
        if let Some(slot) = ring.slot(&key) {
            return Some(mem::replace(&mut slot.cache, cache));
        }
        self.add(index, ring, key, &cache);
        None
    }

    /// Returns how often a key of the shard of `key` was removed, for [`keep`](Self::keep).
    pub(in crate::client::token_pool) fn removals(&self, key: &K) -> u64 {
        self.shards.get(self.index(key)).map_or(0, |shard| shard.lock().removals)
    }

    /// Inserts `cache` unless there is one, and returns the one that is there. Returns `None` if a key
    /// was removed since there were so many `removals`: the user of `cache` may have signed out.
    pub(in crate::client::token_pool) fn keep(
        &self,
        key: K,
        cache: TokenCache,
        removals: u64,
    ) -> Option<TokenCache> {
        let index = self.index(&key);
        let mut ring = self.shards.get(index)?.lock();
        if let Some(slot) = ring.slot(&key) {
            return Some(slot.cache.clone());
        }
        if ring.removals != removals {
            return None;
        }
        self.add(index, ring, key, &cache);
        Some(cache)
    }

    /// Adds a key that is not yet in `ring`, its ring, and evicts another. The caller has a clone of
    /// the new cache, which is thereby in use and stays.
    fn add(&self, index: usize, mut ring: MutexGuard<'_, Ring<K>>, key: K, cache: &TokenCache) {
        ring.push(key, cache.clone());
        self.len.fetch_add(1, Ordering::Relaxed);
        drop(ring);
        self.trim(index, LOOKS);
    }

    /// Evicts caches while there are too many, first of the shard at `index`, after `looks` looks at
    /// most.
    fn trim(&self, index: usize, mut looks: usize) {
        for shard in self.shards.iter().cycle().skip(index).take(self.shards.len()) {
            while looks > 0 && self.len() > self.capacity {
                // Dropped without a lock, because it holds values of the user.
                let evicted = shard.lock().evict(&mut looks);
                if evicted.is_none() {
                    break;
                }
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            if looks == 0 || self.len() <= self.capacity {
                return;
            }
        }
    }

    /// Returns where the shard of `key` is.
    fn index(&self, key: &K) -> usize {
        // A power of two of them, so the lowest bits choose.
        let mask = self.shards.len().wrapping_sub(1);
        #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
        let hash = self.hasher.hash_one(key) as usize;
        hash & mask
    }
}

impl<K> Shard<K> {
    fn lock(&self) -> MutexGuard<'_, Ring<K>> {
        // The `eq` or `hash` of a key may panic. Even then no key gets the cache of another: see
        // `Ring::place`.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Ring<K> {
    fn new() -> Self {
        Self { at: HashMap::new(), slots: Vec::new(), hand: 0, removals: 0 }
    }
}

impl<K: Hash + Eq + Clone> Ring<K> {
    /// Returns where the slot of `key` is. The key in the slot decides, not the map.
    fn place(&self, key: &K) -> Option<usize> {
        let at = *self.at.get(key)?;
        self.slots.get(at).filter(|slot| slot.key == *key).map(|_| at)
    }

    fn slot(&mut self, key: &K) -> Option<&mut Slot<K>> {
        let at = self.place(key)?;
        self.slots.get_mut(at)
    }

    fn push(&mut self, key: K, cache: TokenCache) {
        self.at.insert(key.clone(), self.slots.len());
        self.slots.push(Slot { key, cache, marked: false });
    }

    /// Evicts the first slot, from the hand on, that has no mark and whose cache is not in use. Each
    /// slot without a mark takes one of `looks`.
    fn evict(&mut self, looks: &mut usize) -> Option<Taken<K>> {
        for _ in 0..2 * self.slots.len() {
            let at = if self.hand < self.slots.len() { self.hand } else { 0 };
            self.hand = at + 1;
            let slot = self.slots.get_mut(at)?;
            if mem::take(&mut slot.marked) {
                continue;
            }
            *looks = looks.checked_sub(1)?;
            if !slot.cache.is_in_use() {
                return self.take(at);
            }
        }
        None
    }

    /// Takes out the slot at `at`, and moves the last slot there. Compares keys first, so that a panic
    /// leaves the slots as they were.
    fn take(&mut self, at: usize) -> Option<Taken<K>> {
        let (taken, last) = (&self.slots.get(at)?.key, self.slots.len().checked_sub(1)?);
        // A key that such a panic left behind may have a newer slot.
        let is_known = self.at.get(taken) == Some(&at);
        let key = if is_known { self.at.remove_entry(taken).map(|(key, _)| key) } else { None };
        let moved = self.slots.get(last).and_then(|moved| self.at.get_mut(&moved.key));
        if let Some(place) = moved.filter(|place| **place == last) {
            *place = at;
        }
        Some(Taken { slot: self.slots.swap_remove(at), _key: key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Clock,
        client::{RefreshPolicy, TokenResponse},
    };
    use proptest::prelude::*;
    use std::{convert::Infallible, future};

    fn cache() -> TokenCache {
        let fetch = || future::pending::<Result<TokenResponse, Infallible>>();
        TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system())
    }

    fn keep(shards: &Shards<u32>, key: u32) -> TokenCache {
        shards.keep(key, cache(), shards.removals(&key)).unwrap()
    }

    fn held(shards: &Shards<u32>, keys: impl Iterator<Item = u32>) -> Vec<u32> {
        keys.filter(|key| shards.peek(key).is_some()).collect()
    }

    #[test]
    fn a_key_that_was_not_used_lately_is_evicted() {
        let shards = Shards::new(3);
        (0..3).for_each(|key| drop(keep(&shards, key)));
        assert!(shards.get(&0).is_some());
        keep(&shards, 3);
        assert_eq!(held(&shards, 0..9), [0, 2, 3]);
        keep(&shards, 4);
        assert_eq!(held(&shards, 0..9), [0, 3, 4]);
        assert_eq!(shards.len(), 3);
    }

    #[test]
    fn a_cache_in_use_is_not_evicted() {
        let shards = Shards::new(2);
        let used = keep(&shards, 0);
        keep(&shards, 1);
        (2..9).for_each(|key| drop(keep(&shards, key)));
        assert_eq!(held(&shards, 0..9), [0, 8]);
        let other = shards.peek(&8);
        keep(&shards, 9);
        assert_eq!(held(&shards, 0..10), [0, 8, 9], "all are used");
        drop((used, other));
        assert!(shards.get(&9).is_some());
        assert_eq!(held(&shards, 0..10).len(), 2);
        assert_eq!(shards.len(), 2, "the next lookup restores the bound");
    }

    #[test]
    fn a_crowd_in_use_costs_a_new_key_few_looks() {
        let shards = Shards::new(1);
        let used: Vec<_> = (0..1_000).map(|key| keep(&shards, key)).collect();
        let mut looks = LOOKS;
        let shard = shards.shards.first().unwrap();
        assert!(shard.lock().evict(&mut looks).is_none());
        assert_eq!(looks, 0);
        drop(used);
        (0..1_000).for_each(|_| drop(shards.get(&999)));
        assert_eq!(held(&shards, 0..1_000), [999]);
    }

    #[test]
    fn no_key_is_evicted_below_the_bound_however_the_keys_fall() {
        let shards = Shards::new(20_000);
        (0..20_000_u32).for_each(|key| drop(shards.replace(key, cache())));
        assert_eq!(held(&shards, 0..20_000).len(), 20_000);
        (20_000..25_000).for_each(|key| drop(shards.replace(key, cache())));
        assert_eq!(shards.len(), 20_000);
        assert_eq!(held(&shards, 0..25_000).len(), 20_000);
        assert_eq!(held(&shards, 24_999..25_000), [24_999], "the newest is there");
    }

    #[test]
    fn a_key_alone_in_its_shard_evicts_one_of_another() {
        let mut shards = Shards::new(16 * SHARDS);
        shards.capacity = 1;
        (0..50_u32).for_each(|key| drop(keep(&shards, key)));
        assert_eq!(held(&shards, 0..50), [49]);
        assert_eq!(shards.len(), 1);
    }

    #[test]
    fn threads_that_fill_it_at_once_keep_to_the_bound() {
        let shards = Shards::new(2_000);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let shards = &shards;
                scope.spawn(move || {
                    for key in 0..2_000 {
                        keep(shards, thread * 1_000 + key);
                        if key % 3 == 0 {
                            shards.remove(&(key * 2));
                        }
                    }
                });
            }
        });
        assert!(shards.len() <= 2_000, "{}", shards.len());
        assert_eq!(held(&shards, 0..6_000).len(), shards.len());
    }

    proptest! {
        #[test]
        fn it_is_a_bounded_map(ops in prop::collection::vec((0..3_u8, 0..12_u32), 0..80)) {
            let shards = Shards::new(4);
            let mut model: Vec<u32> = Vec::new();
            for (op, key) in ops {
                let known = model.contains(&key);
                match op {
                    0 => prop_assert_eq!(shards.remove(&key).is_some(), known),
                    1 => prop_assert_eq!(shards.replace(key, cache()).is_some(), known),
                    _ => drop(keep(&shards, key)),
                }
                model = held(&shards, 0..12);
                prop_assert_eq!(model.contains(&key), op != 0);
                prop_assert_eq!(model.len(), shards.len());
                prop_assert!(model.len() <= 4);
            }
        }
    }
}
