//! Random numbers of the system. [`Clock`](super::Clock) gives them out, or those of a seed.

use std::hash::{BuildHasher, RandomState};

/// Returns random bits for jitter. They are not fit for a secret.
pub(super) fn bits() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// Returns the number between 0 and 1 that `bits` stand for.
pub(super) fn fraction_of(bits: u64) -> f64 {
    // 53 bits fit into a float's mantissa.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let fraction = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

/// Returns 32 unguessable bytes, or `None` when the system's generator fails.
#[cfg(any(feature = "client", feature = "jwt", feature = "test-util"))]
pub(super) fn secret() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
