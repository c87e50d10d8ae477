use super::{
    inner_service::{BoxError, BoxedCall},
    recover::Recover,
    refusal::note_what_is_insufficient,
};
use crate::client::Error;
use http::Response;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project_lite::pin_project! {
    /// The response of the inner service, or the reason why it was not called.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, R> {
        /// The inner service was called at once.
        Warm {
            #[pin]
            inner: F,
            recover: Option<Box<dyn Recover<R>>>,
        },
        Later {
            later: Later<R>,
        },
    }
}

/// A type of its own with a boxed error, so that the future is no larger than without it: the
/// discriminants fit into niches of the pointers.
enum Later<R> {
    Waiting(BoxedCall<R>),
    Failed(Option<Box<Error>>),
}

impl<F, R> ResponseFuture<F, R> {
    pub(super) fn warm(inner: F, recover: Option<Box<dyn Recover<R>>>) -> Self {
        Self { state: State::Warm { inner, recover } }
    }

    pub(super) fn cold(waiting: BoxedCall<R>) -> Self {
        Self { state: State::Later { later: Later::Waiting(waiting) } }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self { state: State::Later { later: Later::Failed(Some(Box::new(error))) } }
    }
}

impl<F, R, E> Future for ResponseFuture<F, Response<R>>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let StateProjection::Warm { inner, recover } = state.as_mut().project() else {
            return state.poll_cold(cx);
        };
        match inner.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(mut response)) => {
                if let Some(recover) = recover.take() {
                    return state.answered(recover, response, cx);
                }
                note_what_is_insufficient(&mut response);
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl<F, R> State<F, Response<R>> {
    /// Returns the response of a call that can be repeated, or starts the repetition.
    #[inline]
    fn answered(
        mut self: Pin<&mut Self>,
        recover: Box<dyn Recover<Response<R>>>,
        response: Response<R>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<R>, BoxError>> {
        match recover.answered(response) {
            Ok(mut response) => {
                note_what_is_insufficient(&mut response);
                Poll::Ready(Ok(response))
            }
            Err(waiting) => {
                self.set(Self::Later { later: Later::Waiting(waiting) });
                self.poll_cold(cx)
            }
        }
    }

    #[cold]
    fn poll_cold(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<R>, BoxError>> {
        let StateProjection::Later { later } = self.project() else { return Poll::Pending };
        match later {
            Later::Waiting(waiting) => {
                let mut response = ready!(waiting.as_mut().poll(cx))?;
                note_what_is_insufficient(&mut response);
                Poll::Ready(Ok(response))
            }
            Later::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // Polled after completion.
                None => Poll::Pending,
            },
        }
    }
}

opaque_debug!(ResponseFuture < F, R > { .. });
