//! An authorization server and an API in the process.

use crate::arguments::Provider;
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower::BoxError;
use tower_oauth2::{
    ScopeSet,
    server::{Authenticated, RequireToken},
    testing::{AuthorizationServer, BoundServer, RegisteredClient},
};

const CLIENT_ID: &str = "sign-in";

/// Starts both; they end with the program. Everybody who is sent to sign in is alice.
pub(crate) async fn start(redirect_uri: &str) -> Result<(Provider, BoundServer), BoxError> {
    let scopes: ScopeSet = "calls".parse()?;
    let authorization = AuthorizationServer::new();
    let client = RegisteredClient::public(CLIENT_ID).with_redirect_uri(redirect_uri)?;
    authorization.register_client(client.with_scopes(scopes.clone()));
    authorization.register_user("alice", "", scopes.clone());
    let bound = authorization.bind().await?;
    let issuer = bound.origin().to_owned();
    authorization.set_issuer(&issuer);

    let api = TcpListener::bind("127.0.0.1:0").await?;
    let api_url = format!("http://{}/calls", api.local_addr()?);
    let require_token = RequireToken::new("calls", authorization.validator())?;
    let router: Router = Router::new().route("/calls", get(calls)).route_layer(require_token);
    tokio::spawn(axum::serve(api, router).into_future());

    let client_id = CLIENT_ID.to_owned();
    let provider = Provider { issuer, client_id, client_secret: None, scopes, api: Some(api_url) };
    Ok((provider, bound))
}

async fn calls(who: Authenticated) -> String {
    let principal = who.principal();
    format!("the calls of {}, by {}", principal.subject().unwrap_or("nobody"), principal.scopes())
}
