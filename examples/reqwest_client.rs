//! reqwest with a token: by a middleware of its own, and below the layers of tower.
//!
//! `cargo run --example reqwest_client`
//!
//! reqwest follows redirects below the layer, which cannot look where the token goes; so
//! `ReqwestService` lets it follow none to another origin. `FollowRedirect` above checks each hop.
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

#[path = "support/causes.rs"]
mod causes;

use axum::{Router, response::Redirect, routing::get};
use bytes::Bytes;
use causes::with_causes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_oauth2::{
    client::{AddBearer, ReqwestService},
    server::RequireToken,
    validate::{Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

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

    let layer = AddBearer::bearer(TOKEN, api.as_str())?;
    let reqwest = ReqwestService::build(reqwest::Client::builder())?;
    let client = reqwest_middleware::ClientBuilder::new(reqwest.clone().into_inner());
    let client = client.with(layer.clone()).build();
    let response = client.get(format!("{api}/calls")).send().await?;
    println!("reqwest itself: {} {}", response.status(), response.text().await?);

    let client =
        ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(reqwest);
    for (path, what) in
        [("/calls", "the API"), ("/old", "redirects there"), ("/away", "redirects elsewhere")]
    {
        let request = Request::get(format!("{api}{path}")).body(Empty::<Bytes>::new())?;
        match client.clone().oneshot(request).await {
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
