use super::{ReplayPolicy, inner_service::BoxError};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
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
        let kept = Kept {
            source: body,
            chunks: VecDeque::new(),
            bytes: 0,
            trailers: None,
            ended: false,
            lost: false,
        };
        let shared = Shared { kept: Some(kept), limit: self.limit, reading: None };
        let shared = Arc::new(Mutex::new(shared));
        let first = ReplayBody { reader: Reader::First(shared.clone()) };
        (first, Some(ReplayBody { reader: Reader::Waiting(shared) }))
    }

    fn is_whole(&self, copy: &ReplayBody<B>) -> bool {
        copy.with_kept(|kept| kept.is_some_and(|kept| !kept.lost))
    }

    fn again(&self, copy: ReplayBody<B>) -> Option<ReplayBody<B>> {
        self.is_whole(&copy).then_some(copy)
    }
}

/// A body that can be read twice: what was read of it the first time is kept, the rest is still
/// to come.
///
/// One reader at a time has the rest. The second takes it when it is first polled, and a first
/// that is still being sent fails then: a server may reject a call in the middle of its body.
pub struct ReplayBody<B> {
    reader: Reader<B>,
}

enum Reader<B> {
    /// The first, which keeps what it reads for the second.
    First(Arc<Mutex<Shared<B>>>),
    /// The second before it is polled.
    Waiting(Arc<Mutex<Shared<B>>>),
    /// The second, which has everything to itself.
    Second(Kept<B>),
}

struct Shared<B> {
    /// Nothing once the second reader took it.
    kept: Option<Kept<B>>,
    limit: usize,
    /// The task of the first reader, while it waits for more.
    reading: Option<Waker>,
}

/// What was read of a body, and the rest of it.
struct Kept<B> {
    source: B,
    chunks: VecDeque<Bytes>,
    /// How many there were in `chunks`.
    bytes: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Whether something was not kept, so that it cannot be read again.
    lost: bool,
}

impl<B> ReplayBody<B> {
    fn with_kept<T>(&self, look: impl FnOnce(Option<&Kept<B>>) -> T) -> T {
        match &self.reader {
            Reader::First(shared) | Reader::Waiting(shared) => look(lock(shared).kept.as_ref()),
            Reader::Second(kept) => look(Some(kept)),
        }
    }
}

fn lock<B>(shared: &Mutex<Shared<B>>) -> MutexGuard<'_, Shared<B>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match &mut self.reader {
                Reader::First(shared) => {
                    // Nobody will read it again once the second is dropped.
                    let repeats = Arc::strong_count(shared) > 1;
                    return lock(shared).poll_frame(cx, repeats);
                }
                Reader::Waiting(shared) => {
                    let kept = take(shared)?;
                    self.reader = Reader::Second(kept);
                }
                Reader::Second(kept) => return kept.poll_frame(cx),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let first = matches!(self.reader, Reader::First(_));
        self.with_kept(|kept| {
            kept.is_some_and(|kept| {
                let again = !first && (!kept.chunks.is_empty() || kept.trailers.is_some());
                !again && (kept.ended || kept.source.is_end_stream())
            })
        })
    }

    fn size_hint(&self) -> SizeHint {
        let first = matches!(self.reader, Reader::First(_));
        self.with_kept(|kept| {
            let Some(kept) = kept else { return SizeHint::default() };
            let source = match kept.ended {
                true => SizeHint::with_exact(0),
                false => kept.source.size_hint(),
            };
            let again = if first { 0 } else { kept.bytes as u64 };
            let mut hint = SizeHint::new();
            if let Some(upper) = source.upper() {
                hint.set_upper(upper.saturating_add(again));
            }
            hint.set_lower(source.lower().saturating_add(again));
            hint
        })
    }
}

/// Takes all of it from the first reader, which learns of it.
fn take<B>(shared: &Mutex<Shared<B>>) -> Result<Kept<B>, BoxError> {
    let mut shared = lock(shared);
    let kept = shared.kept.take_if(|kept| !kept.lost);
    let reading = kept.as_ref().and_then(|_| shared.reading.take());
    drop(shared);
    if let Some(reading) = reading {
        reading.wake();
    }
    kept.ok_or_else(|| "the body became longer than what is kept of it".into())
}

impl<B> Shared<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        repeats: bool,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(kept) = &mut self.kept else {
            return Poll::Ready(Some(Err(
                "the call was rejected and its body is sent again".into()
            )));
        };
        let Poll::Ready(read) = kept.poll_source(cx) else {
            self.reading = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if !repeats {
            kept.lose();
        }
        match &read {
            None => kept.ended = true,
            Some(Err(_)) => kept.lose(),
            Some(Ok(frame)) => kept.keep(frame, self.limit),
        }
        Poll::Ready(read)
    }
}

impl<B> Kept<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// What was kept, then the rest.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes = self.bytes.saturating_sub(chunk.len());
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.ended {
            let trailers = self.trailers.take();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        self.poll_source(cx)
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let read = ready!(Pin::new(&mut self.source).poll_frame(cx));
        let whole =
            |frame: Frame<B::Data>| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        Poll::Ready(read.map(|frame| frame.map(whole).map_err(Into::into)))
    }
}

impl<B> Kept<B> {
    /// Keeps `frame` where it fits; where it does not, nothing is kept any more.
    fn keep(&mut self, frame: &Frame<Bytes>, limit: usize) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.ended = true;
        }
        // An empty chunk says nothing, and no bound counts it.
        let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) else { return };
        self.bytes = self.bytes.saturating_add(data.len());
        if self.lost || self.bytes > limit {
            return self.lose();
        }
        self.chunks.push_back(data.clone());
    }

    fn lose(&mut self) {
        self.lost = true;
        self.chunks = VecDeque::new();
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.with_kept(|kept| kept.map(|kept| kept.bytes));
        f.debug_struct("ReplayBody").field("kept", &kept).finish_non_exhaustive()
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
