//! A resource and a token endpoint that do as a script says, and remember what they saw.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    error::Error as StdError,
    fmt::Debug,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Barrier, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tower::{buffer::Buffer, service_fn};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, TokenEndpoint},
    testing::ManualClock,
};
use tower_service::Service;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// The body of every answer of a [`Resource`].
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// Where the resource is, unless it is served on a socket.
pub(crate) const HOME: &str = "https://api.example";

/// What a resource says that rejects a token.
pub(crate) const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;

/// Longer than any exchange takes: a test that hangs fails.
const LIMIT: Duration = Duration::from_secs(20);

/// `future`, which ends, or the test fails.
pub(crate) async fn ends<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("the test hangs")
}

/// Lets every task that can go on do so.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Polls `future` once.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// A token endpoint that answers each request with the next token, and refuses the client once
/// there is none left.
#[derive(Clone)]
pub(crate) struct Issuer {
    tokens: Arc<Mutex<VecDeque<String>>>,
    requests: Arc<AtomicUsize>,
    /// One permit for each answer.
    gate: Arc<Semaphore>,
}

impl Issuer {
    pub(crate) fn of<const N: usize>(tokens: [&str; N]) -> Self {
        Self::behind(Semaphore::MAX_PERMITS, tokens)
    }

    /// One whose answers wait, but for the first, until they are [let](Self::let_answer).
    pub(crate) fn hesitating<const N: usize>(tokens: [&str; N]) -> Self {
        Self::behind(1, tokens)
    }

    fn behind<const N: usize>(permits: usize, tokens: [&str; N]) -> Self {
        let tokens = Arc::new(Mutex::new(tokens.map(String::from).into()));
        let gate = Arc::new(Semaphore::new(permits));
        Self { tokens, requests: Arc::default(), gate }
    }

    pub(crate) fn let_answer(&self) {
        self.gate.add_permits(1);
    }

    /// How many token requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        let this = self.clone();
        let service = service_fn(move |_: Request<Full<Bytes>>| this.clone().answer());
        let client = ClientAuthentication::basic("id", "secret");
        TokenEndpoint::new("https://as.example/token", client, Transport::new(service)).unwrap()
    }

    async fn answer(self) -> Result<Response<Full<Bytes>>, Infallible> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let token = self.tokens.lock().unwrap().pop_front();
        let (status, text) = match token {
            Some(token) => (
                StatusCode::OK,
                format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":86400}}"#),
            ),
            None => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_client"}"#.to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        Ok(response)
    }

    /// The layer for [`HOME`] whose time stands still.
    pub(crate) fn layer(&self) -> ClientCredentialsRefresh {
        self.layer_for(HOME, &ManualClock::new())
    }

    pub(crate) fn layer_for(&self, origin: &str, clock: &ManualClock) -> ClientCredentialsRefresh {
        let layer = ClientCredentialsRefresh::new(self.endpoint(), origin).unwrap();
        layer.with_clock(clock.clock())
    }
}

/// A request as the resource got it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    /// The token in its `Authorization`.
    pub(crate) fn token(&self) -> Option<&str> {
        let value = self.head.headers.get(header::AUTHORIZATION)?.to_str().unwrap();
        value.strip_prefix("Bearer ")
    }
}

/// A resource that accepts the tokens that it was told to, and only those.
#[derive(Clone)]
pub(crate) struct Resource {
    accepted: Arc<Mutex<BTreeSet<String>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    refuse: Arc<dyn Fn() -> Response<AnswerBody> + Send + Sync>,
    /// Where refusals wait for each other.
    together: Arc<Barrier>,
}

impl Resource {
    /// One that accepts these tokens and refuses others with `401`.
    pub(crate) fn accepting<const N: usize>(tokens: [&str; N]) -> Self {
        let accepted = tokens.map(String::from).into();
        let refuse = Arc::new(|| refusal(body_of("refused")));
        let (accepted, together) = (Arc::new(Mutex::new(accepted)), Arc::new(Barrier::new(1)));
        Self { accepted, seen: Arc::default(), refuse, together }
    }

    /// Refuses `count` requests at once, and none before there are as many.
    pub(crate) fn refusing_together(mut self, count: usize) -> Self {
        self.together = Arc::new(Barrier::new(count));
        self
    }

    /// Refuses with what `refuse` makes.
    pub(crate) fn refusing_with(
        mut self,
        refuse: impl Fn() -> Response<AnswerBody> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Arc::new(refuse);
        self
    }

    /// Accepts this token from now on, and no other.
    pub(crate) fn accept_only(&self, token: &str) {
        *self.accepted.lock().unwrap() = BTreeSet::from([token.to_owned()]);
    }

    /// What was asked for since the last look.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The tokens of the requests since the last look, in their order.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.token().unwrap_or("none").to_owned()).collect()
    }

    fn answer(&self, seen: Seen) -> Response<AnswerBody> {
        let values = seen.head.headers.values().map(|value| value.to_str().unwrap());
        let credentials = format!("{} {}", values.collect::<Vec<_>>().join(" "), seen.head.uri);
        let accepted = self.accepted.lock().unwrap();
        let accepts = accepted.iter().any(|token| credentials.contains(token.as_str()));
        drop(accepted);
        self.seen.lock().unwrap().push(seen);
        match accepts {
            true => Response::new(body_of("welcome")),
            false => (self.refuse)(),
        }
    }

    /// Serves it on a loopback socket.
    pub(crate) async fn serve(&self) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, resource) = (connections.clone(), self.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let service = TowerToHyperService::new(resource.clone());
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        Served { address, connections, accepting }
    }
}

impl<B> Service<Request<B>> for Resource
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Debug,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<AnswerBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            let answer = this.answer(Seen { head, body: collected.to_bytes(), trailers });
            if answer.status() != StatusCode::OK {
                this.together.wait().await;
            }
            Ok(answer)
        })
    }
}

/// A `401` that says that the token is no good.
pub(crate) fn refusal(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = HeaderValue::from_static(INVALID_TOKEN);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

pub(crate) fn body_of(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A resource on a socket, gone when it is dropped.
pub(crate) struct Served {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Served {
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A client over one connection, which several callers share and which is not replaced.
    pub(crate) async fn one_connection<B>(&self) -> OneConnection<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Buffer::new(Sender { sender }, 8)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Sent = Result<Response<hyper::body::Incoming>, hyper::Error>;
pub(crate) type OneConnection<B> = Buffer<Request<B>, BoxFuture<Sent>>;

/// hyper's sender as a [`Service`].
struct Sender<B> {
    sender: SendRequest<B>,
}

impl<B> Service<Request<B>> for Sender<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Sent>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// A body that is watched: how often it was polled, how much was read of it, and whether it was
/// dropped.
pub(crate) struct Watched {
    next: Box<dyn FnMut() -> Poll<Option<Bytes>> + Send>,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    polls: AtomicUsize,
    bytes: AtomicUsize,
    dropped: AtomicBool,
}

impl Watch {
    /// A body that gives what `next` gives.
    pub(crate) fn body(
        self: &Arc<Self>,
        next: impl FnMut() -> Poll<Option<Bytes>> + Send + 'static,
    ) -> Watched {
        Watched { next: Box::new(next), watch: self.clone() }
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.watch.polls.fetch_add(1, Ordering::SeqCst);
        (self.next)().map(|chunk| {
            let chunk = chunk?;
            self.watch.bytes.fetch_add(chunk.len(), Ordering::SeqCst);
            Some(Ok(Frame::data(chunk)))
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.dropped.store(true, Ordering::SeqCst);
    }
}
