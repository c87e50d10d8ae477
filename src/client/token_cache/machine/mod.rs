//! The refresh state machine: what to do at an instant, and what an event changes. It reads no
//! clock, does no I/O and spawns nothing; its driver does what it decides.

mod decision;
mod flight;
mod outage;
mod validity;

use super::policy::RefreshPolicy;
use crate::vocabulary::clock::{Now, after};
use flight::{Flight, Starts};
use outage::{FailedAttempt, Outage};
use std::time::{Duration, Instant};
use validity::Validity;

pub(super) use decision::{Ask, Failed, Fetched, Need};
pub(super) use flight::{Attempt, Ended};

/// How long the wall clock may go unread.
const WALL_LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Machine {
    policy: RefreshPolicy,
    /// This instance's own, between 0 and 1.
    jitter: f64,
    token: Option<Validity>,
    /// A resource rejected the token; it stays until another comes.
    is_suspect: bool,
    /// Boxed, as the outage is: a pool has a machine for each user, and few of them fetch.
    flight: Option<Box<Flight>>,
    /// How many fetches were started.
    attempts: u32,
    /// What an attempt up to this one brings is out of date: a newer token was stored, or fetched.
    overtaken: u32,
    /// The failure of an attempt up to this one no longer counts: the client has another secret.
    outdated: u32,
    outage: Option<Box<Outage>>,
    starts: Starts,
    refetchable: bool,
}

impl Machine {
    /// A machine without a token. `jitter` is between 0 and 1 and stays.
    pub(super) fn new(policy: RefreshPolicy, jitter: f64, refetchable: bool) -> Self {
        let jitter = if policy.values().jitter { jitter.clamp(0.0, 1.0) } else { 0.0 };
        Self {
            policy,
            jitter,
            token: None,
            is_suspect: false,
            flight: None,
            attempts: 0,
            overtaken: 0,
            outdated: 0,
            outage: None,
            starts: Starts::default(),
            refetchable,
        }
    }

    pub(super) fn policy(&self) -> &RefreshPolicy {
        &self.policy
    }

    /// Decides for a caller that waits until `give_up` at most. After `Fetch` and `ServeAndFetch` the
    /// driver must call [`fetched`](Self::fetched), [`failed`](Self::failed) or
    /// [`not_started`](Self::not_started) for [`attempt`](Self::attempt).
    pub(super) fn ask(&mut self, now: Now, give_up: Instant, need: Need) -> Ask {
        self.give_up_dead(now);
        let usable = self.is_usable(now);
        if usable && !(self.is_suspect && need != Need::Repeatable) {
            return if self.start_if_due(now) { Ask::ServeAndFetch } else { Ask::Serve };
        }
        if self.flight.is_some() {
            return Ask::Join;
        }
        if !self.refetchable {
            return Ask::Gone;
        }
        match self.next_start() {
            Some(next) if next > now.monotonic => {
                let refused = self.outage.as_ref().is_some_and(|outage| outage.refusals > 0);
                match refused || next > give_up {
                    // Nothing better is to be had in time than the rejected token.
                    _ if usable && need == Need::Any => Ask::Serve,
                    true => Ask::Fail { next_try: next.saturating_duration_since(now.monotonic) },
                    false => Ask::WaitUntil(next),
                }
            }
            _ => {
                self.start(now);
                Ask::Fetch
            }
        }
    }

