//! A system of the five as its client meets it: an authorization server and an API on loopback,
//! which tell the same time, and this crate's client half over real sockets.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use crate::raw::Server;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Future, ready},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::yield_now, time::timeout};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_oauth2::{
    ClientAuthentication, TokenLocation, Transport,
    client::{AddBearer, Error, TokenCache, TokenEndpoint},
    server::{Authenticated, RequireToken},
    testing::{AuthorizationServer, BoundServer, ManualClock},
};

type Api = BoxCloneService<Request<Incoming>, Response<Full<Bytes>>, Infallible>;
type BoxError = Box<dyn StdError + Send + Sync>;
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;
/// A layer of this crate over an [`HttpClient`].
pub(crate) type ApiClient = BoxCloneService<Request<Full<Bytes>>, Response<Incoming>, BoxError>;

pub(crate) const JUDGES: [Judge; 2] = [Judge::Documented, Judge::RequireToken];

/// Who judges the tokens that come to the API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judge {
    /// Some lines after the documentation, which know nothing of this crate's server half.
    Documented,
    /// This crate's server half.
    RequireToken,
}

pub(crate) struct System {
    pub(crate) authorization: AuthorizationServer,
    pub(crate) clock: ManualClock,
    pub(crate) http: HttpClient,
    pub(crate) bound: BoundServer,
    api: Server,
    calls: Arc<Mutex<Vec<Parts>>>,
    judge: Judge,
}

impl System {
    /// A system whose API reads tokens from `locations`.
    pub(crate) async fn start(judge: Judge, locations: &[TokenLocation]) -> Self {
        let (clock, calls) = (ManualClock::new(), Arc::<Mutex<Vec<_>>>::default());
        let authorization = AuthorizationServer::new().with_clock(clock.clock());
        let bound = authorization.bind().await.unwrap();
        let (api, seen) = (api(judge, &authorization, locations.to_vec()), calls.clone());
        let api = Server::start(service_fn(move |request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            seen.lock().unwrap().push(head.clone());
            api.clone().oneshot(Request::from_parts(head, body))
        }));
        Self { authorization, clock, http: http(), bound, api: api.await, calls, judge }
    }

    /// The token endpoint at `path`, over a socket.
    pub(crate) fn endpoint(&self, path: &str, client: ClientAuthentication) -> TokenEndpoint {
        let transport = Transport::new(self.http.clone());
        TokenEndpoint::new(&self.bound.url(path), client, transport).unwrap()
    }

    /// A client of the API that has its token from `cache` and presents it at `location`.
    pub(crate) fn client(&self, cache: &TokenCache, location: TokenLocation) -> ApiClient {
        let layer =
            AddBearer::from_source(cache.clone(), self.origin()).unwrap().with_location(location);
        ApiClient::new(layer.layer(self.http.clone()))
    }

    /// The origin of the API.
    pub(crate) fn origin(&self) -> String {
        self.api.origin()
    }

    /// One call of the API: what it answered, or why it was not called.
    pub(crate) async fn call(&self, client: &mut ApiClient) -> Result<Response<String>, Error> {
        call(client, &format!("{}/api/v2/calls", self.origin())).await
    }

    /// A call that the API answers, for `whom` the token stands for.
    pub(crate) async fn assert_called(&self, client: &mut ApiClient, whom: &str) {
        let reply = self.call(client).await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.body().as_str()), (200, whom));
    }

    /// `reply` is all that the API says to a destroyed token.
    pub(crate) fn assert_refusal(&self, reply: &Response<String>) {
        let documented = self.judge == Judge::Documented;
        let challenged = reply.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!((reply.status().as_u16(), challenged), (401, !documented));
        assert_eq!(reply.body(), if documented { "no such token" } else { "" });
    }

    /// One token serves every call of `whom` until its `lifetime` is over; then it is one more.
    pub(crate) async fn assert_used_until_it_expires(
        &self,
        client: &mut ApiClient,
        whom: &str,
        lifetime: Duration,
    ) {
        for _ in 0..5 {
            self.assert_called(client, whom).await;
            self.assert_called(&mut client.clone(), whom).await;
        }
        self.assert_requests(1, 10);
        self.clock.advance(lifetime);
        self.assert_called(client, whom).await;
        self.assert_requests(2, 11);
    }

    /// From `age` on a token is renewed in the background, while calls go on with the old one.
    pub(crate) async fn assert_renewed_in_use(
        &self,
        (client, cache): (&mut ApiClient, &TokenCache),
        whom: &str,
        age: Duration,
    ) {
        self.assert_called(client, whom).await;
        let first = self.last_call().headers;
        self.clock.advance(age);
        self.assert_called(client, whom).await;
        assert_eq!(self.last_call().headers, first);
        until(|| cache.status().is_fresh()).await;
        self.assert_called(client, whom).await;
        assert_ne!(self.last_call().headers, first);
        self.assert_requests(2, 3);
    }

    /// A token that is destroyed is replaced, and no caller notices.
    pub(crate) async fn assert_replaced_once_destroyed(&self, client: &mut ApiClient, whom: &str) {
        self.assert_called(client, whom).await;
        self.authorization.revoke_all();
        // The API sees this call twice.
        self.assert_called(client, whom).await;
        self.assert_requests(2, 3);
        self.assert_called(client, whom).await;
        self.assert_requests(2, 4);
    }

    /// How many requests the token endpoint and the API got so far.
    #[track_caller]
    pub(crate) fn assert_requests(&self, token_requests: usize, calls: usize) {
        let seen = (self.authorization.token_requests(), self.calls.lock().unwrap().len());
        assert_eq!(seen, (token_requests, calls), "token requests and calls");
    }

    /// The head of the newest call that the API got.
    pub(crate) fn last_call(&self) -> Parts {
        self.calls.lock().unwrap().last().unwrap().clone()
    }
}

