//! The refresh state machine: what to do at an instant, and what an event changes. It reads no
//! clock, does no I/O and spawns nothing; whoever drives it does as it says.

mod validity;

use super::policy::RefreshPolicy;
use crate::vocabulary::clock::{Now, after};
use std::time::{Duration, Instant};
use validity::Validity;

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The part of an outage's age after which the next try is due.
const BACKOFF_PART: u32 = 5;
/// The part of a pause that jitter takes off. A pause is at least a tenth of the age that the
/// outage has at its end.
const BACKOFF_JITTER: f64 = 0.4;
const NEGATIVE_MIN: Duration = Duration::from_secs(1);
const NEGATIVE_MAX: Duration = Duration::from_secs(10);
/// How long the wall clock is not looked at.
const WALL_LOOK: Duration = Duration::from_secs(1);

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Ask {
    /// The token goes out.
    Serve,
    /// The token goes out, and the driver starts a fetch.
    ServeAndFetch,
    /// The driver starts a fetch, and the caller waits for it.
    Fetch,
    /// The caller waits for the fetch in flight.
    Join,
    /// The caller waits until then and asks again.
    WaitUntil(Instant),
    /// There is none, and the next try is too far away.
    Fail { next_try: Duration },
    /// There is none, and none can be fetched.
    Gone,
}

/// What becomes of a token that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Fetched {
    /// It is the token now.
    Kept,
    /// It is for those who waited for it, and is not kept.
    Once,
    /// It is of no use; the fetch counts as failed.
    Useless,
    /// One came in from outside meanwhile, and stays.
    Superseded,
}

/// Why a fetch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Failed {
    Transient,
    Permanent,
    /// The server issued something that is of no use, and will again.
    OfNoUse,
    /// No further fetch can succeed.
    Gone,
}

#[derive(Debug)]
pub(in crate::client) struct Machine {
    policy: RefreshPolicy,
    /// This instance's own, between 0 and 1.
    jitter: f64,
    token: Option<Validity>,
    flight: Option<Flight>,
    outage: Option<Outage>,
    starts: Starts,
    refetchable: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    started: Now,
    /// A token came in from outside since.
    overtaken: bool,
    /// The client has another secret since.
    outdated: bool,
    /// What there was before it.
    before: Starts,
}

/// When fetches were started.
#[derive(Clone, Copy, Debug, Default)]
struct Starts {
    last: Option<Instant>,
    /// The last that was hurried.
    last_hurried: Option<Instant>,
    /// The next does not wait for the minimum interval.
    hurry: bool,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    next_try: Instant,
    /// How many permanent refusals there were in a row.
    refusals: u32,
}

impl Machine {
    /// A machine without a token. `jitter` is between 0 and 1 and stays.
    pub(in crate::client) fn new(policy: RefreshPolicy, jitter: f64, refetchable: bool) -> Self {
        let jitter = if policy.jitter { jitter.clamp(0.0, 1.0) } else { 0.0 };
        Self {
            policy,
            jitter,
            token: None,
            flight: None,
            outage: None,
            starts: Starts::default(),
            refetchable,
        }
    }

    pub(in crate::client) fn policy(&self) -> &RefreshPolicy {
        &self.policy
    }

    /// A caller asks who waits until `give_up` at most. After `Fetch` and `ServeAndFetch` the
    /// driver must report [`fetched`](Self::fetched) or [`failed`](Self::failed).
    pub(in crate::client) fn ask(&mut self, now: Now, give_up: Instant) -> Ask {
        if self.is_usable(now) {
            let due = !self.is_fresh(now) && self.flight.is_none() && self.refetchable;
            if due && self.next_start() <= Some(now.monotonic) {
                self.start(now);
                return Ask::ServeAndFetch;
            }
            return Ask::Serve;
        }
        if self.flight.is_some() {
            return Ask::Join;
        }
        if !self.refetchable {
            return Ask::Gone;
        }
        match self.next_start() {
            Some(next) if next > now.monotonic => {
                let refused = self.outage.is_some_and(|outage| outage.refusals > 0);
                if refused || next > give_up {
                    Ask::Fail { next_try: next.saturating_duration_since(now.monotonic) }
                } else {
                    Ask::WaitUntil(next)
                }
            }
            _ => {
                self.start(now);
                Ask::Fetch
            }
        }
    }

