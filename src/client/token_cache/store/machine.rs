//! When a replica looks again, and how long all of them leave a server alone. Nothing here waits or asks.

use super::LONGEST;
use std::time::Duration;

/// The first wait for the replica that fetches; each is longer by as much, up to ten times.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 10;
/// A lease has ended by then, by the clock of the store.
const AFTER_LEASE: Duration = Duration::from_millis(5);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The part of an outage's age for which the server is left alone.
const PAUSE_PART: u32 = 5;

/// The looks of one fetch while another replica fetches.
#[derive(Debug, Default)]
pub(in crate::client::token_cache) struct Looks {
    count: u32,
}

impl Looks {
    /// Returns how long to wait before the next look, if the other's lease ends after `lease`. `spread`,
    /// between 0 and 1, keeps replicas from looking at once.
    pub(in crate::client::token_cache) fn next(
        &mut self,
        lease: Duration,
        spread: f64,
    ) -> Duration {
        self.count = self.count.saturating_add(1).min(LOOKS);
        let wait = (LOOK * self.count).mul_f64(0.5 + spread.clamp(0.0, 1.0));
        // Longer if the store says again and again that the lease ends now.
        wait.min(lease.saturating_add(AFTER_LEASE.max(wait / 8)))
    }
}

/// Returns how long no replica fetches after a failure: longer the longer the outage is, and as long as
/// the server asks for.
pub(super) fn pause(outage: Duration, retry_after: Option<Duration>) -> Duration {
    let pause = (outage / PAUSE_PART).clamp(PAUSE_MIN, PAUSE_MAX);
    pause.max(retry_after.unwrap_or_default()).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// An eighth of the longest wait.
    const LATEST: Duration = Duration::from_micros(37_500);

    #[test]
    fn a_lease_that_ends_now_again_and_again_is_looked_at_less_often() {
        let mut looks = Looks::default();
        let waits: Vec<_> =
            (0..12).map(|_| looks.next(Duration::ZERO, 0.5).as_micros() / 100).collect();
        assert_eq!(waits, [50, 50, 75, 100, 125, 150, 175, 200, 225, 250, 250, 250]);
    }

    #[test]
    fn looks_grow_from_20_to_200_ms() {
        let mut looks = Looks::default();
        let waits: Vec<_> = (0..12).map(|_| looks.next(Duration::MAX, 0.5).as_millis()).collect();
        assert_eq!(waits, [20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 200, 200]);
    }

    proptest! {
        #[test]
        fn a_look_is_never_long_after_the_end_of_the_lease(
            lease in 0..4_000_u64,
            spread in any::<f64>(),
            before in 0..20_u32,
        ) {
            let mut looks = Looks { count: before };
            let wait = looks.next(millis(lease), spread);
            prop_assert!(wait <= millis(lease) + LATEST);
            prop_assert!(wait >= millis(lease).min(LOOK / 2));
        }

        #[test]
        fn a_pause_is_a_fifth_of_the_outage_within_1_and_30_s_or_what_the_server_asks_for(
            outage in 0..100_000_u64,
            asked in prop::option::of(0..100_u64),
        ) {
            let asked = asked.map(Duration::from_secs);
            let pause = pause(Duration::from_secs(outage), asked);
            prop_assert!(pause >= PAUSE_MIN && pause >= asked.unwrap_or_default());
            prop_assert!(pause <= PAUSE_MAX.max(asked.unwrap_or_default()));
        }
    }
}
