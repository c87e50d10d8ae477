//! Who judges a token: [`ValidateToken`], its verdicts, and the validators that come with the
//! crate.

mod cached;
mod chain;
mod introspection;
#[cfg(feature = "jwt")]
mod jwks;
#[cfg(feature = "jwt")]
mod jwt;
mod principal;
mod rejection;
mod revocation;
mod revocations;
mod static_tokens;
mod times;

pub use cached::{Cached, CachedFuture};
pub use chain::{
    FirstOf, FirstOfFuture, MapClaims, MapClaimsFuture, NoRoute, Otherwise, Route, RouteFuture,
    Routes, When, first_of, is_jwt, prefix,
};
pub use introspection::{Introspection, IntrospectionFuture};
#[cfg(feature = "jwt")]
pub use jwks::{Jwks, JwksError, JwksErrorKind, JwksStatus};
#[cfg(feature = "jwt")]
pub use jwt::{JwtFuture, JwtValidator, TrustedIssuer, issued_by};
pub use principal::{Principal, Validated};
pub(crate) use rejection::RETRY_AFTER_DEFAULT;
pub use rejection::{Rejection, RejectionKind};
pub use revocation::Revocation;
pub use revocations::{
    Revocable, RevocableFuture, RevocationChanges, RevocationList, Revocations, RevocationsFull,
    TokenFingerprint,
};
pub use static_tokens::StaticTokens;

use crate::{AccessToken, Answer, RequestHead};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

/// What a validator finds: whose token it is, or why it is refused.
///
/// The claims are shared, so that a validator which keeps them hands them on without a copy.
pub type Verdict<C> = Result<Arc<Validated<C>>, Rejection>;

/// Judges the tokens that [`RequireToken`](crate::server::RequireToken) finds.
///
/// Implemented for closures from an [`AccessToken`] to a future of
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
/// What cannot be decided is [`Rejection::unavailable`], never a verdict: a client that is told
/// "invalid" throws its token away.
pub trait ValidateToken: Send + Sync + 'static {
    /// What is known of a good token beyond its [`Principal`]; `()` where that is all.
    type Claims: Send + Sync + 'static;

    /// The wait for a verdict that is not there at once. It owns what it needs.
    type Future: Future<Output = Verdict<Self::Claims>> + Send + 'static;

    /// Judges `token`, a `b64token` of at most 16 KiB that came with the request of this head.
    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future>;

    /// Where the secret part of `token` begins: what is before it is kept beside a cached verdict
    /// and compared byte for byte, and from there on a keyed digest alone is kept. Defaults to 0:
    /// all of it is secret, which is right for an opaque token; a signed one is of no use without
    /// its signature. A place that leaves either part empty counts as 0.
    ///
    /// A cache may ask before anybody has looked at `token`, which is then whatever a peer sent.
    fn split_at(&self, token: &[u8]) -> usize {
        let _ = token;
        0
    }

    /// What [`validate`](Self::validate) would say at once of these bytes, because they are a token
    /// that it found good before and that is good still. They were looked at by nobody yet and may
    /// be anything: that a token is known shows that it is one, and is found out sooner than by
    /// looking at all its bytes. [`RequireToken`](crate::server::RequireToken) asks first where
    /// `Authorization: Bearer` is the one place that it reads and no header is there twice.
    /// Defaults to nothing, whereupon the bytes are looked at, and `validate` is asked.
    ///
    /// # Security
    ///
    /// A validator around another may pass this on only where it judges nothing but the token, and
    /// has to judge that here too: what it checks of the request, or of the token, in `validate`
    /// alone is not checked of a token that is recalled.
    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<Self::Claims>>> {
        let _ = presented;
        None
    }

    /// Judges once more, at `now`, a token that was found good before: whatever follows from time
    /// alone. A cache asks at each hit. Defaults to refusing from the principal's expiry on.
    ///
    /// # Errors
    ///
    /// When the token is good no longer.
    fn recheck(
        &self,
        validated: &Validated<Self::Claims>,
        now: SystemTime,
    ) -> Result<(), Rejection> {
        validated.principal().check_expiry(now)
    }

    /// A number that changes when verdicts of before may hold no longer, because keys changed for
    /// example: a cache then forgets them. Defaults to never.
    fn generation(&self) -> u64 {
        0
    }

    /// This validator with its claims turned into what `map` makes of them: to put validators of
    /// different claims into one chain, say, as the variants of an enum.
    fn map_claims<F, D>(self, map: F) -> MapClaims<Self, F>
    where
        Self: Sized,
        F: Fn(&Self::Claims) -> D + Send + Sync + 'static,
        D: Send + Sync + 'static,
    {
        MapClaims::new(self, map)
    }

    /// This validator behind a shared pointer, its type erased; only a verdict that has to be
    /// waited for is boxed.
    fn into_shared(self) -> SharedValidator<Self::Claims>
    where
        Self: Sized,
    {
        Arc::new(Boxed(self))
    }
}

/// The future of an erased validator.
pub type BoxVerdictFuture<C> = Pin<Box<dyn Future<Output = Verdict<C>> + Send>>;

/// A validator of any type: what [`ValidateToken::into_shared`] makes.
pub type SharedValidator<C = ()> = Arc<dyn ValidateToken<Claims = C, Future = BoxVerdictFuture<C>>>;

impl<V: ValidateToken + ?Sized> ValidateToken for Arc<V> {
    type Claims = V::Claims;
    type Future = V::Future;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        (**self).validate(token, request)
    }

    fn split_at(&self, token: &[u8]) -> usize {
        (**self).split_at(token)
    }

    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<V::Claims>>> {
        (**self).recall(presented)
    }

    fn recheck(&self, validated: &Validated<V::Claims>, now: SystemTime) -> Result<(), Rejection> {
        (**self).recheck(validated, now)
    }

    fn generation(&self) -> u64 {
        (**self).generation()
    }
}

/// A validator whose future is boxed, so that validators of different types have one type.
#[derive(Clone, Debug)]
struct Boxed<V>(V);

impl<V: ValidateToken> ValidateToken for Boxed<V> {
    type Claims = V::Claims;
    type Future = BoxVerdictFuture<V::Claims>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        let boxed = |future| Box::pin(future) as BoxVerdictFuture<V::Claims>;
        self.0.validate(token, request).map_pending(boxed)
    }

    fn split_at(&self, token: &[u8]) -> usize {
        self.0.split_at(token)
    }

    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<V::Claims>>> {
        self.0.recall(presented)
    }

    fn recheck(&self, validated: &Validated<V::Claims>, now: SystemTime) -> Result<(), Rejection> {
        self.0.recheck(validated, now)
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }
}

impl<F, Fut, C> ValidateToken for F
where
    F: Fn(AccessToken) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Validated<C>, Rejection>> + Send + 'static,
    C: Send + Sync + 'static,
{
    type Claims = C;
    type Future = FnFuture<Fut>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<FnFuture<Fut>> {
        match AccessToken::new(token) {
            Ok(token) => Answer::Pending(FnFuture { future: self(token) }),
            Err(error) => Answer::Ready(Err(Rejection::invalid(error.to_string()))),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a closure that is a [`ValidateToken`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FnFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, C> Future for FnFuture<F>
where
    F: Future<Output = Result<Validated<C>, Rejection>>,
{
    type Output = Verdict<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).map(Arc::new))
    }
}

impl<F> fmt::Debug for FnFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnFuture").finish_non_exhaustive()
    }
}
