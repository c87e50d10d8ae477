use super::{
    decide::{self, Presented},
    refuse,
    settings::Settings,
    strip,
};
use crate::{
    RequestHead, Sleep,
    validate::{Rejection, ValidateToken},
};
use http::{Request, Response};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
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
pub(in crate::server) struct Waiting<S, B> {
    /// Polled ready.
    inner: S,
    request: Request<B>,
    presented: Presented,
    settings: Arc<Settings>,
    /// Nothing where there is no runtime to wake up by.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S, B> Waiting<S, B> {
    pub(in crate::server) fn new(
        inner: S,
        request: Request<B>,
        presented: Presented,
        settings: Arc<Settings>,
    ) -> Self {
        let runtime = tokio::runtime::Handle::try_current().is_ok();
        let deadline = runtime.then(|| Box::pin(settings.clock.sleep(settings.timeout)));
        Self { inner, request, presented, settings, deadline }
    }

    fn is_too_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }
}

impl<S, V, B> ResponseFuture<S, V, B>
where
    S: Service<Request<B>>,
    V: ValidateToken,
{
    pub(in crate::server) fn validating(verdict: V::Future, waiting: Waiting<S, B>) -> Self {
        Self { state: State::Validating { verdict, waiting: Some(Box::new(waiting)) } }
    }

    pub(in crate::server) fn calling(inner: S::Future, private: bool) -> Self {
        Self { state: State::Calling { inner, private } }
    }

    pub(in crate::server) fn refused(response: S::Response) -> Self {
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
                    let Some(pending) = waiting.as_mut() else { return Poll::Pending };
                    let verdict = match verdict.poll(cx) {
                        Poll::Ready(verdict) => verdict,
                        Poll::Pending if pending.is_too_late(cx) => {
                            Err(Rejection::unavailable(None))
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    // Taken once: the state is replaced below.
                    let Some(waiting) = waiting.take() else { return Poll::Pending };
                    let Waiting { mut inner, mut request, presented, settings, .. } = *waiting;
                    match decide::by_verdict(&settings, &mut request, presented, verdict) {
                        Ok(private) => State::Calling { inner: inner.call(request), private },
                        Err(rejection) => {
                            let head = RequestHead::from_request(&request);
                            let response = refuse::response(rejection, &settings, head);
                            State::Refused { response: Some(response) }
                        }
                    }
                }
                StateProjection::Calling { inner, private } => {
                    // Changed where it is: taken out of the answer it would be moved twice.
                    let mut answer = inner.poll(cx);
                    if let (true, Poll::Ready(Ok(response))) = (*private, &mut answer) {
                        strip::make_private(response.headers_mut());
                    }
                    return answer;
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
