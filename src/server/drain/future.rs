use super::Bounds;
use crate::{Clock, Sleep, validate::Rejection, vocabulary::clock::after};
use bytes::Buf;
use http::Response;
use http_body::Body;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::sync::oneshot::Receiver;

pin_project_lite::pin_project! {
    /// The response of the inner service. A refusal waits until the request's body is read.
    #[must_use = "futures do nothing unless polled"]
    pub struct DrainRefusedFuture<F, B, R> {
        #[pin]
        state: State<F, B, R>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, B, R> {
        Calling {
            #[pin]
            inner: F,
            unread: Option<Unread<B>>,
        },
        // Boxed: only refusals get here, and the future stays small.
        Draining {
            draining: Box<Draining<B, R>>,
        },
    }
}

/// A body that may come back unread, and how much of it to read.
pub(super) struct Unread<B> {
    pub(super) handed_back: Receiver<B>,
    pub(super) bounds: Bounds,
}

/// A refusal that waits for the end of its request.
struct Draining<B, R> {
    refusal: Option<Response<R>>,
    handed_back: Receiver<B>,
    body: Option<B>,
    left: usize,
    clock: Clock,
    ends_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<F, B, R> DrainRefusedFuture<F, B, R> {
    pub(super) fn new(inner: F, unread: Option<Unread<B>>) -> Self {
        Self { state: State::Calling { inner, unread } }
    }
}

impl<F, B, R, E> Future for DrainRefusedFuture<F, B, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    B: Body + Unpin,
{
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let draining = match self.as_mut().project().state.project() {
                StateProjection::Calling { inner, unread } => {
                    let response = ready!(inner.poll(cx))?;
                    let is_refusal = response.extensions().get::<Rejection>().is_some();
                    match unread.take().filter(|_| is_refusal) {
                        Some(unread) => Box::new(Draining::new(response, unread)),
                        None => return Poll::Ready(Ok(response)),
                    }
                }
                StateProjection::Draining { draining } => return draining.poll(cx).map(Ok),
            };
            self.as_mut().project().state.set(State::Draining { draining });
        }
    }
}

impl<B, R> Draining<B, R> {
    fn new(refusal: Response<R>, Unread { handed_back, bounds }: Unread<B>) -> Self {
        let Bounds { limit: left, timeout, clock } = bounds;
        let ends_at = after(clock.monotonic(), timeout);
        let timer = Box::pin(clock.sleep_until(ends_at));
        let (refusal, body) = (Some(refusal), None);
        Self { refusal, handed_back, body, left, clock, ends_at, timer }
    }
}

impl<B: Body + Unpin, R> Draining<B, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<R>> {
        if self.poll_rest(cx).is_pending() && self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // A future that is polled after its end may stay pending.
        self.refusal.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Reads until the end, an error, or a bound. A body that is always ready never gets to the timer.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(body) = &mut self.body else {
                match ready!(Pin::new(&mut self.handed_back).poll(cx)) {
                    Ok(body) => self.body = Some(body),
                    Err(_) => return Poll::Ready(()),
                }
                continue;
            };
            if body.is_end_stream() {
                return Poll::Ready(());
            }
            let Some(Ok(frame)) = ready!(Pin::new(body).poll_frame(cx)) else {
                return Poll::Ready(());
            };
            // An empty frame counts too, so that no body is without end.
            let length = frame.data_ref().map_or(1, |data| data.remaining().max(1));
            let Some(left) = self.left.checked_sub(length) else { return Poll::Ready(()) };
            self.left = left;
            if self.clock.monotonic() >= self.ends_at {
                return Poll::Ready(());
            }
        }
    }
}

opaque_debug!(DrainRefusedFuture < F, B, R > { .. });
