//! A client that a token endpoint knows by its certificate (RFC 8705 §2).

use crate::certificates::{Authority, Identity};
use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use rustls::pki_types::CertificateDer;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{Error, ErrorKind, Grant, TokenEndpoint, TokenResponse},
};

/// A token endpoint that lets nobody in without a certificate of `authority`, and knows the
/// client `app` by one of them.
struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    async fn start(authority: &Authority, known: CertificateDer<'static>) -> Self {
        let config = authority.server_config(false);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, known) = (acceptor.clone(), known.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().unwrap();
                    let is_known = shown.first() == Some(&known);
                    let service = service_fn(move |request| answer(request, is_known));
                    let io = TokioIo::new(stream);
                    let _ = http1::Builder::new().serve_connection(io, service).await;
                });
            }
        });
        Self { address, accepting }
    }

    /// Asks for a token as `app`, with `identity` in the TLS handshake.
    async fn ask(
        &self,
        authority: &Authority,
        identity: Option<Identity>,
    ) -> Result<TokenResponse, Error> {
        let config = authority.client_config(identity);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
        let https = Client::builder(TokioExecutor::new()).build(connector.build());
        let url = format!("https://{}/token", self.address);
        let client = ClientAuthentication::tls("app");
        let endpoint = TokenEndpoint::new(&url, client, Transport::new(https)).unwrap();
        endpoint.fetch(&Grant::client_credentials()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    is_known: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!(!request.headers().contains_key(AUTHORIZATION));
    let form = request.into_body().collect().await.unwrap().to_bytes();
    // The name of the client, and nothing else of it.
    assert_eq!(form, "client_id=app&grant_type=client_credentials");
    let (status, body) = match is_known {
        true => (200, r#"{"access_token":"T1","token_type":"Bearer","expires_in":60}"#),
        false => (401, r#"{"error":"invalid_client"}"#),
    };
    Ok(Response::builder().status(status).body(body.into()).unwrap())
}

#[tokio::test]
async fn a_client_gets_a_token_by_its_certificate() {
    let authority = Authority::new("the authority");
    let app = authority.client("app");
    let server = Server::start(&authority, app.certificate.clone()).await;
    let response = server.ask(&authority, Some(app)).await.unwrap();
    assert_eq!(response.access_token().expose(), "T1");
}

#[tokio::test]
async fn a_certificate_of_another_client_is_refused() {
    let authority = Authority::new("the authority");
    let server = Server::start(&authority, authority.client("app").certificate).await;
    let error = server.ask(&authority, Some(authority.client("other"))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")));
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_there_is_no_connection() {
    let authority = Authority::new("the authority");
    let stranger = Authority::new("another authority").client("app");
    let server = Server::start(&authority, stranger.certificate.clone()).await;
    for identity in [None, Some(stranger)] {
        let error = server.ask(&authority, identity).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert!(error.is_transient());
    }
}
