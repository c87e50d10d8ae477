//! Many callers and one fetch: who starts it, who waits for it, and what becomes of them when it
//! hangs, is abandoned or dies.

use crate::engine::{
    Asked, Body, Client, Reply, World, ask, at_hand, at_once, bearer_of, call, exact, get,
    impatient, millis, numbered, seconds, settle,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Future, pending, ready},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{runtime, task::JoinHandle};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};
use tower_oauth2::{
    AccessToken, Clock, RequestHead,
    client::{Error, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenResponse, TokenSource},
};

type BoxError = Box<dyn StdError + Send + Sync>;
type Called = JoinHandle<Result<String, Error>>;

/// Starts so many calls at once.
fn calls(client: &Client, count: usize) -> Vec<Called> {
    (0..count).map(|_| tokio::spawn(call(client))).collect()
}

/// What each of them brings without the clock moving.
async fn outcomes(calls: Vec<Called>) -> Vec<Result<String, Error>> {
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(at_once(call).await.unwrap());
    }
    outcomes
}

// case: race-01
#[tokio::test]
async fn a_hundred_calls_share_one_fetch() {
    let world = World::answering(numbered(3600, seconds(1)));
    let calls = calls(&world.client(exact()), 100);
    world.advance(seconds(1)).await;
    for outcome in outcomes(calls).await {
        assert_eq!(outcome.unwrap(), "T1");
    }
    assert_eq!(world.requests().len(), 1);
    assert_eq!(world.sent().len(), 100);
}

// case: race-03
#[tokio::test]
async fn a_stale_token_is_served_while_one_fetch_runs() {
    let world = World::answering(numbered(100, Duration::ZERO));
    let client = world.client(exact());
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    world.answer(numbered(100, seconds(10)));
    world.advance_to(seconds(80)).await;
    for outcome in outcomes(calls(&client, 50)).await {
        assert_eq!(outcome.unwrap(), "T1");
    }
    assert_eq!(world.requests(), [Duration::ZERO, seconds(80)]);
    world.advance(seconds(10)).await;
    for outcome in outcomes(calls(&client, 50)).await {
        assert_eq!(outcome.unwrap(), "T2");
    }
    assert_eq!(world.requests().len(), 2);
}

// case: race-04
#[tokio::test]
async fn a_fetch_that_hangs_ends_at_its_deadline() {
    let world = World::answering(|_| Reply::broken().hangs());
    let policy = exact().with_fetch_deadline(seconds(7)).with_patience(seconds(5));
    let layer = world.layer(policy);
    let client = world.client_of(&layer);
    let status = || layer.cache().status();
    let waiting = tokio::spawn(call(&client));
    world.advance(seconds(5) - millis(1)).await;
    assert!(!waiting.is_finished());
    assert!(status().is_fetching() && !status().is_usable());
    world.advance(millis(1)).await;
    let error = at_once(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "its patience ended first");
    assert!(status().is_fetching());

    let late = tokio::spawn(call(&client));
    world.answer(|_| Reply::token("T1", 3600));
    world.advance_to(seconds(7) - millis(1)).await;
    assert!(status().is_fetching());
    world.advance_to(seconds(7)).await;
    assert!(!status().is_fetching());
    assert_eq!(status().last_error().unwrap().kind(), ErrorKind::Transport);
    assert_eq!(world.requests().len(), 1);
    world.advance(seconds(2)).await;
    assert_eq!(at_once(late).await.unwrap().unwrap(), "T1");
    assert_eq!(world.requests().len(), 2);
}

// case: race-05
#[tokio::test]
async fn one_key_does_not_wait_for_another() {
    let world = World::answering(|asked| match asked.form.contains("scope=a") {
        true => Reply::token("A", 3600).hangs(),
        false => Reply::token("B", 3600),
    });
    let of = |scope: &str| {
        let layer = world.layer(exact()).with_scopes(scope.parse().unwrap());
        world.client_of(&layer)
    };
    let (a, b) = (of("a"), of("b"));
    let hanging = calls(&a, 10);
    settle().await;
    for outcome in outcomes(calls(&b, 10)).await {
        assert_eq!(outcome.unwrap(), "B");
    }
    assert!(hanging.iter().all(|call| !call.is_finished()));
    assert_eq!(world.requests().len(), 2);
}