    /// Returns when to look whether the task of the fetch in flight still runs.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.look_at())
    }

    /// Returns the fetch in flight.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        self.flight.as_ref().map(|flight| flight.attempt)
    }

    /// Notes that the task of `attempt` runs, and gives up at `ends_at` if it runs until then. Returns
    /// `true` if it is the fetch in flight.
    pub(super) fn runs_until(&mut self, attempt: Attempt, ends_at: Instant) -> bool {
        let flight = self.flight.as_mut().filter(|flight| flight.is(attempt));
        flight.map(|flight| flight.runs_until(ends_at)).is_some()
    }

    /// Decides whether the driver starts a fetch although there may be a good token, which is served
    /// meanwhile. As after a rejection, the first fetch does not wait for the minimum interval.
    pub(super) fn ask_for_better(&mut self, now: Now) -> bool {
        self.give_up_dead(now);
        if self.flight.is_some() || !self.refetchable {
            return false;
        }
        self.starts.hurry(now.monotonic, self.policy.values().min_interval);
        let due = self.next_start() <= Some(now.monotonic);
        if due {
            self.start(now);
        }
        due
    }

    /// Takes back a start that the driver could not carry out, so that it delays no other.
    pub(super) fn not_started(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.starts = flight.before;
        }
    }

    /// Takes the token of an attempt, late as it may be. It is good for `lifetime` from the start of
    /// the attempt, if the server named one. `refetchable`: another can be fetched after it.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        Ended { attempt, ran }: Ended,
        lifetime: Option<Duration>,
        refetchable: bool,
        jitter: f64,
    ) -> Fetched {
        self.land(attempt);
        if attempt.number <= self.overtaken {
            return Fetched::Superseded;
        }
        // Unusable as the token may be, the answer of a session brings a refresh token.
        self.refetchable |= refetchable;
        let lifetime = self.lifetime(lifetime, refetchable);
        let token = self.validity(attempt.started, lifetime);
        let usable = self.is_usable(now) && !self.is_suspect;
        if !usable && lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            self.outage = None;
            return Fetched::Once;
        }
        let expired = lifetime.is_some_and(|lifetime| lifetime <= now.since(attempt.started));
        // A token within its safety margin is better than none, and worse than a usable one.
        if expired || usable && !token.is_usable(now) {
            self.fail(now, Ended { attempt, ran }, Failed::Transient, None, jitter);
            return Fetched::Useless;
        }
        self.refetchable = refetchable;
        self.overtaken = attempt.number;
        self.hold(token);
        Fetched::Kept
    }

    /// Notes that an attempt failed. `retry_after` is what the server asked for;
    /// `jitter` is between 0 and 1, and drawn for each call. The failure of an abandoned attempt
    /// changes nothing.
    pub(super) fn failed(
        &mut self,
        now: Now,
        ended: Ended,
        failed: Failed,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        let landed = self.land(ended.attempt);
        if landed && ended.attempt.number > self.overtaken.max(self.outdated) {
            self.fail(now, ended, failed, retry_after, jitter);
        }
    }

    /// Notes that the next token was found in a store: a rejection of it may hurry again, because the
    /// server was not asked.
    pub(super) fn found(&mut self) {
        self.starts.last_hurried = None;
    }

    /// Makes a token of the user the current one, whatever a fetch in flight brings.
    pub(super) fn stored(&mut self, now: Now, lifetime: Option<Duration>, refetchable: bool) {
        self.overtaken = self.attempts;
        self.refetchable = refetchable;
        self.hold(self.validity(now, self.lifetime(lifetime, refetchable)));
    }

    /// Notes that a resource rejected the token. Returns `true` if another may be fetched; the token
    /// is then suspect until that one comes, and dropped otherwise.
    pub(super) fn rejected(&mut self, now: Now) -> bool {
        if self.refetchable {
            self.is_suspect = true;
            self.starts.hurry(now.monotonic, self.policy.values().min_interval);
        } else {
            self.token = None;
        }
        self.refetchable
    }

    /// Drops the token. With `for_good` no other can be fetched, unless `elsewhere` the user may be signed
    /// in again; in both cases the token of a fetch in flight is not kept.
    pub(super) fn given_up(&mut self, for_good: bool, elsewhere: bool) {
        (self.token, self.is_suspect) = (None, false);
        self.refetchable = elsewhere || self.refetchable && !for_good;
        if for_good || elsewhere {
            self.overtaken = self.attempts;
        }
    }

    /// Notes that the client has another secret: an earlier refusal no longer counts, nor does that of
    /// a fetch in flight.
    pub(super) fn credential_changed(&mut self, now: Now) {
        self.outage = None;
        self.outdated = self.attempts;
        self.starts.hurry(now.monotonic, self.policy.values().min_interval);
    }

    /// Returns `true` if the token may be sent.
    pub(super) fn is_usable(&self, now: Now) -> bool {
        self.token.is_some_and(|token| token.is_usable(now))
    }

    pub(super) fn is_fresh(&self, now: Now) -> bool {
        !self.is_suspect && self.token.is_some_and(|token| token.is_fresh(now))
    }

    /// Returns `true` if `attempt` is the fetch in flight.
    pub(super) fn is_in_flight(&self, attempt: Attempt) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.is(attempt))
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.flight.is_some()
    }

    pub(super) fn is_refetchable(&self) -> bool {
        self.refetchable
    }

    /// Returns how long it is until the next fetch may start, if it may not start at once.
    pub(super) fn next_try(&self, now: Now) -> Option<Duration> {
        let wait = self.next_start()?.saturating_duration_since(now.monotonic);
        (self.refetchable && !wait.is_zero()).then_some(wait)
    }

    /// Returns how long the token is good, if that is known.
    pub(super) fn expires_in(&self, now: Now) -> Option<Duration> {
        self.token?.expires_in(now)
    }

    /// Returns until when the token may be sent without asking again: until the machine would decide
    /// otherwise, but no longer than the wall clock may go unread.
    pub(super) fn lease(&self, now: Now) -> Option<Instant> {
        if self.is_suspect || !self.is_usable(now) {
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
        (self.token, self.is_suspect) = (Some(token), false);
        self.outage = None;
        self.starts.hurry = false;
    }

    fn lifetime(&self, named: Option<Duration>, refetchable: bool) -> Option<Duration> {
        named.or(refetchable.then_some(self.policy.values().default_lifetime))
    }

    fn validity(&self, started: Now, lifetime: Option<Duration>) -> Validity {
        Validity::new(&self.policy, self.jitter, started, lifetime)
    }

    /// Gives up the fetch in flight if its task does not run. The next does not wait for the minimum
    /// interval.
    fn give_up_dead(&mut self, now: Now) {
        if self.flight.take_if(|flight| flight.is_dead(now.monotonic)).is_some() {
            self.starts.hurry(now.monotonic, self.policy.values().min_interval);
        }
    }

    /// Starts a fetch if the token is due for one, and returns `true` if it did.
    fn start_if_due(&mut self, now: Now) -> bool {
        let due = !self.is_fresh(now) && self.flight.is_none() && self.refetchable;
        let starts = due && self.next_start() <= Some(now.monotonic);
        if starts {
            self.start(now);
        }
        starts
    }

    fn start(&mut self, now: Now) {
        self.attempts = self.attempts.saturating_add(1);
        let attempt = Attempt { number: self.attempts, started: now };
        let deadline = self.policy.values().fetch_deadline;
        self.flight = Some(Flight::new(attempt, deadline, self.starts).into());
        self.starts = self.starts.and(now.monotonic, self.is_suspect);
    }

    /// Ends the flight of `attempt`. Returns `true` if it is the one in flight.
    fn land(&mut self, attempt: Attempt) -> bool {
        let is_current = self.is_in_flight(attempt);
        self.flight.take_if(|_| is_current);
        is_current
    }

    /// Returns the earliest start of a fetch. `None`: at once.
    fn next_start(&self) -> Option<Instant> {
        let pause = self.starts.next(self.policy.values().min_interval);
        pause.max(self.outage.as_ref().map(|outage| outage.next_try))
    }

    fn fail(
        &mut self,
        now: Now,
        Ended { attempt, ran }: Ended,
        why: Failed,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        match why {
            Failed::Gone => {
                self.refetchable = false;
                self.token.take_if(|_| self.is_suspect);
            }
            Failed::Aborted => {}
            _ => {
                let started = attempt.started.monotonic;
                let failure = FailedAttempt { started, ran, why, retry_after, jitter };
                let mut outage =
                    Outage::after(self.outage.as_deref().copied(), now.monotonic, failure);
                match why {
                    Failed::SignedOut => drop(self.token.take_if(|_| self.is_suspect)),
                    Failed::Lost => {
                        self.starts.hurry(now.monotonic, self.policy.values().min_interval);
                    }
                    Failed::LostAgain => {
                        let token = self.token.filter(|token| token.is_usable(now));
                        let bounds = token.and_then(Validity::bounds);
                        let until = bounds.map_or(outage.next_try, |bounds| bounds.usable_until);
                        outage.next_try = outage.next_try.max(until);
                    }
                    _ => {}
                }
                self.outage = Some(outage.into());
            }
        }
    }
}

#[cfg(test)]
mod tests;
