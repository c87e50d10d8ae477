//! Calls that wait for the inner service go out with the token that is current at their turn.

use crate::{
    client_tower::answer,
    engine::{API, Body, World, at_once, exact, get, numbered, seconds, settle},
};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinHandle};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};
use tower_oauth2::{
    AccessToken, Answer, RequestHead,
    client::{AddBearer, Error, ErrorKind, TokenSource},
};
use tower_test::mock;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Mock = mock::Mock<Request<Body>, Response<Body>>;
type Handle = mock::Handle<Request<Body>, Response<Body>>;
type Call = JoinHandle<Result<Response<Body>, BoxError>>;

/// A resource that takes one call at a time.
fn one_at_a_time() -> (ConcurrencyLimit<Mock>, Handle) {
    let (mock, handle) = mock::pair();
    (ConcurrencyLimit::new(mock, 1), handle)
}

async fn start<S>(client: &S) -> Call
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let call = tokio::spawn(client.clone().oneshot(get()));
    settle().await;
    call
}

async fn status(call: Call) -> StatusCode {
    at_once(call).await.unwrap().unwrap().status()
}

/// A source whose token the test replaces.
#[derive(Clone)]
struct Replaced {
    token: Arc<Mutex<AccessToken>>,
    asked: Arc<AtomicUsize>,
    /// One permit for each answer that is not given at once.
    gate: Arc<Semaphore>,
    answers_at_once: Arc<AtomicBool>,
}

impl Replaced {
    fn new() -> Self {
        Self {
            token: Arc::new(Mutex::new(AccessToken::new("T1").unwrap())),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            answers_at_once: Arc::default(),
        }
    }

    fn at_once() -> Self {
        let new = Self::new();
        new.answers_at_once.store(true, Ordering::SeqCst);
        new
    }

    fn replace(&self, token: &str) {
        *self.token.lock().unwrap() = AccessToken::new(token).unwrap();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn layer(&self) -> AddBearer<Self> {
        AddBearer::from_source(self.clone(), API).unwrap()
    }
}

impl TokenSource for Replaced {
    type Future = Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.answers_at_once.load(Ordering::SeqCst) {
            return Answer::Ready(Ok(self.token.lock().unwrap().clone()));
        }
        let (token, gate) = (self.token.clone(), self.gate.clone());
        Answer::Pending(Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            tokio::task::yield_now().await;
            Ok(token.lock().unwrap().clone())
        }))
    }

    fn is_current(&self, held: &AccessToken, _: RequestHead<'_>) -> bool {
        held.expose() == self.token.lock().unwrap().expose()
    }

    fn is_warm(&self) -> bool {
        false
    }

    fn can_recover(&self) -> bool {
        true
    }

    fn reject(&self, _: &AccessToken) -> bool {
        self.replace("T2");
        true
    }
}

