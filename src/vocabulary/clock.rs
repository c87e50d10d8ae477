use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

/// A wall clock, a monotonic clock, and timers.
///
/// Defaults to the system's clocks and tokio's timers. Tests put a
/// [`ManualClock`](crate::testing::ManualClock) in its place (feature `test-util`) and never wait.
/// Clones show the same time.
#[derive(Clone, Default)]
pub struct Clock {
    /// `None` is the system's clock, which is read by a plain call.
    replaced: Option<Arc<dyn Time>>,
}

/// The longest lifetime and the longest wait that count: ten years.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Returns `instant` plus `wait`. A wait that the clock cannot show counts as [`MAX_LIFETIME`]: one
/// without end must not end at once.
pub(crate) fn after(instant: Instant, wait: Duration) -> Instant {
    instant.checked_add(wait.min(MAX_LIFETIME)).unwrap_or(instant)
}

/// An instant on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Now {
    /// Returns the time since `earlier`, by the clock that shows more of it: the monotonic one may
    /// stand still while the machine sleeps, the wall clock may be set back.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        wall.max(self.monotonic.saturating_duration_since(earlier.monotonic))
    }
}

#[cfg(test)]
impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { monotonic: self.monotonic + duration, wall: self.wall + duration }
    }
}

/// A replacement for the system's clocks.
pub(crate) trait Time: Send + Sync {
    fn monotonic(&self) -> Instant;
    fn wall(&self) -> SystemTime;
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>>;
}

impl Clock {
    /// Returns the system's clocks, with tokio's timers.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    #[cfg_attr(not(feature = "test-util"), allow(dead_code, reason = "made by ManualClock"))]
    pub(crate) fn replaced(time: Arc<dyn Time>) -> Self {
        Self { replaced: Some(time) }
    }

    /// Returns the time of a clock that only goes forward. It may stand still while the machine
    /// sleeps, depending on the system.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        match &self.replaced {
            None => Instant::now(),
            Some(time) => time.monotonic(),
        }
    }

    /// Returns the time of day, which may be set forward or back.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.replaced {
            None => SystemTime::now(),
            Some(time) => time.wall(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { monotonic: self.monotonic(), wall: self.wall() }
    }

    /// Waits until [`monotonic`](Self::monotonic) shows `deadline`.
    ///
    /// # Panics
    ///
    /// With the system's clock, outside of a tokio runtime or in one whose timers are disabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped timer has no effect.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        let timer = match &self.replaced {
            None => Timer::System { sleep: tokio::time::sleep_until(deadline.into()) },
            Some(time) => Timer::Replaced { sleep: time.sleep_until(deadline) },
        };
        Sleep { timer }
    }

    /// Waits for `duration`, or for ever when its end is later than the clock can show.
    ///
    /// # Panics
    ///
    /// As [`sleep_until`](Self::sleep_until).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped timer has no effect.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        match self.monotonic().checked_add(duration) {
            Some(deadline) => self.sleep_until(deadline),
            None => Sleep::never(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.replaced.is_none() { "Clock(system)" } else { "Clock(replaced)" })
    }
}

pin_project_lite::pin_project! {
    /// A timer of a [`Clock`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep {
        #[pin]
        timer: Timer,
    }
}

pin_project_lite::pin_project! {
    #[project = TimerProjection]
    enum Timer {
        System {
            #[pin]
            sleep: tokio::time::Sleep,
        },
        Replaced {
            sleep: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
        },
        Never,
    }
}

impl Sleep {
    pub(crate) fn never() -> Self {
        Self { timer: Timer::Never }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().timer.project() {
            TimerProjection::System { sleep } => sleep.poll(cx),
            TimerProjection::Replaced { sleep } => sleep.as_mut().poll(cx),
            TimerProjection::Never => Poll::Pending,
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_waits_on_tokio_and_survives_a_duration_without_end() {
        let clock = Clock::system();
        clock.sleep(Duration::from_millis(1)).await;
        let endless = clock.sleep(Duration::MAX);
        let either = tokio::time::timeout(Duration::from_secs(3600), endless).await;
        assert!(either.is_err());
    }
}
