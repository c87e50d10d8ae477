//! JWTs and the keys that judge them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is the verdict of a test"
)]

#[path = "../conformance/der.rs"]
mod der;
#[allow(dead_code, reason = "the runner of the cases uses the rest")]
#[path = "../conformance/issuers.rs"]
mod issuers;
#[allow(dead_code, reason = "the runner of the cases uses the rest")]
#[path = "../conformance/keys.rs"]
mod keys;
#[path = "../support/leaks.rs"]
mod leaks;
#[path = "../conformance/mint.rs"]
mod mint;
#[allow(dead_code, reason = "the runner of the cases uses the rest")]
#[path = "../conformance/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the runner of the cases uses the rest")]
#[path = "../conformance/text.rs"]
mod text;

mod api;
mod attacks;
mod changed_keys;
mod explained;
mod fixed_keys;
mod issuers_at_run_time;
mod jwks;
mod jwks_events;
mod key_rotation;
mod minted;
mod named_keys;
mod odd_tokens;
mod properties;
mod providers;
mod revoked_jwts;
mod tenants;
mod who_holds;
