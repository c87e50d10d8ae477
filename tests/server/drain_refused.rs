//! A refused request is read to its end, within bounds, so that its client sees the refusal.

use crate::raw::Server;
use axum::{Router, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    TokenLocation,
    server::{
        Authenticated, BufferForm, DrainRefused, DrainRefusedBody, RequireScope, RequireToken,
    },
    testing::ManualClock,
    validate::{Principal, Rejection, StaticTokens},
};

const CHUNK: usize = 1000;

/// How an upload goes on after its chunks.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    End,
    Fail,
    Stall,
}

/// An upload of chunks, and how many of its bytes were read.
struct Upload {
    chunks: usize,
    then: Then,
    declared: Option<u64>,
    /// A clock that each chunk takes a millisecond of.
    clock: Option<ManualClock>,
    read: Arc<AtomicUsize>,
}

impl Upload {
    fn new(chunks: usize, then: Then) -> (Self, Arc<AtomicUsize>) {
        let read = Arc::default();
        (Self { chunks, then, declared: None, clock: None, read: Arc::clone(&read) }, read)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(left) = self.chunks.checked_sub(1) {
            self.chunks = left;
            self.read.fetch_add(CHUNK, Ordering::Relaxed);
            if let Some(clock) = &self.clock {
                clock.advance(Duration::from_millis(1));
            }
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; CHUNK])))));
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Fail => Poll::Ready(Some(Err(std::io::Error::other("reset")))),
            Then::Stall => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn require() -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    tokens.insert("good", Principal::new("alice")).unwrap();
    RequireToken::new("api", tokens).unwrap()
}

fn upload(body: Upload) -> Request<Upload> {
    Request::post("/").body(body).unwrap()
}

type Call = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

/// The call of a service that refuses, as every request has no good token.
fn refuse(layer: &DrainRefused, request: Request<Upload>) -> task::Spawn<Call> {
    let inner = service_fn(async |_: Request<DrainRefusedBody<Upload>>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let call: Call = Box::pin(layer.layer(require().layer(inner)).oneshot(request));
    task::spawn(call)
}

fn status(answer: Poll<Result<Response<String>, Infallible>>) -> StatusCode {
    let response = assert_ready!(answer).unwrap();
    assert!(response.extensions().get::<Rejection>().is_some());
    response.status()
}

#[test]
fn a_refusal_is_returned_once_the_upload_is_read() {
    for then in [Then::End, Then::Fail] {
        let (body, read) = Upload::new(300, then);
        let answer = refuse(&DrainRefused::new(), upload(body)).poll();
        assert_eq!(status(answer), StatusCode::UNAUTHORIZED);
        assert_eq!(read.load(Ordering::Relaxed), 300 * CHUNK);
    }
}

#[test]
fn an_upload_without_a_declared_length_is_read_up_to_the_limit() {
    for (layer, limit) in
        [(DrainRefused::new(), 1024 * 1024), (DrainRefused::new().with_limit(1500), 1500)]
    {
        let (body, read) = Upload::new(1_000_000, Then::End);
        assert_eq!(status(refuse(&layer, upload(body)).poll()), StatusCode::UNAUTHORIZED);
        let read = read.load(Ordering::Relaxed);
        assert!(read > limit && read - limit <= CHUNK, "{read} of {limit}");
    }
}

#[test]
fn an_upload_that_can_not_be_read_to_its_end_is_not_read() {
    let (body, read) = Upload::new(2000, Then::End);
    let body = Upload { declared: Some(2_000_000), ..body };
    let answer = refuse(&DrainRefused::new(), upload(body)).poll();
    assert_eq!(status(answer), StatusCode::UNAUTHORIZED);
    assert_eq!(read.load(Ordering::Relaxed), 0);
}

#[test]
fn an_upload_that_stalls_delays_the_refusal_for_a_second_unless_set() {
    const MINUTE: Duration = Duration::from_secs(60);
    let layer = DrainRefused::new();
    for (layer, timeout) in
        [(layer.clone(), Duration::from_secs(1)), (layer.with_timeout(MINUTE), MINUTE)]
    {
        let clock = ManualClock::new();
        let (body, read) = Upload::new(3, Then::Stall);
        let mut answer = refuse(&layer.with_clock(clock.clock()), upload(body));
        assert_pending!(answer.poll());
        assert_eq!(read.load(Ordering::Relaxed), 3 * CHUNK);
        clock.advance(timeout - Duration::from_millis(1));
        assert_pending!(answer.poll());
        clock.advance(Duration::from_millis(1));
        assert!(answer.is_woken());
        assert_eq!(status(answer.poll()), StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn an_upload_that_never_stalls_delays_the_refusal_no_longer_than_one_that_does() {
    let clock = ManualClock::new();
    let (body, read) = Upload::new(1_000_000, Then::End);
    let body = Upload { clock: Some(clock.clone()), ..body };
    let layer = DrainRefused::new().with_limit(usize::MAX).with_clock(clock.clock());
    assert_eq!(status(refuse(&layer, upload(body)).poll()), StatusCode::UNAUTHORIZED);
    assert_eq!(read.load(Ordering::Relaxed), 1000 * CHUNK);
}

#[test]
fn nothing_waits_for_an_upload_that_stalls_without_timers() {
    let (body, read) = Upload::new(3, Then::Stall);
    let answer = refuse(&DrainRefused::new(), upload(body)).poll();
    assert_eq!(status(answer), StatusCode::UNAUTHORIZED);
    assert_eq!(read.load(Ordering::Relaxed), 3 * CHUNK);
}

#[test]
fn nothing_is_read_over_http_2_nor_of_a_client_that_waits_for_permission_to_send() {
    for (version, expect) in [
        (Version::HTTP_2, None),
        (Version::HTTP_3, None),
        (Version::HTTP_11, Some("100-continue")),
        (Version::HTTP_11, Some("100-Continue")),
        (Version::HTTP_10, Some("100-continue")),
    ] {
        let (body, read) = Upload::new(3, Then::Stall);
        let mut request = upload(body);
        *request.version_mut() = version;
        if let Some(expect) = expect {
            request.headers_mut().insert("expect", expect.parse().unwrap());
        }
        let answer = refuse(&DrainRefused::new(), request).poll();
        assert_eq!(status(answer), StatusCode::UNAUTHORIZED);
        assert_eq!(read.load(Ordering::Relaxed), 0, "{version:?} {expect:?}");
    }
}

#[test]
fn the_response_to_an_admitted_request_does_not_wait_for_its_upload() {
    let (body, read) = Upload::new(3, Then::Stall);
    let mut request = upload(body);
    request.headers_mut().insert("authorization", "Bearer good".parse().unwrap());
    let inner = service_fn(|request: Request<DrainRefusedBody<Upload>>| {
        // It is streamed back, as far as it goes.
        ready(Ok::<_, Infallible>(Response::new(Streamed(Some(request.into_body())))))
    });
    let mut service = DrainRefused::new().layer(require().layer(inner));
    let response = assert_ready!(task::spawn(service.call(request)).poll()).unwrap();
    assert_eq!(read.load(Ordering::Relaxed), 0);
    let mut body = task::spawn(response.into_body().0.unwrap());
    for _ in 0..3 {
        let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx))).unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap().len(), CHUNK);
    }
    assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
}

