//! When the authorization server gets no requests: while it wants none, and while it does not answer.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many time-outs in a row are an outage.
const OUTAGE: u32 = 5;

/// The shortest and the longest back-off of an outage. In between it is a fifth of its age.
const BACK_OFFS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long the one request after a back-off may take until there is another.
const TRIAL: Duration = Duration::from_secs(5);

/// An outage is logged so often.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct BackOff {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when the server wants no requests.
    asked: Option<Instant>,
    /// Until when it gets none, since it does not answer.
    open: Option<Instant>,
    /// How many requests in a row timed out, and when the first of them did.
    timeouts: u32,
    since: Option<Instant>,
    warned: Option<Instant>,
    /// Why the last request had no verdict.
    failure: Option<String>,
}

impl State {
    fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.asked.max(self.open)?.checked_duration_since(now);
        left.filter(|left| !left.is_zero())
    }
}

impl BackOff {
    /// Admits a request, or returns the time that is left. After an outage one request at a time is
    /// admitted, until the server answers.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        if let Some(left) = state.left(now) {
            return Err(left);
        }
        if state.timeouts >= OUTAGE {
            state.open = now.checked_add(TRIAL);
        }
        Ok(())
    }

    /// Returns the time that is left, if any.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.lock().left(now)
    }

    /// Extends the back-off to `wait` after `now`, unless it lasts longer already.
    pub(super) fn extend(&self, now: Instant, wait: Duration) {
        let mut state = self.lock();
        state.asked = state.asked.max(now.checked_add(wait));
    }

    pub(super) fn answered(&self) {
        let mut state = self.lock();
        (state.open, state.timeouts, state.since) = (None, 0, None);
    }

    pub(super) fn timed_out(&self, now: Instant) {
        let mut state = self.lock();
        state.timeouts = state.timeouts.saturating_add(1);
        let since = *state.since.get_or_insert(now);
        if state.timeouts >= OUTAGE {
            let wait = now.saturating_duration_since(since) / 5;
            state.open = now.checked_add(wait.clamp(BACK_OFFS.0, BACK_OFFS.1));
        }
    }

    /// Notes why a request had no verdict, or that it had one.
    pub(super) fn note(&self, failure: Option<String>) {
        self.lock().failure = failure;
    }

    /// Returns why the last request had no verdict.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Returns `true` if an outage is to be logged: not at each request.
    pub(super) fn may_warn(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let since = state.warned.map(|warned| now.saturating_duration_since(warned));
        let may = since.is_none_or(|since| since >= BETWEEN_WARNINGS);
        if may {
            state.warned = Some(now);
        }
        may
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two writes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_ends_when_it_was_to_and_a_shorter_one_does_not_shorten_it() {
        let (back_off, start) = (BackOff::default(), Instant::now());
        assert_eq!(back_off.admit(start), Ok(()));
        back_off.extend(start, seconds(7));
        back_off.extend(start, seconds(3));
        back_off.extend(start, Duration::MAX);
        assert_eq!(back_off.admit(start + seconds(2)), Err(seconds(5)));
        assert_eq!(back_off.admit(start + seconds(7)), Ok(()));
    }

    #[test]
    fn an_outage_lets_one_request_at_a_time_through_and_ends_with_an_answer() {
        let (back_off, start) = (BackOff::default(), Instant::now());
        for _ in 1..OUTAGE {
            back_off.timed_out(start);
            assert_eq!(back_off.admit(start), Ok(()));
        }
        back_off.timed_out(start);
        assert_eq!(back_off.admit(start), Err(seconds(1)));
        let later = start + seconds(1);
        assert_eq!((back_off.admit(later), back_off.admit(later)), (Ok(()), Err(TRIAL)));
        back_off.timed_out(start + seconds(50));
        assert_eq!(back_off.admit(start + seconds(50)), Err(seconds(10)));
        back_off.timed_out(start + seconds(5000));
        assert_eq!(back_off.admit(start + seconds(5000)), Err(seconds(30)));
        back_off.answered();
        assert_eq!(back_off.admit(start + seconds(5000)), Ok(()));
        assert_eq!(back_off.admit(start + seconds(5000)), Ok(()));
    }

    #[test]
    fn an_outage_is_logged_once_in_a_while() {
        let (back_off, start) = (BackOff::default(), Instant::now());
        assert!(back_off.may_warn(start) && !back_off.may_warn(start + seconds(9)));
        assert!(back_off.may_warn(start + seconds(10)));
    }
}
