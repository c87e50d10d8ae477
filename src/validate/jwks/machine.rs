//! Decides when a key set is fetched and what a look-up gets, from values and an instant. Reads no
//! clock, does no I/O and spawns nothing.

use super::budget::{Budget, Searched};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    #[default]
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

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Keys that are held.
    Held,
    /// A key that is not held, by the digest of its name.
    Missing(u64),
    /// The result of a fetch that begins after the look-up.
    Newer,
    /// Keys, if a failed fetch is why there are none.
    Lost,
}

/// The number of fetches that were sent when a look-up began: an older answer cannot show a key that
/// is published since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(super) fetches: u64,
    /// Which instance was asked, by its [`Shared::id`](super::shared::Shared::id).
    pub(super) asked: u64,
    /// The generation of the keys that were tried in vain.
    pub(super) tried: Option<u64>,
}

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The keys.
    Keys,
    /// The keys, and the driver starts a fetch.
    KeysAndFetch,
    /// The driver starts a fetch for this cause, and the look-up waits for it.
    Fetch(Cause),
    /// The look-up waits for the fetch in flight.
    Join,
    /// The server has no such key.
    Unknown,
    /// Too many unknown keys were looked for; the time until the next search.
    Spent(Duration),
    /// The keys cannot be fetched; the time until the next try, if it is known.
    Unavailable(Option<Duration>),
}

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There are none, they are not fresh, or someone asks for it.
    Refresh,
    /// A token does not fit the keys.
    Search,
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: Policy,
    lease: Option<Lease>,
    outage: Option<Outage>,
    is_fetching: bool,
    /// The request of the fetch in flight may be on its way.
    is_sent: bool,
    /// The number of fetches that have begun.
    begun: u64,
    /// The number of the last fetch that succeeded.
    succeeded: u64,
    /// For keys that are not held.
    searches: Budget,
    /// For signatures that are wrong: apart, so that neither flood starves the other.
    doubts: Budget,
    searched: Searched,
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
        Self {
            policy,
            lease: None,
            outage: None,
            is_fetching: false,
            is_sent: false,
            begun: 0,
            succeeded: 0,
            searches: Budget::default(),
            doubts: Budget::default(),
            searched: Searched::default(),
        }
    }

    /// Returns what a look-up that begins now has seen.
    pub(super) fn seen(&self) -> Seen {
        let is_unsent = self.is_fetching && !self.is_sent;
        let fetches = self.begun.saturating_sub(u64::from(is_unsent));
        Seen { fetches, asked: 0, tried: None }
    }

    /// Decides a look-up. `waited` is what it had [seen](Self::seen) before it waited for a fetch. It
    /// waits at most twice: for the fetch that it finds in flight, and for one that begins after it.
    /// After `Fetch` and `KeysAndFetch` the driver must report [`fetched`](Self::fetched) or
    /// [`failed`](Self::failed).
    pub(super) fn ask(&mut self, now: Now, want: Want, waited: Option<Seen>) -> Ask {
        match (want, self.is_usable(now)) {
            (Want::Newer, _) => self.renew(now, waited),
            (Want::Held, true) => self.serve(now),
            (Want::Missing(name), true) => self.search(now, name, waited),
            (Want::Lost, true) => Ask::Keys,
            (Want::Lost, false) if waited.is_none() && self.outage.is_none() => Ask::Keys,
            _ if waited.is_some() => Ask::Unavailable(self.next_try(now)),
            _ => self.wait(now, Cause::Refresh),
        }
    }

    /// Whatever the budgets and the last failure say.
    fn renew(&mut self, now: Now, waited: Option<Seen>) -> Ask {
        match waited {
            Some(Seen { fetches, .. }) if self.succeeded > fetches => Ask::Keys,
            Some(Seen { fetches, .. }) if self.begun > fetches && !self.is_fetching => {
                Ask::Unavailable(self.next_try(now))
            }
            _ if self.is_fetching => Ask::Join,
            _ => self.start(Cause::Refresh),
        }
    }

    fn serve(&mut self, now: Now) -> Ask {
        let fresh = self.lease.is_some_and(|lease| lease.is_fresh(now));
        if fresh || self.is_fetching || self.next_try(now).is_some() {
            return Ask::Keys;
        }
        self.start(Cause::Refresh);
        Ask::KeysAndFetch
    }

    /// Looks for a key that is not held: it may be new.
    fn search(&mut self, now: Now, name: u64, waited: Option<Seen>) -> Ask {
        if self.outage.is_some() {
            // During an outage it is unknown which keys the server has.
            return match waited {
                Some(_) => Ask::Unavailable(self.next_try(now)),
                None => self.wait(now, Cause::Search),
            };
        }
        if waited.is_some_and(|Seen { fetches, .. }| self.succeeded > fetches) {
            self.searched.add(name, now.monotonic);
            return Ask::Unknown;
        }
        match self.searched.has(name, now.monotonic, self.policy.cool_down) {
            true => Ask::Unknown,
            false => self.wait(now, Cause::Search),
        }
    }

    fn wait(&mut self, now: Now, cause: Cause) -> Ask {
        if self.is_fetching {
            return Ask::Join;
        }
        if let Some(wait) = self.next_try(now) {
            return Ask::Unavailable(Some(wait));
        }
        // During an outage the pauses bound the fetches.
        if cause == Cause::Search
            && self.outage.is_none()
            && let Err(wait) = self.searches.spend(now.monotonic)
        {
            return Ask::Spent(wait);
        }
        self.start(cause)
    }

    /// Decides, after a key that is held failed to verify a signature, whether the driver starts a
    /// fetch for which nobody waits: another key may have taken its name.
    pub(super) fn doubt(&mut self, now: Now) -> bool {
        let may_fetch = !self.is_fetching && self.is_usable(now) && self.next_try(now).is_none();
        let fetches = may_fetch && self.doubts.spend(now.monotonic).is_ok();
        if fetches {
            self.start(Cause::Search);
        }
        fetches
    }

    fn start(&mut self, cause: Cause) -> Ask {
        self.is_fetching = true;
        self.is_sent = false;
        self.begun = self.begun.wrapping_add(1);
        Ask::Fetch(cause)
    }

    /// Reports that the request of the fetch in flight is about to be sent.
    pub(super) fn sent(&mut self) {
        self.is_sent = true;
    }

    /// Reports that a fetch could not be started.
    pub(super) fn not_started(&mut self) {
        self.is_fetching = false;
    }

    /// Reports that the fetch in flight succeeded.
    pub(super) fn fetched(&mut self, now: Now, lifetime: Lifetime) {
        self.is_fetching = false;
        self.outage = None;
        self.succeeded = self.begun;
        self.lease = Some(Lease {
            since: now,
            fresh_for: self.policy.fresh_for(lifetime),
            usable_for: self.policy.max_stale,
        });
    }

    /// Reports that the fetch in flight failed. `retry_after` is what the server asked for, `jitter` a
    /// new random fraction between 0 and 1.
    pub(super) fn failed(&mut self, now: Now, retry_after: Option<Duration>, jitter: f64) {
        self.is_fetching = false;
        let before = self.outage.map_or(0, |outage| outage.failures);
        let pause = BACKOFF_MIN.saturating_mul(1 << before.min(5)).min(BACKOFF_MAX);
        let pause = pause.saturating_sub(pause.mul_f64(BACKOFF_JITTER * jitter.clamp(0.0, 1.0)));
        self.outage = Some(Outage {
            failures: before.saturating_add(1),
            since: now.monotonic,
            pause: pause.max(retry_after.unwrap_or_default()),
        });
    }

    /// Reports that the server has no usable keys any more.
    pub(super) fn emptied(&mut self) {
        self.lease = None;
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.lease
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.is_fetching
    }

    /// Returns how long after `now` a look-up of held keys may start the next fetch.
    pub(super) fn next_refresh(&self, now: Now) -> Duration {
        let fresh = self
            .lease
            .map_or(Duration::ZERO, |lease| lease.fresh_for.saturating_sub(lease.age(now)));
        fresh.max(self.next_try(now).unwrap_or_default())
    }

    fn is_usable(&self, now: Now) -> bool {
        self.lease.is_some_and(|lease| lease.is_usable(now))
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
