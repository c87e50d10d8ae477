//! Judges access tokens: [`ValidateToken`], its verdicts, and the validators of this crate.
//!
//! **In**: a token, and the head of the request that presents it. **Out**: the token's principal and claims, or a rejection.
//! **Uses** `vocabulary`, `observe`, `jose` and `back_channel`.

mod basis;
mod cached;
mod chain;
mod claims;
mod introspection;
#[cfg(feature = "jwt")]
mod jwks;
#[cfg(feature = "jwt")]
mod jwt;
mod principal;
mod rejection;
mod revocation;
mod revocation_list;
mod revocation_watch;
mod revocations;
mod static_tokens;
mod times;
mod token_shape;
mod validate_token;
mod validated;

pub use cached::Cached;
#[doc(hidden)]
pub use cached::CachedFuture;
#[doc(hidden)]
pub use chain::FirstOf;
#[doc(hidden)]
pub use chain::{FirstOfFuture, NoRoute, Otherwise, RouteFuture, Routes, When};
pub use chain::{Route, first_of};
pub use introspection::Introspection;
#[doc(hidden)]
pub use introspection::IntrospectionFuture;
#[cfg(feature = "jwt")]
pub use jwks::{Jwks, JwksError, JwksErrorKind, JwksStatus};
#[cfg(feature = "jwt")]
#[doc(hidden)]
pub use jwt::JwtFuture;
#[cfg(feature = "jwt")]
pub use jwt::{Issuers, JwtValidator, TrustedIssuer, issued_by};
pub use principal::{Actor, Confirmation, Principal};
pub(crate) use rejection::RETRY_AFTER_DEFAULT;
pub use rejection::{Rejection, RejectionKind};
pub use revocation::Revocation;
pub use revocation_list::{RevocationChanges, RevocationList, TokenFingerprint};
#[doc(hidden)]
pub use revocations::Revocable;
#[doc(hidden)]
pub use revocations::RevocableFuture;
pub use revocations::Revocations;
#[doc(hidden)]
pub use revocations::RevocationsFull;
pub use static_tokens::StaticTokens;
pub(crate) use times::MAX_LEEWAY;
pub use token_shape::{is_jwt, prefix};
pub use validate_token::{BoxVerdictFuture, CacheSupport, SharedValidator, ValidateToken};
#[doc(hidden)]
pub use validate_token::{FnFuture, MapClaims, MapClaimsFuture};
pub use validated::{Validated, Verdict};
