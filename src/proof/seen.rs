use super::{FirstUse, ProofId, ProofReplay, ReplayFuture};
use crate::{Answer, Clock, vocabulary::clock::unix_seconds};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

const SHARDS: usize = 16;
/// Proofs that end within one slot are forgotten together.
const SLOT: u64 = 16;

/// Remembers the proofs that this process has seen, in memory. A clone shares them.
///
/// It takes 25 to 40 bytes for each proof. When it is full, requests are refused with 503 until proofs
/// have ended: to forget one early would let it be replayed. Only good proofs of good tokens are
/// remembered, so that each costs its sender a signature.
#[derive(Clone)]
pub struct SeenProofs {
    shared: Arc<Shared>,
}

struct Shared {
    shards: [Mutex<Shard>; SHARDS],
    /// Spreads proofs over the shards in a way that their senders cannot foresee.
    spread: RandomState,
    clock: Clock,
    /// Of one shard.
    capacity: usize,
}

#[derive(Default)]
struct Shard {
    /// By the slot of their ends. Cut to half, an id of SHA-256 still has no second preimage.
    slots: BTreeMap<u64, HashSet<[u8; 16]>>,
    len: usize,
    /// The slots that may be forgotten, from and before: a range for each run of the clock.
    forgotten: Vec<(u64, u64)>,
}

/// A range goes on over a quiet time of so many slots, but not over a jump of the clock.
const GAP: u64 = 8;
/// How many ranges are told apart.
const RANGES: usize = 8;

impl SeenProofs {
    /// Creates a memory for about `capacity` proofs: each of its 16 parts fills up by itself. At 1,000
    /// requests a second, there are 90,000 in the default window of 90 s, and 180,000 with nonces, which
    /// are good for up to 180 s.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::new_with_clock(capacity, Clock::system())
    }

    /// As [`new`](Self::new), with the time of `clock`.
    #[must_use]
    pub fn new_with_clock(capacity: usize, clock: Clock) -> Self {
        let capacity = capacity.div_ceil(SHARDS);
        let (shards, spread) = (Default::default(), RandomState::new());
        Self { shared: Arc::new(Shared { shards, spread, clock, capacity }) }
    }
}

impl Shard {
    /// # Errors
    ///
    /// When it is full, or the proof may have been forgotten.
    fn first_use(
        &mut self,
        id: [u8; 16],
        until: u64,
        now: u64,
        capacity: usize,
    ) -> Result<FirstUse, &'static str> {
        while let Some(ended) = self.slots.first_entry().filter(|slot| *slot.key() < now / SLOT) {
            let slot = *ended.key();
            self.len -= ended.remove().len();
            self.forget(slot);
        }
        let slot = until / SLOT;
        if self.forgotten.iter().any(|(from, before)| (*from..*before).contains(&slot)) {
            return Err("the clock went back, so that the proof may have been forgotten");
        }
        // Another proof of the same name may end in another slot.
        if self.slots.values().any(|ids| ids.contains(&id)) {
            return Ok(FirstUse::Replayed);
        }
        if self.len >= capacity {
            return Err("the memory for proofs is full; SeenProofs::new takes a larger capacity");
        }
        self.slots.entry(slot).or_default().insert(id);
        self.len += 1;
        Ok(FirstUse::First)
    }

    /// Remembers that the proofs of `slot` are forgotten. Ranges only grow.
    fn forget(&mut self, slot: u64) {
        let near = |(from, before): &&mut (u64, u64)| (*from..=*before + GAP).contains(&slot);
        match self.forgotten.iter_mut().find(near) {
            Some((_, before)) => *before = (slot + 1).max(*before),
            None => self.forgotten.push((slot, slot + 1)),
        }
        if self.forgotten.len() > RANGES {
            self.forgotten.sort_unstable();
            let (from, _) = self.forgotten.remove(0);
            if let Some(first) = self.forgotten.first_mut() {
                first.0 = from;
            }
        }
    }
}

