//! Proofs of possession of a key, DPoP ([RFC 9449]).
//!
//! **In**: the header `DPoP` of a request and what is known of the request. **Out**: whether the proof
//! is good. **Uses** `vocabulary` and `jose`.
//!
//! 1. Checks go from cheap to dear: a signature is verified only for the holder of the bound key.
//! 2. Nothing is remembered of a proof before all of it is good.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449

mod check;
mod nonces;
mod replay;
mod seen;
mod target;

pub(crate) use check::{Checked, Expected, Fault, Freshness, check};
pub use nonces::DpopNonces;
pub use replay::{FirstUse, ProofId, ProofReplay, ReplayFuture};
pub use seen::SeenProofs;
pub(crate) use target::Target;
