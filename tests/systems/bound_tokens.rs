//! Tokens that are bound to a certificate, over TLS: axum and tonic behind an acceptor that shows the
//! layer what the client showed it.

use crate::{
    certificates::{Authority, Identity},
    peers::{GrpcAnswer, LIMIT, call_grpc},
};
use axum::{Extension, Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_rustls::TlsAcceptor;
use tonic::{
    Code,
    body::Body as GrpcBody,
    client::Grpc,
    transport::{
        Certificate, Channel, ClientTlsConfig, Identity as GrpcIdentity, Server, ServerTlsConfig,
        server::{TcpConnectInfo, TcpIncoming, TlsConnectInfo},
    },
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, ProofKey,
    client::AddBearer,
    server::{Authenticated, ClientCertificate, ClientCertificates, Dpop, RequireToken},
    validate::{Confirmation, Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

/// The certificates of a connection, as some frameworks keep them.
#[derive(Clone)]
struct Peer(Vec<Vec<u8>>);

/// Serves clones of `service` over TLS. Each request has the certificate of its connection.
struct TlsServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl TlsServer {
    async fn start<S, B>(authority: &Authority, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: HttpBody<Data = Bytes, Error: Into<crate::peers::BoxError>> + Send + 'static,
    {
        let mut config = authority.server_config(true);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    let chain: Vec<Vec<u8>> = chain.iter().map(|one| one.to_vec()).collect();
                    // Hashed once for a connection.
                    let own = chain.first().map(|own| ClientCertificate::from_der(own));
                    let service = service.map_request(move |mut request: Request<Incoming>| {
                        request.extensions_mut().insert(Peer(chain.clone()));
                        own.clone().map(|own| request.extensions_mut().insert(own));
                        request
                    });
                    let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(service));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // How a connection ends is the client's affair.
                    let _ = builder.serve_connection(io, service).await;
                });
            }
        });
        Self { address, accepting }
    }

    fn origin(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn client<B>(
    authority: &Authority,
    identity: Option<Identity>,
    is_http2: bool,
) -> Client<HttpsConnector<HttpConnector>, B>
where
    B: HttpBody<Data: Send> + Send + 'static,
{
    let config = authority.client_config(identity);
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    match is_http2 {
        true => {
            let client = Client::builder(TokioExecutor::new()).http2_only(true).to_owned();
            client.build(connector.enable_http2().build())
        }
        false => Client::builder(TokioExecutor::new()).build(connector.enable_http1().build()),
    }
}

/// A layer that knows one token, bound to the certificate of `app`.
fn guard(app: &Identity) -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    let certificate = ClientCertificate::from_der(&app.certificate);
    let confirmation = Confirmation::from_certificate(certificate.thumbprint());
    tokens.insert(TOKEN, Principal::new("app").with_confirmation(confirmation)).unwrap();
    RequireToken::new("api", tokens).unwrap()
}

async fn in_time<T>(exchange: impl Future<Output = T>) -> T {
    timeout(LIMIT, exchange).await.unwrap()
}

#[tokio::test]
async fn an_axum_server_takes_the_token_of_the_client_whose_certificate_it_is_bound_to() {
    let authority = Authority::new("the authority");
    let app = authority.client("app");
    let from_request = ClientCertificates::from_request(|head| {
        Some(ClientCertificate::from_der(head.extensions().get::<Peer>()?.0.first()?))
    });
    let guards = [guard(&app), guard(&app).with_client_certificates(from_request)];
    let mut servers = Vec::new();
    for guard in guards {
        let whose = async |Extension(authenticated): Extension<Authenticated>| {
            authenticated.principal().subject().unwrap().to_owned()
        };
        let router: Router = Router::new().route("/calls", get(whose)).layer(guard);
        servers.push(TlsServer::start(&authority, router).await);
    }
    for (identity, status) in [
        (Some(authority.client("other")), StatusCode::UNAUTHORIZED),
        (None, StatusCode::UNAUTHORIZED),
        (Some(app), StatusCode::OK),
    ] {
        let client = client::<Empty<Bytes>>(&authority, identity, false);
        for server in &servers {
            let uri: Uri = format!("{}/calls", server.origin()).parse().unwrap();
            let request = Request::get(uri).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
            let request = request.body(Empty::new()).unwrap();
            let response = in_time(client.request(request)).await.unwrap();
            assert_eq!(response.status(), status);
            if status == StatusCode::OK {
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "app");
            }
        }
    }
}

