use super::Error;
use crate::{AccessToken, Answer, RequestHead, ScopeSet};
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Where [`AddBearer`](super::AddBearer) gets its tokens from.
///
/// Implemented for closures: `async || Ok(token)` is a source that is asked at every call. (An
/// `async` closure that captures something is no `Fn`; write
/// `move || { let store = store.clone(); async move { … } }`.) For a source that looks at the request, see [`FromRequest`]; for one behind a pointer, see
/// [`into_shared`](Self::into_shared).
///
/// ```
/// use tower_oauth2::{AccessToken, ConfigError, client::AddBearer};
///
/// async fn read_it_somewhere() -> Result<AccessToken, ConfigError> {
///     AccessToken::new("mF_9.B5f-4.1JqM")
/// }
///
/// let layer = AddBearer::from_source(|| read_it_somewhere(), "https://api.example")?;
/// # Ok::<(), ConfigError>(())
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// The wait for a token that is not there yet. It owns what it needs.
    type Future: Future<Output = Result<AccessToken, Error>> + Send + 'static;

    /// A token for the request with this head: at once where there is one.
    fn token(&self, request: RequestHead<'_>) -> Answer<Self::Future>;

    /// Whether `held`, which [`token`](Self::token) gave for an earlier request, may go on this
    /// one without asking again. It is asked before every call, so it must be quick: no lock, no
    /// allocation.
    ///
    /// Defaults to `false`: ask each time.
    fn is_current(&self, held: &AccessToken, request: RequestHead<'_>) -> bool {
        let _ = (held, request);
        false
    }

    /// Whether a token is likely to be there at once, so that the inner service is worth
    /// reserving before the request is known. A wrong guess costs a clone of the inner service,
    /// nothing else.
    ///
    /// Defaults to `true`.
    fn is_warm(&self) -> bool {
        true
    }

    /// Whether [`reject`](Self::reject) can ever help, so that a copy of the request is worth its
    /// cost.
    ///
    /// Defaults to `false`.
    fn can_recover(&self) -> bool {
        false
    }

    /// The resource refused `rejected`: it is not to be given out again. Whether another token may
    /// be had, so that the call is worth repeating.
    ///
    /// Defaults to `false`.
    fn reject(&self, rejected: &AccessToken) -> bool {
        let _ = rejected;
        false
    }

    /// The resource refused `held` for lack of `scopes` (403 `insufficient_scope`): the wait for a
    /// token that has them, with which the call is repeated. `held` stays good for other calls. It
    /// is asked only where [`recovers`](Self::recovers) says so.
    ///
    /// Defaults to none: the refusal is the caller's.
    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<Self::Future> {
        let _ = (held, scopes);
        None
    }

    /// This source behind a shared pointer, its type erased; only an answer that has to be
    /// waited for is boxed.
    fn into_shared(self) -> SharedTokenSource
    where
        Self: Sized,
    {
        Arc::new(Boxed(self))
    }
}

/// The future of an erased source.
pub type BoxTokenFuture = Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send>>;

/// A source of any type: what [`TokenSource::into_shared`] makes.
pub type SharedTokenSource = Arc<dyn TokenSource<Future = BoxTokenFuture>>;

impl<T: TokenSource + ?Sized> TokenSource for Arc<T> {
    type Future = T::Future;

    fn token(&self, request: RequestHead<'_>) -> Answer<Self::Future> {
        (**self).token(request)
    }

    fn is_current(&self, held: &AccessToken, request: RequestHead<'_>) -> bool {
        (**self).is_current(held, request)
    }

    fn is_warm(&self) -> bool {
        (**self).is_warm()
    }

    fn can_recover(&self) -> bool {
        (**self).can_recover()
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        (**self).reject(rejected)
    }

    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<Self::Future> {
        (**self).widen(held, scopes)
    }
}

/// A source whose future is boxed, so that sources of different types have one type.
#[derive(Clone, Debug)]
struct Boxed<T>(T);

impl<T: TokenSource> TokenSource for Boxed<T> {
    type Future = BoxTokenFuture;

    fn token(&self, request: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        self.0.token(request).map_pending(|future| Box::pin(future) as BoxTokenFuture)
    }

    fn is_current(&self, held: &AccessToken, request: RequestHead<'_>) -> bool {
        self.0.is_current(held, request)
    }

    fn is_warm(&self) -> bool {
        self.0.is_warm()
    }

    fn can_recover(&self) -> bool {
        self.0.can_recover()
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        self.0.reject(rejected)
    }

    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<BoxTokenFuture> {
        self.0.widen(held, scopes).map(|future| Box::pin(future) as BoxTokenFuture)
    }
}

/// One token for every request, for ever.
impl TokenSource for AccessToken {
    type Future = std::future::Ready<Result<Self, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(Ok(self.clone()))
    }

    fn is_current(&self, held: &Self, _: RequestHead<'_>) -> bool {
        self.is_same(held)
    }
}

impl<F, Fut, E> TokenSource for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<AccessToken, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    type Future = FnFuture<Fut>;

    fn token(&self, _: RequestHead<'_>) -> Answer<FnFuture<Fut>> {
        Answer::Pending(FnFuture { future: self() })
    }

    fn is_warm(&self) -> bool {
        false
    }
}

/// A closure over the head of the request as a [`TokenSource`]: the user in its extensions may
/// decide whose token it is.
///
/// ```
/// use tower_oauth2::{AccessToken, ConfigError, client::{AddBearer, FromRequest}};
///
/// #[derive(Clone)]
/// struct TokenOfUser(AccessToken);
///
/// let source = FromRequest::new(|request| {
///     let token = request.extensions().get().map(|TokenOfUser(token)| token.clone());
///     async { token.ok_or("nobody is signed in") }
/// });
/// let layer = AddBearer::from_source(source, "https://api.example")?;
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Clone)]
pub struct FromRequest<F> {
    token: F,
}

impl<F> FromRequest<F> {
    /// Asks `token`, which owns what it needs of the head once it has returned.
    pub fn new<Fut>(token: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> Fut,
    {
        Self { token }
    }
}

impl<F, Fut, E> TokenSource for FromRequest<F>
where
    F: Fn(RequestHead<'_>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<AccessToken, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    type Future = FnFuture<Fut>;

    fn token(&self, request: RequestHead<'_>) -> Answer<FnFuture<Fut>> {
        Answer::Pending(FnFuture { future: (self.token)(request) })
    }

    fn is_warm(&self) -> bool {
        false
    }
}

impl<F> fmt::Debug for FromRequest<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromRequest").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The future of a closure that is a [`TokenSource`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FnFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, E> Future for FnFuture<F>
where
    F: Future<Output = Result<AccessToken, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    type Output = Result<AccessToken, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).map_err(Error::from_source))
    }
}

impl<F> fmt::Debug for FnFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnFuture").finish_non_exhaustive()
    }
}
