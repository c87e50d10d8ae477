//! How long a server is left alone after a failure.

use super::Failed;
use crate::vocabulary::clock::after;
use std::time::{Duration, Instant};

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The part of an outage's age after which the next try is due.
const BACKOFF_PART: u32 = 5;
/// The part of a pause that jitter takes off. A pause is at least a tenth of the age that the
/// outage has at its end.
const BACKOFF_JITTER: f64 = 0.4;
/// Over so long the replicas of a fleet spread their next looks.
const PAUSE_SPREAD: Duration = Duration::from_millis(200);
const NEGATIVE_MIN: Duration = Duration::from_secs(1);
const NEGATIVE_MAX: Duration = Duration::from_secs(10);

/// A row of failures without a success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// How long the server was tried: the attempts, and the time between them up to twice the pause
    /// that was decided here. Time in which nobody asked, or in which the process did not run, does
    /// not count.
    tried: Duration,
    failed_at: Instant,
    pause: Duration,
    pub(super) next_try: Instant,
    /// How many permanent refusals there were in a row.
    pub(super) refusals: u32,
}

/// An attempt that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedAttempt {
    pub(super) started: Instant,
    /// How long the attempt ran.
    pub(super) ran: Duration,
    pub(super) why: Failed,
    /// What the server asked for.
    pub(super) retry_after: Option<Duration>,
    /// Between 0 and 1, drawn for each failure.
    pub(super) jitter: f64,
}

impl Outage {
    /// Returns the outage that is the case after `failure`.
    pub(super) fn after(before: Option<Self>, now: Instant, failure: FailedAttempt) -> Self {
        if failure.why == Failed::Paused {
            return Self::paused(before, now, failure);
        }
        let idle = before.map_or(Duration::ZERO, |outage| {
            failure.started.saturating_duration_since(outage.failed_at).min(outage.pause * 2)
        });
        let tried = before.map_or(Duration::ZERO, |outage| outage.tried);
        let tried = tried.saturating_add(idle).saturating_add(failure.ran);
        let refusals = before.map_or(0, |outage| outage.refusals);
        let (refusals, pause) = match failure.why {
            Failed::Permanent | Failed::SignedOut => (refusals.saturating_add(1), NEGATIVE_MAX),
            // What is changed at this end is found out soon; what is of no use costs the server a
            // token each time.
            Failed::OfNoUse => (refusals.saturating_add(1), BACKOFF_MAX),
            _ => (0, BACKOFF_MAX),
        };
        let pause = match refusals {
            0 => {
                let pause = (tried / BACKOFF_PART).clamp(BACKOFF_MIN, pause);
                pause.mul_f64(1.0 - failure.jitter.clamp(0.0, 1.0) * BACKOFF_JITTER)
            }
            _ => (NEGATIVE_MIN * 2_u32.pow(refusals.saturating_sub(1).min(8))).min(pause),
        };
        let wait = match failure.why {
            Failed::Lost => Duration::ZERO,
            _ => pause,
        };
        let next_try = after(now, wait.max(failure.retry_after.unwrap_or_default()));
        Self { tried, failed_at: now, pause, next_try, refusals }
    }

    /// The server was not tried: the outage grows no older.
    fn paused(before: Option<Self>, now: Instant, failure: FailedAttempt) -> Self {
        let spread = PAUSE_SPREAD.mul_f64(failure.jitter.clamp(0.0, 1.0));
        let pause = failure.retry_after.unwrap_or_default().saturating_add(spread);
        let tried = before.map_or(Duration::ZERO, |outage| outage.tried);
        Self { tried, failed_at: now, pause, next_try: after(now, pause), refusals: 0 }
    }
}
