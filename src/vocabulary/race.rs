//! A future with a deadline.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Returns the output of `future`, or `None` when `deadline` completes first.
pub(crate) fn before<F, D>(future: F, deadline: D) -> Before<F, D> {
    Before { future, deadline }
}

pin_project_lite::pin_project! {
    /// As large as both futures. An `async` function would hold each twice, and every waiter for a
    /// token polls one of these.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Before<F, D> {
        #[pin]
        future: F,
        #[pin]
        deadline: D,
    }
}

impl<F: Future, D: Future<Output = ()>> Future for Before<F, D> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => this.deadline.poll(cx).map(|()| None),
        }
    }
}
