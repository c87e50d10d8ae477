//! A server on hyper alone, behind `RequireToken`, and what it answers with a token and without.
//!
//! `cargo run --example hyper_server`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::convert::Infallible;
use tokio::net::TcpListener;
use tower::{BoxError, Layer, service_fn};
use tower_oauth2::{
    server::{Authenticated, RequireToken},
    validate::{Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice"))?;
    let service = RequireToken::new("api", tokens)?.layer(service_fn(greet));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                // How a connection ends is the client's business.
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for authorization in [Some(format!("Bearer {TOKEN}")), None] {
        let mut request = Request::get(&url);
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization);
        }
        let response = client.request(request.body(Empty::new())?).await?;
        print!("{}: ", response.status());
        match response.headers().get("www-authenticate") {
            Some(challenge) => println!("{}", challenge.to_str()?),
            None => {
                let body = response.into_body().collect().await?.to_bytes();
                println!("{}", String::from_utf8_lossy(&body));
            }
        }
    }
    Ok(())
}

async fn greet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let who = request.extensions().get::<Authenticated>();
    let who = who.and_then(|who| who.principal().subject()).unwrap_or("nobody");
    Ok(Response::new(Full::from(format!("hello, {who}"))))
}
