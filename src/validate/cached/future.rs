use super::verdicts::{Filing, aborted};
use crate::{
    validate::{BoxVerdictFuture, ValidateToken, Verdict},
    vocabulary::flight::Joined,
};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project_lite::pin_project! {
    /// The future of a [`Cached`](super::Cached) validator.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the validation goes on without this future, and its verdict is cached. Without a
    /// tokio runtime, and beyond the bound on shared validations, it ends with the future.
    #[must_use = "futures do nothing unless polled"]
    pub struct CachedFuture<V: ValidateToken> {
        #[pin]
        state: State<V>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<V: ValidateToken> {
        Joined {
            // Boxed: the future of a channel has no name.
            verdict: BoxVerdictFuture<V::Claims>,
        },
        Alone {
            #[pin]
            future: V::Future,
            filing: Option<Filing<V::Claims>>,
        },
    }
}

impl<V: ValidateToken> CachedFuture<V> {
    pub(super) fn waiting(joined: Joined<Verdict<V::Claims>>) -> Self {
        let verdict = async { joined.wait().await.unwrap_or_else(|| Err(aborted())) };
        Self { state: State::Joined { verdict: Box::pin(verdict) } }
    }

    pub(super) fn alone(future: V::Future, filing: Filing<V::Claims>) -> Self {
        Self { state: State::Alone { future, filing: Some(filing) } }
    }
}

impl<V: ValidateToken> Future for CachedFuture<V> {
    type Output = Verdict<V::Claims>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Joined { verdict } => verdict.as_mut().poll(cx),
            StateProjection::Alone { future, filing } => {
                let verdict = ready!(future.poll(cx));
                if let Some(filing) = filing.take() {
                    filing.keep(&verdict);
                }
                Poll::Ready(verdict)
            }
        }
    }
}

opaque_debug!(CachedFuture<V: ValidateToken> { .. });
