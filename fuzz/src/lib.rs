//! What the targets share: a peer made of texts, futures without a runtime, and naive readers that
//! share no code with the crate.

pub mod claims;
pub mod json;
pub mod tokens;

pub use json::Json;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};
use tower::service_fn;
use tower_oauth2::{Transport, testing::ManualClock};

/// The instant of every target, in seconds since 1970.
pub const NOW: u32 = 2_000_000_000;
pub const SECRET: &str = "hunter2-hunter2";

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
});

/// The runtime of all inputs.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    &RUNTIME
}

/// A clock that shows [`NOW`].
pub fn clock() -> ManualClock {
    ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.into()))
}

/// The output of a future that has nothing to wait for.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is there is waited for"),
    }
}

/// The first line, and the rest.
pub fn lines(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// The parts of `input` between lines of three dashes.
pub fn parts(input: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut rest) = (Vec::new(), input);
    while let Some(end) = rest.windows(5).position(|window| window == b"\n---\n") {
        parts.push(&rest[..end]);
        rest = &rest[end + 5..];
    }
    parts.push(rest);
    parts
}

/// Reads an answer: a line for the status, a line for each header, an empty line, the body.
pub fn answer(input: &[u8]) -> Option<Response<Bytes>> {
    let (status, mut rest) = lines(input);
    let mut response = Response::builder().status(status).body(Bytes::new()).ok()?;
    loop {
        let (line, after) = lines(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        response.headers_mut().append(name, value);
    }
    *response.body_mut() = Bytes::copy_from_slice(rest);
    Some(response)
}

/// Reads `name: value`.
pub fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].trim_ascii();
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// The answers of a peer, in order, then failures; and what it was asked.
#[derive(Clone)]
pub struct Peer {
    answers: Arc<Mutex<VecDeque<Response<Bytes>>>>,
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Peer {
    pub fn answering(answers: impl IntoIterator<Item = Response<Bytes>>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { answers, asked: Arc::default() }
    }

    pub fn transport(&self) -> Transport {
        let peer = self.clone();
        Transport::new(service_fn(move |request: Request<Full<Bytes>>| {
            let request = request.map(|body| now(body.collect()).expect("a body").to_bytes());
            peer.asked.lock().expect("a list").push(request);
            let answer = peer.answers.lock().expect("a list").pop_front();
            let answer = answer.unwrap_or_else(failure).map(Full::new);
            ready(Ok::<_, Infallible>(answer))
        }))
    }

    pub fn asked(&self) -> Vec<Request<Bytes>> {
        self.asked.lock().expect("a list").clone()
    }
}

fn failure() -> Response<Bytes> {
    let mut failure = Response::default();
    *failure.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    failure
}

/// How often `text` is in `bytes`.
pub fn count(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len().max(1)).filter(|window| *window == text.as_bytes()).count()
}

pub fn is_shown_on_one_line(text: &str) {
    assert!(text.len() < 16 * 1024 && !text.contains(char::is_control), "{text:?}");
}

/// `Retry-After` where it is a number.
pub fn retry_after<B>(response: &Response<B>) -> Option<u64> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

/// Returns `true` unless `wait` is longer than an hour, or another one than the number that
/// `response` has.
pub fn is_wait_of<B>(wait: Option<Duration>, response: &Response<B>) -> bool {
    match retry_after(response) {
        Some(seconds) => wait == Some(Duration::from_secs(seconds.min(3600))),
        None => wait.is_none_or(|wait| wait <= Duration::from_secs(3600)),
    }
}
