//! Bounds the fetches that tokens can cause.

use crate::vocabulary::clock::after;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many fetches may follow each other at once.
const BURST: u32 = 3;
/// The time until there may be one more.
const EACH: Duration = Duration::from_secs(10);
/// How many names are remembered. A name that is forgotten is looked for once more.
const NAMES: usize = 256;

/// Three fetches at once, then one in 10 s.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// When all of it may be spent again.
    full_at: Option<Instant>,
}

impl Budget {
    /// Spends one fetch.
    ///
    /// # Errors
    ///
    /// The time until there is one, if there is none.
    pub(super) fn spend(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.unwrap_or(now).max(now);
        let spent = full_at.saturating_duration_since(now);
        match spent.checked_sub(EACH * (BURST - 1)) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.full_at = Some(after(full_at, EACH));
                Ok(())
            }
        }
    }
}

/// Digests of the names that a fetch did not find, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Searched {
    names: VecDeque<(u64, Instant)>,
}

impl Searched {
    pub(super) fn add(&mut self, name: u64, now: Instant) {
        self.names.retain(|(other, _)| *other != name);
        if self.names.len() >= NAMES {
            self.names.pop_front();
        }
        self.names.push_back((name, now));
    }

    /// Returns `true` if `name` was added less than `cool_down` ago.
    pub(super) fn has(&self, name: u64, now: Instant, cool_down: Duration) -> bool {
        let searched = self.names.iter().find(|(other, _)| *other == name);
        searched.is_some_and(|(_, at)| now.saturating_duration_since(*at) < cool_down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_at_once_then_one_in_ten_seconds_and_never_a_longer_wait() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert_eq!(budget.spend(start), Ok(()));
        }
        assert_eq!(budget.spend(start), Err(Duration::from_secs(10)));
        assert_eq!(budget.spend(at(9)), Err(Duration::from_secs(1)));
        assert_eq!(budget.spend(at(10)), Ok(()));
        assert_eq!(budget.spend(at(11)), Err(Duration::from_secs(9)));
        // It is full again, and never holds more than three.
        for _ in 0..3 {
            assert_eq!(budget.spend(at(3600)), Ok(()));
        }
        assert_eq!(budget.spend(at(3600)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_flood_of_names_pushes_out_the_oldest_and_takes_no_more_memory() {
        let (mut searched, now) = (Searched::default(), Instant::now());
        (0..1000).for_each(|name| searched.add(name, now));
        searched.add(999, now);
        assert_eq!(searched.names.len(), NAMES);
        let long = Duration::from_secs(30);
        assert!(searched.has(999, now, long) && !searched.has(0, now, long));
        assert!(!searched.has(999, now + long, long));
    }
}
