//! Both layers with a token that is known beforehand: the three ways to present it, what is
//! refused, and what follows when it is destroyed.

use crate::{
    BoxError,
    report::Report,
    system::{Answer, HttpClient, call, http_client, start_api},
};
use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    ConfigError, TokenLocation,
    client::AddBearer,
    validate::{Principal, StaticTokens},
};

const ALICES_TOKEN: &str = "mF_9.B5f-4.1JqM";

pub(crate) async fn run(report: &mut Report) -> Result<(), BoxError> {
    report.heading("One API, one token");
    let tokens = StaticTokens::new();
    tokens.insert(ALICES_TOKEN, Principal::new("alice"))?;
    let locations = [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName];
    let api = start_api(tokens.clone(), &locations).await?;

    let mut steps = Steps { api, http: http_client(), report };
    steps.present_the_token_in_each_way().await?;
    steps.present_what_is_refused().await?;
    tokens.remove(ALICES_TOKEN);
    steps.present_the_destroyed_token().await
}

/// The client: what is done one after the other.
struct Steps<'a> {
    /// The origin of the API, the only one that the token is for.
    api: String,
    http: HttpClient,
    report: &'a mut Report,
}

impl Steps<'_> {
    async fn present_the_token_in_each_way(&mut self) -> Result<(), BoxError> {
        for (step, location) in [
            ("header", TokenLocation::Bearer),
            ("query", TokenLocation::Query),
            ("Basic user name", TokenLocation::BasicUserName),
        ] {
            let add_bearer = self.add_bearer(ALICES_TOKEN)?.with_location(location)?;
            let answer = self.call_with(add_bearer, "/hello").await?;
            self.report.answer(step, &answer, StatusCode::OK, "hello alice");
        }
        Ok(())
    }

    async fn present_what_is_refused(&mut self) -> Result<(), BoxError> {
        let without = call(&mut self.http, &self.api, "/hello").await?;
        self.report.answer("no token", &without, StatusCode::UNAUTHORIZED, "asks for Bearer");

        // By hand: the client layer adds nothing where the query has a token already.
        let mut in_header = self.http.clone().map_request(|mut request: Request<_>| {
            let token = HeaderValue::from_static("Bearer mF_9.B5f-4.1JqM");
            request.headers_mut().insert(AUTHORIZATION, token);
            request
        });
        let and_in_query = format!("/hello?access_token={ALICES_TOKEN}");
        let twice = call(&mut in_header, &self.api, &and_in_query).await?;
        let step = "header and query at once";
        self.report.answer(step, &twice, StatusCode::BAD_REQUEST, "invalid_request");

        let unknown = self.call_with(self.add_bearer("made-up")?, "/hello").await?;
        self.report.answer("unknown token", &unknown, StatusCode::UNAUTHORIZED, "invalid_token");
        Ok(())
    }

    async fn present_the_destroyed_token(&mut self) -> Result<(), BoxError> {
        let answer = self.call_with(self.add_bearer(ALICES_TOKEN)?, "/hello").await?;
        self.report.answer("destroyed token", &answer, StatusCode::UNAUTHORIZED, "invalid_token");
        Ok(())
    }

    /// The client layer: `token` on every request to the API, and to no one else.
    fn add_bearer(&self, token: &str) -> Result<AddBearer, ConfigError> {
        AddBearer::bearer(token, self.api.as_str())
    }

    async fn call_with(&self, add_bearer: AddBearer, path: &str) -> Result<Answer, BoxError> {
        call(&mut add_bearer.layer(self.http.clone()), &self.api, path).await
    }
}