/// An API that tells whose the token is.
fn api(judge: Judge, authorization: &AuthorizationServer, locations: Vec<TokenLocation>) -> Api {
    if judge == Judge::RequireToken {
        let guard = RequireToken::new("api", authorization.validator()).unwrap();
        let handler = service_fn(async |request: Request<Incoming>| {
            let who = request.extensions().get::<Authenticated>().unwrap().principal();
            let who = who.subject().or(who.client_id()).unwrap();
            Ok(Response::new(who.to_owned().into()))
        });
        return Api::new(guard.with_locations(locations).unwrap().layer(handler));
    }
    let authorization = authorization.clone();
    Api::new(service_fn(move |request| {
        let token = locations.iter().find_map(|location| presented(&request, location));
        let response = match token.and_then(|token| authorization.introspect(&token)) {
            Some(token) => Response::new(token.subject().or(token.client_id()).unwrap().to_owned()),
            None => Response::builder().status(401).body("no such token".to_owned()).unwrap(),
        };
        ready(Ok(response.map(Full::from)))
    }))
}

fn presented(request: &Request<Incoming>, location: &TokenLocation) -> Option<String> {
    if *location == TokenLocation::Query {
        let mut pairs = form_urlencoded::parse(request.uri().query()?.as_bytes());
        return pairs.find(|(name, _)| name == "access_token").map(|(_, token)| token.into());
    }
    let credentials = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    if *location == TokenLocation::BasicUserName {
        let user = BASE64_STANDARD.decode(credentials.strip_prefix("Basic ")?).ok()?;
        return Some(String::from_utf8(user).ok()?.strip_suffix(':')?.to_owned());
    }
    Some(credentials.strip_prefix("Bearer ")?.to_owned())
}

/// `GET uri` over a socket.
pub(crate) async fn call(client: &mut ApiClient, uri: &str) -> Result<Response<String>, Error> {
    let request = Request::get(uri).body(Full::default()).unwrap();
    let response = within_limit(client.ready().await.unwrap().call(request)).await;
    let (head, body) = response.map_err(|error| *error.downcast::<Error>().unwrap())?.into_parts();
    let body = within_limit(body.collect()).await.unwrap().to_bytes();
    Ok(Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap()))
}

/// Waits for what happens in the background. A test that hangs fails.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let background = async {
        while !condition() {
            yield_now().await;
        }
    };
    within_limit(background).await;
}

pub(crate) async fn within_limit<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(10), future).await.expect("it hangs")
}

pub(crate) fn http() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}
