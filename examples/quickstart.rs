//! An HTTP API that asks for access tokens, and a client that presents them: both layers of the
//! crate over a real connection, each step with what came of it.
//!
//! ```console
//! cargo run --example quickstart
//! ```
#![allow(clippy::print_stdout, reason = "what came of each step is the purpose of this program")]

use axum::{Extension, Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{error::Error, process::ExitCode};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};
use tower_oauth2::{
    Challenge, ConfigError, TokenLocation,
    client::AddBearer,
    server::{Authenticated, RequireToken},
    validate::{Principal, StaticTokens},
};

type BoxError = Box<dyn Error + Send + Sync>;
type HttpClient = Client<HttpConnector, Full<Bytes>>;

const ALICES_TOKEN: &str = "mF_9.B5f-4.1JqM";

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let tokens = StaticTokens::new();
    tokens.insert(ALICES_TOKEN, Principal::new("alice"))?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, guarded_api(tokens.clone())?).into_future());

    let mut steps = Steps::new(api);
    steps.present_the_token_in_each_way().await?;
    steps.present_what_is_refused().await?;
    tokens.remove(ALICES_TOKEN);
    steps.present_the_destroyed_token().await?;

    Ok(steps.verdict())
}

/// The server: every route below `RequireToken` is for the holders of `tokens` alone.
fn guarded_api(tokens: StaticTokens) -> Result<Router, ConfigError> {
    let require_token = RequireToken::new("quickstart", tokens)?.read_from([
        TokenLocation::Bearer,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
    ])?;
    Ok(Router::new().route("/hello", get(hello)).layer(require_token))
}

/// The handler is told whose token it was.
async fn hello(Extension(authenticated): Extension<Authenticated>) -> String {
    format!("hello {}", authenticated.principal().subject().unwrap_or("nobody"))
}

/// The client: what is done one after the other, and whether all of it went as it should.
struct Steps {
    /// The origin of the API, the only one that the token is for.
    api: String,
    http: HttpClient,
    all_good: bool,
}

impl Steps {
    fn new(api: String) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { api, http, all_good: true }
    }

    async fn present_the_token_in_each_way(&mut self) -> Result<(), BoxError> {
        for (step, location) in [
            ("header", TokenLocation::Bearer),
            ("query", TokenLocation::Query),
            ("Basic user name", TokenLocation::BasicUserName),
        ] {
            let add_bearer = self.add_bearer(ALICES_TOKEN)?.at(location)?;
            let answer = self.call_with(add_bearer, "/hello").await?;
            self.expect(step, &answer, StatusCode::OK, "hello alice");
        }
        Ok(())
    }

    async fn present_what_is_refused(&mut self) -> Result<(), BoxError> {
        let without = call(self.http.clone(), &self.api, "/hello").await?;
        self.expect("no token", &without, StatusCode::UNAUTHORIZED, "asks for Bearer");

        let in_header = self.add_bearer(ALICES_TOKEN)?;
        let and_in_query = format!("/hello?access_token={ALICES_TOKEN}");
        let twice = self.call_with(in_header, &and_in_query).await?;
        self.expect("header and query at once", &twice, StatusCode::BAD_REQUEST, "invalid_request");

        let unknown = self.call_with(self.add_bearer("made-up")?, "/hello").await?;
        self.expect("unknown token", &unknown, StatusCode::UNAUTHORIZED, "invalid_token");
        Ok(())
    }

    async fn present_the_destroyed_token(&mut self) -> Result<(), BoxError> {
        let answer = self.call_with(self.add_bearer(ALICES_TOKEN)?, "/hello").await?;
        self.expect("destroyed token", &answer, StatusCode::UNAUTHORIZED, "invalid_token");
        Ok(())
    }

    /// The client layer: `token` on every request to the API, and to no one else.
    fn add_bearer(&self, token: &str) -> Result<AddBearer, ConfigError> {
        AddBearer::bearer(token, self.api.as_str())
    }

    async fn call_with(&self, add_bearer: AddBearer, path: &str) -> Result<Answer, BoxError> {
        call(add_bearer.layer(self.http.clone()), &self.api, path).await
    }

    /// Prints the step, and keeps in mind whether it did what it should.
    fn expect(&mut self, step: &str, answer: &Answer, status: StatusCode, part: &str) {
        let good = answer.status == status && answer.text.contains(part);
        self.all_good &= good;
        let mark = if good { "ok" } else { "FAIL" };
        let shown_status = answer.status.to_string();
        println!("{mark:<4} {step:<24}  {shown_status:<16}  {}", answer.text);
    }

    fn verdict(&self) -> ExitCode {
        if self.all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The status, and the body or else what the first challenge says.
struct Answer {
    status: StatusCode,
    text: String,
}

/// Calls `path` of the API with `client`, which is any HTTP client that is a tower service.
async fn call<C>(client: C, api: &str, path: &str) -> Result<Answer, BoxError>
where
    C: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error: Into<BoxError>>,
{
    let request = Request::get(format!("{api}{path}")).body(Full::default())?;
    let response = client.oneshot(request).await.map_err(Into::into)?;
    let status = response.status();
    let text = match response.headers().get(WWW_AUTHENTICATE) {
        Some(challenges) => Challenge::parse(challenges.as_bytes())?.first().map(reason),
        None => None,
    };
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
