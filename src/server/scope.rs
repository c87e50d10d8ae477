use super::{Authenticated, refuse};
use crate::{ConfigError, ScopeSet, validate::Rejection};
use http::{Request, Response};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Lets only requests through whose token grants certain scopes.
///
/// It stands below a [`RequireToken`](super::RequireToken), on a route or on a subtree; without
/// one above it, every request is answered with 500. A token that grants too little is refused
/// with 403 `insufficient_scope` and one challenge that names all the scopes
/// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). A refusal leaves the
/// inner service reserved until the next call or until the service is dropped.
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use tower_oauth2::{server::{RequireScope, RequireToken}, validate::StaticTokens};
///
/// let app: Router = Router::new()
///     .route("/calls", post(|| async { "called" }))
///     .route_layer(RequireScope::all_of(["write"])?)
///     .route("/calls", get(|| async { "the calls" }))
///     .route_layer(RequireToken::new("api", StaticTokens::new())?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireScope {
    scopes: Arc<ScopeSet>,
}

impl RequireScope {
    /// Asks for every one of `scopes`.
    ///
    /// # Errors
    ///
    /// When there is none, or one is no [`Scope`](crate::Scope).
    pub fn all_of<I>(scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let scopes = ScopeSet::new(scopes)?;
        if scopes.is_empty() {
            return Err(ConfigError::new("RequireScope needs at least one scope"));
        }
        Ok(Self { scopes: Arc::new(scopes) })
    }
}

impl<S> Layer<S> for RequireScope {
    type Service = RequireScopeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireScopeService { inner, scopes: self.scopes.clone() }
    }
}

/// The service of [`RequireScope`].
#[derive(Clone, Debug)]
pub struct RequireScopeService<S> {
    inner: S,
    scopes: Arc<ScopeSet>,
}

impl<S> RequireScopeService<S> {
    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, without the layer.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn refusal<B, R: Default>(&self, request: &Request<B>) -> Option<Response<R>> {
        let Some(authenticated) = request.extensions().get::<Authenticated>() else {
            return Some(refuse::misplaced());
        };
        if authenticated.principal().scopes().contains_all(&self.scopes) {
            return None;
        }
        let rejection = Rejection::insufficient_scope(ScopeSet::clone(&self.scopes));
        let challenges = &authenticated.settings().challenges;
        Some(refuse::response(rejection, challenges, request.headers()))
    }
}

impl<S, B, R> Service<Request<B>> for RequireScopeService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RequireScopeFuture<S::Future, Response<R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match self.refusal(&request) {
            Some(response) => State::Refused { response: Some(response) },
            None => State::Calling { inner: self.inner.call(request) },
        };
        RequireScopeFuture { state }
    }
}

pin_project_lite::pin_project! {
    /// The answer of the inner service, or a refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireScopeFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, R> {
        Calling {
            #[pin]
            inner: F,
        },
        Refused {
            response: Option<R>,
        },
    }
}

impl<F, R, E> Future for RequireScopeFuture<F, R>
where
    F: Future<Output = Result<R, E>>,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { inner } => inner.poll(cx),
            StateProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled after its end, which a future may answer with never ending.
                None => Poll::Pending,
            },
        }
    }
}

impl<F, R> fmt::Debug for RequireScopeFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopeFuture").finish_non_exhaustive()
    }
}
