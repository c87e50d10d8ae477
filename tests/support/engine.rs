//! A token endpoint that answers by a script, a resource, and the clock that they share.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    AccessToken, Answer, ClientAuthentication, RequestHead, Transport,
    client::{
        AddBearerService, ClientCredentialsRefresh, Error, Grant, RefreshPolicy, TokenCache,
        TokenEndpoint, TokenResponse, TokenSource,
    },
    testing::ManualClock,
};

pub(crate) const API: &str = "https://api.example";

pub(crate) type Body = Full<Bytes>;
pub(crate) type TokenService = BoxCloneSyncService<Request<Body>, Response<Body>, io::Error>;
pub(crate) type Client = AddBearerService<Resource, TokenCache>;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A token is used up to its expiry, and renewed at the same moment by every cache.
pub(crate) fn exact() -> RefreshPolicy {
    RefreshPolicy::default().without_jitter().with_safety_margin(Duration::ZERO)
}

/// The same, and nobody waits for another try.
pub(crate) fn impatient() -> RefreshPolicy {
    exact().with_patience(Duration::ZERO)
}

/// What the token endpoint answers, and how long that takes.
pub(crate) struct Reply {
    /// Nothing is a connection that breaks.
    response: Option<Response<Body>>,
    takes: Duration,
}

impl Reply {
    /// The token `text`, good for so many seconds.
    pub(crate) fn token(text: &str, expires_in: u64) -> Self {
        let body = json!({"access_token": text, "expires_in": expires_in});
        Self::with(200, body.to_string())
    }

    /// A token and a refresh token.
    pub(crate) fn rotated(text: &str, refresh_token: &str, expires_in: u64) -> Self {
        let body = json!({
            "access_token": text,
            "refresh_token": refresh_token,
            "expires_in": expires_in,
        });
        Self::with(200, body.to_string())
    }

    /// A token, and what it is for.
    pub(crate) fn scoped(text: &str, scope: &str, expires_in: u64) -> Self {
        let body = json!({"access_token": text, "scope": scope, "expires_in": expires_in});
        Self::with(200, body.to_string())
    }

    pub(crate) fn refusal(status: u16, code: &str) -> Self {
        Self::with(status, json!({"error": code}).to_string())
    }

    /// 503, and when to come again.
    pub(crate) fn unavailable(retry_after: &str) -> Self {
        let mut reply = Self::with(503, String::new());
        let headers = reply.response.as_mut().unwrap().headers_mut();
        headers.insert("retry-after", retry_after.parse().unwrap());
        reply
    }

    pub(crate) fn broken() -> Self {
        Self { response: None, takes: Duration::ZERO }
    }

    pub(crate) fn takes(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// It never comes.
    pub(crate) fn hangs(self) -> Self {
        self.takes(Duration::MAX)
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::with(200, body.to_owned())
    }

    fn with(status: u16, body: String) -> Self {
        let response = Response::builder().status(status).body(Body::from(body)).unwrap();
        Self { response: Some(response), takes: Duration::ZERO }
    }
}

/// The tokens `T1`, `T2`, …, good for so many seconds, after so long.
pub(crate) fn numbered(
    expires_in: u64,
    takes: Duration,
) -> impl FnMut(&Asked) -> Reply + Send + 'static {
    move |asked| Reply::token(&format!("T{}", asked.number), expires_in).takes(takes)
}

/// A token request: which one it is, from 1, and its form.
pub(crate) struct Asked {
    pub(crate) number: usize,
    pub(crate) form: String,
}

type Script = Box<dyn FnMut(&Asked) -> Reply + Send>;

struct TokenServer {
    script: Script,
    requests: Vec<Instant>,
}

/// Everything that a client talks to.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    start: Instant,
    server: Arc<Mutex<TokenServer>>,
    resource: Resource,
}

impl World {
    /// Request `n` gets the token `Tn` at once, good for an hour.
    pub(crate) fn new() -> Self {
        Self::answering(numbered(3600, Duration::ZERO))
    }

    pub(crate) fn answering(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        // 2026-01-01T00:00:00Z.
        Self::with_clock(
            ManualClock::from_wall(SystemTime::UNIX_EPOCH + seconds(1_767_225_600)),
            script,
        )
    }

    pub(crate) fn with_clock(
        clock: ManualClock,
        script: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let start = clock.clock().monotonic();
        let server = TokenServer { script: Box::new(script), requests: Vec::new() };
        let server = Arc::new(Mutex::new(server));
        Self { clock, start, server, resource: Resource::default() }
    }

    /// What the token endpoint answers from now on.
    pub(crate) fn answer(&self, script: impl FnMut(&Asked) -> Reply + Send + 'static) {
        self.server.lock().unwrap().script = Box::new(script);
    }

