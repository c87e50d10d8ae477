//! A client that a token endpoint knows by its certificate (RFC 8705 §2).

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{Error, ErrorKind, Grant, TokenEndpoint, TokenResponse},
};

/// What one end shows the other.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The certificate and the key.
    pub(crate) pem: [String; 2],
}

/// Who signs certificates.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, addresses: &[&str]) -> CertificateParams {
    let addresses: Vec<String> = addresses.iter().map(|address| (*address).into()).collect();
    let mut params = CertificateParams::new(addresses).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let signed = params.self_signed(&key).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        Self { certificate, pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, addresses: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, addresses);
        params.extended_key_usages = vec![usage];
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let pem = [signed.pem(), key.serialize_pem()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Identity { certificate: signed.der().clone(), key, pem }
    }

    /// TLS of a server with a certificate for `address`, which asks for one of the client, and lets
    /// clients without one in.
    pub(crate) fn server(&self, address: &str) -> TlsAcceptor {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider())
            .allow_unauthenticated();
        let own = self.issue("the server", &[address], ExtendedKeyUsagePurpose::ServerAuth);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![own.certificate], own.key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(name, &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A token endpoint that lets nobody in without a certificate of `authority`, and knows the
/// client `app` by one of them.
struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    async fn start(authority: &Authority, known: CertificateDer<'static>) -> Self {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(authority.roots(), provider()).build();
        let own =
            authority.issue("the server", &["127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(vec![own.certificate], own.key)
            .unwrap();
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
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots());
        let config = match identity {
            Some(own) => config.with_client_auth_cert(vec![own.certificate], own.key).unwrap(),
            None => config.with_no_client_auth(),
        };
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
