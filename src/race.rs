//! Two futures, of which the first to end counts.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

/// What `future` brings, or nothing where `deadline` ends first.
pub(crate) async fn before<F: Future>(
    future: F,
    deadline: impl Future<Output = ()>,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut deadline = pin!(deadline);
    poll_fn(|cx| match Pin::as_mut(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Pin::as_mut(&mut deadline).poll(cx).map(|()| None),
    })
    .await
}
