//! huskarl as the other end of this crate: its client calls this crate's server, and this crate's
//! client calls what its resource server guards. Tokens are bound to a key (RFC 9449), and come from
//! the in-process authorization server, with nonces of its own.
//!
//! It is a package of its own, because huskarl needs a newer Rust than the crate and brings crates
//! that nothing else here has: `cargo test --package interop-huskarl`.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

mod our_client;
mod our_server;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use huskarl::core::{
    Error,
    http::{HttpClient, HttpResponse, Idempotency},
    platform::MaybeSendBoxFuture,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{future::Future, time::Duration};
use tokio::net::TcpListener;
use tower_oauth2::{
    Algorithm, SigningKey,
    testing::{AuthorizationServer, BoundServer, JwtFormat, Quirk, RegisteredClient},
};

const AUDIENCE: &str = "https://api.example";
const SECRET: &str = "a secret";

/// Issues JWTs for `AUDIENCE` to `app`, and wants a nonce in each proof.
async fn authorization_server() -> (AuthorizationServer, BoundServer) {
    let server = AuthorizationServer::new();
    let bound = server.bind().await.unwrap();
    server.set_issuer(bound.origin());
    server.register_client(RegisteredClient::confidential("app", SECRET));
    let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("first");
    server.issue_jwts(JwtFormat::rfc9068(bound.origin(), [AUDIENCE]), key);
    server.enable(Quirk::DpopNonces);
    (server, bound)
}

/// A listener, and the origin of what will be served there: it is part of each proof.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

async fn within_limit<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap()
}

/// The HTTP client of both.
#[derive(Clone)]
struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    async fn send(&self, request: Request<Bytes>) -> HttpResponse {
        let response = within_limit(self.0.request(request.map(Full::new))).await.unwrap();
        let (head, body) = response.into_parts();
        let body = within_limit(body.collect()).await.unwrap().to_bytes();
        HttpResponse { status: head.status, headers: head.headers, body }
    }
}

impl HttpClient for Http {
    fn execute(
        &self,
        request: Request<Bytes>,
        _: Idempotency,
    ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move { Ok(self.send(request).await) })
    }
}
