//! reqwest below the layers: a service of a dozen lines around its client.
//!
//! `cargo run --example reqwest_client`
//!
//! reqwest's own redirects are off: it would follow them below the layer, which could not look
//! where the token goes. `FollowRedirect` above does the same, and each hop is checked.
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

#[path = "support/causes.rs"]
mod causes;

use axum::{Router, response::Redirect, routing::get};
use bytes::Bytes;
use causes::with_causes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_oauth2::{
    client::AddBearer,
    server::RequireToken,
    validate::{Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

/// reqwest's client as a service of `http`'s types.
#[derive(Clone)]
struct Reqwest(reqwest::Client);

impl Service<Request<Full<Bytes>>> for Reqwest {
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
            // Its errors print the URL, and a token may ride in the query.
            client.execute(request).await.map(Into::into).map_err(reqwest::Error::without_url)
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice"))?;
    let app = Router::new()
        .route("/calls", get(async || "the calls"))
        .route("/old", get(async || Redirect::temporary("/calls")))
        .route("/away", get(async || Redirect::temporary("https://elsewhere.example/")))
        .route_layer(RequireToken::new("api", tokens)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(AddBearer::bearer(TOKEN, api.as_str())?)
        .service(Reqwest(client));
    for (path, what) in
        [("/calls", "the API"), ("/old", "redirects there"), ("/away", "redirects elsewhere")]
    {
        let request = Request::get(format!("{api}{path}")).body(Full::default())?;
        match client.ready().await?.call(request).await {
            Ok(response) => {
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                println!("{path}, {what}: {status} {}", String::from_utf8_lossy(&body));
            }
            Err(error) => println!("{path}, {what}: {}", with_causes(&*error)),
        }
    }
    Ok(())
}
