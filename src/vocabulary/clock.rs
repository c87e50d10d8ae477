use super::{pausable, random};
use std::{
    fmt,
    panic::catch_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};
use tokio::runtime::Handle;

/// A wall clock, a monotonic clock, and timers.
///
/// Defaults to the system's clocks, read through tokio, and tokio's timers. Under tokio's paused
/// clock (`#[tokio::test(start_paused = true)]`) all three stand still, and `tokio::time::advance`
/// moves all three. Tests may also put a [`ManualClock`](crate::testing::ManualClock) in its place
/// (feature `test-util`). Clones show the same time.
///
/// What is built of another part takes the clock of that part: an endpoint that of its
/// [`Transport`](crate::Transport), a cache that of its endpoint, a layer that of its cache or
/// validator. So set the clock of the innermost part, before the others are built of it.
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

/// Returns the whole seconds since 1970: none for an instant before.
pub(crate) fn unix_seconds(instant: SystemTime) -> u64 {
    instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
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
    /// Returns a number in the place of the system's random ones.
    fn random(&self) -> Option<u64>;
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>>;
    /// Returns how long the process was stopped.
    fn stopped(&self) -> Duration;
}

impl Clock {
    /// Returns the system's clocks and tokio's timers.
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
            None => tokio::time::Instant::now().into_std(),
            Some(time) => time.monotonic(),
        }
    }

    /// Returns the time of day, which may be set forward or back.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.replaced {
            None => pausable::wall(),
            Some(time) => time.wall(),
        }
    }

    /// Returns `true` if both show the same time.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "token endpoints ask"))]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.replaced, &other.replaced) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Returns how long the process was stopped, or `None` if this clock cannot know.
    pub(crate) fn stopped(&self) -> Option<Duration> {
        self.replaced.as_ref().map(|time| time.stopped())
    }

    pub(crate) fn now(&self) -> Now {
        Now { monotonic: self.monotonic(), wall: self.wall() }
    }

    /// Returns a number between 0 and 1, for jitter. It is not fit for a secret.
    pub(crate) fn fraction(&self) -> f64 {
        let replaced = self.replaced.as_ref().and_then(|time| time.random());
        random::fraction_of(replaced.unwrap_or_else(random::bits))
    }

    /// Returns 32 unguessable bytes, or `None` when the system's generator fails.
    #[cfg(any(feature = "client", feature = "jwt", feature = "test-util"))]
    pub(crate) fn secret(&self) -> Option<[u8; 32]> {
        let Some(time) = self.replaced.as_ref().filter(|time| time.random().is_some()) else {
            return random::secret();
        };
        let mut bytes = [0; 32];
        for eight in bytes.chunks_exact_mut(8) {
            eight.copy_from_slice(&time.random()?.to_le_bytes());
        }
        Some(bytes)
    }

    /// Returns the runtime that runs this code, if the timers of this clock work in it.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().filter(|_| self.has_timers())
    }

    /// Returns `true` if the timers of this clock work here.
    pub(crate) fn has_timers(&self) -> bool {
        self.replaced.is_some() || tokio_sleep(Instant::now()).is_some()
    }

    /// Waits until [`monotonic`](Self::monotonic) shows `deadline`. With the system's clock, outside
    /// of a tokio runtime or in one whose timers are disabled, it completes at once: a
    /// deadline then passes, and nothing waits for ever. (In the latter, tokio's panic is caught here,
    /// and the panic hook reports it.)
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped timer has no effect.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        let timer = match &self.replaced {
            None => match tokio_sleep(deadline) {
                Some(sleep) => Timer::System { sleep },
                None => Timer::None,
            },
            Some(time) => Timer::Replaced { sleep: time.sleep_until(deadline) },
        };
        Sleep { timer }
    }

    /// Waits for `duration`, or for ever when its end is later than the clock can show.
    ///
    /// Without timers it completes at once, as [`sleep_until`](Self::sleep_until) does.
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

/// Returns a timer of the current runtime, or `None` without a runtime that has timers.
fn tokio_sleep(deadline: Instant) -> Option<tokio::time::Sleep> {
    Handle::try_current().ok()?;
    // A runtime does not say whether its timers are enabled. Only the attempt shows it, and an
    // attempt without timers panics.
    catch_unwind(|| tokio::time::sleep_until(deadline.into())).ok()
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
        None,
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
            TimerProjection::None => Poll::Ready(()),
        }
    }
}

opaque_debug!(Sleep { .. });

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
