use super::ReplayPolicy;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

/// Keeps what is sent of a body, up to a bound, and sends it again: for any body at all. The
/// inner service gets a [`ReplayBody`].
#[derive(Clone, Copy, Debug)]
pub struct Buffered {
    limit: usize,
}

impl Buffered {
    /// Keeps at most `limit` bytes of a body; a longer one is sent once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }
}

/// Keeps 64 KiB.
impl Default for Buffered {
    fn default() -> Self {
        Self::new(64 * 1024)
    }
}

impl<B> ReplayPolicy<B> for Buffered
where
    B: Body + Send + Unpin + 'static,
{
    type Body = ReplayBody<B>;
    type Copy = ReplayBody<B>;

    fn once(&self, body: B) -> ReplayBody<B> {
        self.split(body).0
    }

    fn split(&self, body: B) -> (ReplayBody<B>, Option<ReplayBody<B>>) {
        let state = State { source: body, kept: Kept::default(), limit: self.limit, lost: false };
        let state = Arc::new(Mutex::new(state));
        let first = ReplayBody { state: state.clone(), position: 0, trailers_sent: false };
        let second = ReplayBody { state, position: 0, trailers_sent: false };
        (first, Some(second))
    }

    fn again(&self, copy: ReplayBody<B>) -> Option<ReplayBody<B>> {
        let lost = copy.lock().lost;
        (!lost).then_some(copy)
    }
}

/// A body that can be read twice: what was read of it the first time is kept, the rest is still
/// to come.
pub struct ReplayBody<B> {
    state: Arc<Mutex<State<B>>>,
    /// How many of the kept chunks this reader has had.
    position: usize,
    trailers_sent: bool,
}

struct State<B> {
    source: B,
    kept: Kept,
    limit: usize,
    /// Whether something was not kept, so that it cannot be read again.
    lost: bool,
}

#[derive(Default)]
struct Kept {
    chunks: Vec<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl<B> ReplayBody<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body + Unpin> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let mut state = this.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = state.kept.chunks.get(this.position) {
            this.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        if state.kept.ended {
            if this.trailers_sent {
                return Poll::Ready(None);
            }
            this.trailers_sent = true;
            let trailers = state.kept.trailers.clone();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = match ready!(Pin::new(&mut state.source).poll_frame(cx)) {
            Some(Ok(frame)) => frame.map_data(|mut data| data.copy_to_bytes(data.remaining())),
            Some(Err(error)) => {
                state.lost = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                state.kept.ended = true;
                this.trailers_sent = true;
                return Poll::Ready(None);
            }
        };
        if let Some(data) = frame.data_ref() {
            if state.keep(data) {
                this.position += 1;
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            state.kept.trailers = Some(trailers.clone());
            state.kept.ended = true;
            this.trailers_sent = true;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.lock();
        let rest = state.kept.chunks.len() > self.position;
        let trailers = state.kept.trailers.is_some() && !self.trailers_sent;
        !rest && !trailers && (state.kept.ended || state.source.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.lock();
        let rest = state.kept.chunks.iter().skip(self.position).map(Bytes::len);
        let rest = rest.fold(0_u64, |sum, length| sum.saturating_add(length as u64));
        let mut hint = SizeHint::new();
        if state.kept.ended {
            hint.set_exact(rest);
            return hint;
        }
        let source = state.source.size_hint();
        if let Some(upper) = source.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(source.lower().saturating_add(rest));
        hint
    }
}

impl<B> State<B> {
    /// Keeps `data` where it fits; where it does not, nothing is kept any more.
    fn keep(&mut self, data: &Bytes) -> bool {
        self.kept.bytes = self.kept.bytes.saturating_add(data.len());
        self.lost |= self.kept.bytes > self.limit;
        if self.lost {
            self.kept.chunks = Vec::new();
            return false;
        }
        self.kept.chunks.push(data.clone());
        true
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").field("kept", &self.lock().kept.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn what_was_read_is_read_again_and_the_rest_follows() {
        let (mut first, second) = Buffered::new(16).split(Full::new(Bytes::from("hello")));
        assert_eq!(first.size_hint().exact(), Some(5));
        let frame = first.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        let again = Buffered::new(16).again(second.unwrap()).unwrap();
        assert_eq!(again.size_hint().exact(), Some(5));
        assert_eq!(again.collect().await.unwrap().to_bytes(), "hello");
    }

    #[tokio::test]
    async fn a_body_that_was_not_read_is_sent_whole_and_a_long_one_once() {
        let (_, second) = Buffered::new(16).split(Full::new(Bytes::from("unread")));
        let again = Buffered::new(16).again(second.unwrap()).unwrap();
        assert_eq!(again.collect().await.unwrap().to_bytes(), "unread");
        let (first, second) = Buffered::new(4).split(Full::new(Bytes::from("too long")));
        assert_eq!(first.collect().await.unwrap().to_bytes(), "too long");
        assert!(Buffered::new(4).again(second.unwrap()).is_none());
    }
}
