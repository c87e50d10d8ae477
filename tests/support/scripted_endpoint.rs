//! A token endpoint in the process, which answers by a script and remembers what it was asked,
//! and an API that is called with its tokens.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use http_body_util::{BodyExt, Full};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::{JoinHandle, yield_now};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    ClientAuthentication, Clock, Transport,
    client::{
        AddBearer, Error, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenResponse,
        TokenStatus,
    },
    testing::ManualClock,
};

pub(crate) const TOKEN_URL: &str = "https://as.example/token";
pub(crate) const API: &str = "https://api.example";

/// What the script says to one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(Response<Bytes>),
    /// The HTTP client fails with this text.
    Failure(String),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Self::Answer(response)
    }

    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).with_body(body)
    }

    /// 200 and JSON, declared as such.
    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::ok(body).with_header(CONTENT_TYPE, "application/json")
    }

    /// A token that is good for so many seconds.
    pub(crate) fn token(token: &str, seconds: u64) -> Self {
        Self::json(format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#
        ))
    }

    pub(crate) fn with_body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.change(|response| *response.body_mut() = body)
    }

    pub(crate) fn with_header(self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.change(|response| {
            response.headers_mut().append(name, value);
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Response<Bytes>)) -> Self {
        match &mut self {
            Self::Answer(response) => change(response),
            Self::Failure(_) => panic!("a failure is no answer"),
        }
        self
    }
}

/// The replies of a token endpoint, one after the other and the last for ever, and the requests
/// that it got. A clone is the same script.
#[derive(Clone)]
pub(crate) struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request<String>>>>,
}

impl Script {
    pub(crate) fn of(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Arc::new(Mutex::new(replies.into_iter().collect()));
        Self { replies, requests: Arc::default() }
    }

    pub(crate) fn transport(&self) -> Transport {
        let script = self.clone();
        Transport::new(service_fn(move |request| script.clone().answer(request)))
    }

    pub(crate) fn endpoint(&self, client: ClientAuthentication) -> TokenEndpoint {
        TokenEndpoint::new(TOKEN_URL, client, self.transport()).unwrap()
    }

    /// Every request so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request<String>> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The one request that there was.
    pub(crate) fn request(&self) -> Request<String> {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    async fn answer(self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, String> {
        let (parts, body) = request.into_parts();
        let body = text(body).await;
        self.requests.lock().unwrap().push(Request::from_parts(parts, body));
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
        match reply.expect("the script says something") {
            Reply::Answer(response) => Ok(response.map(Full::new)),
            Reply::Failure(text) => Err(text),
        }
    }
}

/// The pairs of a form or a query, decoded, in their order.
pub(crate) fn pairs(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

/// What the endpoint makes of one reply.
pub(crate) async fn read(reply: Reply) -> Result<TokenResponse, Error> {
    let endpoint = Script::of([reply]).endpoint(ClientAuthentication::basic("id", "secret"));
    endpoint.fetch(&Grant::client_credentials()).await
}

/// An API behind [`AddBearer`], whose token comes from a cache on a clock that stands still.
pub(crate) struct Caller {
    pub(crate) cache: TokenCache,
    pub(crate) clock: ManualClock,
    client: BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>,
    /// What the API answers.
    status: Arc<Mutex<StatusCode>>,
    calls: Arc<AtomicUsize>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Caller {
    /// Calls with the tokens that `script` gives for the client's own credentials.
    pub(crate) fn new(script: &Script, policy: RefreshPolicy) -> Self {
        let endpoint = script.endpoint(ClientAuthentication::basic("id", "secret"));
        Self::with_grant(endpoint, Grant::client_credentials(), policy)
    }

    pub(crate) fn with_grant(endpoint: TokenEndpoint, grant: Grant, policy: RefreshPolicy) -> Self {
        let clock = ManualClock::new();
        let endpoint = endpoint.with_clock(clock.clock());
        let cache = TokenCache::new_with_clock(endpoint, grant, policy, clock.clock());
        Self::of(cache, clock)
    }

    /// Calls with the token of a sign-in, and those that renew it.
    pub(crate) fn signed_in(endpoint: TokenEndpoint, response: &TokenResponse) -> Self {
        let clock = ManualClock::new();
        let policy = RefreshPolicy::default();
        let cache = TokenCache::from_sign_in(endpoint, response, policy, clock.clock());
        Self::of(cache, clock)
    }

    /// Calls with the tokens of the cache that `make` makes, by a clock at the time of day.
    pub(crate) fn with_cache(make: impl FnOnce(Clock) -> TokenCache) -> Self {
        let clock = ManualClock::from_wall(std::time::SystemTime::now());
        Self::of(make(clock.clock()), clock)
    }

    fn of(cache: TokenCache, clock: ManualClock) -> Self {
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let calls = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (status.clone(), calls.clone());
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            counter.fetch_add(1, Ordering::Relaxed);
            let seen = request.headers().get(AUTHORIZATION).expect("a call has a token");
            let mut response = Response::new(Full::from(Bytes::copy_from_slice(seen.as_bytes())));
            *response.status_mut() = *answer.lock().unwrap();
            async { Ok::<_, Infallible>(response) }
        });
        let layer = AddBearer::from_source(cache.clone(), API).unwrap().with_clock(clock.clock());
        let client = BoxCloneSyncService::new(layer.layer(api));
        Self { cache, clock, client, status, calls }
    }

    /// Calls, and gives the `Authorization` that the API got, or the error of the layer.
    pub(crate) fn call(&self) -> impl Future<Output = Result<String, Error>> + Send + use<> {
        let client = self.client.clone();
        async move {
            let request = Request::get(API).body(Full::default()).unwrap();
            match client.oneshot(request).await {
                Ok(response) => Ok(text(response.into_body()).await),
                Err(error) => Err(*error.downcast::<Error>().unwrap()),
            }
        }
    }

    /// A call that has gone as far as it gets while the clock stands still.
    pub(crate) async fn waiting_call(&self) -> JoinHandle<Result<String, Error>> {
        let call = tokio::spawn(self.call());
        settle().await;
        call
    }

    /// Moves the clock, and lets everybody see it.
    pub(crate) async fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
        settle().await;
    }

    /// What the API answers from now on.
    pub(crate) fn api_answers(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    /// How many requests got to the API.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> TokenStatus {
        self.cache.status()
    }
}

async fn text(body: Full<Bytes>) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap()
}

/// Lets every other task of this thread run as far as it gets.
pub(crate) async fn settle() {
    for _ in 0..64 {
        yield_now().await;
    }
}
