//! What a validator is: [`ValidateToken`], and its forms: a closure, a shared pointer, claims that
//! are mapped.
//!
//! **In**: any validator. **Out**: the same validator in another form. **Uses** the verdict.

mod cache_support;
mod closure;
mod map_claims;
mod shared;

pub use cache_support::CacheSupport;
pub use closure::FnFuture;
pub use map_claims::{MapClaims, MapClaimsFuture};
pub use shared::{BoxVerdictFuture, SharedValidator};

use super::Verdict;
use crate::{Answer, RequestHead};
use cache_support::OpaqueTokens;
use shared::Boxed;
use std::sync::Arc;

/// Judges the tokens that [`RequireToken`](crate::server::RequireToken) finds.
///
/// Implemented for closures from an [`AccessToken`](crate::AccessToken) to a future of
/// `Result<Validated<C>, Rejection>`:
///
/// ```
/// use tower_oauth2::{
///     AccessToken,
///     server::RequireToken,
///     validate::{Principal, Rejection, Validated},
/// };
///
/// let layer = RequireToken::new("api", async |token: AccessToken| {
///     match token.expose() {
///         "mF_9.B5f-4.1JqM" => Ok(Validated::from(Principal::new("alice"))),
///         _ => Err(Rejection::invalid("no such token")),
///     }
/// });
/// # let _ = layer;
/// ```
///
/// An `async` closure that captures something is no `Fn`; write
/// `move |token| { let database = database.clone(); async move { … } }`.
///
/// A token that is bound to a key or a certificate is good here, and its principal says what it is bound
/// to ([`Principal::confirmation`](super::Principal::confirmation)). `RequireToken` compares that with
/// the request; any other caller has to. A validator that builds a `Principal` from that of another
/// must clone it, so that this is not lost.
///
/// A validator that cannot decide returns [`Rejection::unavailable`](super::Rejection::unavailable),
/// never another rejection: a client discards a token that is called invalid.
pub trait ValidateToken: Send + Sync + 'static {
    /// What the validator knows of a good token beyond its [`Principal`](super::Principal), or `()`.
    type Claims: Send + Sync + 'static;

    /// The future of a verdict that is not ready at once. It owns what it needs.
    type Future: Future<Output = Verdict<Self::Claims>> + Send + 'static;

    /// Judges `token`, a `b64token` of at most 16 KiB in the request of this head.
    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future>;

    /// Returns how the verdicts of this validator may be cached. Defaults to the defaults of
    /// [`CacheSupport`], which suit opaque tokens. A validator around another that adds no check of
    /// its own forwards this.
    fn cache_support(&self) -> &dyn CacheSupport<Self::Claims> {
        &OpaqueTokens
    }

    /// Maps the claims with `map`, for example to the variants of an enum, so that validators of
    /// different claims fit into one chain.
    fn map_claims<F, D>(self, map: F) -> MapClaims<Self, F>
    where
        Self: Sized,
        F: Fn(&Self::Claims) -> D + Send + Sync + 'static,
        D: Send + Sync + 'static,
    {
        MapClaims::new(self, map)
    }

    /// Moves the validator behind a shared pointer and erases its type. Only the future of a verdict
    /// that is not ready at once is boxed.
    fn into_shared(self) -> SharedValidator<Self::Claims>
    where
        Self: Sized,
    {
        Arc::new(Boxed(self))
    }
}