/// A client of a resource that answers everything with 401, and keeps the tokens that it saw.
fn rejected(world: &World, sent: Arc<Mutex<Vec<String>>>) -> RejectedClient {
    let resource = service_fn(move |request: Request<Body>| {
        sent.lock().unwrap().push(bearer_of(&request));
        let response = Response::builder().status(401).header("x-own", "1");
        ready(Ok::<_, Infallible>(response.body(Body::from("not you")).unwrap()))
    });
    RejectedClient::new(world.layer(exact()).layer(resource))
}

type RejectedClient = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

// case: race-07
#[tokio::test]
async fn a_rejected_token_that_comes_again_is_not_sent_again() {
    let world = World::answering(|_| Reply::token("T1", 100).takes(seconds(3)));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let client = rejected(&world, sent.clone());
    let first = tokio::spawn(client.clone().oneshot(get()));
    // The first answer of the resource is a rejection too: it starts the second fetch.
    world.advance(seconds(3)).await;
    world.advance(seconds(3)).await;
    assert_eq!(at_once(first).await.unwrap().unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!((world.requests().len(), sent.lock().unwrap().len()), (2, 1));

    // T1 is stale: the call sends it, and a fetch is on its way when it is rejected.
    world.advance_to(seconds(3 + 80)).await;
    let joining = tokio::spawn(client.oneshot(get()));
    world.advance(seconds(3) - millis(1)).await;
    assert!(!joining.is_finished());
    assert_eq!(world.requests().len(), 3);
    world.advance(millis(1)).await;
    let response = at_once(joining).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["x-own"], "1");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "not you");
    world.advance(seconds(10)).await;
    assert_eq!((world.requests().len(), sent.lock().unwrap().len()), (3, 2));
}

// case: can-01
#[tokio::test]
async fn a_fetch_outlives_the_call_that_started_it() {
    let world = World::answering(numbered(3600, seconds(3)));
    let client = world.client(exact());
    let leader = tokio::spawn(call(&client));
    settle().await;
    let others = calls(&client, 10);
    world.advance(seconds(1)).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    world.advance(seconds(2)).await;
    for outcome in outcomes(others).await {
        assert_eq!(outcome.unwrap(), "T1");
    }
    assert_eq!(world.requests().len(), 1);
    assert_eq!(world.sent().len(), 10);
}

// case: can-02
#[tokio::test]
async fn a_fetch_that_nobody_waits_for_completes() {
    let world = World::answering(numbered(3600, seconds(3)));
    let layer = world.layer(exact());
    let client = world.client_of(&layer);
    let only = tokio::spawn(call(&client));
    world.advance(seconds(1)).await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    assert!(layer.cache().status().is_fetching());
    world.advance(seconds(2)).await;
    assert!(!layer.cache().status().is_fetching());
    assert_eq!(world.sent(), [""; 0]);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    assert_eq!(world.requests().len(), 1);
}

// case: can-02
#[tokio::test]
async fn a_call_that_is_dropped_before_it_waits_leaves_the_fetch_alone() {
    let world = World::new();
    let cache = world.cache(exact());
    assert!(at_hand(&cache).is_none());
    settle().await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T1");
    assert_eq!(world.requests().len(), 1);
}

// case: can-04
#[tokio::test]
async fn nobody_is_told_of_a_cancellation_that_is_not_its_own() {
    for (reply, expected) in [
        (Reply::token as fn(&str, u64) -> Reply, Ok("T1".to_owned())),
        (|_, _| Reply::refusal(400, "invalid_client"), Err(ErrorKind::Refused)),
    ] {
        let world = World::answering(move |_| reply("T1", 3600).takes(seconds(3)));
        let client = world.client(exact());
        let leader = tokio::spawn(call(&client));
        settle().await;
        let (dropped, alive) = (calls(&client, 5), calls(&client, 5));
        world.advance(seconds(1)).await;
        leader.abort();
        for call in dropped {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        world.advance(seconds(2)).await;
        for outcome in outcomes(alive).await {
            assert_eq!(outcome.map_err(|error| error.kind()), expected);
        }
        assert_eq!(world.requests().len(), 1);
    }
}

/// Whose first fetch panics, and whose others bring `T2`, `T3`, …
fn panicking_once(policy: RefreshPolicy, clock: Clock) -> TokenCache {
    let fetches = AtomicUsize::new(0);
    let fetch = move || {
        let fetch = fetches.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(fetch > 1, "the first fetch of this test panics");
        ready(AccessToken::new(format!("T{fetch}")).map(TokenResponse::new))
    };
    TokenCache::from_fn(fetch, policy, clock)
}

#[tokio::test]
async fn a_fetch_that_panics_fails_those_who_wait_and_the_next_call_recovers() {
    let world = World::new();
    let cache = panicking_once(impatient(), world.clock.clock());
    let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(ask(&cache))).collect();
    for call in waiting {
        assert_eq!(at_once(call).await.unwrap().unwrap_err().kind(), ErrorKind::Aborted);
    }
    assert!(!cache.status().is_fetching());
    world.advance(seconds(1)).await;
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T2");
}

