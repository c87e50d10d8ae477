//! Combines validators into one.
//!
//! **In**: validators of the same claims. **Out**: one validator. **Uses** `ValidateToken` alone.

mod first_of;
mod route;

pub use first_of::{FirstOf, FirstOfFuture, first_of};
pub use route::{NoRoute, Otherwise, Route, RouteFuture, Routes, When};

/// Returns a number that changes when one of the two changes. Mixed rather than added, so that the
/// counters of nested validators do not cancel each other out.
fn both(one: u64, other: u64) -> u64 {
    mix(mix(one).wrapping_add(other))
}

/// The finalizer of SplitMix64, which is injective.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
