//! The entries of a list by digest: read without a lock, bounded, and removed when they are over.

use super::RevocationsFull;
use crate::vocabulary::clock::{Now, unix_seconds};
use arc_swap::ArcSwap;
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

/// Writing copies a shard, so many shards keep writing to a long list cheap.
const SHARDS: usize = 256;

/// What an entry revokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Token,
    Id,
    Subject,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// When the entry is over, by both clocks; `None` is never.
    pub(super) until: Option<Now>,
    /// If set, only tokens that were issued before are revoked.
    pub(super) before: Option<SystemTime>,
}

impl Entry {
    /// Returns `true` unless both clocks show the end: either may be set, or stand still.
    pub(super) fn is_alive(&self, now: Now) -> bool {
        self.until.is_none_or(|until| now.wall < until.wall || now.monotonic < until.monotonic)
    }

    /// Returns `true` if no token is revoked for want of a time of issue.
    pub(super) fn dates(&self, issued_at: Option<SystemTime>) -> bool {
        self.before.is_none() || issued_at.is_some()
    }

    /// Returns `true` if the entry ends no earlier than `end`.
    pub(super) fn outlives(&self, end: SystemTime) -> bool {
        self.until.is_none_or(|until| end <= until.wall)
    }

    pub(super) fn covers(&self, issued_at: Option<SystemTime>) -> bool {
        match (self.before, issued_at) {
            (Some(before), Some(issued_at)) => issued_at < before,
            _ => true,
        }
    }

    /// Joins two entries: whatever either revokes, for the longer of the two lives.
    fn merge(self, other: Self) -> Self {
        let until = self.until.zip(other.until).map(|(one, other)| Now {
            monotonic: one.monotonic.max(other.monotonic),
            wall: one.wall.max(other.wall),
        });
        Self { until, before: self.before.zip(other.before).map(|(one, other)| one.max(other)) }
    }
}

type Shard = HashMap<(Kind, [u8; 32]), Entry>;

pub(super) struct Table {
    shards: Box<[ArcSwap<Shard>]>,
    /// The number of entries of each kind, so that a kind without any costs a load.
    counts: [AtomicUsize; 3],
    /// The latest end, by the wall clock, of an entry that was removed: seconds since the epoch.
    forgotten: AtomicU64,
    /// Held to write, never to read.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    /// The shard that is swept next.
    next: usize,
    /// Before this instant, by either clock, a sweep of the whole table finds nothing.
    nothing_ends_before: Option<Now>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.counts.iter().map(|count| count.load(Ordering::Acquire)).sum()
    }

    /// Returns `true` if an entry that was removed may have revoked a token that ended at `end`.
    pub(super) fn has_forgotten(&self, end: SystemTime) -> bool {
        unix_seconds(end) <= self.forgotten.load(Ordering::Acquire)
    }

    /// Returns `true` if no entry was removed yet.
    pub(super) fn is_complete(&self) -> bool {
        self.forgotten.load(Ordering::Acquire) == 0
    }

    pub(super) fn is_empty(&self, kind: Kind) -> bool {
        self.count(kind).load(Ordering::Acquire) == 0
    }

    pub(super) fn get(&self, kind: Kind, digest: &[u8; 32]) -> Option<Entry> {
        self.shard(digest)?.load().get(&(kind, *digest)).copied()
    }

    /// Inserts `entry`, or joins it with the present one.
    ///
    /// # Errors
    ///
    /// When it would be one more than `capacity`.
    pub(super) fn put(
        &self,
        kind: Kind,
        digest: [u8; 32],
        entry: Entry,
        now: Now,
        capacity: usize,
    ) -> Result<(), RevocationsFull> {
        // Nothing panics between two writes, so a poisoned state is consistent.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let full = || RevocationsFull { _private: () };
        let there = self.get(kind, &digest);
        if there.is_none() && self.len() >= capacity {
            self.sweep_all(&mut writer, now);
            if self.len() >= capacity {
                return Err(full());
            }
        }
        // One more shard at each entry: some hundred entries sweep all of them.
        writer.next = (writer.next + 1) % SHARDS;
        self.shards.get(writer.next).into_iter().for_each(|shard| self.sweep(shard, now));
        let shard = self.shard(&digest).ok_or_else(full)?;
        let entry = match there {
            Some(there) if there.is_alive(now) => there.merge(entry),
            Some(there) => {
                self.forget(&there);
                entry
            }
            None => entry,
        };
        let ends = entry.until.into_iter().chain(writer.nothing_ends_before);
        writer.nothing_ends_before = writer.nothing_ends_before.and(earliest(ends));
        let mut changed = Shard::clone(&shard.load());
        // Counted before it is visible: a reader that sees no count need not look.
        if changed.insert((kind, digest), entry).is_none() {
            self.count(kind).fetch_add(1, Ordering::AcqRel);
        }
        shard.store(changed.into());
        Ok(())
    }

    /// Removes every entry that is over, unless it is known that there is none.
    fn sweep_all(&self, writer: &mut Writer, now: Now) {
        let nothing_ends = |first: Now| now.wall < first.wall || now.monotonic < first.monotonic;
        if writer.nothing_ends_before.is_some_and(nothing_ends) {
            return;
        }
        self.shards.iter().for_each(|shard| self.sweep(shard, now));
        let shards = self.shards.iter().map(ArcSwap::load);
        let ends =
            shards.filter_map(|shard| earliest(shard.values().filter_map(|entry| entry.until)));
        writer.nothing_ends_before = earliest(ends);
    }

    fn sweep(&self, shard: &ArcSwap<Shard>, now: Now) {
        let entries = shard.load();
        if entries.values().all(|entry| entry.is_alive(now)) {
            return;
        }
        let (mut kept, mut gone) = (Shard::default(), Vec::new());
        for (key, entry) in entries.iter() {
            match entry.is_alive(now) {
                true => drop(kept.insert(*key, *entry)),
                false => gone.push(key.0),
            }
        }
        // Before they are gone: a reader finds the one or the other.
        entries.values().filter(|entry| !entry.is_alive(now)).for_each(|entry| self.forget(entry));
        shard.store(kept.into());
        gone.into_iter().for_each(|kind| {
            self.count(kind).fetch_sub(1, Ordering::AcqRel);
        });
    }

    fn forget(&self, entry: &Entry) {
        if let Some(until) = entry.until {
            self.forgotten.fetch_max(unix_seconds(until.wall), Ordering::AcqRel);
        }
    }

    fn count(&self, kind: Kind) -> &AtomicUsize {
        let [tokens, ids, subjects] = &self.counts;
        match kind {
            Kind::Token => tokens,
            Kind::Id => ids,
            Kind::Subject => subjects,
        }
    }

    fn shard(&self, digest: &[u8; 32]) -> Option<&ArcSwap<Shard>> {
        self.shards.get(usize::from(digest[0]) % SHARDS)
    }
}

impl Default for Table {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| ArcSwap::default()).collect();
        let (counts, forgotten) = (Default::default(), AtomicU64::new(0));
        Self { shards, counts, forgotten, writer: Mutex::default() }
    }
}

/// Returns the earliest of `ends` by each clock.
fn earliest(ends: impl Iterator<Item = Now>) -> Option<Now> {
    ends.reduce(|one, other| Now {
        monotonic: one.monotonic.min(other.monotonic),
        wall: one.wall.min(other.wall),
    })
}