#[tokio::test]
async fn a_fetch_that_panics_is_tried_again_for_those_with_patience() {
    let world = World::new();
    let cache = panicking_once(exact(), world.clock.clock());
    let waiting = tokio::spawn(ask(&cache));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T2");
}

/// A thread that starts a fetch of `cache` on a runtime of its own, and drops that runtime, or
/// shuts it down, when it is told to.
struct OtherRuntime {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl OtherRuntime {
    fn fetching(cache: &TokenCache, stop: fn(runtime::Runtime)) -> Self {
        let (started, has_started) = mpsc::channel();
        let (sender, told) = mpsc::channel();
        let cache = cache.clone();
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                assert!(at_hand(&cache).is_none());
                settle().await;
            });
            started.send(()).unwrap();
            told.recv().unwrap();
            stop(runtime);
        });
        has_started.recv().unwrap();
        Self { stop: sender, thread }
    }

    /// Returns once the runtime is gone.
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Whose first fetch hangs, and whose others bring `T2`, `T3`, …
fn hanging_once(policy: RefreshPolicy, clock: Clock) -> TokenCache {
    let fetches = AtomicUsize::new(0);
    let fetch = move || {
        let fetch = fetches.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            if fetch == 1 {
                pending::<()>().await;
            }
            AccessToken::new(format!("T{fetch}")).map(TokenResponse::new)
        }
    };
    TokenCache::from_fn(fetch, policy, clock)
}

#[tokio::test]
async fn a_runtime_that_dies_with_the_fetch_fails_those_who_wait_elsewhere() {
    let stops: [fn(runtime::Runtime); 2] = [drop, runtime::Runtime::shutdown_background];
    for stop in stops {
        let world = World::new();
        let cache = hanging_once(impatient(), world.clock.clock());
        let other = OtherRuntime::fetching(&cache, stop);
        let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(ask(&cache))).collect();
        settle().await;
        assert!(waiting.iter().all(|call| !call.is_finished()));
        other.stop();
        for call in waiting {
            assert_eq!(at_once(call).await.unwrap().unwrap_err().kind(), ErrorKind::Aborted);
        }
        world.advance(seconds(1)).await;
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T2");
    }
}

#[tokio::test]
async fn those_with_patience_fetch_anew_when_a_runtime_dies_with_the_fetch() {
    let world = World::new();
    let cache = hanging_once(exact(), world.clock.clock());
    let other = OtherRuntime::fetching(&cache, drop);
    let waiting = tokio::spawn(ask(&cache));
    settle().await;
    other.stop();
    world.advance(seconds(1)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T2");
}

/// Asks a cache when it is dropped, as a task may that its runtime ends.
struct AsksInTheEnd(TokenCache);

impl Drop for AsksInTheEnd {
    fn drop(&mut self) {
        drop(self.0.token(RequestHead::from_request(&get())));
    }
}

#[test]
fn a_call_from_a_runtime_that_is_shutting_down_does_not_lock_up() {
    let world = World::new();
    let cache = hanging_once(impatient(), world.clock.clock());
    let (ended, has_ended) = mpsc::channel();
    let last = AsksInTheEnd(cache.clone());
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
            settle().await;
        });
        drop(runtime);
        ended.send(()).unwrap();
    });
    has_ended.recv_timeout(seconds(10)).unwrap();
    let status = cache.status();
    assert_eq!((status.fetches(), status.is_fetching()), (1, false));
    assert_eq!(status.last_error().unwrap().kind(), ErrorKind::Aborted);
}

