//! A bounded table of verdicts.

use super::digest::{Digest, IdentityHash};
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What decides a verdict besides its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    /// The generation of the validator.
    pub(super) generation: u64,
    /// The number of times that the cache was cleared.
    pub(super) epoch: u64,
}

/// When a verdict is asked for. Read before the validator is called.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: SystemTime,
    pub(super) stamp: Stamp,
}

/// A verdict in a table.
pub(super) struct Entry<T> {
    pub(super) verdict: T,
    /// The part of the token that is not in its digest.
    public: Box<[u8]>,
    asked: Asked,
    /// `None` if no clock can show the end.
    until: Option<SystemTime>,
    weight: u64,
}

impl<T> Entry<T> {
    /// Returns `true` if the verdict still holds. A clock that was set back to before the question
    /// makes it a miss.
    fn answers(&self, public: &[u8], now: Asked) -> bool {
        self.asked.stamp == now.stamp
            && *self.public == *public
            && self.asked.at <= now.at
            && self.until.is_none_or(|until| now.at < until)
    }
}

/// Reads the weight of an entry.
#[derive(Clone)]
struct Weight;

impl<T> Weighter<Digest, Arc<Entry<T>>> for Weight {
    fn weight(&self, _: &Digest, kept: &Arc<Entry<T>>) -> u64 {
        kept.weight
    }
}

type Entries<T> =
    Cache<Digest, Arc<Entry<T>>, Weight, IdentityHash, DefaultLifecycle<Digest, Arc<Entry<T>>>>;

pub(super) struct Table<T> {
    entries: Entries<T>,
    ttl: Duration,
}

/// The bytes of an entry that count as one of the capacity.
const UNIT: usize = 1024;

impl<T> Table<T> {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
        let lifecycle = DefaultLifecycle::default();
        let entries = Cache::with(capacity, weight, Weight, IdentityHash::default(), lifecycle);
        Self { entries, ttl }
    }

    /// Returns the verdict on the token of this digest and public part, if one holds now.
    pub(super) fn find(&self, key: Digest, public: &[u8], now: Asked) -> Option<Arc<Entry<T>>> {
        self.entries.get(&key).filter(|kept| kept.answers(public, now))
    }

    /// Inserts `verdict`, which has `bytes` of its own.
    pub(super) fn insert(
        &self,
        key: Digest,
        public: Box<[u8]>,
        asked: Asked,
        verdict: T,
        bytes: usize,
    ) {
        if self.ttl.is_zero() {
            return;
        }
        let until = asked.at.checked_add(self.ttl);
        let units = public.len().saturating_add(bytes).div_ceil(UNIT).max(1);
        let weight = u64::try_from(units).unwrap_or(u64::MAX);
        self.entries.insert(key, Arc::new(Entry { verdict, public, asked, until, weight }));
    }

    /// Removes the verdict on this token.
    pub(super) fn remove(&self, key: Digest, public: &[u8]) {
        let is_same = |kept: &Arc<Entry<T>>| *kept.public == *public;
        // Mostly there is none, and a look blocks no other reader.
        if self.entries.peek(&key).is_some_and(|kept| is_same(&kept)) {
            self.entries.remove_if(&key, is_same);
        }
    }

    /// Removes `entry`, unless another replaced it.
    pub(super) fn remove_entry(&self, key: Digest, entry: &Arc<Entry<T>>) {
        self.entries.remove_if(&key, |other| Arc::ptr_eq(entry, other));
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
