use super::{
    cache_control::CacheControl,
    decide::{self, PresentedToken},
    settings::Settings,
};
use crate::{
    RequestHead, Sleep,
    server::AnsweredFuture,
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
    /// The response of the inner service, or a refusal.
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
            pending: Option<Box<PendingRequest<S, B>>>,
        },
        Answering {
            #[pin]
            response: AnsweredFuture<S::Future, S::Response>,
            cache_control: CacheControl,
        },
    }
}

/// A request that waits for its verdict.
pub(super) struct PendingRequest<S, B> {
    /// Polled ready.
    inner: S,
    request: Request<B>,
    presented: PresentedToken,
    settings: Arc<Settings>,
    /// `None` without timers.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S, B> PendingRequest<S, B> {
    pub(super) fn new(
        inner: S,
        request: Request<B>,
        presented: PresentedToken,
        settings: Arc<Settings>,
    ) -> Self {
        let timed = settings.clock.has_timers();
        let deadline = timed.then(|| Box::pin(settings.clock.sleep(settings.timeout)));
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
    pub(super) fn validating(verdict: V::Future, pending: PendingRequest<S, B>) -> Self {
        Self { state: State::Validating { verdict, pending: Some(Box::new(pending)) } }
    }

    pub(super) fn calling(inner: S::Future, cache_control: CacheControl) -> Self {
        Self { state: State::calling(inner, cache_control) }
    }

    pub(super) fn refused(response: S::Response) -> Self {
        Self { state: State::refused(response) }
    }
}

impl<S, V, B> State<S, V, B>
where
    S: Service<Request<B>>,
    V: ValidateToken,
{
    fn calling(inner: S::Future, cache_control: CacheControl) -> Self {
        Self::Answering { response: AnsweredFuture::calling(inner), cache_control }
    }

    fn refused(response: S::Response) -> Self {
        let response = AnsweredFuture::answered(response);
        Self::Answering { response, cache_control: CacheControl::Unchanged }
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
                StateProjection::Validating { verdict, pending } => {
                    let Some(waiting) = pending.as_mut() else { return Poll::Pending };
                    let verdict = match verdict.poll(cx) {
                        Poll::Ready(verdict) => verdict,
                        Poll::Pending if waiting.is_too_late(cx) => {
                            Err(Rejection::unavailable(None))
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    // Taken once: the state is replaced below.
                    let Some(pending) = pending.take() else { return Poll::Pending };
                    let PendingRequest { mut inner, mut request, presented, settings, .. } =
                        *pending;
                    match decide::by_verdict(&settings, &mut request, presented, verdict) {
                        Ok(cache_control) => State::calling(inner.call(request), cache_control),
                        Err(refusal) => {
                            let head = RequestHead::from_request(&request);
                            State::refused(refusal.into_response(&settings, head))
                        }
                    }
                }
                StateProjection::Answering { response, cache_control } => {
                    // Changed in place: taken out of the answer, the response would be moved twice.
                    let mut answer = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut answer {
                        cache_control.apply(response.headers_mut());
                    }
                    return answer;
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
