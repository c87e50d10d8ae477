//! A token that is bound to a key: whoever steals it has nothing.

use crate::{
    BoxError,
    report::Report,
    system::{Answer, call, hello, http_client},
};
use axum::{Router, routing::get};
use http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    AccessToken, ClientAuthentication, ProofKey, Transport,
    client::{AddBearer, ClientCredentialsRefresh, TokenEndpoint},
    server::{Dpop, DpopNonces, RequireToken},
    testing::{AuthorizationServer, RegisteredClient},
};

pub(crate) async fn run(report: &mut Report) -> Result<(), BoxError> {
    report.heading("A stolen token");
    let authorization = AuthorizationServer::new();
    authorization.register_client(RegisteredClient::confidential("app", "s3cr3t"));
    let bound = authorization.bind().await?;
    let api = start_api(&authorization).await?;

    // The client: one line binds its tokens.
    let credentials = ClientAuthentication::basic("app", "s3cr3t");
    let transport = Transport::new(http_client());
    let endpoint = TokenEndpoint::new(&bound.url("/token"), credentials, transport)?
        .with_proof(ProofKey::generate()?);
    let layer = ClientCredentialsRefresh::new(endpoint, api.as_str())?;

    // The thief reads everything that goes over the wire.
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let wiretap = seen.clone();
    let http = http_client().map_request(move |request: Request<_>| {
        if let Ok(mut seen) = wiretap.lock() {
            seen.clone_from(request.headers());
        }
        request
    });
    let answer = call(&mut layer.layer(http), &api, "/hello").await?;
    report.answer("its holder", &answer, StatusCode::OK, "hello app");

    let seen = seen.lock().map(|seen| seen.clone()).unwrap_or_default();
    let text = seen.get(AUTHORIZATION).ok_or("the call had no token")?.to_str()?;
    let token = text.strip_prefix("DPoP ").ok_or("the token was not bound")?.to_owned();

    let mut thief = AddBearer::bearer(token.as_str(), api.as_str())?.layer(http_client());
    let answer = call(&mut thief, &api, "/hello").await?;
    report.answer("stolen, as Bearer", &answer, StatusCode::UNAUTHORIZED, "invalid_token");

    let answer = replay(&api, &seen).await?;
    report.answer("stolen with its proof", &answer, StatusCode::UNAUTHORIZED, "");

    let thief = AccessToken::new(token)?.bound_to(&ProofKey::generate()?)?;
    let mut thief = AddBearer::from_source(thief, api.as_str())?.layer(http_client());
    let answer = call(&mut thief, &api, "/hello").await?;
    report.answer("with the thief's own key", &answer, StatusCode::UNAUTHORIZED, "");
    Ok(())
}

/// Sends the very headers again.
async fn replay(api: &str, seen: &HeaderMap) -> Result<Answer, BoxError> {
    let headers: HeaderMap = seen.clone();
    let mut thief = http_client().map_request(move |mut request: Request<_>| {
        request.headers_mut().extend(headers.clone());
        request
    });
    call(&mut thief, api, "/hello").await
}

/// An API whose bound tokens need proofs that no one can make ahead.
async fn start_api(authorization: &AuthorizationServer) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let dpop = Dpop::new(&origin)?.with_nonces(DpopNonces::random()?);
    let layer = RequireToken::new("quickstart", authorization.validator())?.with_dpop(dpop);
    let router: Router = Router::new().route("/hello", get(hello)).layer(layer);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(origin)
}
