use super::both;
use crate::{
    Answer, Clock, RequestHead,
    validate::{CacheSupport, Rejection, ValidateToken, Validated, Verdict},
    vocabulary::b64token,
};
use std::{
    fmt,
    future::Ready,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

/// Sends each token to the validator that is meant for tokens of its kind, and to no other.
///
/// 1. The first route with a predicate that accepts the token decides.
/// 2. A token without a route is [not mine](Rejection::not_mine): refused as invalid.
/// 3. A predicate must depend on the token alone. It reads what the maker of the token chose, and
///    nothing of that is verified, so it must decide no more than the route.
///
/// The validators have the same claims; [`map_claims`](ValidateToken::map_claims) maps others to
/// them. Put a cache around each validator. A cache around the `Route` is correct, but when any
/// validator refuses a cached verdict at a [recheck](CacheSupport::recheck), the token is validated
/// again, or refused if it is over.
///
/// A clone shares what the validators share in their clones.
///
/// ```
/// use tower_oauth2::{
///     server::RequireToken,
///     validate::{Route, StaticTokens, is_jwt, prefix},
/// };
///
/// let (keys, opaque) = (StaticTokens::new(), StaticTokens::new());
/// # let jwts = StaticTokens::new();
/// let route = Route::new().when(prefix("sk_"), keys).when(is_jwt, jwts).otherwise(opaque);
/// let layer = RequireToken::new("api", route)?;
/// # let _ = layer;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Route<R> {
    routes: R,
}

impl<C> Route<NoRoute<C>> {
    /// Creates a route table without routes: every token is not mine.
    pub fn new() -> Self {
        Self { routes: NoRoute(PhantomData) }
    }
}

impl<C> Default for Route<NoRoute<C>> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Routes> Route<R> {
    /// Adds a route: `validator` judges the tokens that `predicate` accepts and no earlier route does.
    pub fn when<P, V>(self, predicate: P, validator: V) -> Route<When<R, P, V>>
    where
        P: Fn(&str) -> bool + Send + Sync + 'static,
        V: ValidateToken<Claims = R::Claims>,
    {
        let predicate = Arc::new(predicate);
        Route { routes: When { before: self.routes, predicate, validator } }
    }

    /// Adds the last route: `validator` judges all other tokens.
    pub fn otherwise<V>(self, validator: V) -> Route<Otherwise<R, V>>
    where
        V: ValidateToken<Claims = R::Claims>,
    {
        self.when(|_| true, validator)
    }
}

/// The last route of a [`Route`], for all other tokens.
pub type Otherwise<R, V> = When<R, fn(&str) -> bool, V>;

/// Routes in their order.
pub trait Routes: sealed::Sealed + Send + Sync + 'static {
    /// The claims of every validator.
    #[doc(hidden)]
    type Claims: Send + Sync + 'static;

    #[doc(hidden)]
    type Future: Future<Output = Verdict<Self::Claims>> + Send + 'static;

    /// Returns `None` if there is no route for `token`.
    #[doc(hidden)]
    fn judge(&self, token: &str, request: RequestHead<'_>) -> Option<Answer<Self::Future>>;

    #[doc(hidden)]
    fn split_at(&self, token: &str) -> Option<usize>;

    #[doc(hidden)]
    fn recheck(
        &self,
        validated: &Validated<Self::Claims>,
        now: SystemTime,
    ) -> Result<(), Rejection>;

    #[doc(hidden)]
    fn clock(&self) -> Option<Clock>;

    #[doc(hidden)]
    fn generation(&self) -> u64;
}

mod sealed {
    pub trait Sealed {}
}

/// The end of a [`Route`].
pub struct NoRoute<C>(PhantomData<fn() -> C>);

/// One route of a [`Route`], and those before it.
pub struct When<R, P, V> {
    before: R,
    predicate: Arc<P>,
    validator: V,
}

impl<C> sealed::Sealed for NoRoute<C> {}

