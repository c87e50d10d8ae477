//! Seeds: each is a fleet, its users and what goes wrong.

use crate::{
    faults::{Fault, Kind, chaos, shrink},
    invariants::{Invariant, Report},
    store::Flaw,
    world::{Plan, Store, run},
};
use std::time::Duration;

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}

/// A fleet in which something goes wrong about every three minutes.
fn plan_of(seed: u64) -> Plan {
    let (replicas, lasts) = (8, hours(2));
    let faults = chaos(seed, replicas, lasts, Duration::from_secs(200));
    Plan { faults, ..Plan::new(seed, replicas, lasts) }
}

/// Returns the faults of `plan` that suffice to break `invariant`.
fn shrunk(plan: &Plan, invariant: Invariant) -> Vec<Fault> {
    shrink(plan.faults.clone(), |faults| {
        run(&Plan { faults: faults.to_vec(), ..plan.clone() }).breaks(invariant)
    })
}

/// Broken by seeds: a token of the store that was revoked too takes the one repetition of a call.
const BROKEN: &[Invariant] = &[Invariant::NoCallerNoticesRevocation];

/// Runs `plan`, and panics with the fewest faults that break an invariant.
fn verify(plan: &Plan) -> Report {
    let report = run(plan);
    let mut news = report.breaches.iter().filter(|breach| !BROKEN.contains(&breach.invariant));
    if let Some(breach) = news.next() {
        let faults = shrunk(plan, breach.invariant);
        let fewest = run(&Plan { faults: faults.clone(), ..plan.clone() });
        panic!(
            "seed {}: {:#?}\nthese faults suffice: {faults:#?}\n{:#?}",
            plan.seed, report.breaches, fewest.breaches
        );
    }
    report
}

#[test]
fn twenty_seeds_break_no_invariant() {
    for seed in 1..=20 {
        let report = verify(&plan_of(seed));
        println!("seed {seed}: {}", line(&report));
    }
}

fn line(report: &Report) -> String {
    format!(
        "{} calls, {} failed, worst {} ms, {} token requests, {} store operations, trace {:016x}",
        report.calls,
        report.failed(),
        report.worst.as_millis(),
        report.token_requests(),
        report.store_operations,
        report.trace
    )
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let plan = Plan { lasts: hours(1), ..plan_of(7) };
    let (first, other) = (run(&plan), run(&Plan { seed: 8, ..plan.clone() }));
    assert_eq!(first.trace, run(&plan).trace);
    assert_ne!(first.trace, other.trace);
}

/// Asserts that the flaw of a store breaks `invariant`, for the reason of at most two faults and not
/// without the flaw.
fn finds(flaw: Flaw, invariant: Invariant) -> Vec<Kind> {
    let flawed = |seed| Plan { store: Store::Flawed(flaw), ..plan_of(seed) };
    let seed = (1..=20).find(|seed| run(&flawed(*seed)).breaks(invariant)).expect("found");
    let faults = shrunk(&flawed(seed), invariant);
    println!("{flaw:?}: seed {seed}, {faults:#?}");
    assert!(faults.len() <= 2, "{faults:#?}");
    let sound = Plan { faults: faults.clone(), ..plan_of(seed) };
    assert!(!run(&sound).breaks(invariant));
    faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn a_store_that_forgets_renewals_is_found_by_a_slow_server() {
    let kinds = finds(Flaw::ForgetsRenewals, Invariant::OneRequestAtATime);
    println!("{kinds:?}");
}

#[test]
fn a_store_that_gives_a_lease_to_all_is_found() {
    let kinds = finds(Flaw::LeaseForAll, Invariant::OneRequestAtATime);
    println!("{kinds:?}");
}
