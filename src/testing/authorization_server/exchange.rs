//! Reads a request, has the server react, and holds the answer back.

use super::{AuthorizationServer, answer, endpoints::Reaction, state::Outcome};
use crate::Sleep;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::Full;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// Resolves to the answer, or to `None` if the connection is to be closed.
    pub(super) struct Exchange<B> {
        #[pin]
        stage: Stage<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProjection]
    enum Stage<B> {
        Reading {
            server: AuthorizationServer,
            head: Option<Parts>,
            #[pin]
            body: B,
            read: BytesMut,
        },
        Waiting {
            #[pin]
            sleep: Option<Sleep>,
            outcome: Outcome,
        },
    }
}

impl<B> Exchange<B> {
    pub(super) fn new(server: AuthorizationServer, request: Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self { stage: Stage::Reading { server, head: Some(head), body, read: BytesMut::new() } }
    }
}

impl<B: Body> Future for Exchange<B> {
    type Output = Option<Response<Full<Bytes>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                StageProjection::Reading { server, head, body, read } => {
                    let read = ready!(poll_read(body, read, cx));
                    let Reaction { latency, outcome } = match (head.take(), read) {
                        (Some(head), Ok(body)) => server.react(&Request::from_parts(head, body)),
                        (_, read) => answer::bare(read.err().unwrap_or_default()).into(),
                    };
                    let sleep =
                        (latency > Duration::ZERO).then(|| server.lock().clock.sleep(latency));
                    Stage::Waiting { sleep, outcome }
                }
                StageProjection::Waiting { sleep, outcome } => {
                    if let Some(sleep) = sleep.as_pin_mut() {
                        ready!(sleep.poll(cx));
                    }
                    return match std::mem::replace(outcome, Outcome::Hang) {
                        Outcome::Answer(response) => Poll::Ready(Some(response.map(Full::new))),
                        Outcome::Drop => Poll::Ready(None),
                        Outcome::Hang => Poll::Pending,
                    };
                }
            };
            stage.set(next);
        }
    }
}

/// Returns the whole body, or the status of the refusal.
fn poll_read<B: Body>(
    mut body: Pin<&mut B>,
    read: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<Bytes, StatusCode>> {
    while let Some(frame) = ready!(body.as_mut().poll_frame(cx)) {
        let Ok(frame) = frame else { return Poll::Ready(Err(StatusCode::BAD_REQUEST)) };
        let Ok(data) = frame.into_data() else { continue };
        if data.remaining() > MAX_BODY.saturating_sub(read.len()) {
            return Poll::Ready(Err(StatusCode::PAYLOAD_TOO_LARGE));
        }
        read.put(data);
    }
    Poll::Ready(Ok(read.split().freeze()))
}

pin_project_lite::pin_project! {
    /// The future of an [`AuthorizationServer`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<B> {
        #[pin]
        exchange: Exchange<B>,
    }
}

impl<B> ResponseFuture<B> {
    pub(super) fn new(exchange: Exchange<B>) -> Self {
        Self { exchange }
    }
}

impl<B: Body> Future for ResponseFuture<B> {
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(self.project().exchange.poll(cx)) {
            Some(response) => Poll::Ready(Ok(response)),
            None => Poll::Pending,
        }
    }
}

opaque_debug!(ResponseFuture<B> { .. });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::RegisteredClient;
    use http::header::CONTENT_TYPE;
    use http_body::Frame;
    use std::{collections::VecDeque, task::Waker};

    /// A body of these frames. It fails at `None`.
    struct Frames(VecDeque<Option<&'static [u8]>>);

    impl Body for Frames {
        type Data = &'static [u8];
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<&'static [u8]>, &'static str>>> {
            let frame = self.0.pop_front();
            Poll::Ready(frame.map(|data| data.map(Frame::data).ok_or("the body failed")))
        }
    }

    fn status(frames: &[Option<&'static [u8]>]) -> u16 {
        let server = AuthorizationServer::new();
        server.register_client(RegisteredClient::confidential("app", "s"));
        let request = Request::post("/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Frames(frames.iter().copied().collect()))
            .unwrap();
        let exchange = std::pin::pin!(Exchange::new(server, request));
        match exchange.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(response)) => response.status().as_u16(),
            _ => panic!("no answer"),
        }
    }

    #[test]
    fn a_body_is_read_whole_up_to_the_limit() {
        static LONG: [u8; MAX_BODY] = [b'&'; MAX_BODY];
        let (one, two) =
            (Some(&b"grant_type=client_"[..]), &b"credentials&client_id=app&client_secret=s"[..]);
        assert_eq!(status(&[one, Some(two)]), 200);
        assert_eq!(status(&[one, None, Some(two)]), 400);
        assert_eq!(status(&[Some(&LONG)]), 401);
        assert_eq!(status(&[Some(&LONG), Some(b"")]), 401);
        assert_eq!(status(&[Some(b"a"), Some(&LONG)]), 413);
    }
}
