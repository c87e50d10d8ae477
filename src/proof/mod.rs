//! Proofs of possession of a key, DPoP ([RFC 9449]).
//!
//! **In**: a request to prove, or the header `DPoP` of one and what is known of it. **Out**: a proof, or
//! whether it is good. **Uses** `vocabulary` and `jose`.
//!
//! 1. Checks go from cheap to dear: a signature is verified only for the holder of the bound key.
//! 2. Nothing is remembered of a proof before all of it is good.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449

#[cfg(any(feature = "server", feature = "test-util"))]
mod check;
#[cfg(feature = "client")]
mod kept_nonces;
#[cfg(feature = "client")]
mod key;
#[cfg(any(feature = "server", feature = "test-util"))]
mod nonces;
#[cfg(any(feature = "server", feature = "test-util"))]
mod replay;
#[cfg(feature = "server")]
mod seen;
#[cfg(any(feature = "server", feature = "test-util"))]
mod target;

#[cfg(feature = "server")]
pub(crate) use check::Checked;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use check::{Expected, Fault, Freshness, check};
#[cfg(feature = "client")]
pub use key::ProofKey;
#[cfg(any(feature = "server", feature = "test-util"))]
pub use nonces::DpopNonces;
#[cfg(any(feature = "server", feature = "test-util"))]
pub use replay::ProofId;
#[cfg(feature = "server")]
pub use replay::{FirstUse, ProofReplay, ReplayFuture};
#[cfg(feature = "server")]
pub use seen::SeenProofs;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use target::Target;
