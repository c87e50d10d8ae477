//! Deadlines in time that the process runs.

use super::{
    clock::{Clock, after},
    race::before,
};
use std::time::{Duration, Instant};

/// How many parts a deadline is waited for in.
const PARTS: u32 = 8;
/// A timer that fires this late, or a part late, tells of a pause.
const LATE: Duration = Duration::from_millis(50);

/// A deadline that passes when the process has run for so long.
///
/// A process that was stopped (a frozen function, `SIGSTOP`, a debugger) finds timers due as soon as
/// it goes on, and answers that came meanwhile are not read yet. So the wait is divided into parts,
/// and a part whose timer fires late counts as half: what was about to happen gets its time.
pub(crate) struct Deadline {
    clock: Clock,
    length: Duration,
    part: Duration,
    left: Duration,
    /// When the current part began.
    began: Instant,
    /// The stops of the process until then, where the clock knows them.
    stopped: Option<Duration>,
}

impl Deadline {
    /// Begins to run at once.
    pub(crate) fn new(clock: &Clock, length: Duration) -> Self {
        let part = (length / PARTS).max(Duration::from_millis(1));
        let (began, stopped) = (clock.monotonic(), clock.stopped());
        Self { clock: clock.clone(), length, part, left: length, began, stopped }
    }

    /// Returns when it passes if the process runs until then.
    pub(crate) fn ends_at(&self) -> Instant {
        after(self.began, self.left)
    }

    /// Returns how long the process ran since the beginning.
    pub(crate) fn ran(&self) -> Duration {
        let part = self.clock.monotonic().saturating_duration_since(self.began);
        self.length.saturating_sub(self.left).saturating_add(part.min(self.part)).min(self.length)
    }

    /// Returns the output of `future`, or `None` if this passes first.
    pub(crate) async fn bound<F: Future>(mut self, future: F) -> Option<F::Output> {
        before(future, self.passed(|_| {})).await
    }

    /// Waits until it has passed. `extended` is called whenever [`ends_at`](Self::ends_at) moves.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the time that ran stays counted.
    pub(crate) async fn passed(&mut self, mut extended: impl FnMut(Instant)) {
        while !self.left.is_zero() {
            let due = after(self.began, self.left.min(self.part));
            self.clock.sleep_until(due).await;
            let (now, ends_at) = (self.clock.monotonic(), self.ends_at());
            if now < due {
                // The runtime has no timers.
                return;
            }
            self.count(now, self.clock.stopped());
            if !self.left.is_zero() && self.ends_at() > ends_at {
                extended(self.ends_at());
            }
        }
    }

    /// Counts the part that ends at `now`.
    fn count(&mut self, now: Instant, stopped: Option<Duration>) {
        let (part, elapsed) = (self.left.min(self.part), now.saturating_duration_since(self.began));
        let ran = match (stopped, self.stopped) {
            (Some(now), Some(before)) => elapsed.saturating_sub(now.saturating_sub(before)),
            _ if elapsed < part.saturating_add(self.part.max(LATE)) => elapsed,
            // Never nothing, so that it passes even where every timer is late.
            _ => (part / 2).max(Duration::from_millis(1)),
        };
        self.left = self.left.saturating_sub(ran);
        (self.began, self.stopped) = (now, stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant as TokioInstant, advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    fn deadline() -> Deadline {
        Deadline::new(&Clock::system(), 8 * SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn it_passes_when_the_process_has_run_for_so_long() {
        let begun = TokioInstant::now();
        deadline().passed(|_| panic!("there was no pause")).await;
        assert_eq!(begun.elapsed().as_secs(), 8);
    }

    #[test]
    fn a_pause_of_the_process_does_not_count() {
        let mut deadline = deadline();
        let begun = deadline.began;
        deadline.count(begun + SECOND, None);
        deadline.count(begun + 3600 * SECOND, None);
        assert_eq!(deadline.left, 6 * SECOND + SECOND / 2);
        assert_eq!(deadline.ends_at(), begun + 3606 * SECOND + SECOND / 2);
    }

    #[test]
    fn a_pause_in_its_last_part_leaves_time_to_read_what_came() {
        let mut deadline = deadline();
        let begun = deadline.began;
        (1..8).for_each(|part| deadline.count(begun + part * SECOND, None));
        deadline.count(begun + 60 * SECOND, None);
        assert_eq!(deadline.left, SECOND / 2);
    }

    #[test]
    fn it_passes_even_where_every_timer_is_late() {
        let mut deadline = deadline();
        let mut parts = 0;
        while !deadline.left.is_zero() {
            deadline.count(deadline.began + 60 * SECOND, None);
            parts += 1;
        }
        assert!(parts < 600, "{parts}");
    }

    #[test]
    fn stops_that_the_clock_knows_are_taken_off() {
        let mut deadline = deadline();
        deadline.stopped = Some(Duration::ZERO);
        deadline.count(deadline.began + 7 * SECOND, Some(4 * SECOND));
        assert_eq!(deadline.left, 5 * SECOND);
        deadline.count(deadline.began + 5 * SECOND, Some(4 * SECOND));
        assert!(deadline.left.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_and_begun_again_goes_on() {
        let mut deadline = deadline();
        let begun = TokioInstant::now();
        for _ in 0..16 {
            drop(timeout(SECOND / 2, deadline.passed(|_| {})).await);
        }
        deadline.passed(|_| {}).await;
        assert_eq!(begun.elapsed().as_secs(), 8);
        advance(SECOND).await;
        assert!(deadline.left.is_zero());
    }
}
