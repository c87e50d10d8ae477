use super::Error;
use crate::{AccessToken, Answer, Clock, RequestHead, ScopeSet};
use std::{
    error::Error as StdError,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Gives [`AddBearer`](super::AddBearer) its tokens.
///
/// [`token`](Self::token) is all that a source needs; the other methods let a layer reuse, replace
/// and widen tokens. A closure such as `async || Ok(token)` is a source that is asked at every call.
/// (An `async` closure that captures something is not `Fn`; write
/// `move || { let store = store.clone(); async move { … } }`.) [`FromRequest`] is a source that
/// looks at the request, and [`into_shared`](Self::into_shared) erases the type of a source.
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
    /// Resolves to a token that is not available yet. It owns what it needs.
    type Future: Future<Output = Result<AccessToken, Error>> + Send + 'static;

    /// Returns a token for the request with this head, at once if one is available.
    fn token(&self, request: RequestHead<'_>) -> Answer<Self::Future>;

    /// Returns `true` if `held`, a token of an earlier request, may be used for this one. The layer
    /// calls this before every call, so it must be quick: no lock, no allocation.
    ///
    /// Defaults to `false`: the layer calls [`token`](Self::token) each time.
    fn is_current(&self, held: &AccessToken, request: RequestHead<'_>) -> bool {
        let _ = (held, request);
        false
    }

    /// Returns `true` if [`token`](Self::token) is likely to answer at once, so that the layer
    /// reserves the inner service before it has a request. A wrong guess only costs a clone of the
    /// inner service.
    ///
    /// Defaults to `true`.
    fn is_warm(&self) -> bool {
        true
    }

    /// Returns `true` if [`reject`](Self::reject) or [`widen`](Self::widen) can lead to another
    /// token, so that the layer copies requests in order to repeat them.
    ///
    /// Defaults to `false`.
    fn can_recover(&self) -> bool {
        false
    }

    /// Notes that the resource refused `rejected`. Returns `true` if [`token`](Self::token) may have
    /// another, with which the layer then repeats the call: it asks with
    /// [`RequestHead::rejected_token`]. A source may go on giving `rejected` to other requests, in
    /// particular to those that [can be repeated](RequestHead::is_repeatable), until there is another.
    ///
    /// Defaults to `false`.
    fn reject(&self, rejected: &AccessToken) -> bool {
        let _ = rejected;
        false
    }

    /// Returns a future of a token that also has `scopes`, for lack of which the resource refused
    /// `held` (403 `insufficient_scope`). The layer repeats the call with it; `held` stays valid for
    /// other calls. The layer calls this only if [`can_recover`](Self::can_recover) is `true`.
    ///
    /// Defaults to `None`: the caller gets the refusal.
    fn widen(&self, held: &AccessToken, scopes: &ScopeSet) -> Option<Self::Future> {
        let _ = (held, scopes);
        None
    }

    /// Returns the clock of the source, by which a layer around it then goes, unless it is given
    /// another. Defaults to none of its own.
    fn clock(&self) -> Option<Clock> {
        None
    }

    /// Erases the type of this source behind a shared pointer. Only a pending answer is boxed.
    fn into_shared(self) -> SharedTokenSource
    where
        Self: Sized,
    {
        Arc::new(Boxed(self))
    }
}

/// The future of an erased source.
pub type BoxTokenFuture = Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send>>;

/// A source of any type, as [`TokenSource::into_shared`] returns it.
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

    fn clock(&self) -> Option<Clock> {
        (**self).clock()
    }
}

/// A source with a boxed future, so that sources of different types have one type.
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

    fn clock(&self) -> Option<Clock> {
        self.0.clock()
    }
}

/// Gives the same token to every request.
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

/// A [`TokenSource`] that calls a closure with the head of the request, for example to choose the
/// token of the user in its extensions.
///
/// ```
/// use tower_oauth2::{AccessToken, ConfigError, client::{AddBearer, FromRequest}};
///
/// #[derive(Clone)]
/// struct TokenOfUser(AccessToken);
///
/// let source = FromRequest::new(|request| {
///     let token = request.extensions().get().map(|TokenOfUser(token)| token.clone());
///     async { token.ok_or("no user is signed in") }
/// });
/// let layer = AddBearer::from_source(source, "https://api.example")?;
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Clone)]
pub struct FromRequest<F> {
    token: F,
}

impl<F> FromRequest<F> {
    /// Calls `token` for each request. Its future owns what it needs of the head.
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

opaque_debug!(FromRequest<F> { .. });

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

opaque_debug!(FnFuture<F> { .. });