/// A sign-in whose token is good for 100 s and stale after 80.
fn signed_in(serial: u32) -> TokenResponse {
    TokenResponse::new(AccessToken::new(format!("T{serial}")).unwrap())
        .with_lifetime(seconds(100))
        .with_refresh_token(format!("R{serial}"))
}

/// What a refresh of the session that began with `R1` brings, after 3 s.
fn refreshed(asked: &Asked) -> Reply {
    match asked.form.contains("refresh_token=R1") {
        true => Reply::refusal(400, "invalid_grant").takes(seconds(3)),
        false => Reply::rotated("T3", "R3", 100).takes(seconds(3)),
    }
}

#[tokio::test]
async fn a_new_sign_in_is_not_undone_by_the_refresh_of_the_old_one() {
    let rotated = |asked: &Asked| match asked.form.contains("refresh_token=R1") {
        true => Reply::rotated("T1b", "R1b", 100).takes(seconds(3)),
        false => refreshed(asked),
    };
    let answers: [fn(&Asked) -> Reply; 2] = [refreshed, rotated];
    for answer in answers {
        let world = World::answering(answer);
        let clock = world.clock.clock();
        let cache = TokenCache::from_sign_in(world.endpoint(), &signed_in(1), exact(), clock);
        world.advance(seconds(100)).await;
        let waiting = tokio::spawn(ask(&cache));
        settle().await;
        cache.store(&signed_in(2));
        world.advance(seconds(3)).await;
        assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T2");
        world.advance(seconds(80)).await;
        assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T2");
        world.advance(seconds(3)).await;
        assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T3");
        assert_eq!(world.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_refresh_token_that_a_fetch_took_from_the_new_sign_in_is_rotated() {
    let world = World::answering(|asked| match asked.number {
        1 if asked.form.contains("refresh_token=R2") => Reply::rotated("T3", "R3", 100),
        2 if asked.form.contains("refresh_token=R3") => Reply::rotated("T4", "R4", 100),
        _ => Reply::refusal(400, "invalid_grant"),
    });
    let clock = world.clock.clock();
    let cache = TokenCache::from_sign_in(world.endpoint(), &signed_in(1), exact(), clock);
    world.advance(seconds(80)).await;
    // The fetch is decided on, but it has not begun when the user has signed in anew.
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T1");
    cache.store(&signed_in(2));
    settle().await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T2");
    world.advance(seconds(80)).await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T2");
    settle().await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T4");
}

#[tokio::test]
async fn a_sign_in_without_a_refresh_token_does_not_inherit_one() {
    let world = World::answering(refreshed);
    let clock = world.clock.clock();
    let cache = TokenCache::from_sign_in(world.endpoint(), &signed_in(1), exact(), clock);
    let token = AccessToken::new("T2").unwrap();
    cache.store(&TokenResponse::new(token.clone()));
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T2");
    assert!(!cache.reject(&token));
    let error = at_hand(&cache).unwrap().unwrap_err();
    assert!(error.is_sign_in_needed());
    assert!(world.requests().is_empty());
}

#[test]
fn a_call_without_a_runtime_is_an_error_and_no_panic() {
    let endpoint = World::new().endpoint();
    let grant = Grant::client_credentials();
    let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    for _ in 0..2 {
        let error = at_hand(&cache).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
    }
    assert_eq!(cache.status().fetches(), 0);
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let token = runtime.block_on(async { ask(&cache).await }).unwrap();
    assert_eq!(token.expose(), "T1");
    // What is there needs no runtime.
    assert!(at_hand(&cache).unwrap().unwrap().is_same(&token));
}

#[test]
fn a_wait_without_a_runtime_is_an_error_and_no_panic() {
    for patience in [Duration::ZERO, seconds(5)] {
        let policy = exact().with_patience(patience);
        let cache = hanging_once(policy, Clock::system());
        let other = OtherRuntime::fetching(&cache, drop);
        let mut waiting = pin!(ask(&cache));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        // And so is one for the next try.
        other.stop();
        let mut waiting = pin!(ask(&cache));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
        let expected = if patience.is_zero() { ErrorKind::Aborted } else { ErrorKind::NoRuntime };
        assert_eq!(error.kind(), expected);
    }
}
