//! The time until which the authorization server wants no requests.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

#[derive(Default)]
pub(super) struct BackOff {
    until: Mutex<Option<Instant>>,
}

impl BackOff {
    /// Returns the time that is left, if any.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let until = (*self.lock())?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Extends the back-off to `wait` after `now`, unless it lasts longer already.
    pub(super) fn extend(&self, now: Instant, wait: Duration) {
        let mut until = self.lock();
        *until = (*until).max(now.checked_add(wait));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // A panic cannot leave half an instant.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_it_was_to_and_a_shorter_one_does_not_shorten_it() {
        let (back_off, start) = (BackOff::default(), Instant::now());
        let seconds = Duration::from_secs;
        assert_eq!(back_off.left(start), None);
        back_off.extend(start, seconds(7));
        back_off.extend(start, seconds(3));
        back_off.extend(start, Duration::MAX);
        assert_eq!(back_off.left(start + seconds(2)), Some(seconds(5)));
        assert_eq!(back_off.left(start + seconds(7)), None);
    }
}