impl ProofReplay for SeenProofs {
    fn first_use(&self, proof: ProofId, until: SystemTime) -> Answer<ReplayFuture> {
        let Shared { shards, spread, clock, capacity } = &*self.shared;
        let (id, _) = proof.as_bytes().split_at(16);
        let id = id.try_into().unwrap_or_default();
        // The remainder is below the number of shards.
        let index = usize::try_from(spread.hash_one(id) % SHARDS as u64).unwrap_or_default();
        let [until, now] = [until, clock.wall()].map(unix_seconds);
        let answer = shards.get(index).ok_or("there is no shard").and_then(|shard| {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.first_use(id, until, now, *capacity)
        });
        Answer::Ready(answer.map_err(Into::into))
    }
}

impl fmt::Debug for SeenProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.shared.capacity.saturating_mul(SHARDS);
        f.debug_struct("SeenProofs").field("capacity", &capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Proofs that end at another time have other names.
    fn first_use(seen: &SeenProofs, name: u8, until: SystemTime) -> Option<FirstUse> {
        let proof = ProofId::new("thumbprint", &format!("{name} {}", unix_seconds(until)));
        match seen.first_use(proof, until) {
            Answer::Ready(answer) => answer.ok(),
            Answer::Pending(_) => None,
        }
    }

    #[test]
    fn a_clock_that_was_ahead_until_proofs_ended_is_no_bar_once_it_is_set_right() {
        let clock = ManualClock::from_wall(at(10_000));
        let seen = SeenProofs::new_with_clock(1600, clock.clock());
        for (wall, until) in [(1_000_000, 1_000_060), (1_000_100, 1_000_160)] {
            clock.set_wall(at(wall));
            for name in 0..200 {
                assert_eq!(first_use(&seen, name, at(until)), Some(FirstUse::First));
            }
        }
        clock.set_wall(at(10_001));
        for name in 0..200 {
            assert_eq!(first_use(&seen, name, at(10_080)), Some(FirstUse::First));
            assert_eq!(first_use(&seen, name, at(10_080)), Some(FirstUse::Replayed));
            // What was forgotten is never new again.
            assert_eq!(first_use(&seen, name, at(1_000_060)), None);
        }
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_costs_no_more_than_the_time_of_a_proof() {
        let clock = ManualClock::from_wall(at(10_000));
        let seen = SeenProofs::new_with_clock(1600, clock.clock());
        for name in 0..200 {
            assert_eq!(first_use(&seen, name, at(10_060)), Some(FirstUse::First));
        }
        clock.set_wall(at(1_000_000));
        for name in 0..200 {
            assert_eq!(first_use(&seen, name, at(1_000_060)), Some(FirstUse::First));
        }
        clock.set_wall(at(10_001));
        for name in 0..200 {
            // It may have been forgotten.
            assert_eq!(first_use(&seen, name, at(10_060)), None);
            assert_eq!(first_use(&seen, name, at(10_080)), Some(FirstUse::First));
        }
    }

    proptest! {
        /// A proof passes as new at most once until it ends, whatever the clock does.
        #[test]
        fn no_proof_is_new_twice(
            steps in prop::collection::vec((0..40u8, 0..4u64, prop::option::of(0..2000u64)), 1..300),
            capacity in 0..200usize,
        ) {
            let clock = ManualClock::from_wall(at(1000));
            let seen = SeenProofs::new_with_clock(capacity, clock.clock());
            // By name and end, which are the same each time.
            let mut used = HashSet::new();
            for (name, lifetime, jump) in steps {
                if let Some(jump) = jump {
                    clock.set_wall(at(jump));
                }
                let until = at(u64::from(name) * 50 + lifetime * 16);
                // It is not asked about what is too old.
                if until <= clock.clock().wall() {
                    continue;
                }
                match first_use(&seen, name, until) {
                    Some(FirstUse::First) => prop_assert!(used.insert((name, until))),
                    Some(FirstUse::Replayed) => prop_assert!(used.contains(&(name, until))),
                    None => {}
                }
                let kept = seen.shared.shards.iter().map(|shard| shard.lock().unwrap().len);
                prop_assert!(kept.sum::<usize>() <= capacity.div_ceil(SHARDS) * SHARDS);
            }
        }
    }
}
