//! Another library gets the token, here the crate `oauth2`; this one's engine keeps it fresh,
//! shares one fetch among all callers, and puts it on every request.
//!
//! `cargo run --example another_library`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, TokenResponse as _, TokenUrl,
    basic::BasicClient,
};
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_oauth2::{
    AccessToken, Clock, Transport, TransportError,
    client::{AddBearer, RefreshPolicy, TokenCache, TokenResponse},
    server::RequireToken,
    testing::{AuthorizationServer, RegisteredClient},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
    let authorization = server.bind().await?;
    let app = Router::new()
        .route("/calls", get(async || "the calls"))
        .route_layer(RequireToken::new("api", server.validator())?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // The other library, over a transport of this one: bounded, timed, no redirects.
    let library = BasicClient::new(ClientId::new("app".into()))
        .set_client_secret(ClientSecret::new("s3cr3t".into()))
        .set_auth_type(AuthType::BasicAuth)
        .set_token_uri(TokenUrl::new(authorization.url("/token"))?);
    let transport = Transport::https();
    let fetch = move || {
        let (library, transport) = (library.clone(), transport.clone());
        async move {
            let http = |request| send(transport.clone(), request);
            let answer = library.exchange_client_credentials().request_async(&http).await?;
            let token = AccessToken::new(answer.access_token().secret().clone())?;
            let response = TokenResponse::new(token);
            Ok::<_, BoxError>(match answer.expires_in() {
                Some(lifetime) => response.with_lifetime(lifetime),
                None => response,
            })
        }
    };
    let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());

    let client = ServiceBuilder::new()
        .layer(AddBearer::from_source(cache, api.as_str())?)
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
    for call in 1..=3 {
        let request = Request::get(format!("{api}/calls")).body(Full::default())?;
        let response = client.clone().oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("call {call}: {status} {}", String::from_utf8_lossy(&body));
    }
    println!("token requests: {}", server.token_requests());
    Ok(())
}

async fn send(transport: Transport, request: HttpRequest) -> Result<HttpResponse, TransportError> {
    let response = transport.send(request.map(|body| Full::from(Bytes::from(body)))).await?;
    Ok(response.map(|body| body.to_vec()))
}
