//! What a proof shows.

use crate::validate::Rejection;
use std::pin::Pin;

/// A request that comes from the holder of its token.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proved {
    /// There is a newer nonce than that of the proof.
    pub(super) needs_nonce: bool,
}

/// The pending check of a proof.
pub(super) type Proving = Pin<Box<dyn Future<Output = Result<Proved, Rejection>> + Send>>;
