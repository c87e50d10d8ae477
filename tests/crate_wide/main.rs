//! What holds all over the crate: traits, telemetry, no secret in what is printed, and the text of
//! each error.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/leaks.rs"]
mod leaks;
#[path = "../support/scripted.rs"]
mod scripted;

mod case_ids;
mod documents;
mod error_texts;
mod properties;
mod redaction;
mod refused;
mod telemetry;
mod tower_middleware;
mod traits;
