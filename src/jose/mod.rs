//! The envelope around signatures: compact JWS ([RFC 7515]), JWK and JWK sets ([RFC 7517]), over
//! aws-lc-rs, whose parsed keys are kept (feature `jwt`).
//!
//! 1. Base64url without padding and without a second spelling of the same bytes; JSON without
//!    members that are there twice.
//! 2. A key is bound to the algorithms that it may be used with when it is parsed, and one that
//!    is too short is refused there.
//! 3. What a token brings along (`jwk`, `jku`, `x5c`, `x5u`) is never used.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517

mod algorithm;
pub(crate) mod base64url;
mod compact;
#[cfg(any(test, feature = "test-util"))]
mod generate;
mod header;
mod jwk;
mod key_pair;
mod key_set;
mod pem;
mod public_jwk;
mod public_key;
mod signing;
#[cfg(test)]
mod tests;
mod verifying;

pub use algorithm::Algorithm;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use compact::Compact;
#[cfg(feature = "server")]
pub(crate) use compact::signature_at;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use header::Header;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use key_set::KeySet;
pub use signing::SigningKey;
pub(crate) use verifying::VerifyingKey;
