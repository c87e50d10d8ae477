//! `RequireToken` and what is around it: validators, their cache, policies, revocation.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../support/counting_server.rs"]
mod counting_server;
#[path = "../support/judge.rs"]
mod judge;
#[path = "../support/raw.rs"]
mod raw;

mod axum_extractors;
mod cached;
mod cached_flights;
mod chain;
mod dpop;
mod drain_refused;
mod end_with_token;
mod introspection;
mod locations;
mod policies;
mod recall;
mod render_refusals;
mod require_token;
mod revocation;
mod revocation_endpoint;
mod revoked_for_good;
mod server_cases;
mod turns;
