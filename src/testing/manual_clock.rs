use crate::{Clock, vocabulary::clock::Time};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

/// Stands still until a test moves it, and fires the timers that it passes.
///
/// Clones share one time.
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
    timers: Vec<(Instant, Arc<Mutex<Option<Waker>>>)>,
}

impl ManualClock {
    /// Creates a clock whose wall clock shows the present.
    #[must_use]
    pub fn new() -> Self {
        Self::from_wall(SystemTime::now())
    }

    /// Creates a clock whose wall clock shows `wall`.
    #[must_use]
    pub fn from_wall(wall: SystemTime) -> Self {
        let state = State { monotonic: Instant::now(), wall, timers: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns the [`Clock`] for a layer.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::replaced(Arc::new(self.clone()))
    }

    /// Moves the monotonic clock and the wall clock by `duration`, and fires every timer that is then
    /// due.
    ///
    /// # Panics
    ///
    /// When a clock cannot show the new time.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.monotonic += duration;
        state.wall += duration;
        let now = state.monotonic;
        let due: Vec<_> = state.timers.extract_if(.., |(deadline, _)| *deadline <= now).collect();
        drop(state);
        for (_, waker) in due {
            let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.into_iter().for_each(Waker::wake);
        }
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

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(ManualSleep { clock: self.clone(), deadline, waker: None })
    }
}

struct ManualSleep {
    clock: ManualClock,
    deadline: Instant,
    waker: Option<Arc<Mutex<Option<Waker>>>>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.clock.lock();
        if state.monotonic >= this.deadline {
            return Poll::Ready(());
        }
        let waker = this.waker.get_or_insert_with(|| {
            let slot = Arc::new(Mutex::new(None));
            state.timers.push((this.deadline, slot.clone()));
            slot
        });
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.clock.lock().timers.retain(|(_, slot)| !Arc::ptr_eq(slot, waker));
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
    fn the_wall_moves_alone_when_it_is_set() {
        let manual = ManualClock::new();
        let before = manual.clock().monotonic();
        manual.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(manual.clock().wall(), SystemTime::UNIX_EPOCH);
        assert_eq!(manual.clock().monotonic(), before);
    }
}
