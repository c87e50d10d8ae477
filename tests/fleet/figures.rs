//! Figures of a fleet, and what they must not exceed: of smaller fleets and shorter times in a debug
//! build.

use crate::{
    faults::{Fault, Kind, chaos},
    plan::{Plan, Store},
    report::{Invariant, Report},
    world::run,
};
use std::time::{Duration, Instant};
use tower_oauth2::Clock;

/// Returns the size of a release build, or that of a debug build.
const fn size<T: Copy>(release: T, debug: T) -> T {
    if cfg!(debug_assertions) { debug } else { release }
}

/// The processor time of this thread, or the time that passes where the system does not say.
pub(crate) struct ProcessorTime(Instant, Option<u64>);

impl ProcessorTime {
    pub(crate) fn begin() -> Self {
        Self(Instant::now(), Self::nanos())
    }

    fn nanos() -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split(' ').next()?.parse().ok()
    }

    pub(crate) fn passed(&self) -> Duration {
        let since = self.1.and_then(|since| Some(Self::nanos()? - since));
        since.map_or_else(|| self.0.elapsed(), Duration::from_nanos)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A fleet with one user and no calls but those of a herd.
fn herd(replicas: usize, takes: Duration) -> Plan {
    Plan {
        users: 1,
        calls_every: seconds(1_000_000),
        herds: vec![seconds(1)],
        server_takes: takes,
        lifetime: seconds(3600),
        ..Plan::new(1, replicas, seconds(60))
    }
}

#[test]
fn figures_of_a_hundred_cold_replicas() {
    for takes in size([1, 3, 20, 29].as_slice(), &[3]).iter().copied() {
        for (store, expected) in [(Store::Sound, 1), (Store::None, 100)] {
            for patience in [seconds(5), seconds(takes + 5)] {
                let plan = Plan { store, patience, ..herd(100, seconds(takes)) };
                let report = run(&plan);
                println!(
                    "100 cold replicas, answer after {takes} s, patience {patience:?}, {store:?}: {} \
                     token requests, {} of {} calls fail, {} store operations",
                    report.token_requests(),
                    report.failed(),
                    report.calls,
                    report.store_operations,
                );
                assert_eq!(report.token_requests(), expected);
                if seconds(takes) < patience {
                    assert_eq!(report.failed(), 0);
                }
                if takes == 3 {
                    assert!(report.store_operations <= 2_800);
                }
            }
        }
    }
}

#[test]
fn figures_of_an_outage() {
    let lasts = size(seconds(3600), seconds(900));
    let outage = |replicas: usize| {
        let plan = Plan {
            users: 1,
            calls_every: seconds(2),
            faults: vec![Fault::new(Kind::ServerDown, Duration::ZERO, lasts)],
            ..Plan::new(1, replicas, lasts)
        };
        let report = run(&plan);
        println!(
            "outage of {lasts:?}, {replicas} replicas: {} token requests, worst wait {:?}; {} calls fail, {} \
             errors say when to try again",
            report.token_requests(),
            report.worst,
            report.failed(),
            report.no_token_with_time,
        );
        report.token_requests() as f64
    };
    let [few, _, many] = size([5, 20, 50], [2, 5, 20]).map(outage);
    println!("ten times as many replicas ask {:.2} times as often", many / few);
    assert!(many <= 1.5 * few && many <= 0.1 * lasts.as_secs_f64() + 10.0);
}

#[test]
fn figures_of_clocks_that_are_a_minute_off() {
    for store in [Store::Sound, Store::None] {
        let plan = Plan {
            skew: seconds(60),
            store,
            calls_every: seconds(20),
            ..Plan::new(3, size(20, 8), size(seconds(7200), seconds(3600)))
        };
        let report = run(&plan);
        println!(
            "clocks within 60 s, {} replicas, {:?}, {store:?}: {} expired tokens sent in {} calls, {} \
             token requests",
            plan.replicas,
            plan.lasts,
            report.expired_sent,
            report.calls,
            report.token_requests(),
        );
        assert_eq!(report.expired_sent, 0);
    }
}

fn revocations(store: Store) -> Report {
    let all =
        |number: u64| Fault::new(Kind::RevokeAll, seconds(1800 * number + 300), Duration::ZERO);
    let plan = Plan {
        store,
        faults: (1..=size(19, 3)).map(all).collect(),
        ..Plan::new(1, size(20, 8), size(seconds(36_000), seconds(7200)))
    };
    let report = run(&plan);
    println!(
        "all tokens revoked {} times in {:?}, {} replicas, {store:?}: {} of {} callers get 401, {} \
         token requests",
        plan.faults.len(),
        plan.lasts,
        plan.replicas,
        report.unauthorized,
        report.calls,
        report.token_requests()
    );
    report
}

#[test]
fn figures_of_revocations() {
    assert_eq!(revocations(Store::None).unauthorized, 0);
    let shared = revocations(Store::Sound);
    assert_eq!(shared.unauthorized, 0);
}

#[test]
fn figures_of_a_calm_day() {
    let plan = Plan::new(1, size(20, 5), size(seconds(36_000), seconds(7200)));
    let report = run(&plan);
    let renewals = plan.lasts.as_secs_f64() / plan.lifetime.mul_f64(0.8).as_secs_f64();
    let requests = report.token_requests() as f64 / f64::from(plan.users);
    println!(
        "calm, {} replicas, {:?}: {requests} token requests of a key, {:.3} for each 0.8 lifetimes, \
         {:.3} store operations for each renewal of a replica's token",
        plan.replicas,
        plan.lasts,
        requests / renewals,
        report.store_operations as f64 / (requests * 4.0 * plan.replicas as f64),
    );
    assert!(report.breaches.is_empty(), "{:#?}", report.breaches);
    assert!(requests / renewals <= 1.25);
}

#[test]
fn figures_of_the_death_of_the_one_who_fetches() {
    let plan = herd(10, seconds(2));
    let first = run(&plan).requests[&0][0];
    let dies_at = first.0 + Duration::from_millis(500);
    let crash = Fault { replica: first.1, ..Fault::new(Kind::Crash, dies_at, seconds(30)) };
    let report = run(&Plan { faults: vec![crash], patience: seconds(10), ..plan });
    let requests = &report.requests[&0];
    let next = requests[1].0 - crash.at;
    // The request takes a second to the server.
    let next = next - seconds(1);
    println!(
        "the one who fetches dies: the next begins {next:?} later, {} requests",
        requests.len()
    );
    assert!(next <= Duration::from_millis(3100) && requests.len() == 2);
    assert_eq!((report.no_token, report.breaks(Invariant::OneRequestAtATime)), (0, false));
}

#[test]
fn figures_of_a_lost_store() {
    let lost = |kind| {
        let fault = |number: u64| Fault::new(kind, seconds(number * 120), seconds(30));
        let faults = (1..size(29_u64, 7)).map(fault).collect();
        let plan = Plan {
            faults,
            calls_every: seconds(5),
            ..Plan::new(1, size(20, 8), size(seconds(3600), seconds(900)))
        };
        let report = run(&plan);
        println!(
            "{kind:?} for 30 s every 2 min for {:?}, {} replicas: {} of {} calls fail, worst wait \
             {:?}, {} token requests of 4 keys",
            plan.lasts,
            plan.replicas,
            report.failed(),
            report.calls,
            report.worst,
            report.token_requests()
        );
        assert_eq!(report.failed(), 0);
    };
    [Kind::StoreDown, Kind::StoreHangs, Kind::StoreSlow, Kind::StoreLate]
        .into_iter()
        .for_each(lost);
}

#[tokio::test(start_paused = true)]
async fn figures_of_paused_time() {
    let clock = Clock::system();
    let (monotonic, wall) = (clock.monotonic(), clock.wall());
    tokio::time::advance(seconds(60)).await;
    let moved = (clock.monotonic() - monotonic, clock.wall().duration_since(wall).unwrap());
    println!("tokio's paused clock moved by 60 s: monotonic and wall clock by {moved:?}");
    assert_eq!(moved.0, seconds(60));
}

/// What users of a fleet meet who share a store: one replica without a way to the server is not to keep the
/// others from it.
#[test]
fn figures_of_one_replica_that_cannot_reach_the_server() {
    let cut = Fault::new(Kind::CutFromServer, Duration::ZERO, seconds(1200));
    let plan =
        Plan { calls_every: seconds(2), faults: vec![cut], ..Plan::new(1, 3, seconds(1200)) };
    let report = run(&plan);
    println!(
        "one of 3 replicas cannot reach the server: {} of {} calls have no token, worst wait {:?}",
        report.no_token, report.calls, report.worst,
    );
    assert!(report.breaches.is_empty(), "{:#?}", report.breaches);
}

#[test]
fn figures_of_the_time_that_a_simulation_takes() {
    for calls_every in [10, 30, 120].map(seconds) {
        let lasts = size(seconds(36_000), seconds(1800));
        let faults = chaos(1, 20, lasts, seconds(200));
        let begun = ProcessorTime::begin();
        let report = run(&Plan { calls_every, faults, ..Plan::new(1, 20, lasts) });
        let took = begun.passed().as_secs_f64();
        println!(
            "20 replicas, {lasts:?}, a call of each every {calls_every:?}: {:.0} replica-hours and {:.0} \
             calls each second of processor time",
            20.0 * lasts.as_secs_f64() / 3600.0 / took,
            report.calls as f64 / took,
        );
    }
}
