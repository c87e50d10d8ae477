//! gRPC, both ends: a tonic server behind `RequireToken`, whose refusals are statuses, and a
//! tonic channel with `AddBearer`. No `.proto`: messages are bytes, to keep the layers in sight.
//!
//! `cargo run --example tonic`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

mod bytewise;

use bytewise::{Bytewise, Calls};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codegen::{Bytes, StdError},
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::{BoxError, ServiceBuilder};
use tower_oauth2::{
    client::AddBearer,
    server::RequireToken,
    validate::{Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice"))?;
    let require = RequireToken::new("api", tokens)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().layer(require).add_service(Calls);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Channel::from_shared(origin.clone())?.connect().await?;
    // tonic's bodies are streams: a call is not sent a second time by itself.
    let add = AddBearer::bearer(TOKEN, origin.as_str())?;
    let with_token = ServiceBuilder::new().layer(add).service(channel.clone());
    println!("with a token: {}", list(Grpc::new(with_token)).await?);
    match list(Grpc::new(channel)).await {
        Ok(calls) => println!("without one: {calls}"),
        Err(status) => println!("without one: {:?}, {}", status.code(), status.message()),
    }
    Ok(())
}

async fn list<S>(mut client: Grpc<S>) -> Result<String, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let method = PathAndQuery::from_static("/example.Calls/List");
    let response = client.unary(Request::new(Vec::new()), method, Bytewise).await?;
    Ok(String::from_utf8_lossy(&response.into_inner()).into_owned())
}
