//! The system's generator.

use std::hash::{BuildHasher, RandomState};

/// A number between 0 and 1, for jitter: never a secret.
pub(crate) fn fraction() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    // 53 bits fit into a float's mantissa.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

/// 32 bytes that nobody can guess, or nothing where the system has no generator.
pub(crate) fn secret() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
