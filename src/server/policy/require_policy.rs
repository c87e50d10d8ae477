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
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Decides whether a good token is enough for a request.
///
/// Implemented for closures, [`RequireScope`](crate::server::RequireScope) and
/// [`StepUp`](crate::server::StepUp).
pub trait Policy {
    /// Returns `Ok` if the token is enough.
    ///
    /// # Errors
    ///
    /// Why it is not, for example [`Rejection::insufficient_scope`].
    fn check(&self, authenticated: &Authenticated) -> Result<(), Rejection>;
}

impl<F> Policy for F
where
    F: Fn(&Authenticated) -> Result<(), Rejection>,
{
    fn check(&self, authenticated: &Authenticated) -> Result<(), Rejection> {
        self(authenticated)
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
/// use tower_oauth2::{server::{Authenticated, RequirePolicy}, validate::Rejection};
///
/// let staff_only = RequirePolicy::new(|who: &Authenticated| match who.principal().client_id() {
///     Some("staff-portal") => Ok(()),
///     _ => Err(Rejection::insufficient_scope("staff".parse().unwrap_or_default())),
/// });
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct RequirePolicy<P> {
    policy: P,
}

impl<P: Policy> RequirePolicy<P> {
    /// Creates a layer that asks `policy`.
    pub fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<S, P: Clone> Layer<S> for RequirePolicy<P> {
    type Service = RequirePolicyService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        RequirePolicyService { inner, policy: self.policy.clone() }
    }
}

/// The service of [`RequirePolicy`] and [`RequireScope`](crate::server::RequireScope).
#[derive(Clone, Copy)]
pub struct RequirePolicyService<S, P> {
    pub(super) inner: S,
    pub(super) policy: P,
}

impl<S, P> RequirePolicyService<S, P> {
    inner_service_accessors!();
}

impl<S, P: Policy> RequirePolicyService<S, P> {
    fn refusal<B, R: Default>(&self, request: &Request<B>) -> Option<Response<R>> {
        let head = RequestHead::from_request(request);
        match Standing::of(request.extensions()) {
            Standing::Authenticated(authenticated) => {
                let rejection = self.policy.check(authenticated).err()?;
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

impl<P> fmt::Debug for RequirePolicy<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequirePolicy").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for RequirePolicyService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequirePolicyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
