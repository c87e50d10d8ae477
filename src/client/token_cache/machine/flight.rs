//! The fetch in flight, and when fetches were started.

use crate::vocabulary::clock::{Now, after};
use std::time::{Duration, Instant};

/// How long the task of an overdue fetch may take to say that it was not running.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// A fetch that was started. Its task names it when it reports what became of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::client::token_cache) struct Attempt {
    /// Counts up, so that a later attempt has a larger number.
    pub(super) number: u32,
    pub(super) started: Now,
}

/// An attempt that is over.
#[derive(Clone, Copy, Debug)]
pub(in crate::client::token_cache) struct Ended {
    pub(in crate::client::token_cache) attempt: Attempt,
    /// How long its task ran.
    pub(in crate::client::token_cache) ran: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) attempt: Attempt,
    /// When its task gives up, if it runs until then.
    ends_at: Instant,
    /// When a caller first saw that it should have ended.
    overdue_since: Option<Instant>,
    /// The starts before it.
    pub(super) before: Starts,
}

impl Flight {
    pub(super) fn new(attempt: Attempt, deadline: Duration, before: Starts) -> Self {
        let ends_at = after(attempt.started.monotonic, deadline);
        Self { attempt, ends_at, overdue_since: None, before }
    }

    pub(super) fn is(&self, attempt: Attempt) -> bool {
        self.attempt.number == attempt.number
    }

    /// Notes that its task runs, and gives up at `ends_at`.
    pub(super) fn runs_until(&mut self, ends_at: Instant) {
        (self.ends_at, self.overdue_since) = (ends_at, None);
    }

    /// Returns `true` if its task was to have ended and does not run. The first look past its end
    /// leaves the task [`GRACE`]: after a pause of the whole process a caller may run before it.
    pub(super) fn is_dead(&mut self, now: Instant) -> bool {
        if now < self.ends_at {
            return false;
        }
        let since = *self.overdue_since.get_or_insert(now);
        now.saturating_duration_since(since) >= GRACE
    }

    /// Returns when to look again whether it is dead.
    pub(super) fn look_at(&self) -> Instant {
        self.overdue_since.map_or(self.ends_at, |since| after(since, GRACE))
    }
}

/// When fetches were started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Starts {
    pub(super) last: Option<Instant>,
    /// The last that was due to a rejection or another secret.
    pub(super) last_hurried: Option<Instant>,
    /// The next does not wait for the minimum interval.
    pub(super) hurry: bool,
}

impl Starts {
    /// Returns these and one at `now`. `is_hurried`: it is due to a rejection or another secret.
    pub(super) fn and(self, now: Instant, is_hurried: bool) -> Self {
        let last_hurried = if is_hurried || self.hurry { Some(now) } else { self.last_hurried };
        Self { last: Some(now), last_hurried, hurry: false }
    }

    /// Lets the next start not wait for `interval`, unless one within it was hurried.
    pub(super) fn hurry(&mut self, now: Instant, interval: Duration) {
        self.hurry |=
            self.last_hurried.is_none_or(|last| now.saturating_duration_since(last) >= interval);
    }

    /// Returns the earliest next start by `interval`. `None`: at once.
    pub(super) fn next(&self, interval: Duration) -> Option<Instant> {
        self.last.filter(|_| !self.hurry).map(|last| after(last, interval))
    }
}
