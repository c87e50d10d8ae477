//! hyper's client with a token of its own: fetched at the first call, kept, and fetched anew when
//! the API rejects it.
//!
//! `cargo run --example hyper_client`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, TokenEndpoint},
    server::RequireToken,
    testing::{AuthorizationServer, RegisteredClient},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // What would be elsewhere: an authorization server, and an API that takes its tokens.
    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
    let authorization = server.bind().await?;
    let app = Router::new()
        .route("/calls", get(async || "the calls"))
        .route_layer(RequireToken::new("api", server.validator())?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // The client.
    let endpoint = TokenEndpoint::new(
        &authorization.url("/token"),
        ClientAuthentication::basic("app", "s3cr3t"),
        Transport::https(),
    )?;
    let mut client = ServiceBuilder::new()
        .layer(ClientCredentialsRefresh::new(endpoint, api.as_str())?)
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());

    for call in 1..=4 {
        if call == 3 {
            server.revoke_all();
            println!("(every token was destroyed)");
        }
        let request = Request::get(format!("{api}/calls")).body(Full::default())?;
        let response = client.ready().await?.call(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("call {call}: {status} {}", String::from_utf8_lossy(&body));
    }
    println!("token requests: {}", server.token_requests());
    Ok(())
}