#[tokio::test]
async fn a_tonic_server_takes_the_token_of_the_client_whose_certificate_it_is_bound_to() {
    let authority = Authority::new("the authority");
    let app = authority.client("app");
    let layer = guard(&app);
    let answer = GrpcAnswer::new(|extensions| {
        let authenticated = extensions.get::<Authenticated>().unwrap();
        authenticated.principal().subject().unwrap().to_owned()
    });
    let guarded = layer.layer(answer);
    let service = service_fn(move |request: Request<Incoming>| {
        guarded.clone().oneshot(request.map(GrpcBody::new))
    });
    let server = TlsServer::start(&authority, service).await;
    for (identity, answer) in [
        (Some(authority.client("other")), Err(Code::Unauthenticated)),
        (None, Err(Code::Unauthenticated)),
        (Some(app), Ok("app".to_owned())),
    ] {
        let client = client::<GrpcBody>(&authority, identity, true);
        let client = AddBearer::bearer(TOKEN, server.origin()).unwrap().layer(client);
        let client = Grpc::with_origin(client, server.origin().parse().unwrap());
        assert_eq!(call_grpc(client).await.map_err(|status| status.code()), answer);
    }
}

/// A server of tonic with tonic's own TLS, below which are `guard` and the subject as the answer.
async fn tonic_server(
    authority: &Authority,
    guard: impl FnOnce(&str) -> RequireToken<StaticTokens>,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let layer = guard(&origin);
    let [certificate, key] = authority.server("127.0.0.1").pem;
    let tls = ServerTlsConfig::new()
        .identity(GrpcIdentity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(&authority.pem))
        .client_auth_optional(true);
    let answer = GrpcAnswer::new(|extensions| {
        let authenticated = extensions.get::<Authenticated>().unwrap();
        authenticated.principal().subject().unwrap().to_owned()
    });
    let serving = tokio::spawn(async move {
        let server = Server::builder().tls_config(tls).unwrap().layer(layer);
        server.serve_with_incoming(answer, TcpIncoming::from(listener)).await.unwrap();
    });
    (origin, serving)
}

/// A channel of tonic that shows `identity`.
async fn channel(authority: &Authority, origin: &str, identity: Option<Identity>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem));
    if let Some(Identity { pem: [certificate, key], .. }) = identity {
        tls = tls.identity(GrpcIdentity::from_pem(certificate, key));
    }
    let endpoint = Channel::from_shared(origin.to_owned()).unwrap().tls_config(tls).unwrap();
    in_time(endpoint.connect()).await.unwrap()
}

#[tokio::test]
async fn a_tonic_channel_carries_the_token_of_its_certificate_to_a_server_with_the_tls_of_tonic() {
    let authority = Authority::new("the authority");
    let app = authority.client("app");
    let (origin, serving) = tonic_server(&authority, |_| {
        guard(&app).with_client_certificates(ClientCertificates::from_request(|head| {
            let tls = head.extensions().get::<TlsConnectInfo<TcpConnectInfo>>()?;
            Some(ClientCertificate::from_der(tls.peer_certs()?.first()?))
        }))
    })
    .await;
    for (identity, answer) in [
        (Some(authority.client("other")), Err(Code::Unauthenticated)),
        (None, Err(Code::Unauthenticated)),
        (Some(app), Ok("app".to_owned())),
    ] {
        let channel = channel(&authority, &origin, identity).await;
        let client = AddBearer::bearer(TOKEN, origin.as_str()).unwrap().layer(channel);
        let client = Grpc::with_origin(client, origin.parse().unwrap());
        assert_eq!(call_grpc(client).await.map_err(|status| status.code()), answer);
    }
    serving.abort();
}

#[tokio::test]
async fn a_tonic_channel_proves_the_key_of_its_token_with_and_without_an_origin() {
    let authority = Authority::new("the authority");
    let [own, other] = [(); 2].map(|()| ProofKey::generate().unwrap());
    let (origin, serving) = tonic_server(&authority, |origin| {
        let tokens = StaticTokens::new();
        let confirmation = Confirmation::from_key(own.thumbprint());
        tokens.insert(TOKEN, Principal::new("app").with_confirmation(confirmation)).unwrap();
        RequireToken::new("api", tokens).unwrap().with_dpop(Dpop::new(origin).unwrap())
    })
    .await;
    let channel = channel(&authority, &origin, None).await;
    let token = || AccessToken::new(TOKEN).unwrap();
    for (token, answer) in [
        (token().bound_to(&other).unwrap(), Err(Code::Unauthenticated)),
        (token(), Err(Code::Unauthenticated)),
        (token().bound_to(&own).unwrap(), Ok("app".to_owned())),
    ] {
        let client = AddBearer::from_source(token, origin.as_str()).unwrap().layer(channel.clone());
        for client in
            [Grpc::new(client.clone()), Grpc::with_origin(client, origin.parse().unwrap())]
        {
            assert_eq!(call_grpc(client).await.map_err(|status| status.code()), answer);
        }
    }
    serving.abort();
}
