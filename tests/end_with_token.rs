//! A stream ends when the token of its request does.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    server::{EndWithToken, EndWithTokenBody, RequireToken},
    testing::ManualClock,
    validate::{Principal, StaticTokens},
};

/// Says one word and then nothing for ever.
#[derive(Default)]
struct Endless {
    said: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.said, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"word")))))
    }
}

/// The answer to a request with the token `t` of `tokens`.
async fn answer<B: Body + Default>(
    tokens: &StaticTokens,
    clock: &ManualClock,
    body: fn() -> B,
) -> EndWithTokenBody<B> {
    let inner = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(body()))));
    let require = RequireToken::new("api", tokens.clone()).unwrap().with_clock(clock.clock());
    let layers = ServiceBuilder::new().layer(require).layer(EndWithToken::new()).into_inner();
    let request = Request::get("/").header("authorization", "Bearer t").body(()).unwrap();
    let response = layers.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

#[expect(clippy::type_complexity, reason = "what a body answers")]
fn poll<B: Body + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::with_clock(clock.clock());
    let expiry = clock.clock().wall() + Duration::from_secs(60);
    tokens.insert("t", Principal::new("alice").with_expiry(expiry)).unwrap();
    let mut body = answer(&tokens, &clock, Endless::default).await;
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(poll(&mut body).is_pending());
    clock.advance(Duration::from_secs(59));
    assert!(poll(&mut body).is_pending() && !body.is_end_stream());
    clock.advance(Duration::from_secs(1));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert!(matches!(poll(&mut body), Poll::Ready(None)) && body.is_end_stream());
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_destroyed() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let body = answer(&tokens, &clock, Endless::default).await;
    let whole = tokio::spawn(body.collect());
    tokio::task::yield_now().await;
    assert!(!whole.is_finished());
    tokens.remove("t");
    assert_eq!(whole.await.unwrap().unwrap().to_bytes(), "word");
}

#[tokio::test]
async fn a_body_that_is_whole_before_arrives_whole_without_a_promised_length() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let body = answer(&tokens, &clock, || Full::new(Bytes::from("hello"))).await;
    assert_eq!(body.size_hint().exact(), SizeHint::new().exact());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}
