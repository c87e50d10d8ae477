//! A form body, in chunks that end with its lines: its one token counts, and it is handed on byte
//! for byte.
#![no_main]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceBuilder, layer::util::Stack, service_fn};
use tower_oauth2::{
    TokenLocation,
    server::{BufferForm, BufferFormBody, RequireToken},
};
use tower_oauth2_fuzz::{
    now,
    tokens::{Judge, is_token, pairs},
};

const LIMIT: usize = 4 * 1024;

static JUDGE: LazyLock<Judge> = LazyLock::new(Judge::default);

type Layers = Stack<RequireToken<Judge>, Stack<BufferForm, tower::layer::util::Identity>>;

static LAYERS: LazyLock<Layers> = LazyLock::new(|| {
    let require = RequireToken::new("api", JUDGE.clone()).unwrap();
    let require = require.with_locations([TokenLocation::Form]).unwrap();
    ServiceBuilder::new().layer(BufferForm::new(LIMIT)).layer(require).into_inner()
});

struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fuzz_target!(|input: &[u8]| {
    let seen = Arc::new(Mutex::new(None));
    let inner = {
        let seen = seen.clone();
        service_fn(move |request: Request<BufferFormBody<Chunks>>| {
            *seen.lock().unwrap() = Some(request.into_body());
            ready(Ok::<_, Infallible>(Response::new(String::new())))
        })
    };
    let chunks = input.split_inclusive(|byte| *byte == b'\n').map(Bytes::copy_from_slice);
    let request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Chunks(chunks.collect()))
        .unwrap();
    let response = now(LAYERS.layer(inner).call(request)).unwrap();
    let judged = JUDGE.take();
    assert_eq!(response.status() == StatusCode::PAYLOAD_TOO_LARGE, input.len() > LIMIT);

    let pairs = pairs(input, true);
    let tokens = pairs.into_iter().filter(|(name, _)| name == "access_token");
    let tokens: Vec<_> = tokens.map(|(_, token)| token).collect();
    let is_good = matches!(&*tokens, [token] if is_token(token) && token.starts_with('t'));
    let seen = seen.lock().unwrap().take();
    assert_eq!(seen.is_some(), is_good && input.len() <= LIMIT);
    if let Some(body) = seen {
        assert_eq!(judged.as_ref(), tokens.first());
        assert_eq!(now(body.collect()).expect("a body").to_bytes(), input);
    }
});
