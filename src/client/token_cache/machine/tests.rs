//! The machine against everything that can happen to it in any order, beside a model that knows
//! what was promised and nothing of how it is kept.

use super::*;
use crate::vocabulary::clock::MAX_LIFETIME;
use proptest::{collection::vec, prelude::*, sample::select};
use std::time::SystemTime;

const YEARS: Duration = MAX_LIFETIME;

/// What happens. What cannot, such as the end of a fetch where none is in flight, does nothing.
#[derive(Clone, Debug)]
enum Event {
    /// A caller asks; without a runtime the driver takes a start back.
    Ask {
        patience: Duration,
        runtime: bool,
        need: Need,
    },
    /// The task of the fetch in flight says when it gives up.
    Runs(Duration),
    /// Both clocks go on.
    Pass(Duration),
    /// The wall clock is set, so many milliseconds forward or back.
    Set(i64),
    /// `late`: that of a fetch whose task had stopped.
    Fetched {
        lifetime: Option<Duration>,
        refetchable: bool,
        late: bool,
    },
    Failed {
        failed: Failed,
        retry_after: Option<Duration>,
        jitter: f64,
    },
    Rejected,
    Stored {
        lifetime: Option<Duration>,
        refetchable: bool,
    },
    CredentialChanged,
    GivenUp {
        for_good: bool,
    },
}

fn waits() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..2_000_u64).prop_map(Duration::from_millis),
        4 => (0..30_u64).prop_map(Duration::from_secs),
        1 => (0..100_000_u64).prop_map(Duration::from_secs),
    ]
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![6 => waits(), 2 => Just(Duration::ZERO), 1 => Just(Duration::MAX)]
}

fn maybe() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![1 => Just(None), 4 => any_duration().prop_map(Some)]
}

/// Whether another token can be fetched: mostly it can.
fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.9)
}

fn needs() -> impl Strategy<Value = Need> {
    select(&[Need::Any, Need::Repeatable, Need::Another][..])
}

fn events() -> impl Strategy<Value = Event> {
    let failed = prop_oneof![
        4 => Just(Failed::Transient),
        2 => Just(Failed::Permanent),
        1 => Just(Failed::Aborted),
        2 => Just(Failed::Lost),
        1 => Just(Failed::LostAgain),
        1 => Just(Failed::OfNoUse),
        1 => Just(Failed::Gone),
    ];
    prop_oneof![
        8 => (any_duration(), mostly(), needs())
            .prop_map(|(patience, runtime, need)| Event::Ask { patience, runtime, need }),
        1 => waits().prop_map(Event::Runs),
        6 => waits().prop_map(Event::Pass),
        1 => (-30_000..30_000_i64).prop_map(Event::Set),
        4 => (maybe(), mostly(), prop::bool::weighted(0.2)).prop_map(
            |(lifetime, refetchable, late)| Event::Fetched { lifetime, refetchable, late }
        ),
        3 => (failed, maybe(), 0.0..=1.0).prop_map(|(failed, retry_after, jitter)| {
            Event::Failed { failed, retry_after, jitter }
        }),
        2 => Just(Event::Rejected),
        1 => (maybe(), mostly())
            .prop_map(|(lifetime, refetchable)| Event::Stored { lifetime, refetchable }),
        1 => Just(Event::CredentialChanged),
        1 => mostly().prop_map(|kept| Event::GivenUp { for_good: !kept }),
    ]
}

fn policies() -> impl Strategy<Value = RefreshPolicy> {
    let seconds = |all: &'static [u64]| select(all).prop_map(Duration::from_secs);
    let lead = (select(&[0.0, 0.2, 0.7, 1.0][..]), seconds(&[0, 300, u64::MAX]));
    let margin = prop::option::of(seconds(&[0, 10, u64::MAX]));
    let rest = (any::<bool>(), seconds(&[0, 1, 7, u64::MAX]), seconds(&[0, 300, u64::MAX]));
    (lead, margin, rest).prop_map(|((ratio, cap), margin, (jitter, interval, lifetime))| {
        let policy = RefreshPolicy::default()
            .with_lead(ratio, cap)
            .with_min_interval(interval)
            .with_default_lifetime(lifetime);
        let policy = if jitter { policy } else { policy.without_jitter() };
        match margin {
            Some(margin) => policy.with_safety_margin(margin),
            None => policy,
        }
    })
}

