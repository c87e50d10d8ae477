//! A simulated fleet.
//!
//! Replicas with the real layers of the crate, an authorization server, a store, the ways between them
//! and the users who call, in one thread, by clocks that jump from one event to the next. A seed
//! decides everything, also what goes wrong; after each event the [`invariants`] are looked at. A seed
//! that fails is printed with the few faults that suffice for it.
//!
//! ```console
//! cargo test --test fleet
//! FLEET_SEEDS=1000 cargo test --release --test fleet many -- --ignored --nocapture
//! cargo test --release --test fleet figures -- --include-ignored --nocapture --test-threads 1
//! ```
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test, and figures are printed"
)]

mod faults;
mod figures;
mod invariants;
mod net;
mod plan;
mod replica;
mod report;
mod seeds;
mod store;
mod world;
