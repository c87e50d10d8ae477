//! Layers, sources and calls whose every step is the test's to decide.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use http::{Request, Response};
use std::{
    error::Error as StdError,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{sync::Semaphore, task::yield_now};
use tower::{
    Layer, Service, ServiceBuilder,
    buffer::Buffer,
    limit::ConcurrencyLimit,
    load_shed::LoadShed,
    retry::{Policy, Retry},
    timeout::Timeout,
    util::{BoxCloneSyncService, BoxCloneSyncServiceLayer},
};
use tower_oauth2::{
    AccessToken, Answer, RequestHead, TokenLocation,
    client::{AddBearer, BoxTokenFuture, Error, TokenSource},
    server::{RequireScope, RequireToken},
    validate::{Principal, Rejection, StaticTokens, ValidateToken, Validated},
};
use tower_test::mock::{Handle, Mock, SendResponse, Spawn, pair};

pub(crate) const API: &str = "https://api.example";

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
pub(crate) type Req = Request<String>;
pub(crate) type Res = Response<String>;
pub(crate) type Boxed = BoxCloneSyncService<Req, Res, BoxError>;
pub(crate) type BoxedLayer<S> = BoxCloneSyncServiceLayer<S, Req, Res, BoxError>;

/// A request with the token that [`RequireToken`] reads, elsewhere than where [`AddBearer`]
/// writes.
pub(crate) fn request_with(token: &str) -> Req {
    Request::get(format!("{API}/calls")).header("x-token", token).body(String::new()).unwrap()
}

pub(crate) fn request() -> Req {
    request_with("good")
}

/// A source that answers as the test wants it to. A clone is the same source.
#[derive(Clone)]
pub(crate) struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    warm: AtomicBool,
    gives: Gives,
    asked: AtomicUsize,
    /// Held by every call that waits.
    gate: Arc<Semaphore>,
}

/// What a [`Source`] answers.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    Now(&'static str),
    /// When the test lets it go.
    Later,
    Failure,
}

impl Source {
    /// One that seems to have a token at hand, or not, whatever it then gives.
    pub(crate) fn new(warm: bool, gives: Gives) -> Self {
        let (warm, gate) = (AtomicBool::new(warm), Arc::new(Semaphore::new(0)));
        Self { shared: Arc::new(Shared { warm, gives, asked: AtomicUsize::new(0), gate }) }
    }

    pub(crate) fn layer(&self) -> AddBearer<Self> {
        AddBearer::from_source(self.clone(), API).unwrap()
    }

    /// From now on it seems to have no token at hand.
    pub(crate) fn cool(&self) {
        self.shared.warm.store(false, Ordering::Relaxed);
    }

    /// How often it was asked for a token.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How many calls wait for a token.
    pub(crate) fn waiting(&self) -> usize {
        Arc::strong_count(&self.shared.gate) - 1
    }

    /// Lets `count` of those go that wait, now or later.
    pub(crate) fn let_go(&self, count: usize) {
        self.shared.gate.add_permits(count);
    }
}

impl TokenSource for Source {
    type Future = BoxTokenFuture;

    fn token(&self, _: RequestHead<'_>) -> Answer<BoxTokenFuture> {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        let gate = self.shared.gate.clone();
        match self.shared.gives {
            Gives::Now(token) => Answer::Ready(Ok(AccessToken::new(token).unwrap())),
            Gives::Later => Answer::Pending(Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                Ok(AccessToken::new("later").unwrap())
            })),
            Gives::Failure => Answer::Ready(Err(Error::from_source("no token today"))),
        }
    }

    fn is_warm(&self) -> bool {
        self.shared.warm.load(Ordering::Relaxed)
    }
}

/// A source with one token at hand, which is replaced now and then.
#[derive(Clone)]
pub(crate) struct Rotating {
    token: Arc<Mutex<AccessToken>>,
    asked: Arc<AtomicUsize>,
}

impl Rotating {
    pub(crate) fn new(token: &str) -> Self {
        let token = Arc::new(Mutex::new(AccessToken::new(token).unwrap()));
        Self { token, asked: Arc::default() }
    }

    /// Makes `token` the current one, unless it is.
    pub(crate) fn rotate(&self, token: &str) {
        let mut current = self.token.lock().unwrap();
        if current.expose() != token {
            *current = AccessToken::new(token).unwrap();
        }
    }

    /// How often it was asked for its token.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl TokenSource for Rotating {
    type Future = Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Answer::Ready(Ok(self.token.lock().unwrap().clone()))
    }

    fn is_current(&self, held: &AccessToken, _: RequestHead<'_>) -> bool {
        self.token.lock().unwrap().is_same(held)
    }
}

pub(crate) fn alice() -> Principal {
    Principal::new("alice").with_scopes("read".parse().unwrap())
}

pub(crate) fn tokens() -> StaticTokens {
    let tokens = StaticTokens::new();
    tokens.insert("good", alice()).unwrap();
    tokens
}

/// A validator that takes its time.
pub(crate) async fn judge(token: AccessToken) -> Result<Validated, Rejection> {
    for _ in 0..3 {
        yield_now().await;
    }
    match token.expose() {
        "good" => Ok(alice().into()),
        _ => Err(Rejection::revoked()),
    }
}

