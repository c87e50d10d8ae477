use super::{extract::Place, layer::Settings, refuse, service::admit, strip};
use crate::validate::ValidateToken;
use http::{Request, Response};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

pin_project_lite::pin_project! {
    /// The answer of the inner service, or a refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, V, B>
    where
        S: Service<Request<B>>,
        V: ValidateToken,
    {
        #[pin]
        state: State<S, V, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<S, V, B>
    where
        S: Service<Request<B>>,
        V: ValidateToken,
    {
        Validating {
            #[pin]
            verdict: V::Future,
            // Boxed: only a verdict that takes I/O gets here, and the future stays small.
            waiting: Option<Box<Waiting<S, B>>>,
        },
        Calling {
            #[pin]
            inner: S::Future,
            private: bool,
        },
        Refused {
            response: Option<S::Response>,
        },
    }
}

/// What waits for a verdict.
pub(super) struct Waiting<S, B> {
    /// Polled ready.
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) place: Place,
    pub(super) settings: Arc<Settings>,
}

impl<S, V, B> ResponseFuture<S, V, B>
where
    S: Service<Request<B>>,
    V: ValidateToken,
{
    pub(super) fn validating(verdict: V::Future, waiting: Waiting<S, B>) -> Self {
        Self { state: State::Validating { verdict, waiting: Some(Box::new(waiting)) } }
    }

    pub(super) fn calling(inner: S::Future, private: bool) -> Self {
        Self { state: State::Calling { inner, private } }
    }

    pub(super) fn refused(response: S::Response) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }
}

impl<S, V, B, R> Future for ResponseFuture<S, V, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    V: ValidateToken,
    R: Default,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProjection::Validating { verdict, waiting } => {
                    let verdict = ready!(verdict.poll(cx));
                    // Taken once: the state is replaced below.
                    let Some(waiting) = waiting.take() else { return Poll::Pending };
                    let Waiting { mut inner, mut request, place, settings } = *waiting;
                    match verdict {
                        Ok(validated) => {
                            let private = admit(&mut request, place, validated, settings);
                            State::Calling { inner: inner.call(request), private }
                        }
                        Err(rejection) => State::Refused {
                            response: Some(refuse::response(
                                rejection,
                                &settings.challenges,
                                request.headers(),
                            )),
                        },
                    }
                }
                StateProjection::Calling { inner, private } => {
                    let mut response = ready!(inner.poll(cx));
                    if let (true, Ok(response)) = (*private, &mut response) {
                        strip::make_private(response.headers_mut());
                    }
                    return Poll::Ready(response);
                }
                StateProjection::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        // Polled after its end, which a future may answer with never ending.
                        None => Poll::Pending,
                    };
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

impl<S, V, B> fmt::Debug for ResponseFuture<S, V, B>
where
    S: Service<Request<B>>,
    V: ValidateToken,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
