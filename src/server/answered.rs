use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// The response of the inner service, or one that the layer had at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct AnsweredFuture<F, R> {
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
        Answered {
            response: Option<R>,
        },
    }
}

impl<F, R> AnsweredFuture<F, R> {
    pub(super) fn calling(inner: F) -> Self {
        Self { state: State::Calling { inner } }
    }

    pub(super) fn answered(response: R) -> Self {
        Self { state: State::Answered { response: Some(response) } }
    }
}

impl<F: Future<Output = Result<R, E>>, R, E> Future for AnsweredFuture<F, R> {
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { inner } => inner.poll(cx),
            StateProjection::Answered { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // A future that is polled after its end may stay pending.
                None => Poll::Pending,
            },
        }
    }
}

opaque_debug!(AnsweredFuture < F, R > { .. });
