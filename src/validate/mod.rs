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

#[doc(hidden)]
pub use self::{
    cached::CachedFuture,
    chain::{FirstOf, FirstOfFuture, NoRoute, Otherwise, RouteFuture, Routes, When},
    introspection::IntrospectionFuture,
    revocations::{Revocable, RevocableFuture, RevocationsFull},
    validate_token::{FnFuture, MapClaims, MapClaimsFuture},
};
pub use cached::Cached;
pub use chain::{Route, first_of};
pub use introspection::Introspection;
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
pub use revocations::Revocations;
pub use static_tokens::StaticTokens;
pub(crate) use times::MAX_LEEWAY;
pub use token_shape::{is_jwt, prefix};
pub use validate_token::{BoxVerdictFuture, CacheSupport, SharedValidator, ValidateToken};
pub use validated::{Validated, Verdict};