    /// The token endpoint, as the service of a transport.
    pub(crate) fn service(&self) -> TokenService {
        let (server, clock) = (self.server.clone(), self.clock.clock());
        BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
            let (server, clock) = (server.clone(), clock.clone());
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let reply = {
                    let mut server = server.lock().unwrap();
                    server.requests.push(clock.monotonic());
                    let form = String::from_utf8(body.to_vec()).unwrap();
                    let asked = Asked { number: server.requests.len(), form };
                    (server.script)(&asked)
                };
                clock.sleep(reply.takes).await;
                reply.response.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }))
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        self.endpoint_over(self.service())
    }

    /// The token endpoint, reached by `service`.
    pub(crate) fn endpoint_over(&self, service: TokenService) -> TokenEndpoint {
        let transport = Transport::new(service).with_clock(self.clock.clock());
        let client = ClientAuthentication::basic("id", "secret");
        let endpoint = TokenEndpoint::new("https://as.example/token", client, transport);
        endpoint.unwrap().with_clock(self.clock.clock())
    }

    pub(crate) fn cache(&self, policy: RefreshPolicy) -> TokenCache {
        let grant = Grant::client_credentials();
        TokenCache::new_with_clock(self.endpoint(), grant, policy, self.clock.clock())
    }

    /// A session with the refresh token `R1`, whose access token `T0` is good for a minute.
    pub(crate) fn session(&self, policy: RefreshPolicy) -> TokenCache {
        let response = TokenResponse::new(AccessToken::new("T0").unwrap())
            .with_lifetime(seconds(60))
            .with_refresh_token("R1");
        let clock = self.clock.clock();
        TokenCache::from_sign_in(self.endpoint(), &response, policy, clock)
    }

    pub(crate) fn layer(&self, policy: RefreshPolicy) -> ClientCredentialsRefresh {
        let layer = ClientCredentialsRefresh::new(self.endpoint(), API).unwrap();
        layer.with_policy(policy).with_clock(self.clock.clock())
    }

    /// A client of the resource.
    pub(crate) fn client(&self, policy: RefreshPolicy) -> Client {
        self.client_of(&self.layer(policy))
    }

    /// A client of the resource, over `layer`.
    pub(crate) fn client_of(&self, layer: &ClientCredentialsRefresh) -> Client {
        layer.layer(self.resource.clone())
    }

    /// When the token requests came, from the beginning.
    pub(crate) fn requests(&self) -> Vec<Duration> {
        self.server.lock().unwrap().requests.iter().map(|at| *at - self.start).collect()
    }

    /// The tokens that the resource saw.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.resource.sent.lock().unwrap().clone()
    }

    /// How long it is since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.clock.clock().monotonic() - self.start
    }

    /// Moves the clock, and lets everybody do what is then due.
    pub(crate) async fn advance(&self, duration: Duration) {
        settle().await;
        self.clock.advance(duration);
        settle().await;
    }

    /// Moves the clock to `instant`, from the beginning.
    pub(crate) async fn advance_to(&self, instant: Duration) {
        self.advance(instant - self.now()).await;
    }
}

/// Answers with the token that it was called with.
#[derive(Clone, Default)]
pub(crate) struct Resource {
    sent: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Body>> for Resource {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let token = bearer_of(&request);
        self.sent.lock().unwrap().push(token.clone());
        ready(Ok(Response::new(Body::from(token))))
    }
}

/// The token on `request`; empty where there is none.
pub(crate) fn bearer_of<B>(request: &Request<B>) -> String {
    let value = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
    value.map(|value| value.strip_prefix("Bearer ").unwrap()).unwrap_or_default().to_owned()
}

pub(crate) fn get() -> Request<Body> {
    Request::get(format!("{API}/x")).body(Body::default()).unwrap()
}

/// Calls the resource: the token that it saw, or why it was not called.
pub(crate) fn call(client: &Client) -> impl Future<Output = Result<String, Error>> + Send + use<> {
    let client = client.clone();
    async move {
        let response = client.oneshot(get()).await.map_err(|error| *error.downcast().unwrap())?;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }
}

/// Asks the cache itself.
pub(crate) fn ask(
    cache: &TokenCache,
) -> impl Future<Output = Result<AccessToken, Error>> + Send + use<> {
    cache.token(RequestHead::from_request(&get())).wait()
}

/// What the cache has at once; nothing where a caller has to wait.
pub(crate) fn at_hand(cache: &TokenCache) -> Option<Result<AccessToken, Error>> {
    match cache.token(RequestHead::from_request(&get())) {
        Answer::Ready(answer) => Some(answer),
        Answer::Pending(_) => None,
    }
}

/// What `future` brings without the clock moving.
///
/// # Panics
///
/// Where it waits for the clock.
pub(crate) async fn at_once<F: Future>(future: F) -> F::Output {
    tokio::select! {
        biased;
        output = future => output,
        () = settle() => panic!("it waits for the clock to move"),
    }
}

/// Lets every task run until it waits for the clock.
pub(crate) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
