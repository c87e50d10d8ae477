//! R1 to R3, Relatel and Firmafon: a user signs in, the parameters ride in queries, and the
//! answer is a token that is good until the user destroys it.

use crate::{
    BoxError,
    report::Report,
    system::{ApiClient, System},
};
use http::{Uri, header::LOCATION};
use std::time::Duration;
use tower::Layer;
use tower_oauth2::{
    ClientAuthentication, ConfigError, ScopeSet, TokenLocation,
    client::{AddBearer, Error, RefreshPolicy, SignIn, TokenCache, TokenResponse},
    testing::{Quirk, RegisteredClient},
};

const CLIENT_ID: &str = "quickstart";
const CLIENT_SECRET: &str = "s&c=r+t";
const REDIRECT_URI: &str = "https://app.example/callback";
const HEADER: (&str, TokenLocation) = ("header", TokenLocation::Bearer);
const QUERY: (&str, TokenLocation) = ("query", TokenLocation::Query);
const BASIC: (&str, TokenLocation) = ("Basic user name", TokenLocation::BasicUserName);

pub(crate) async fn relatel(report: &mut Report) -> Result<(), BoxError> {
    run("R1 Relatel", &[HEADER, QUERY, BASIC], report).await
}

pub(crate) async fn firmafon(report: &mut Report) -> Result<(), BoxError> {
    run("R2 Firmafon", &[HEADER, QUERY, BASIC], report).await
}

/// It reads no token from Basic credentials.
pub(crate) async fn earlier_firmafon(report: &mut Report) -> Result<(), BoxError> {
    run("R3 Firmafon, earlier", &[HEADER, QUERY], report).await
}

async fn run(
    name: &'static str,
    ways: &[(&str, TokenLocation)],
    report: &mut Report,
) -> Result<(), BoxError> {
    let locations: Vec<TokenLocation> = ways.iter().map(|(_, location)| location.clone()).collect();
    let mut system = System::start(name, "alice", &locations, report).await?;
    prepare_server(&system)?;

    let sign_in = sign_in(&system)?;
    let response = sign_alice_in(&system, &sign_in).await?;
    let outcome = format!("alice signs in, {}", system.spent_in_words());
    system.step("get a token", system.spent(1), &outcome);

    let cache = keep(&system, &response)?;
    for (way, location) in ways {
        let mut client = client_at(&system, &cache, location.clone())?;
        system.answered_step(&format!("call by {way}"), &mut client, 1).await?;
    }
    let mut client = client_at(&system, &cache, TokenLocation::Bearer)?;
    system.reuse_step(&mut client, 1).await?;

    // There is nothing to refresh with, and no need to.
    system.clock.advance(Duration::from_secs(365 * 24 * 60 * 60));
    system.answered_step("no refresh in a year", &mut client, 1).await?;

    system.authorization.revoke(response.access_token().expose());
    system.refused_step("destroyed", &mut client, "invalid_token", 1).await?;
    report_that_sign_in_is_needed(&mut system, &mut client).await;
    cache.store(&sign_alice_in(&system, &sign_in).await?);
    system.answered_step("recover: alice signs in", &mut client, 2).await?;

    if !locations.contains(&TokenLocation::BasicUserName) {
        let mut client = client_at(&system, &cache, TokenLocation::BasicUserName)?;
        system.refused_step("call by Basic user name", &mut client, "asks for Bearer", 2).await?;
    }
    system.finish();
    Ok(())
}

/// What the documentation says of the authorization server.
fn prepare_server(system: &System<'_>) -> Result<(), ConfigError> {
    let client = RegisteredClient::confidential(CLIENT_ID, CLIENT_SECRET);
    let server = &system.authorization;
    server.register_client(client.with_redirect_uri(REDIRECT_URI)?);
    server.register_user("alice", "", ScopeSet::empty());
    // `{"access_token": "…"}`, and no `state` in the callback.
    server.enable(Quirk::BareAnswers);
    server.set_access_token_lifetime(None);
    server.enable(Quirk::NoState);
    Ok(())
}

/// How a user signs in.
fn sign_in(system: &System<'_>) -> Result<SignIn, ConfigError> {
    let client = ClientAuthentication::query(CLIENT_ID, CLIENT_SECRET);
    let endpoint = system.endpoint("/api/v2/token", client)?;
    let authorize = system.bound.url("/api/v2/authorize");
    let sign_in = SignIn::new(endpoint, CLIENT_ID, &authorize, REDIRECT_URI)?;
    Ok(sign_in.without_pkce().dangerous_allow_missing_state())
}

async fn sign_alice_in(system: &System<'_>, sign_in: &SignIn) -> Result<TokenResponse, BoxError> {
    let (url, pending) = sign_in.begin()?;
    let callback = browse(system, url).await?;
    Ok(sign_in.finish(pending, &callback).await?)
}

/// What the user's browser does: it goes to `url`, and comes back with a code.
async fn browse(system: &System<'_>, url: Uri) -> Result<Uri, BoxError> {
    let answer = system.http.get(url).await?;
    let back = answer.headers().get(LOCATION).ok_or("the browser is not sent back")?;
    Ok(back.to_str()?.parse()?)
}

/// Keeps the token of a sign-in for all clients.
fn keep(system: &System<'_>, response: &TokenResponse) -> Result<TokenCache, ConfigError> {
    let client = ClientAuthentication::query(CLIENT_ID, CLIENT_SECRET);
    let endpoint = system.endpoint("/api/v2/token", client)?;
    let (policy, clock) = (RefreshPolicy::default(), system.clock.clock());
    Ok(TokenCache::from_sign_in(endpoint, response, policy, clock))
}

/// A client of the API that presents the token of `cache` at `location`.
fn client_at(
    system: &System<'_>,
    cache: &TokenCache,
    location: TokenLocation,
) -> Result<ApiClient, ConfigError> {
    let layer = AddBearer::from_source(cache.clone(), system.api.as_str())?.with_location(location);
    Ok(layer.layer(system.http.clone()))
}

/// The API is not called any more, since no call could succeed.
async fn report_that_sign_in_is_needed(system: &mut System<'_>, client: &mut ApiClient) {
    let (good, outcome) = match system.call(client).await {
        Ok(answer) => (false, answer.to_string()),
        Err(error) => {
            let error_of_client = error.downcast_ref::<Error>();
            (error_of_client.is_some_and(Error::is_sign_in_needed), error.to_string())
        }
    };
    system.step("report: not called", good, &outcome);
}
