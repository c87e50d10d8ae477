use crate::{Clock, vocabulary::clock::Time};
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

/// Stands still until a test moves it, and fires the timers that it passes.
///
/// Clones share one time. A [seeded](Self::seeded) one also replaces the random numbers of the crate.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth2::testing::ManualClock;
///
/// let manual = ManualClock::from_wall(SystemTime::UNIX_EPOCH);
/// let clock = manual.clock();
/// let start = clock.monotonic();
/// manual.advance(Duration::from_secs(60));
/// assert_eq!(clock.monotonic() - start, Duration::from_secs(60));
/// assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

struct State {
    monotonic: Instant,
    wall: SystemTime,
    stopped: Duration,
    /// By deadline, then by the order in which they were first polled.
    timers: BTreeMap<(Instant, u64), Waker>,
    next_id: u64,
    random: Option<SplitMix64>,
}

/// 2026-01-01T00:00:00Z.
const SEEDED_START: Duration = Duration::from_secs(1_767_225_600);

impl ManualClock {
    /// Creates a clock whose wall clock shows the present.
    #[must_use]
    pub fn new() -> Self {
        Self::from_wall(SystemTime::now())
    }

    /// Creates a clock whose wall clock shows `wall`.
    #[must_use]
    pub fn from_wall(wall: SystemTime) -> Self {
        Self::with_random(wall, None)
    }

    /// Creates a clock whose wall clock shows the start of 2026 (UTC), and whose
    /// [`Clock`](Self::clock) draws the crate's random numbers (jitter, `state`, `jti` and other
    /// random names) from `seed`. On a runtime of one thread the same seed gives the same run.
    /// Generated keys are random all the same.
    ///
    /// # Security
    ///
    /// What should be unguessable can be guessed: for tests only.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_oauth2::testing::ManualClock;
    ///
    /// let manual = ManualClock::seeded(42);
    /// let clock = manual.clock();
    /// let mut sleep = tokio_test::task::spawn(clock.sleep(Duration::from_secs(3)));
    /// assert!(sleep.poll().is_pending());
    /// // Advance to the next timer instead of in small steps.
    /// let due = manual.next_timer().unwrap();
    /// manual.advance(due - clock.monotonic());
    /// assert!(sleep.poll().is_ready());
    /// ```
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with_random(SystemTime::UNIX_EPOCH + SEEDED_START, Some(SplitMix64(seed)))
    }

    fn with_random(wall: SystemTime, random: Option<SplitMix64>) -> Self {
        let (timers, stopped) = (BTreeMap::new(), Duration::ZERO);
        let state = State { monotonic: Instant::now(), wall, stopped, timers, next_id: 0, random };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the [`Clock`] for a layer.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::replaced(Arc::new(self.clone()))
    }

    /// Moves the monotonic clock and the wall clock by `duration`, and fires every timer that is then
    /// due, the earliest first.
    ///
    /// # Panics
    ///
    /// When a clock cannot show the new time.
    pub fn advance(&self, duration: Duration) {
        self.pass(duration, Duration::ZERO);
    }

    /// Moves both clocks like [`advance`](Self::advance), as for a process that did not run meanwhile:
    /// a frozen function, or one that got `SIGSTOP`. It is not counted against deadlines.
    ///
    /// # Panics
    ///
    /// When a clock cannot show the new time.
    pub fn stop_for(&self, duration: Duration) {
        self.pass(duration, duration);
    }

    fn pass(&self, duration: Duration, stopped: Duration) {
        let mut state = self.lock();
        state.monotonic += duration;
        state.wall += duration;
        state.stopped += stopped;
        let now = state.monotonic;
        let later = state.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    /// Returns when the next timer of this clock is due, by [`Clock::monotonic`], or `None` if
    /// nothing waits for one.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.lock().timers.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Sets the wall clock alone, forward or back, as an operator or NTP may.
    pub fn set_wall(&self, wall: SystemTime) {
        self.lock().wall = wall;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes, so the state behind a poisoned lock is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("ManualClock")
            .field("wall", &state.wall)
            .field("timers", &state.timers.len())
            .finish()
    }
}

impl Time for ManualClock {
    fn monotonic(&self) -> Instant {
        self.lock().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.lock().wall
    }

    fn stopped(&self) -> Duration {
        self.lock().stopped
    }

    fn random(&self) -> Option<u64> {
        self.lock().random.as_mut().map(SplitMix64::next)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(ManualSleep { clock: self.clone(), deadline, id: None })
    }
}

/// The generator of Steele, Lea and Flood ("Fast splittable pseudorandom number generators", 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct ManualSleep {
    clock: ManualClock,
    deadline: Instant,
    /// `None` before the first poll.
    id: Option<u64>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = cx.waker().clone();
        let mut state = this.clock.lock();
        if state.monotonic >= this.deadline {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        let replaced = state.timers.insert((this.deadline, id), waker);
        // A waker may own a task, and the task other timers of this clock.
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let removed = self.clock.lock().timers.remove(&(self.deadline, id));
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advance_fires_the_timers_that_are_due_and_no_others() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let soon = tokio::spawn(clock.sleep(Duration::from_secs(1)));
        let late = tokio::spawn(clock.sleep(Duration::from_secs(9)));
        tokio::task::yield_now().await;
        manual.advance(Duration::from_secs(1));
        soon.await.unwrap();
        assert!(!late.is_finished());
        late.abort();
        assert!(late.await.unwrap_err().is_cancelled());
        assert!(format!("{manual:?}").contains("timers: 0"));
    }

    #[test]
    fn next_timer_is_the_earliest_that_still_waits() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let start = clock.monotonic();
        let mut timers =
            [5, 2, 9].map(|s| tokio_test::task::spawn(clock.sleep(Duration::from_secs(s))));
        assert_eq!(manual.next_timer(), None, "none is polled yet");
        assert!(timers.iter_mut().all(|timer| timer.poll().is_pending()));
        assert_eq!(manual.next_timer(), Some(start + Duration::from_secs(2)));
        manual.advance(Duration::from_secs(2));
        assert!(timers.each_mut().map(|timer| timer.is_woken()) == [false, true, false]);
        assert_eq!(manual.next_timer(), Some(start + Duration::from_secs(5)));
        drop(timers);
        assert_eq!(manual.next_timer(), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
        let drawn = |seed| {
            let clock = ManualClock::seeded(seed).clock();
            (clock.secret(), clock.fraction().to_bits(), clock.secret(), clock.wall())
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1).0, drawn(2).0);
        assert_ne!(drawn(1).0, drawn(1).2);
        let unseeded = ManualClock::new().clock();
        assert_ne!(unseeded.secret(), unseeded.secret());
    }

    #[test]
    fn the_wall_moves_alone_when_it_is_set() {
        let manual = ManualClock::new();
        let before = manual.clock().monotonic();
        manual.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(manual.clock().wall(), SystemTime::UNIX_EPOCH);
        assert_eq!(manual.clock().monotonic(), before);
    }
}
