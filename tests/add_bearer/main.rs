//! `AddBearer` around a client: where a token rides, what becomes of a call that is refused, and what
//! it costs.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/resource.rs"]
mod resource;

mod allocations;
mod by_origin;
mod client_tower;
mod dpop;
mod placement;
mod queue;
mod redirects;
mod rejection;
mod rejection_rules;
mod replay;
mod reqwest;
mod step_up;
mod without_timers;
