//! Random numbers.

use std::hash::{BuildHasher, RandomState};

/// Returns a number between 0 and 1, for jitter. It is not fit for a secret.
pub(crate) fn fraction() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    // 53 bits fit into a float's mantissa.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

/// Returns 32 unguessable bytes, or `None` when the system's generator fails.
pub(crate) fn secret() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
