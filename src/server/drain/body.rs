use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The request body below a [`DrainRefused`](crate::server::DrainRefused), with the frames of `B`.
///
/// If it is dropped before its end, the layer reads the rest of a refused request.
pub struct DrainRefusedBody<B> {
    /// `None` after the end.
    body: Option<B>,
    hand_back: Option<Sender<B>>,
}

impl<B> DrainRefusedBody<B> {
    /// Wraps a body of which the layer reads nothing.
    pub(super) fn passed(body: B) -> Self {
        Self { body: Some(body), hand_back: None }
    }

    /// Wraps a body, which the receiver gets if the wrapper is dropped before its end.
    pub(super) fn handed_back(body: B) -> (Self, Receiver<B>) {
        let (sender, receiver) = channel();
        (Self { body: Some(body), hand_back: Some(sender) }, receiver)
    }
}

impl<B> Drop for DrainRefusedBody<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(hand_back)) = (self.body.take(), self.hand_back.take()) {
            // Without a receiver the request was admitted, and its body ends here.
            let _ = hand_back.send(body);
        }
    }
}

impl<B: Body + Unpin> Body for DrainRefusedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            (this.body, this.hand_back) = (None, None);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

opaque_debug!(DrainRefusedBody<B> { .. });