/// A body that a refusal can do without.
#[derive(Default)]
struct Streamed(Option<DrainRefusedBody<Upload>>);

#[tokio::test]
async fn what_was_read_before_a_refusal_is_not_read_again_and_trailers_pass() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]);
    let body = Full::new(Bytes::from("hello"))
        .with_trailers(ready(Some(Ok::<_, Infallible>(trailers.clone()))));
    let inner = service_fn(|request: Request<DrainRefusedBody<_>>| async move {
        let collected = BodyExt::collect(request.into_body()).await?;
        let trailers = collected.trailers().cloned();
        let mut response = Response::new((collected.to_bytes(), trailers));
        response.extensions_mut().insert(Rejection::unknown());
        Ok::<_, Infallible>(response)
    });
    let service = DrainRefused::new().layer(inner);
    let response = service.oneshot(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(response.into_body(), (Bytes::from("hello"), Some(trailers)));
}

const POST: &str = "POST /";
const TEXT: &[&str] = &["Content-Type: text/plain"];

/// Refusals of the layer, of a policy, of an extractor and of a form that is too long.
fn app() -> Router {
    let scope = RequireScope::all_of(["write"]).unwrap();
    let layers = ServiceBuilder::new()
        .layer(BufferForm::new(10))
        .layer(require().with_locations([TokenLocation::Bearer, TokenLocation::Form]).unwrap());
    Router::new()
        .route("/scope", post(|| async {}).route_layer(scope))
        .route("/", post(|_: Authenticated| async {}))
        .layer(layers)
        .route("/misplaced", post(|_: Authenticated| async {}))
        .layer(DrainRefused::new())
}

#[tokio::test]
async fn a_connection_outlives_the_refusal_of_an_upload() {
    let server = Server::start(app()).await;
    let body = "x".repeat(300_000);
    let good = ["Authorization: Bearer good"];
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    for (head, lines, status) in [
        (POST, TEXT, 401),
        (POST, &form[..], 413),
        ("POST /scope", &good[..], 403),
        ("POST /misplaced", TEXT, 500),
    ] {
        let mut connection = server.connect().await;
        for _ in 0..2 {
            let reply = connection.send_body(head, lines, &body).await;
            assert_eq!(reply.status, status, "{head}");
        }
        assert_eq!(connection.send(POST, &good).await.status, 200, "{head}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_permission_gets_the_refusal_and_no_permission() {
    let server = Server::start(app()).await;
    let mut connection = server.connect().await;
    let lines = ["Expect: 100-continue", "Content-Length: 300000"];
    let reply = connection.send_head(POST, &lines).await;
    assert_eq!(reply.status, 401);
}