/// What the server said of a token.
#[derive(Clone, Copy, Debug)]
struct Known {
    asked_for: Now,
    lifetime: Option<Duration>,
}

impl Known {
    fn has_expired(self, now: Now) -> bool {
        let Some(lifetime) = self.lifetime.map(|lifetime| lifetime.min(YEARS)) else {
            return false;
        };
        now.monotonic >= self.asked_for.monotonic + lifetime
            || now.wall >= self.asked_for.wall + lifetime
    }
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    attempt: Attempt,
    ends_at: Instant,
}

/// A machine, its driver, and what they are held to.
#[derive(Debug)]
struct Run {
    machine: Machine,
    policy: RefreshPolicy,
    now: Now,
    held: Option<Known>,
    flight: Option<InFlight>,
    /// Fetches whose task had stopped.
    stalled: Vec<InFlight>,
    suspect: bool,
    /// The last attempt whose token, or whose failure, does not count.
    overtaken: u32,
    outdated: u32,
    refetchable: bool,
    starts: Vec<Instant>,
    /// There is a reason not to wait for the minimum interval.
    may_hurry: bool,
}

impl Run {
    fn new(policy: RefreshPolicy, jitter: f64) -> Self {
        let now = Now { monotonic: Instant::now(), wall: SystemTime::now() };
        Self {
            machine: Machine::new(policy.clone(), jitter, true),
            policy,
            now,
            held: None,
            flight: None,
            stalled: Vec::new(),
            suspect: false,
            overtaken: 0,
            outdated: 0,
            refetchable: true,
            starts: Vec::new(),
            may_hurry: false,
        }
    }

    fn take(&mut self, event: &Event) {
        let usable = self.machine.is_usable(self.now);
        let good = usable && !self.suspect;
        match *event {
            Event::Ask { patience, runtime, need } => {
                self.ask(patience, runtime, need);
            }
            Event::Runs(wait) => {
                if let Some(flight) = &mut self.flight {
                    flight.ends_at = self.now.monotonic + wait;
                    self.machine.runs_until(flight.attempt, flight.ends_at);
                }
            }
            Event::Pass(wait) => {
                self.now.monotonic += wait;
                self.now.wall += wait;
            }
            Event::Set(millis) => {
                let step = Duration::from_millis(millis.unsigned_abs());
                match millis < 0 {
                    true => self.now.wall -= step,
                    false => self.now.wall += step,
                }
            }
            Event::Fetched { lifetime, refetchable, late } => {
                let flight = if late { self.stalled.pop() } else { self.flight.take() };
                if let Some(flight) = flight {
                    self.fetched(flight.attempt, lifetime, refetchable);
                }
            }
            Event::Failed { failed, retry_after, jitter } => {
                self.failed(failed, retry_after, jitter);
            }
            Event::Rejected => {
                assert_eq!(self.machine.rejected(self.now), self.refetchable);
                self.may_hurry = true;
                self.suspect = self.refetchable;
                self.held = self.held.filter(|_| self.refetchable);
                assert!(!self.machine.is_fresh(self.now), "a rejected token is not renewed");
                let is_kept = usable && self.refetchable;
                assert_eq!(self.machine.is_usable(self.now), is_kept, "one call took it from all");
            }
            Event::Stored { lifetime, refetchable } => {
                self.machine.stored(self.now, lifetime, refetchable);
                self.refetchable = refetchable;
                self.hold(self.now, lifetime);
                self.overtaken = self.machine.attempts;
            }
            Event::CredentialChanged => {
                self.machine.credential_changed(self.now);
                self.may_hurry = true;
                self.outdated = self.machine.attempts;
            }
            Event::GivenUp { for_good } => self.given_up(for_good),
        }
        if let Event::Fetched { .. } | Event::Failed { .. } | Event::CredentialChanged = event {
            assert!(!good || self.machine.is_usable(self.now), "a good token was lost");
        }
        self.check();
    }

