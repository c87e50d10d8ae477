//! What the layers tell the outside world of themselves, through facades that may be absent.
//!
//! One file for each facade and one for its absence, of the same shape: callers know of neither.

#[cfg(feature = "server")]
mod decisions;
#[cfg(all(feature = "server", feature = "jwt", feature = "tracing"))]
pub(crate) mod keys;
#[cfg(all(feature = "server", feature = "jwt", not(feature = "tracing")))]
#[path = "no_keys.rs"]
pub(crate) mod keys;
#[cfg(feature = "client")]
pub(crate) mod tokens;

#[cfg(feature = "server")]
pub(crate) use decisions::{Outcome, decided};
