//! Compact JWS ([RFC 7515]), JWK and JWK sets ([RFC 7517]), over aws-lc-rs (feature `jwt`).
//!
//! **In**: keys, tokens and payloads. **Out**: signatures, and whether they are good. **Uses**
//! `vocabulary`.
//!
//! 1. Base64url has no padding and one spelling for the same bytes; JSON has no repeated members.
//! 2. A key is bound to its algorithms when it is parsed, and refused when it is too short.
//! 3. The keys and certificates of a token header (`jwk`, `jku`, `x5c`, `x5u`) are never used.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517

mod algorithm;
pub(crate) mod base64url;
mod compact;
mod curve;
mod der;
mod embedded;
mod generate;
mod header;
mod jwk;
mod key_id;
mod key_pair;
mod key_set;
mod pem;
mod public_der;
mod public_jwk;
mod public_key;
mod signing;
#[cfg(all(feature = "jwt", feature = "server"))]
mod tenant;
#[cfg(test)]
mod tests;
mod verifying;

pub use algorithm::Algorithm;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use compact::Compact;
#[cfg(feature = "server")]
pub(crate) use compact::signature_at;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use embedded::EmbeddedKey;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use header::Header;
#[cfg(feature = "server")]
pub(crate) use key_id::KeyId;
#[cfg(any(feature = "server", feature = "test-util"))]
pub(crate) use key_set::KeySet;
pub use signing::SigningKey;
#[cfg(all(feature = "jwt", feature = "server"))]
pub(crate) use tenant::TENANT;
pub(crate) use verifying::VerifyingKey;
