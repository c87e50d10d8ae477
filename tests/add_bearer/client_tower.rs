//! The client layers among tower's own: readiness, limits, buffers, retries, and reqwest below.

use crate::{
    engine::{
        Body, Reply, World, at_once, bearer_of, exact, get, impatient, numbered, seconds, settle,
    },
    raw::Server,
};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Ready, poll_fn, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::{
    Layer, Service, ServiceExt,
    buffer::Buffer,
    limit::ConcurrencyLimit,
    retry::{Policy, Retry},
    service_fn,
};
use tower_oauth2::{
    client::{ClientCredentialsRefresh, Error, ErrorKind, ReqwestService},
    testing::ManualClock,
};
use tower_test::mock;

type BoxError = Box<dyn StdError + Send + Sync>;
type Mock = mock::Mock<Request<Body>, Response<Body>>;
type Handle = mock::Handle<Request<Body>, Response<Body>>;

const BROKEN: &str = "the inner service is broken";

fn pair() -> (Mock, Handle) {
    mock::pair()
}

/// What `service` says of its readiness now.
async fn readiness<S: Service<Request<Body>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    poll_fn(|cx| Poll::Ready(service.poll_ready(cx))).await
}

/// The next request of the resource has this token, and gets this answer.
pub(crate) async fn answer(handle: &mut Handle, token: &str, status: StatusCode) {
    let (request, respond) = at_once(handle.next_request()).await.unwrap();
    assert_eq!(bearer_of(&request), token);
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    respond.send_response(response);
    settle().await;
}

fn response(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::default()).unwrap()
}

/// A call before there is a token, and one after; each is rejected, and repeated.
async fn call_and_repeat<S>(over: impl FnOnce(Mock) -> S)
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let (mock, mut handle) = pair();
    let world = World::new();
    let mut client = world.layer(exact()).layer(over(mock));
    let call = tokio::spawn(client.ready().await.unwrap().call(get()));
    answer(&mut handle, "T1", StatusCode::UNAUTHORIZED).await;
    answer(&mut handle, "T2", StatusCode::OK).await;
    assert_eq!(at_once(call).await.unwrap().unwrap().status(), StatusCode::OK);

    // The interval between recoveries.
    world.advance(seconds(1)).await;
    let call = tokio::spawn(at_once(client.ready()).await.unwrap().call(get()));
    answer(&mut handle, "T2", StatusCode::UNAUTHORIZED).await;
    answer(&mut handle, "T3", StatusCode::OK).await;
    assert_eq!(at_once(call).await.unwrap().unwrap().status(), StatusCode::OK);

    // A clone of a service that is ready is not ready itself.
    at_once(client.ready()).await.unwrap();
    let clone = tokio::spawn(client.clone().oneshot(get()));
    drop(client);
    answer(&mut handle, "T3", StatusCode::OK).await;
    assert_eq!(at_once(clone).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(world.requests().len(), 3);
}

// case: tow-01
#[tokio::test]
async fn a_service_is_never_called_before_it_said_that_it_is_ready() {
    // The mock panics when it is.
    call_and_repeat(|mock| mock).await;
}

// case: tow-01
#[tokio::test]
async fn a_call_and_its_repetition_pass_a_concurrency_limit_of_one() {
    call_and_repeat(|mock| ConcurrencyLimit::new(mock, 1)).await;
}

// case: tow-01
#[tokio::test]
async fn a_call_and_its_repetition_pass_a_buffer() {
    call_and_repeat(|mock| Buffer::new(mock, 1)).await;
}

// case: tow-03
#[tokio::test]
async fn with_a_token_readiness_is_that_of_the_inner_service() {
    let (mock, mut handle) = pair();
    let world = World::answering(numbered(100, Duration::ZERO));
    let client = world.layer(exact()).layer(mock);
    let call = tokio::spawn(client.clone().oneshot(get()));
    answer(&mut handle, "T1", StatusCode::OK).await;
    at_once(call).await.unwrap().unwrap();

    // The token is fresh, and then stale: nobody has asked for it.
    for at in [seconds(1), seconds(80)] {
        world.advance_to(at).await;
        let mut client = client.clone();
        handle.allow(0);
        assert!(readiness(&mut client).await.is_pending());
        handle.allow(1);
        assert!(readiness(&mut client).await.is_ready());
        settle().await;
        assert_eq!(world.requests().len(), 1, "a fetch was started for nobody");
    }
    handle.send_error(BROKEN);
    let Poll::Ready(Err(error)) = readiness(&mut client.clone()).await else {
        panic!("the error is not passed on");
    };
    assert_eq!(error.to_string(), BROKEN);
    settle().await;
    assert_eq!(world.requests().len(), 1);
}

/// A resource that counts how often it was asked whether it is ready.
#[derive(Clone, Default)]
struct Counting {
    polled: Arc<AtomicUsize>,
}

impl Counting {
    fn polled(&self) -> usize {
        self.polled.load(Ordering::Relaxed)
    }
}

impl Service<Request<Body>> for Counting {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.polled.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(response(200)))
    }
}

