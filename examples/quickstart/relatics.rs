//! R5, Relatics, a Keycloak realm: the client's own credentials in a Basic header give a token
//! with which it calls.

use crate::{BoxError, refetched, report::Report, system::System};
use std::time::Duration;
use tower::Layer;
use tower_oauth2::{
    ClientAuthentication, TokenLocation, client::ClientCredentialsRefresh,
    testing::RegisteredClient,
};

const CLIENT_ID: &str = "c005aef4-88d4-42d5-937e-290e4bb19661";
const CLIENT_SECRET: &str = concat!(
    "c5229a8e-0dff-4270-80a6-a5a47267e7f7-ec85c647-d089-4fda-87d3-89866ac5fefe-",
    "80090b3f-cc2c-4c01-8e34-c3c83c145368",
);
const TOKEN_PATH: &str = "/auth/realms/myenvironment/protocol/openid-connect/token";

pub(crate) async fn run(report: &mut Report) -> Result<(), BoxError> {
    let locations = [TokenLocation::Bearer];
    let system = System::start("R5 Relatics", CLIENT_ID, &locations, report).await?;
    let client = RegisteredClient::confidential(CLIENT_ID, CLIENT_SECRET);
    let server = &system.authorization;
    server.register_client(client.with_scopes("DataExchange".parse()?));
    server.set_access_token_lifetime(Some(Duration::from_secs(600)));
    server.set_extra_member("not-before-policy", "1696859419")?;
    server.set_extra_member("refresh_expires_in", "0")?;

    let credentials = ClientAuthentication::basic(CLIENT_ID, CLIENT_SECRET);
    let endpoint = system.endpoint(TOKEN_PATH, credentials)?;
    let layer = ClientCredentialsRefresh::new(endpoint, system.api.as_str())?
        .with_clock(system.clock.clock());

    let client = layer.layer(system.http.clone());
    refetched::run(system, client, layer.cache()).await
}
