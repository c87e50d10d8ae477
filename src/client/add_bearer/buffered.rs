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

/// Buffers a body while it is sent, up to a limit, and sends it again. It takes any body, and the
/// inner service gets a [`ReplayBody`], or the same type as before: see [`with_body`](Self::with_body).
#[derive(Clone, Copy, Debug)]
pub struct Buffered {
    limit: usize,
}

impl Buffered {
    /// Buffers at most `limit` bytes of a body. A longer one is sent once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Turns what the inner service gets back into a body of the type that the caller has, by `wrap`.
    ///
    /// ```
    /// use tower_oauth2::{AccessToken, client::{AddBearer, Buffered}};
    ///
    /// let token = AccessToken::new("mF_9.B5f-4.1JqM")?;
    /// let layer = AddBearer::from_source(token, "https://api.example")?
    ///     .with_replay(Buffered::default().with_body(tonic::body::Body::new));
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_body<B>(self, wrap: fn(ReplayBody<B>) -> B) -> BufferedAs<B> {
        BufferedAs { buffered: self, wrap }
    }
}

/// Buffers 64 KiB.
impl Default for Buffered {
    fn default() -> Self {
        Self::new(64 * 1024)
    }
}

impl<B: Body + Send + Unpin + 'static> ReplayPolicy<B> for Buffered {
    type Body = ReplayBody<B>;
    type Copy = ReplayBody<B>;

    fn can_repeat(&self, body: &B) -> bool {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        body.size_hint().upper().is_some_and(|upper| upper <= limit)
    }

    fn once(&self, body: B) -> ReplayBody<B> {
        self.split(body).0
    }

    fn split(&self, body: B) -> (ReplayBody<B>, Option<ReplayBody<B>>) {
        let buffer = Buffer {
            source: body,
            chunks: VecDeque::new(),
            bytes: 0,
            trailers: None,
            ended: false,
            incomplete: false,
        };
        let shared = Shared { buffer: Some(buffer), limit: self.limit, reading: None };
        let shared = Arc::new(Mutex::new(shared));
        let first = ReplayBody { reader: Reader::First(shared.clone()) };
        (first, Some(ReplayBody { reader: Reader::Waiting(shared) }))
    }

    fn is_whole(&self, copy: &ReplayBody<B>) -> bool {
        copy.with_buffer(|buffer| buffer.is_some_and(|buffer| !buffer.incomplete))
    }

    fn again(&self, copy: ReplayBody<B>) -> Option<ReplayBody<B>> {
        self.is_whole(&copy).then_some(copy)
    }
}

/// A [`Buffered`] whose bodies have the same type for the caller and for the inner service. Made by
/// [`Buffered::with_body`].
#[derive(Debug)]
pub struct BufferedAs<B> {
    buffered: Buffered,
    wrap: fn(ReplayBody<B>) -> B,
}

impl<B: Body + Send + Unpin + 'static> ReplayPolicy<B> for BufferedAs<B> {
    type Body = B;
    type Copy = ReplayBody<B>;

    fn can_repeat(&self, body: &B) -> bool {
        self.buffered.can_repeat(body)
    }

    /// Wraps nothing: the body is not sent again.
    fn once(&self, body: B) -> B {
        body
    }

    fn split(&self, body: B) -> (B, Option<ReplayBody<B>>) {
        let (first, copy) = self.buffered.split(body);
        ((self.wrap)(first), copy)
    }

    fn is_whole(&self, copy: &ReplayBody<B>) -> bool {
        self.buffered.is_whole(copy)
    }

    fn again(&self, copy: ReplayBody<B>) -> Option<B> {
        self.buffered.again(copy).map(self.wrap)
    }
}

impl<B> Clone for BufferedAs<B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

/// A body that can be read twice: the second reader gets what the first has read, then the rest.
///
/// A server may reject a call in the middle of its body. The second reader takes the rest when it
/// is first polled; a first one that is still being sent fails then.
pub struct ReplayBody<B> {
    reader: Reader<B>,
}

enum Reader<B> {
    /// The first, which buffers what it reads for the second.
    First(Arc<Mutex<Shared<B>>>),
    /// The second before it is polled.
    Waiting(Arc<Mutex<Shared<B>>>),
    /// The second, which owns the buffer.
    Second(Buffer<B>),
}