    /// Another token is wanted although there may be a good one: whether the driver starts a fetch
    /// for it. The good one goes out meanwhile. As after a rejection, the first does not wait for
    /// the minimum interval.
    pub(in crate::client) fn ask_for_better(&mut self, now: Now) -> bool {
        if self.flight.is_some() || !self.refetchable {
            return false;
        }
        self.hurry(now);
        let due = self.next_start() <= Some(now.monotonic);
        if due {
            self.start(now);
        }
        due
    }

    /// Takes back a start that could not be carried out: it delays none that can.
    pub(in crate::client) fn not_started(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.starts = flight.before;
        }
    }

    /// The fetch in flight brought a token that is good for `lifetime` from when it was asked
    /// for; nothing where the server did not say. `refetchable`: whether another can be fetched.
    pub(in crate::client) fn fetched(
        &mut self,
        now: Now,
        lifetime: Option<Duration>,
        refetchable: bool,
        jitter: f64,
    ) -> Fetched {
        let flight = self.flight.take();
        if flight.is_some_and(|flight| flight.overtaken) {
            return Fetched::Superseded;
        }
        let started = flight.map_or(now, |flight| flight.started);
        let lifetime = self.lifetime(lifetime, refetchable);
        let token = self.validity(started, lifetime);
        let usable = self.is_usable(now);
        if !usable && lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            self.outage = None;
            return Fetched::Once;
        }
        let expired = lifetime.is_some_and(|lifetime| lifetime <= now.since(started));
        // One within its safety margin is better than none, and worse than one that may go out.
        if expired || usable && !token.is_usable(now) {
            self.fail(now, started.monotonic, Failed::Transient, None, jitter);
            return Fetched::Useless;
        }
        self.refetchable = refetchable;
        self.hold(token);
        Fetched::Kept
    }

    /// The fetch in flight failed; `retry_after` is what the server asked for, `jitter` is
    /// between 0 and 1 and anew each time.
    pub(in crate::client) fn failed(
        &mut self,
        now: Now,
        failed: Failed,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        let flight = self.flight.take();
        if flight.is_some_and(|flight| flight.overtaken || flight.outdated) {
            return;
        }
        let started = flight.map_or(now, |flight| flight.started);
        self.fail(now, started.monotonic, failed, retry_after, jitter);
    }

    /// A token that came in from outside is the token now, whatever a fetch in flight brings.
    pub(in crate::client) fn stored(
        &mut self,
        now: Now,
        lifetime: Option<Duration>,
        refetchable: bool,
    ) {
        if let Some(flight) = &mut self.flight {
            flight.overtaken = true;
        }
        self.refetchable = refetchable;
        self.hold(self.validity(now, self.lifetime(lifetime, refetchable)));
    }

    /// The resource rejected the token that is held; whether another may be had.
    pub(in crate::client) fn rejected(&mut self, now: Now) -> bool {
        self.token = None;
        self.hurry(now);
        self.refetchable
    }

    /// The token is given up, and with it the means to fetch another where `for_good`: what a fetch
    /// in flight brings is then not kept.
    pub(in crate::client) fn given_up(&mut self, for_good: bool) {
        self.token = None;
        self.refetchable &= !for_good;
        if let Some(flight) = self.flight.as_mut().filter(|_| for_good) {
            flight.overtaken = true;
        }
    }

    /// The client has another secret now: what was refused before may be accepted, and a refusal
    /// that is still to come says nothing.
    pub(in crate::client) fn credential_changed(&mut self, now: Now) {
        self.outage = None;
        if let Some(flight) = &mut self.flight {
            flight.outdated = true;
        }
        self.hurry(now);
    }

    /// Whether the token may go out.
    pub(in crate::client) fn is_usable(&self, now: Now) -> bool {
        self.token.is_some_and(|token| token.is_usable(now))
    }

    pub(in crate::client) fn is_fresh(&self, now: Now) -> bool {
        self.token.is_some_and(|token| token.is_fresh(now))
    }

    pub(in crate::client) fn is_fetching(&self) -> bool {
        self.flight.is_some()
    }

    pub(in crate::client) fn is_refetchable(&self) -> bool {
        self.refetchable
    }

    /// How long it is until the next fetch may start, where it may not start at once.
    pub(in crate::client) fn next_try(&self, now: Now) -> Option<Duration> {
        let wait = self.next_start()?.saturating_duration_since(now.monotonic);
        (self.refetchable && !wait.is_zero()).then_some(wait)
    }

    /// How long the token is good, where that is known.
    pub(in crate::client) fn expires_in(&self, now: Now) -> Option<Duration> {
        self.token?.expires_in(now)
    }

    /// Until when the token may go out without asking again: no later than the next thing that
    /// this machine would do, and no longer than the wall clock may go unlooked at.
    pub(in crate::client) fn lease(&self, now: Now) -> Option<Instant> {
        if !self.is_usable(now) {
            return None;
        }
        let look = after(now.monotonic, WALL_LOOK);
        let Some(bounds) = self.token?.bounds() else { return Some(look) };
        let next = if self.flight.is_some() || !self.refetchable {
            bounds.usable_until
        } else if now.monotonic < bounds.fresh_until {
            bounds.fresh_until
        } else {
            bounds.usable_until.min(self.next_start()?)
        };
        let wall = bounds.wall_until.duration_since(now.wall).unwrap_or_default();
        Some(next.min(look).min(after(now.monotonic, wall)))
    }

    fn hold(&mut self, token: Validity) {
        self.token = Some(token);
        self.outage = None;
        self.starts.hurry = false;
    }

    fn lifetime(&self, told: Option<Duration>, refetchable: bool) -> Option<Duration> {
        told.or(refetchable.then_some(self.policy.default_lifetime))
    }

    fn validity(&self, started: Now, lifetime: Option<Duration>) -> Validity {
        Validity::new(&self.policy, self.jitter, started, lifetime)
    }

    fn start(&mut self, now: Now) {
        let (started, before) = (Some(now.monotonic), self.starts);
        self.flight = Some(Flight { started: now, overtaken: false, outdated: false, before });
        let last_hurried = if before.hurry { started } else { before.last_hurried };
        self.starts = Starts { last: started, last_hurried, hurry: false };
    }

    /// Lets the next start not wait for the minimum interval, unless one within it did not.
    fn hurry(&mut self, now: Now) {
        self.starts.hurry |= self.starts.last_hurried.is_none_or(|last| {
            now.monotonic.saturating_duration_since(last) >= self.policy.min_interval
        });
    }

    /// The earliest start of a fetch; nothing is at once.
    fn next_start(&self) -> Option<Instant> {
        let pause = match self.starts.hurry {
            true => None,
            false => self.starts.last.map(|last| after(last, self.policy.min_interval)),
        };
        pause.max(self.outage.map(|outage| outage.next_try))
    }

    fn fail(
        &mut self,
        now: Now,
        started: Instant,
        failed: Failed,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        let before = self.outage;
        let since = before.map_or(started, |outage| outage.since);
        let (refusals, pause) = match failed {
            Failed::Gone => {
                self.refetchable = false;
                return;
            }
            Failed::Permanent | Failed::OfNoUse => {
                let refusals = before.map_or(0, |outage| outage.refusals).saturating_add(1);
                let doublings = refusals.saturating_sub(1).min(8);
                // What is changed at this end is found out soon; what is of no use costs the server
                // a token each time.
                let max = if failed == Failed::OfNoUse { BACKOFF_MAX } else { NEGATIVE_MAX };
                (refusals, (NEGATIVE_MIN * 2_u32.pow(doublings)).min(max))
            }
            Failed::Transient => {
                let age = now.monotonic.saturating_duration_since(since);
                let pause = (age / BACKOFF_PART).clamp(BACKOFF_MIN, BACKOFF_MAX);
                (0, pause.mul_f64(1.0 - jitter.clamp(0.0, 1.0) * BACKOFF_JITTER))
            }
        };
        let pause = pause.max(retry_after.unwrap_or_default());
        let next_try = after(now.monotonic, pause);
        self.outage = Some(Outage { since, next_try, refusals });
    }
}

#[cfg(test)]
mod tests;
