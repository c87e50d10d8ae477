//! Several validators that judge as one.

mod first_of;
mod route;

pub use first_of::{FirstOf, FirstOfFuture, first_of};
pub use route::{NoRoute, Otherwise, Route, RouteFuture, Routes, When};

/// A number that changes where one of the two does. Mixed rather than added, so that the counters
/// of many validators, however nested, do not cancel each other out.
fn both(one: u64, other: u64) -> u64 {
    mix(mix(one).wrapping_add(other))
}

/// The finalizer of SplitMix64: one to one.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
