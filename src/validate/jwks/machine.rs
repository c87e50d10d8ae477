//! Decides when a key set is fetched and what a look-up gets, from values and an instant. Reads no
//! clock, does no I/O and spawns nothing.

use crate::vocabulary::clock::Now;
use std::time::{Duration, Instant};

/// How long keys are fresh if the server does not say.
const FRESH_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// The part of the time to a refresh that jitter takes off.
const EARLY: f64 = 0.1;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The part of a pause that jitter takes off.
const BACKOFF_JITTER: f64 = 0.4;

#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) max_stale: Duration,
    pub(super) refresh_min: Duration,
    pub(super) refresh_max: Duration,
    pub(super) cool_down: Duration,
    /// A random fraction of this instance, between 0 and 1.
    pub(super) jitter: f64,
}

/// How long the server says that its keys are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    Unsaid,
    /// They must not be cached.
    None,
    For(Duration),
}

impl Policy {
    fn fresh_for(&self, lifetime: Lifetime) -> Duration {
        let lifetime = match lifetime {
            Lifetime::Unsaid => FRESH_DEFAULT,
            Lifetime::None => Duration::ZERO,
            Lifetime::For(lifetime) => lifetime,
        };
        let bounded = lifetime.max(self.refresh_min).min(self.refresh_max);
        // So that keys outlive an outage that begins at the refresh by as long again.
        let bounded = bounded.min(self.max_stale / 2);
        bounded.saturating_sub(bounded.mul_f64(EARLY * self.jitter.clamp(0.0, 1.0)))
    }
}

/// How long keys may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    since: Now,
    fresh_for: Duration,
    usable_for: Duration,
}

impl Lease {
    pub(super) fn age(&self, now: Now) -> Duration {
        now.since(self.since)
    }

    pub(super) fn is_fresh(&self, now: Now) -> bool {
        self.age(now) < self.fresh_for
    }

    pub(super) fn is_usable(&self, now: Now) -> bool {
        self.age(now) < self.usable_for
    }
}

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The keys.
    Keys,
    /// The keys, and the driver starts a fetch.
    KeysAndFetch,
    /// The driver starts a fetch, and the look-up waits for it.
    Fetch,
    /// The look-up waits for the fetch in flight.
    Join,
    /// The server has no such key.
    Unknown,
    /// The keys cannot be fetched; the time until the next try, if it is known.
    Unavailable(Option<Duration>),
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: Policy,
    lease: Option<Lease>,
    flight: Option<Flight>,
    outage: Option<Outage>,
    /// When a fetch last succeeded.
    fetched: Option<Instant>,
    /// When a fetch for an unknown key last succeeded.
    searched: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    cause: Cause,
    /// Another fetch follows: a look-up waits for a key that may be newer than the answer.
    again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    NoKeys,
    NotFresh,
    UnknownKey,
}

/// The last fetch failed.
#[derive(Clone, Copy, Debug)]
struct Outage {
    failures: u32,
    since: Instant,
    pause: Duration,
}

impl Machine {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, lease: None, flight: None, outage: None, fetched: None, searched: None }
    }

    /// Decides a look-up. `known` is `true` if its key is held, `waited` if it has waited for a fetch,
    /// after which it waits no more. After `Fetch` and `KeysAndFetch` the driver must report
    /// [`fetched`](Self::fetched) or [`failed`](Self::failed).
    pub(super) fn ask(&mut self, now: Now, known: bool, waited: bool) -> Ask {
        match (self.is_usable(now), known) {
            (true, true) => self.serve(now),
            (true, false) => self.search(now, waited),
            (false, _) if waited => Ask::Unavailable(self.next_try(now)),
            (false, _) => self.wait(now, Cause::NoKeys),
        }
    }

    fn serve(&mut self, now: Now) -> Ask {
        let fresh = self.lease.is_some_and(|lease| lease.is_fresh(now));
        if fresh || self.flight.is_some() || self.next_try(now).is_some() {
            return Ask::Keys;
        }
        self.start(Cause::NotFresh);
        Ask::KeysAndFetch
    }

    /// Looks for a key that is not held: it may be new.
    fn search(&mut self, now: Now, waited: bool) -> Ask {
        if self.outage.is_none() {
            if waited {
                self.searched = self.searched.max(self.fetched);
                return Ask::Unknown;
            }
            if self.is_cooling(now) {
                return Ask::Unknown;
            }
        } else if waited {
            // During an outage it is unknown which keys the server has.
            return Ask::Unavailable(self.next_try(now));
        }
        self.wait(now, Cause::UnknownKey)
    }

    fn wait(&mut self, now: Now, cause: Cause) -> Ask {
        if let Some(flight) = &mut self.flight {
            // A refresh may have been answered before the key was published.
            flight.again |= cause == Cause::UnknownKey && flight.cause == Cause::NotFresh;
            return Ask::Join;
        }
        match self.next_try(now) {
            Some(wait) => Ask::Unavailable(Some(wait)),
            None => {
                self.start(cause);
                Ask::Fetch
            }
        }
    }

    fn start(&mut self, cause: Cause) {
        self.flight = Some(Flight { cause, again: false });
    }

    /// Reports that a fetch could not be started.
    pub(super) fn not_started(&mut self) {
        self.flight = None;
    }

    /// Reports that the fetch in flight succeeded. Returns `true` if the driver must fetch once more
    /// before it wakes the look-ups that wait.
    pub(super) fn fetched(&mut self, now: Now, lifetime: Lifetime) -> bool {
        let flight = self.flight.take();
        self.outage = None;
        self.fetched = Some(now.monotonic);
        self.lease = Some(Lease {
            since: now,
            fresh_for: self.policy.fresh_for(lifetime),
            usable_for: self.policy.max_stale,
        });
        match flight {
            Some(Flight { again: true, .. }) => {
                self.start(Cause::UnknownKey);
                true
            }
            Some(Flight { cause: Cause::UnknownKey, .. }) => {
                self.searched = Some(now.monotonic);
                false
            }
            _ => false,
        }
    }

    /// Reports that the fetch in flight failed. `retry_after` is what the server asked for, `jitter` a
    /// new random fraction between 0 and 1.
    pub(super) fn failed(&mut self, now: Now, retry_after: Option<Duration>, jitter: f64) {
        self.flight = None;
        let before = self.outage.map_or(0, |outage| outage.failures);
        let pause = BACKOFF_MIN.saturating_mul(1 << before.min(5)).min(BACKOFF_MAX);
        let pause = pause.saturating_sub(pause.mul_f64(BACKOFF_JITTER * jitter.clamp(0.0, 1.0)));
        self.outage = Some(Outage {
            failures: before.saturating_add(1),
            since: now.monotonic,
            pause: pause.max(retry_after.unwrap_or_default()),
        });
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.lease
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.flight.is_some()
    }

    fn is_usable(&self, now: Now) -> bool {
        self.lease.is_some_and(|lease| lease.is_usable(now))
    }

    /// Returns `true` while no fetch is made for an unknown key.
    fn is_cooling(&self, now: Now) -> bool {
        let since = self.searched.map(|at| now.monotonic.saturating_duration_since(at));
        since.is_some_and(|since| since < self.policy.cool_down)
    }

    /// Returns how long no fetch is made at all.
    fn next_try(&self, now: Now) -> Option<Duration> {
        let outage = self.outage?;
        let left =
            outage.pause.checked_sub(now.monotonic.saturating_duration_since(outage.since))?;
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests;