    fn ask(&mut self, patience: Duration, runtime: bool, need: Need) -> Ask {
        let usable = self.machine.is_usable(self.now);
        let good = usable && !(self.suspect && need != Need::Repeatable);
        let next_try = self.machine.next_try(self.now);
        let give_up = after(self.now.monotonic, patience);
        let ask = self.machine.ask(self.now, give_up, need);
        let starts = matches!(ask, Ask::ServeAndFetch | Ask::Fetch);
        let dead = self.flight.take_if(|_| starts || !self.machine.is_fetching());
        if let Some(flight) = dead {
            assert!(self.now.monotonic >= flight.ends_at, "two fetches at once");
            self.stalled.push(flight);
            self.may_hurry = true;
        }
        let fetching = self.flight.is_some();
        match ask {
            Ask::Serve => assert!(usable),
            Ask::ServeAndFetch | Ask::Fetch => {
                assert_eq!(good, ask == Ask::ServeAndFetch);
                assert!(self.refetchable, "a fetch that cannot succeed");
                assert!(next_try.is_none() || dead.is_some(), "it is too early");
                match runtime {
                    true => self.started(),
                    false => self.machine.not_started(),
                }
                let delayed = !runtime && self.machine.next_try(self.now).is_some();
                assert!(!delayed, "what was taken back delays the next");
            }
            Ask::Join => {
                assert!(!good && fetching, "there is nothing to join");
                let look_at = self.machine.look_at().unwrap();
                assert!(look_at > self.now.monotonic, "the caller asks without end");
            }
            Ask::WaitUntil(until) => {
                assert!(!good && !fetching);
                assert!(self.now.monotonic < until && until <= give_up, "it is not worth the wait");
            }
            Ask::Fail { next_try } => {
                assert!(!good && !fetching);
                assert!(!next_try.is_zero() && next_try <= YEARS, "{next_try:?} is no next try");
            }
            Ask::Gone => assert!(!usable && !fetching && !self.refetchable),
        }
        ask
    }

    fn started(&mut self) {
        let start = self.now.monotonic;
        let attempt = self.machine.attempt().unwrap();
        let ends_at = after(start, self.policy.values().fetch_deadline);
        self.flight = Some(InFlight { attempt, ends_at });
        let interval = self.policy.values().min_interval.min(YEARS);
        let within = |earlier: &Instant| start - *earlier < interval;
        let recent = self.starts.iter().rev().take_while(|earlier| within(earlier)).count();
        let allowed = if self.may_hurry { 1 } else { 0 };
        assert!(recent <= allowed, "{} starts within {interval:?}", recent + 1);
        self.starts.push(start);
        self.may_hurry = false;
    }

    fn fetched(&mut self, attempt: Attempt, lifetime: Option<Duration>, refetchable: bool) {
        let usable = self.machine.is_usable(self.now) && !self.suspect;
        let fetched =
            self.machine.fetched(self.now, self.ended(attempt), lifetime, refetchable, 0.5);
        assert_eq!(fetched == Fetched::Superseded, attempt.number <= self.overtaken);
        self.refetchable |= refetchable && fetched != Fetched::Superseded;
        match fetched {
            Fetched::Kept => {
                self.overtaken = attempt.number;
                self.refetchable = refetchable;
                self.hold(attempt.started, lifetime);
                let expired = self.held.is_some_and(|known| known.has_expired(self.now));
                assert!(!expired, "a token was kept that had expired when it came");
            }
            Fetched::Once => {
                let lifetime = self.lifetime(lifetime, refetchable);
                assert_eq!((usable, lifetime), (false, Some(Duration::ZERO)));
            }
            Fetched::Useless | Fetched::Superseded => {}
        }
    }

    fn failed(&mut self, failed: Failed, retry_after: Option<Duration>, jitter: f64) {
        let Some(flight) = self.flight.take() else { return };
        let ended = self.ended(flight.attempt);
        self.machine.failed(self.now, ended, failed, retry_after, jitter);
        if flight.attempt.number <= self.overtaken.max(self.outdated) || failed == Failed::Aborted {
            return;
        }
        self.may_hurry |= failed == Failed::Lost;
        if failed == Failed::Gone {
            self.refetchable = false;
            self.held = self.held.filter(|_| !self.suspect);
        } else if let (Some(asked_for), true) = (retry_after, self.refetchable) {
            let wait = self.machine.next_try(self.now).unwrap_or_default();
            assert!(wait >= asked_for.min(YEARS), "it comes again before it was asked to");
        }
    }