#[tokio::test]
async fn a_token_that_expired_in_the_queue_is_not_sent() {
    let world = World::answering(numbered(60, Duration::ZERO));
    let (limit, mut handle) = one_at_a_time();
    let client = world.layer(exact()).layer(limit);
    // Both wait for the first token, and then for their turn.
    let calls = [(); 2].map(|()| tokio::spawn(client.clone().oneshot(get())));
    world.advance(seconds(120)).await;
    answer(&mut handle, "T1", StatusCode::OK).await;
    answer(&mut handle, "T2", StatusCode::OK).await;
    for call in calls {
        assert_eq!(status(call).await, StatusCode::OK);
    }
    assert_eq!(world.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_replaced_in_the_queue_is_not_sent() {
    // The source answers later, or at once while the service is not reserved.
    for source in [Replaced::new(), Replaced::at_once()] {
        let (limit, mut handle) = one_at_a_time();
        let client = source.layer().layer(limit);
        let calls = [start(&client).await, start(&client).await];
        source.replace("T2");
        answer(&mut handle, "T1", StatusCode::OK).await;
        answer(&mut handle, "T2", StatusCode::OK).await;
        for call in calls {
            assert_eq!(status(call).await, StatusCode::OK);
        }
        assert_eq!(source.asked(), 3);
    }
}

#[tokio::test]
async fn a_token_that_is_still_current_after_the_queue_is_not_asked_for_again() {
    let source = Replaced::new();
    let (limit, mut handle) = one_at_a_time();
    let client = source.layer().layer(limit);
    let calls = [start(&client).await, start(&client).await];
    for call in calls {
        answer(&mut handle, "T1", StatusCode::OK).await;
        assert_eq!(status(call).await, StatusCode::OK);
    }
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn a_call_that_waits_for_another_token_after_the_queue_gives_its_place_back() {
    let source = Replaced::new();
    let (limit, mut handle) = one_at_a_time();
    let client = source.layer().layer(limit.clone());
    let calls = [start(&client).await, start(&client).await];
    source.replace("T2");
    source.gate.forget_permits(Semaphore::MAX_PERMITS);
    answer(&mut handle, "T1", StatusCode::OK).await;
    // Another caller takes the only place meanwhile.
    let other = tokio::spawn(limit.oneshot(get()));
    answer(&mut handle, "", StatusCode::OK).await;
    assert_eq!(at_once(other).await.unwrap().unwrap().status(), StatusCode::OK);
    source.gate.add_permits(1);
    answer(&mut handle, "T2", StatusCode::OK).await;
    for call in calls {
        assert_eq!(status(call).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_repeated_call_does_not_send_a_token_that_was_replaced_in_the_queue() {
    let source = Replaced::new();
    let (limit, mut handle) = one_at_a_time();
    let client = source.layer().layer(limit.clone());
    let call = start(&client).await;
    // The call that is in front when the first is repeated.
    let other = tokio::spawn(limit.oneshot(get()));
    settle().await;
    answer(&mut handle, "T1", StatusCode::UNAUTHORIZED).await;
    source.replace("T3");
    answer(&mut handle, "", StatusCode::OK).await;
    at_once(other).await.unwrap().unwrap();
    answer(&mut handle, "T3", StatusCode::OK).await;
    assert_eq!(status(call).await, StatusCode::OK);
    assert_eq!(source.asked(), 3);
}

/// Every turn in the queue finds that the token was replaced once more.
#[tokio::test]
async fn a_call_whose_tokens_never_last_until_its_turn_fails_without_being_sent() {
    let source = Replaced::new();
    let (limit, mut handle) = one_at_a_time();
    let client = source.layer().layer(limit.clone());
    let mut other = tokio::spawn(limit.clone().oneshot(get()));
    settle().await;
    let call = start(&client).await;
    for round in 0..20 {
        let next = tokio::spawn(limit.clone().oneshot(get()));
        settle().await;
        source.replace(&format!("N{round}"));
        answer(&mut handle, "", StatusCode::OK).await;
        at_once(std::mem::replace(&mut other, next)).await.unwrap().unwrap();
    }
    let error = at_once(call).await.unwrap().unwrap_err().downcast::<Error>().unwrap();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Expired, true));
    assert_eq!(source.asked(), 4);
}

/// A closure cannot tell whether a token is current.
#[tokio::test]
async fn a_closure_is_asked_once_for_each_call() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let closure = move || {
        let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move { AccessToken::new(format!("T{number}")) }
    };
    let (limit, mut handle) = one_at_a_time();
    let client = AddBearer::from_source(closure, API).unwrap().layer(limit);
    let calls = [start(&client).await, start(&client).await];
    answer(&mut handle, "T1", StatusCode::OK).await;
    answer(&mut handle, "T2", StatusCode::OK).await;
    for call in calls {
        assert_eq!(status(call).await, StatusCode::OK);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_queued_call_with_a_credential_of_its_own_asks_for_no_token() {
    let source = Replaced::new();
    let (limit, mut handle) = one_at_a_time();
    let client = source.layer().layer(limit.clone());
    let other = tokio::spawn(limit.oneshot(get()));
    settle().await;
    let mut request = get();
    request.headers_mut().insert(AUTHORIZATION, "Bearer own".parse().unwrap());
    let call = tokio::spawn(client.oneshot(request));
    settle().await;
    source.replace("T2");
    answer(&mut handle, "", StatusCode::OK).await;
    at_once(other).await.unwrap().unwrap();
    answer(&mut handle, "own", StatusCode::OK).await;
    assert_eq!(status(call).await, StatusCode::OK);
    assert_eq!(source.asked(), 0);
}