// case: tow-03
#[tokio::test]
async fn without_a_token_the_inner_service_is_not_asked_for_readiness() {
    let inner = Counting::default();
    let world = World::answering(numbered(100, seconds(1)));
    let mut client = world.layer(exact()).layer(inner.clone());
    for _ in 0..3 {
        assert!(readiness(&mut client).await.is_ready());
    }
    settle().await;
    assert_eq!((inner.polled(), world.requests().len()), (0, 0));
    let first = tokio::spawn(client.call(get()));
    settle().await;
    assert_eq!((inner.polled(), world.requests().len()), (0, 1));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(first).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(inner.polled(), 1);

    // The token expires, and another call has noticed.
    world.advance(seconds(100)).await;
    let noticing = tokio::spawn(client.clone().call(get()));
    settle().await;
    assert!(readiness(&mut client).await.is_ready());
    assert_eq!((inner.polled(), world.requests().len()), (1, 2));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(noticing).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(inner.polled(), 2);
}

// case: tow-03
#[tokio::test]
async fn a_wait_for_the_token_takes_no_place_below() {
    let world = World::answering(|_| Reply::token("T1", 3600).takes(seconds(1)));
    let (mock, mut handle) = pair();
    let limit = ConcurrencyLimit::new(mock, 1);
    let mut client = world.layer(exact()).layer(limit.clone());
    assert!(readiness(&mut client).await.is_ready());
    let waiting = tokio::spawn(client.call(get()));
    settle().await;

    // The only place is free meanwhile, and is taken by somebody else.
    let other = tokio::spawn(limit.oneshot(get()));
    let (_, respond) = at_once(handle.next_request()).await.unwrap();
    world.advance(seconds(1)).await;
    assert!(!waiting.is_finished());
    assert!(handle.poll_request().is_pending());
    respond.send_response(response(200));
    at_once(other).await.unwrap().unwrap();
    answer(&mut handle, "T1", StatusCode::OK).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().status(), StatusCode::OK);
}

// case: tow-03
#[tokio::test]
async fn an_error_of_readiness_fails_the_call_that_waited() {
    let world = World::answering(|_| Reply::token("T1", 3600).takes(seconds(1)));
    let (mock, mut handle) = pair();
    let mut client = world.layer(exact()).layer(mock);
    assert!(readiness(&mut client).await.is_ready());
    let waiting = tokio::spawn(client.call(get()));
    settle().await;
    handle.send_error(BROKEN);
    world.advance(seconds(1)).await;
    let error = at_once(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), BROKEN);
}

/// A client for `origin` over reqwest.
fn over_reqwest(
    origin: &str,
) -> impl Service<Request<Body>, Response = Response<reqwest::Body>, Error = BoxError> {
    let layer = ClientCredentialsRefresh::new(World::new().endpoint(), origin).unwrap();
    layer.layer(ReqwestService::build(reqwest::Client::builder()).unwrap())
}

// case: tow-05
#[tokio::test]
async fn over_reqwest_the_token_is_on_the_wire() {
    let server = Server::start(service_fn(async |request: Request<Incoming>| {
        let values = request.headers().get_all(AUTHORIZATION).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        Ok::<_, Infallible>(Response::new(Body::from(values.join(", "))))
    }));
    let server = server.await;
    let origin = server.origin();
    let request = Request::get(format!("{origin}/x")).body(Body::default()).unwrap();
    let response = over_reqwest(&origin).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Bearer T1");
}

// case: tow-05
#[tokio::test]
async fn an_error_of_reqwest_stays_one() {
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let origin = format!("http://{address}");
    let request = Request::get(format!("{origin}/x")).body(Body::default()).unwrap();
    let error = over_reqwest(&origin).oneshot(request).await.map(drop).unwrap_err();
    let error = error.downcast_ref::<reqwest::Error>().unwrap();
    assert!(error.is_connect());
}

/// Tries again once, when the first token has expired meanwhile.
#[derive(Clone)]
struct AfterExpiry {
    clock: ManualClock,
    tries: usize,
}

impl Policy<Request<Body>, Response<Body>, BoxError> for AfterExpiry {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, BoxError>,
    ) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        self.tries = self.tries.checked_sub(usize::from(failed))?;
        failed.then(|| {
            self.clock.advance(seconds(60));
            ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let (parts, body) = request.clone().into_parts();
        Some(Request::from_parts(parts, body))
    }
}

// case: tow-06
#[tokio::test]
async fn below_a_retry_each_attempt_asks_for_the_token() {
    let world = World::answering(numbered(60, Duration::ZERO));
    let (mock, mut handle) = pair();
    let policy = AfterExpiry { clock: world.clock.clone(), tries: 2 };
    let mut client = Retry::new(policy, world.layer(exact()).layer(mock));
    let call: JoinHandle<_> = tokio::spawn(client.ready().await.unwrap().call(get()));
    answer(&mut handle, "T1", StatusCode::BAD_GATEWAY).await;
    answer(&mut handle, "T2", StatusCode::BAD_GATEWAY).await;
    answer(&mut handle, "T3", StatusCode::OK).await;
    assert_eq!(at_once(call).await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(world.requests().len(), 3);
}

// case: tow-06
#[tokio::test]
async fn below_a_retry_an_attempt_without_a_token_sends_nothing() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::token("T1", 60),
        _ => Reply::broken(),
    });
    let (mock, mut handle) = pair();
    let policy = AfterExpiry { clock: world.clock.clone(), tries: 1 };
    let mut client = Retry::new(policy, world.layer(impatient()).layer(mock));
    let call = tokio::spawn(client.ready().await.unwrap().call(get()));
    answer(&mut handle, "T1", StatusCode::BAD_GATEWAY).await;
    let error = at_once(call).await.unwrap().unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Transport);
    drop(client);
    assert!(at_once(handle.next_request()).await.is_none());
}