struct Shared<B> {
    /// `None` once the second reader has taken it.
    buffer: Option<Buffer<B>>,
    limit: usize,
    /// The task of the first reader while it waits for more.
    reading: Option<Waker>,
}

/// What was read of a body, and the rest of it.
struct Buffer<B> {
    source: B,
    chunks: VecDeque<Bytes>,
    /// The length of `chunks`.
    bytes: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Something was read and not buffered, so that the body cannot be read again.
    incomplete: bool,
}

impl<B> ReplayBody<B> {
    fn with_buffer<T>(&self, look: impl FnOnce(Option<&Buffer<B>>) -> T) -> T {
        match &self.reader {
            Reader::First(shared) | Reader::Waiting(shared) => look(lock(shared).buffer.as_ref()),
            Reader::Second(buffer) => look(Some(buffer)),
        }
    }
}

fn lock<B>(shared: &Mutex<Shared<B>>) -> MutexGuard<'_, Shared<B>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match &mut self.reader {
                Reader::First(shared) => {
                    // Once the second reader is dropped, the body is not sent again.
                    let repeats = Arc::strong_count(shared) > 1;
                    return lock(shared).poll_frame(cx, repeats);
                }
                Reader::Waiting(shared) => {
                    let buffer = take(shared)?;
                    self.reader = Reader::Second(buffer);
                }
                Reader::Second(buffer) => return buffer.poll_frame(cx),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let first = matches!(self.reader, Reader::First(_));
        self.with_buffer(|buffer| {
            buffer.is_some_and(|buffer| {
                let again = !first && (!buffer.chunks.is_empty() || buffer.trailers.is_some());
                !again && (buffer.ended || buffer.source.is_end_stream())
            })
        })
    }

    fn size_hint(&self) -> SizeHint {
        let first = matches!(self.reader, Reader::First(_));
        self.with_buffer(|buffer| {
            let Some(buffer) = buffer else { return SizeHint::default() };
            let source = match buffer.ended {
                true => SizeHint::with_exact(0),
                false => buffer.source.size_hint(),
            };
            let again = if first { 0 } else { buffer.bytes as u64 };
            let mut hint = SizeHint::new();
            if let Some(upper) = source.upper() {
                hint.set_upper(upper.saturating_add(again));
            }
            hint.set_lower(source.lower().saturating_add(again));
            hint
        })
    }
}

/// Takes the buffer from the first reader, and wakes its task.
fn take<B>(shared: &Mutex<Shared<B>>) -> Result<Buffer<B>, BoxError> {
    let mut shared = lock(shared);
    let limit = shared.limit;
    let buffer = shared.buffer.take_if(|buffer| !buffer.incomplete);
    let reading = buffer.as_ref().and_then(|_| shared.reading.take());
    drop(shared);
    if let Some(reading) = reading {
        reading.wake();
    }
    buffer.ok_or_else(|| format!("the body is longer than the buffer of {limit} bytes").into())
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Shared<B> {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        repeats: bool,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(buffer) = &mut self.buffer else {
            return Poll::Ready(Some(Err(
                "the call was rejected and its body is sent again".into()
            )));
        };
        let Poll::Ready(read) = buffer.poll_source(cx) else {
            self.reading = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if !repeats {
            buffer.discard();
        }
        match &read {
            None => buffer.ended = true,
            Some(Err(_)) => buffer.discard(),
            Some(Ok(frame)) => buffer.push(frame, self.limit),
        }
        Poll::Ready(read)
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Buffer<B> {
    /// Reads what was buffered, then the rest.
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

impl<B> Buffer<B> {
    /// Buffers `frame` if it fits; otherwise discards everything.
    fn push(&mut self, frame: &Frame<Bytes>, limit: usize) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.ended = true;
        }
        // An empty chunk is dropped: the limit does not count it.
        let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) else { return };
        self.bytes = self.bytes.saturating_add(data.len());
        if self.incomplete || self.bytes > limit {
            return self.discard();
        }
        self.chunks.push_back(data.clone());
    }

    fn discard(&mut self) {
        self.incomplete = true;
        self.chunks = VecDeque::new();
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffered = self.with_buffer(|buffer| buffer.map(|buffer| buffer.bytes));
        f.debug_struct("ReplayBody").field("buffered", &buffered).finish_non_exhaustive()
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