pub(crate) fn require<V: ValidateToken>(validator: V) -> RequireToken<V> {
    let places = [TokenLocation::header("x-token").unwrap()];
    RequireToken::new("api", validator).unwrap().with_locations(places).unwrap()
}

/// `validator` with a [`RequireScope`] below it.
pub(crate) fn require_scope<V, S>(validator: V, scope: &str) -> BoxedLayer<S>
where
    V: ValidateToken,
    S: Service<Req, Response = Res, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
{
    let scope = RequireScope::all_of([scope]).unwrap();
    BoxedLayer::new(ServiceBuilder::new().layer(require(validator)).layer(scope).into_inner())
}

/// The layers that reserve the inner service before the request is there.
pub(crate) fn reserving_layers<S>() -> Vec<(&'static str, BoxedLayer<S>)>
where
    S: Service<Req, Response = Res, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
{
    let token = AccessToken::new("held").unwrap();
    let disappointing = Source::new(true, Gives::Later);
    disappointing.let_go(1000);
    vec![
        ("static token", BoxedLayer::new(AddBearer::bearer("static", API).unwrap())),
        ("token", BoxedLayer::new(AddBearer::from_source(token, API).unwrap())),
        ("source that seems warm", BoxedLayer::new(disappointing.layer())),
        ("static tokens", BoxedLayer::new(require(tokens()))),
        ("slow validator", BoxedLayer::new(require(judge))),
        ("scope", require_scope(tokens(), "read")),
        ("scope below a slow validator", require_scope(judge, "read")),
    ]
}

/// All of them.
pub(crate) fn layers() -> Vec<(&'static str, BoxedLayer<Boxed>)> {
    let slow = async || {
        yield_now().await;
        AccessToken::new("slow")
    };
    let mut layers = reserving_layers();
    layers.extend([
        ("source that seems cold", BoxedLayer::new(Source::new(false, Gives::Now("now")).layer())),
        ("slow source", BoxedLayer::new(AddBearer::from_source(slow, API).unwrap())),
    ]);
    layers
}

/// Sends again what was answered with 503.
#[derive(Clone)]
pub(crate) struct Again;

impl Policy<Req, Res, BoxError> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Req, answer: &mut Result<Res, BoxError>) -> Option<Ready<()>> {
        let again = answer.as_ref().is_ok_and(|response| response.status() == 503);
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

pub(crate) type Middleware = (&'static str, fn(Boxed) -> Boxed);

pub(crate) const MIDDLEWARE: [Middleware; 6] = [
    ("nothing", |inner| inner),
    ("ConcurrencyLimit", |inner| Boxed::new(ConcurrencyLimit::new(inner, 1))),
    ("Buffer", |inner| Boxed::new(Buffer::new(inner, 1))),
    ("Timeout", |inner| Boxed::new(Timeout::new(inner, 2 * HOUR))),
    ("Retry", |inner| Boxed::new(Retry::new(Again, inner))),
    ("LoadShed", |inner| Boxed::new(LoadShed::new(inner))),
];

pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether `service` is ready.
pub(crate) fn is_ready<S: Service<Req, Error = BoxError>>(service: &mut Spawn<S>) -> bool {
    match service.poll_ready() {
        Poll::Ready(ready) => {
            ready.unwrap();
            true
        }
        Poll::Pending => false,
    }
}

/// Calls `service`, which is ready, and polls the call once: it waits.
pub(crate) fn waiting_call<S>(service: &mut Spawn<S>) -> Pin<Box<S::Future>>
where
    S: Service<Req, Response = Res, Error = BoxError>,
{
    assert!(is_ready(service));
    let mut call = Box::pin(service.call(request()));
    assert!(poll(&mut call).is_pending());
    call
}

/// The request that has come to the inner service.
pub(crate) fn next(handle: &mut Handle<Req, Res>) -> (Req, SendResponse<Res>) {
    match handle.poll_request() {
        Poll::Ready(request) => request.unwrap(),
        Poll::Pending => panic!("no request came"),
    }
}

/// The text of the error that a future ended with.
pub(crate) fn failure<T>(poll: Poll<Result<T, BoxError>>) -> String {
    match poll {
        Poll::Ready(Err(error)) => error.to_string(),
        Poll::Ready(Ok(_)) => panic!("no failure"),
        Poll::Pending => panic!("no end"),
    }
}

type Limited = ConcurrencyLimit<Mock<Req, Res>>;

/// A stack that is ready over a limit of one call, and another user of the limit who waits while
/// it is reserved.
pub(crate) fn over_a_limit<L: Layer<Limited>>(
    layer: &L,
) -> (Spawn<L::Service>, Spawn<Limited>, Handle<Req, Res>)
where
    L::Service: Service<Req, Error = BoxError>,
{
    let (mock, handle) = pair();
    let limit = ConcurrencyLimit::new(mock, 1);
    let mut service = Spawn::new(layer.layer(limit.clone()));
    let mut other = Spawn::new(limit);
    assert!(is_ready(&mut service));
    // It queues for the permit, and is woken once that is given back.
    assert!(!is_ready(&mut other));
    (service, other, handle)
}