impl<C: Send + Sync + 'static> Routes for NoRoute<C> {
    type Claims = C;
    type Future = Ready<Verdict<C>>;

    fn judge(&self, _: &str, _: RequestHead<'_>) -> Option<Answer<Self::Future>> {
        None
    }

    fn split_at(&self, _: &str) -> Option<usize> {
        None
    }

    fn recheck(&self, _: &Validated<C>, _: SystemTime) -> Result<(), Rejection> {
        Ok(())
    }

    fn clock(&self) -> Option<Clock> {
        None
    }

    fn generation(&self) -> u64 {
        0
    }
}

impl<R, P, V> sealed::Sealed for When<R, P, V> {}

impl<R, P, V> Routes for When<R, P, V>
where
    R: Routes,
    P: Fn(&str) -> bool + Send + Sync + 'static,
    V: ValidateToken<Claims = R::Claims>,
{
    type Claims = R::Claims;
    type Future = RouteFuture<R::Future, V::Future>;

    fn judge(&self, token: &str, request: RequestHead<'_>) -> Option<Answer<Self::Future>> {
        if let Some(answer) = self.before.judge(token, request) {
            return Some(
                answer.map_pending(|before| RouteFuture { state: State::Before { before } }),
            );
        }
        (self.predicate)(token).then(|| {
            let answer = self.validator.validate(token, request);
            answer.map_pending(|own| RouteFuture { state: State::Own { own } })
        })
    }

    fn split_at(&self, token: &str) -> Option<usize> {
        let own = || {
            (self.predicate)(token)
                .then(|| self.validator.cache_support().split_at(token.as_bytes()))
        };
        self.before.split_at(token).or_else(own)
    }

    fn recheck(&self, validated: &Validated<R::Claims>, now: SystemTime) -> Result<(), Rejection> {
        // Either of them may have found it good.
        self.before.recheck(validated, now)?;
        self.validator.cache_support().recheck(validated, now)
    }

    fn clock(&self) -> Option<Clock> {
        self.before.clock().or_else(|| self.validator.cache_support().clock())
    }

    fn generation(&self) -> u64 {
        both(self.before.generation(), self.validator.cache_support().generation())
    }
}

impl<R: Routes> ValidateToken for Route<R> {
    type Claims = R::Claims;
    type Future = R::Future;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        let none = || Answer::Ready(Err(Rejection::not_mine()));
        self.routes.judge(token, request).unwrap_or_else(none)
    }

    fn cache_support(&self) -> &dyn CacheSupport<R::Claims> {
        self
    }
}

impl<R: Routes> CacheSupport<R::Claims> for Route<R> {
    fn split_at(&self, token: &[u8]) -> usize {
        // The predicates see well-formed tokens only.
        let token = str::from_utf8(token).ok().filter(|_| b64token::is_valid(token));
        token.and_then(|token| self.routes.split_at(token)).unwrap_or(0)
    }

    fn recheck(&self, validated: &Validated<R::Claims>, now: SystemTime) -> Result<(), Rejection> {
        self.routes.recheck(validated, now)
    }

    fn clock(&self) -> Option<Clock> {
        self.routes.clock()
    }

    fn generation(&self) -> u64 {
        self.routes.generation()
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`Route`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RouteFuture<F, G> {
        #[pin]
        state: State<F, G>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, G> {
        Before {
            #[pin]
            before: F,
        },
        Own {
            #[pin]
            own: G,
        },
    }
}

impl<F: Future, G: Future<Output = F::Output>> Future for RouteFuture<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Before { before } => before.poll(cx),
            StateProjection::Own { own } => own.poll(cx),
        }
    }
}

impl<C> Clone for NoRoute<C> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

opaque_debug!(NoRoute<C> { .. });

impl<R: Clone, P, V: Clone> Clone for When<R, P, V> {
    fn clone(&self) -> Self {
        let (before, validator) = (self.before.clone(), self.validator.clone());
        Self { before, predicate: self.predicate.clone(), validator }
    }
}

opaque_debug!(When<R: fmt::Debug, P, V: fmt::Debug> { before, validator, .. });

opaque_debug!(RouteFuture < F, G > { .. });