    fn ended(&self, attempt: Attempt) -> Ended {
        Ended { attempt, ran: self.now.since(attempt.started) }
    }

    fn given_up(&mut self, for_good: bool) {
        self.machine.given_up(for_good, false);
        (self.held, self.suspect) = (None, false);
        self.refetchable &= !for_good;
        if for_good {
            self.overtaken = self.machine.attempts;
        }
        assert!(!self.machine.is_usable(self.now), "what was given up is still good");
    }

    fn hold(&mut self, asked_for: Now, lifetime: Option<Duration>) {
        let lifetime = self.lifetime(lifetime, self.refetchable);
        self.held = Some(Known { asked_for, lifetime });
        (self.may_hurry, self.suspect) = (false, false);
    }

    fn lifetime(&self, named: Option<Duration>, refetchable: bool) -> Option<Duration> {
        named.or(refetchable.then_some(self.policy.values().default_lifetime))
    }

    /// What holds at every instant.
    fn check(&self) {
        let Self { machine, now, .. } = self;
        assert_eq!(machine.is_fetching(), self.flight.is_some());
        assert_eq!(machine.is_refetchable(), self.refetchable);
        let good = self.held.is_some_and(|known| !known.has_expired(*now));
        assert!(good || !machine.is_usable(*now), "a token is good past its expiry");
        assert!(machine.is_usable(*now) || !machine.is_fresh(*now));
        let wait = machine.next_try(*now);
        assert!(wait.is_none_or(|wait| !wait.is_zero() && wait <= YEARS), "{wait:?}");
        let Some(until) = machine.lease(*now) else { return };
        assert!(machine.is_usable(*now), "a lease without a token");
        assert!(until <= now.monotonic + WALL_LOOK, "the wall clock is not looked at");
        let left = until.saturating_duration_since(now.monotonic);
        if let Some(last) = left.checked_sub(Duration::from_nanos(1)) {
            let last = Now { monotonic: now.monotonic + last, wall: now.wall + last };
            assert!(machine.is_usable(last), "a lease beyond the token");
            let due = machine.is_fresh(*now) && !machine.is_fresh(last);
            let can_start = self.refetchable && self.flight.is_none();
            assert!(!due || !can_start, "a refresh is slept through");
        }
    }

    /// Whatever happened: once the server is well again, the machine comes to a token.
    fn recover(mut self) {
        self.take(&Event::Failed { failed: Failed::Transient, retry_after: None, jitter: 0.0 });
        self.take(&Event::Rejected);
        if !self.refetchable {
            assert_eq!(self.ask(YEARS, true, Need::Another), Ask::Gone);
            return;
        }
        let wait = self.machine.next_try(self.now).unwrap_or_default();
        self.take(&Event::Pass(wait));
        assert_eq!(self.ask(Duration::ZERO, true, Need::Another), Ask::Fetch);
        self.take(&Event::Fetched { lifetime: Some(YEARS), refetchable: true, late: false });
        assert!(matches!(
            self.ask(Duration::ZERO, true, Need::Any),
            Ask::Serve | Ask::ServeAndFetch
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn whatever_happens_every_promise_is_kept(
        policy in policies(),
        jitter in 0.0..=1.0,
        events in vec(events(), 1..64),
    ) {
        let mut run = Run::new(policy, jitter);
        for event in &events {
            run.take(event);
        }
        run.recover();
    }

    /// One fetch after another, as fast as callers can drive them.
    #[test]
    fn the_rate_is_bounded_whatever_the_server_says(
        answers in vec(events(), 1..16),
        rejected in any::<bool>(),
        step in 1..400_u64,
    ) {
        let mut run = Run::new(RefreshPolicy::default(), 0.0);
        let begin = run.now.monotonic;
        for answer in answers.iter().cycle().take(400) {
            if !matches!(answer, Event::Set(_) | Event::Pass(_)) {
                run.take(answer);
            }
            if rejected {
                run.take(&Event::Rejected);
            }
            run.take(&Event::Ask { patience: Duration::ZERO, runtime: true, need: Need::Another });
            run.take(&Event::Pass(Duration::from_millis(step)));
        }
        let seconds = usize::try_from((run.now.monotonic - begin).as_secs()).unwrap() + 1;
        prop_assert!(run.starts.len() <= 2 * seconds, "{} in {seconds} s", run.starts.len());
    }
}
