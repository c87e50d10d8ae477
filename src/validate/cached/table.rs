//! A bounded table of verdicts, each with what it is good for.

use super::digest::{AsItIs, Digest};
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What beside its token decides a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    /// That of the validator.
    pub(super) generation: u64,
    /// How often the cache was cleared.
    pub(super) epoch: u64,
}

/// When a verdict is asked for, by the wall clock and otherwise. Taken before the validator is.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: SystemTime,
    pub(super) stamp: Stamp,
}

/// A verdict, and which questions it answers.
pub(super) struct Kept<T> {
    pub(super) verdict: T,
    /// The part of the token that its digest leaves out.
    public: Box<[u8]>,
    asked: Asked,
    /// Nothing where no clock shows the end.
    until: Option<SystemTime>,
    weight: u64,
}

impl<T> Kept<T> {
    /// A clock that was set back to before the question makes it a miss.
    fn answers(&self, public: &[u8], now: Asked) -> bool {
        self.asked.stamp == now.stamp
            && *self.public == *public
            && self.asked.at <= now.at
            && self.until.is_none_or(|until| now.at < until)
    }
}

/// The weight that an entry says itself.
#[derive(Clone)]
struct Weight;

impl<T> Weighter<Digest, Arc<Kept<T>>> for Weight {
    fn weight(&self, _: &Digest, kept: &Arc<Kept<T>>) -> u64 {
        kept.weight
    }
}

type Entries<T> =
    Cache<Digest, Arc<Kept<T>>, Weight, AsItIs, DefaultLifecycle<Digest, Arc<Kept<T>>>>;

pub(super) struct Table<T> {
    entries: Entries<T>,
    ttl: Duration,
}

/// As many bytes of an entry count as one of the capacity.
const UNIT: usize = 1024;

impl<T> Table<T> {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
        let lifecycle = DefaultLifecycle::default();
        let entries = Cache::with(capacity, weight, Weight, AsItIs::default(), lifecycle);
        Self { entries, ttl }
    }

    /// The verdict on the token of this digest and this public part, where there is one that holds
    /// now.
    pub(super) fn find(&self, key: Digest, public: &[u8], now: Asked) -> Option<Arc<Kept<T>>> {
        self.entries.get(&key).filter(|kept| kept.answers(public, now))
    }

    /// Keeps `verdict`, which has `bytes` of its own.
    pub(super) fn keep(
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
        self.entries.insert(key, Arc::new(Kept { verdict, public, asked, until, weight }));
    }

    /// Takes out what is kept of this token.
    pub(super) fn forget(&self, key: Digest, public: &[u8]) {
        let is_same = |kept: &Arc<Kept<T>>| *kept.public == *public;
        // Most often there is nothing, and looking does not keep others from looking.
        if self.entries.peek(&key).is_some_and(|kept| is_same(&kept)) {
            self.entries.remove_if(&key, is_same);
        }
    }

    /// Takes out `kept`, unless another took its place.
    pub(super) fn drop_entry(&self, key: Digest, kept: &Arc<Kept<T>>) {
        self.entries.remove_if(&key, |other| Arc::ptr_eq(kept, other));
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
