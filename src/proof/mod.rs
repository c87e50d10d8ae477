//! Proofs of possession of a key, DPoP ([RFC 9449]).
//!
//! **In**: a request to prove, or the header `DPoP` of one and what is known of it. **Out**: a proof, or
//! whether it is good. **Uses** `vocabulary` and `jose`.
//!
//! 1. Checks go from cheap to dear: a signature is verified only for the holder of the bound key.
//! 2. Nothing is remembered of a proof before all of it is good.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449

#[cfg(feature = "server")]
mod check;
#[cfg(feature = "client")]
mod kept_nonces;
#[cfg(feature = "client")]
mod key;
#[cfg(feature = "server")]
mod nonces;
#[cfg(feature = "server")]
mod replay;
#[cfg(feature = "server")]
mod seen;
#[cfg(feature = "server")]
mod target;

#[cfg(feature = "server")]
pub(crate) use check::{Checked, Expected, Fault, Freshness, check};
#[cfg(feature = "client")]
pub use key::ProofKey;
#[cfg(feature = "server")]
pub use nonces::DpopNonces;
#[cfg(feature = "server")]
pub use replay::{FirstUse, ProofId, ProofReplay, ReplayFuture};
#[cfg(feature = "server")]
pub use seen::SeenProofs;
#[cfg(feature = "server")]
pub(crate) use target::Target;
