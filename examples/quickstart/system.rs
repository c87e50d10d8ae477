//! A system on loopback: an authorization server, an API that trusts it, and calls of the API.

use crate::{BoxError, report::Report};
use axum::{Extension, Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::fmt;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};
use tower_oauth2::{
    Challenge, ClientAuthentication, ConfigError, TokenLocation, Transport,
    client::{AddBearerService, TokenCache, TokenEndpoint},
    server::{Authenticated, RequireToken},
    testing::{AuthorizationServer, BoundServer, ManualClock},
    validate::ValidateToken,
};

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// The HTTP client with the layer that gets and attaches tokens.
pub(crate) type ApiClient = AddBearerService<HttpClient, TokenCache>;

/// One of the five systems, and what its client did so far.
pub(crate) struct System<'a> {
    pub(crate) authorization: AuthorizationServer,
    /// The time of the servers and of the client. It stands still until it is told to go on.
    pub(crate) clock: ManualClock,
    /// Where the authorization server can be reached.
    pub(crate) bound: BoundServer,
    /// The origin of the API, the only one that its tokens are for.
    pub(crate) api: String,
    pub(crate) http: HttpClient,
    name: &'static str,
    /// What the API says to the holder of a good token.
    greeting: String,
    calls: usize,
    report: &'a mut Report,
}

impl<'a> System<'a> {
    /// Starts a system whose API reads tokens from `locations`; they are those of `whom`.
    pub(crate) async fn start(
        name: &'static str,
        whom: &str,
        locations: &[TokenLocation],
        report: &'a mut Report,
    ) -> Result<Self, BoxError> {
        report.heading(name);
        let clock = ManualClock::new();
        let authorization = AuthorizationServer::new().with_clock(clock.clock());
        let bound = authorization.bind().await?;
        let api = start_api(authorization.validator(), locations).await?;
        let (http, greeting) = (http_client(), format!("hello {whom}"));
        Ok(Self { authorization, clock, bound, api, http, name, greeting, calls: 0, report })
    }

    /// The token endpoint at `path` of the authorization server, asked as `client`.
    pub(crate) fn endpoint(
        &self,
        path: &str,
        client: ClientAuthentication,
    ) -> Result<TokenEndpoint, ConfigError> {
        TokenEndpoint::new(&self.bound.url(path), client, Transport::new(self.http.clone()))
    }

    /// Calls the API.
    pub(crate) async fn call(&mut self, client: &mut ApiClient) -> Result<Answer, BoxError> {
        let answer = call(client, &self.api, "/hello").await?;
        self.calls += 1;
        Ok(answer)
    }

    /// A step: a call that succeeds, after this many token requests in all.
    pub(crate) async fn answered_step(
        &mut self,
        step: &str,
        client: &mut ApiClient,
        token_requests: usize,
    ) -> Result<(), BoxError> {
        let answer = self.call(client).await?;
        let good = answer.is(StatusCode::OK, &self.greeting) && self.spent(token_requests);
        self.step(step, good, &format!("{answer}, {}", self.spent_in_words()));
        Ok(())
    }

    /// A step: a call that the API refuses and says why, after this many token requests in all.
    pub(crate) async fn refused_step(
        &mut self,
        step: &str,
        client: &mut ApiClient,
        why: &str,
        token_requests: usize,
    ) -> Result<(), BoxError> {
        let answer = self.call(client).await?;
        let good = answer.is(StatusCode::UNAUTHORIZED, why) && self.spent(token_requests);
        self.step(step, good, &answer.to_string());
        Ok(())
    }

    /// A step: ten calls that succeed, after this many token requests in all.
    pub(crate) async fn reuse_step(
        &mut self,
        client: &mut ApiClient,
        token_requests: usize,
    ) -> Result<(), BoxError> {
        let mut succeeded = 0;
        for _ in 0..10 {
            let answer = self.call(client).await?;
            succeeded += usize::from(answer.is(StatusCode::OK, &self.greeting));
        }
        let good = succeeded == 10 && self.spent(token_requests);
        let outcome = format!("{succeeded} more calls, {}", self.spent_in_words());
        self.step("reuse", good, &outcome);
        Ok(())
    }

    /// A step with any other outcome.
    pub(crate) fn step(&mut self, step: &str, good: bool, outcome: &str) {
        self.report.step(step, good, outcome);
    }

    /// Whether there were this many token requests in all.
    pub(crate) fn spent(&self, token_requests: usize) -> bool {
        self.authorization.token_requests() == token_requests
    }

    /// How many token requests there were.
    pub(crate) fn spent_in_words(&self) -> String {
        match self.authorization.token_requests() {
            1 => "1 token request in all".to_owned(),
            n => format!("{n} token requests in all"),
        }
    }

    /// Ends the system, with a row in the table.
    pub(crate) fn finish(self) {
        self.report.cost(self.name, self.calls, self.authorization.token_requests());
    }
}

/// Starts an API whose every route is for the holders of tokens that `validator` finds good, and
/// gives its origin.
pub(crate) async fn start_api<V>(
    validator: V,
    locations: &[TokenLocation],
) -> Result<String, BoxError>
where
    V: ValidateToken,
{
    let require_token =
        RequireToken::new("quickstart", validator)?.with_locations(locations.to_vec())?;
    let router: Router = Router::new().route("/hello", get(hello)).layer(require_token);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(origin)
}

/// The handler is told whose token it was.
pub(crate) async fn hello(Extension(authenticated): Extension<Authenticated>) -> String {
    let principal = authenticated.principal();
    let who = principal.subject().or(principal.client_id());
    format!("hello {}", who.unwrap_or("nobody"))
}

pub(crate) fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The status, and the body or else what the first challenge says.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Answer {
    /// Whether it has this status and says this.
    pub(crate) fn is(&self, status: StatusCode, part: &str) -> bool {
        self.status == status && self.text.contains(part)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}  {}", self.status.to_string(), self.text)
    }
}

/// Calls `path` of the API with `client`, which is any HTTP client that is a tower service.
pub(crate) async fn call<C>(client: &mut C, api: &str, path: &str) -> Result<Answer, BoxError>
where
    C: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error: Into<BoxError>>,
{
    let request = Request::get(format!("{api}{path}")).body(Full::default())?;
    let client = client.ready().await.map_err(Into::into)?;
    let response = client.call(request).await.map_err(Into::into)?;
    let status = response.status();
    // Of several challenges the one that says what is wrong.
    let challenges = Challenge::from_headers(response.headers());
    let is_refusal = |challenge: &&Challenge| challenge.param("error").is_some();
    let text = challenges.iter().find(is_refusal).or(challenges.first()).map(reason);
    let body = response.into_body().collect().await?.to_bytes();
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Ok(Answer { status, text })
}

/// Why a request was refused, or what it lacks.
fn reason(challenge: &Challenge) -> String {
    match (challenge.param("error"), challenge.param("error_description")) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        _ => format!("asks for {}", challenge.scheme()),
    }
}
