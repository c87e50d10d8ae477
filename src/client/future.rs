use super::Error;
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

type BoxError = Box<dyn StdError + Send + Sync>;
pub(super) type Cold<R> = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

pin_project_lite::pin_project! {
    /// The answer of the inner service, or the reason why it was not called.
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
        },
        /// Something has to be waited for first.
        Cold {
            waiting: Cold<R>,
        },
        Failed {
            error: Option<Error>,
        },
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(super) fn warm(inner: F) -> Self {
        Self { state: State::Warm { inner } }
    }

    pub(super) fn cold(waiting: Cold<R>) -> Self {
        Self { state: State::Cold { waiting } }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self { state: State::Failed { error: Some(error) } }
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Warm { inner } => {
                Poll::Ready(ready!(inner.poll(cx)).map_err(Into::into))
            }
            StateProjection::Cold { waiting } => waiting.as_mut().poll(cx),
            StateProjection::Failed { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                // Polled after its end, which a future may answer with never ending.
                None => Poll::Pending,
            },
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
