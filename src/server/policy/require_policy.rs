use crate::{
    RequestHead,
    server::{
        AnsweredFuture,
        require_token::{Authenticated, refuse, standing::Standing},
    },
    validate::Rejection,
};
use http::{Request, Response};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Decides whether a good token is enough for a request.
///
/// Implemented for closures, [`RequireScope`](crate::server::RequireScope),
/// [`RequireRole`](crate::server::RequireRole) and [`StepUp`](crate::server::StepUp).
pub trait Policy {
    /// Returns `Ok` if the token is enough for the request with this head.
    ///
    /// # Errors
    ///
    /// Why it is not, for example [`Rejection::insufficient_scope`] or [`Rejection::forbidden`].
    fn check(&self, authenticated: &Authenticated, head: RequestHead<'_>) -> Result<(), Rejection>;
}

impl<F: Fn(&Authenticated, RequestHead<'_>) -> Result<(), Rejection>> Policy for F {
    fn check(&self, authenticated: &Authenticated, head: RequestHead<'_>) -> Result<(), Rejection> {
        self(authenticated, head)
    }
}

/// Lets only requests through that have a token which satisfies a [`Policy`].
///
/// Put it below a [`RequireToken`](crate::server::RequireToken), on a route or on a subtree. Without
/// one above it, every response is 500. The layer refuses a request without a token with 401, even if
/// that `RequireToken` allows anonymous requests. It lets a CORS preflight through that `RequireToken`
/// let through. After a refusal, the inner service stays reserved until the next call, or until the
/// service is dropped.
///
/// ```
/// use http::Method;
/// use tower_oauth2::{
///     RequestHead,
///     server::{Authenticated, RequirePolicy},
///     validate::Rejection,
/// };
///
/// let staff_write = RequirePolicy::new(|who: &Authenticated, head: RequestHead<'_>| {
///     match head.method() == Method::GET || who.principal().client_id() == Some("staff-portal") {
///         true => Ok(()),
///         false => Err(Rejection::forbidden("only the staff portal may write")),
///     }
/// });
/// ```
#[must_use]
pub struct RequirePolicy<P> {
    policy: Arc<P>,
}

impl<P: Policy> RequirePolicy<P> {
    /// Creates a layer that asks `policy`.
    pub fn new(policy: P) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<P> Clone for RequirePolicy<P> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone() }
    }
}

impl<S, P> Layer<S> for RequirePolicy<P> {
    type Service = RequirePolicyService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        RequirePolicyService { inner, policy: self.policy.clone() }
    }
}

/// The service of [`RequirePolicy`], [`RequireScope`](crate::server::RequireScope) and
/// [`RequireRole`](crate::server::RequireRole).
pub struct RequirePolicyService<S, P> {
    pub(super) inner: S,
    pub(super) policy: Arc<P>,
}

impl<S: Clone, P> Clone for RequirePolicyService<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), policy: self.policy.clone() }
    }
}

impl<S, P> RequirePolicyService<S, P> {
    inner_service_accessors!();
}

impl<S, P: Policy> RequirePolicyService<S, P> {
    fn refusal<B, R: Default>(&self, request: &Request<B>) -> Option<Response<R>> {
        let head = RequestHead::from_request(request);
        match Standing::of(request.extensions()) {
            Standing::Authenticated(authenticated) => {
                let rejection = self.policy.check(authenticated, head).err()?;
                Some(authenticated.refuse(rejection, head))
            }
            Standing::Anonymous(anonymous) => Some(anonymous.refuse(head)),
            Standing::Preflight(_) => None,
            Standing::Undecided => {
                let missing = "no RequireToken is above this policy: put that layer around it";
                Some(refuse::misplaced(missing, head))
            }
        }
    }
}

impl<S, P, B, R> Service<Request<B>> for RequirePolicyService<S, P>
where
    P: Policy,
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = AnsweredFuture<S::Future, Response<R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.refusal(&request) {
            Some(response) => AnsweredFuture::answered(response),
            None => AnsweredFuture::calling(self.inner.call(request)),
        }
    }
}

opaque_debug!(RequirePolicy<P> { .. });

opaque_debug!(RequirePolicyService<S: fmt::Debug, P> { inner, .. });
