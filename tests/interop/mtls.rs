//! Clients that are known by their certificate (RFC 8705), which the certified provider takes from
//! the handshake. Its metadata say where it looks at certificates: nothing here is told but the
//! issuer.

use crate::{
    browser::{CALLBACK, alice_agrees},
    peers::{apache, certificates, oidc_provider, post_token, realm, secret_of},
    raw::Server,
    system::{self, ApiClient, within_limit},
};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{Router, routing::get};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};
use tower::Layer;
use tower_oauth2::{
    AccessToken, AuthorizationServerMetadata, ClientAuthentication, Transport,
    client::{
        AddBearer, Error, ErrorKind, Grant, SignIn, TokenEndpoint, TokenResponse, TokenRevocation,
    },
    server::{Authenticated, RequireToken},
    validate::Introspection,
};

pub(crate) fn file(name: &str) -> PathBuf {
    certificates().join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap()
}

/// Shows the certificate `name`, where there is one.
fn showing(name: Option<&str>) -> Transport {
    Transport::new(client_showing(name))
}

fn client_showing(name: Option<&str>) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca")).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match name {
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(vec![certificate(name)], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    // The issuer itself is at plain http.
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
    Client::builder(TokioExecutor::new()).build(connector.build())
}

fn reading() -> Grant {
    Grant::client_credentials().with_scopes("read".parse().unwrap())
}

/// Asks the server of `issuer` for a token as `client`, with the certificate `shown`.
async fn ask(issuer: &str, client: &str, shown: Option<&str>) -> Result<TokenResponse, Error> {
    let client = ClientAuthentication::tls(client);
    let endpoint = TokenEndpoint::from_issuer(issuer, client, showing(shown)).unwrap();
    within_limit(endpoint.fetch(&reading())).await
}

async fn token_of(client: &str) -> AccessToken {
    let response = ask(&oidc_provider(), client, Some(client)).await.unwrap();
    assert_eq!(response.lifetime().unwrap().as_secs(), 600);
    response.access_token().clone()
}

pub(crate) async fn metadata() -> AuthorizationServerMetadata {
    let (issuer, transport) = (oidc_provider(), showing(None));
    within_limit(AuthorizationServerMetadata::discover(&issuer, &transport)).await.unwrap()
}

/// An API whose resource server is known by its certificate too, and shows `shown`.
async fn api(shown: &str) -> Server {
    let metadata = metadata().await.with_mtls_aliases();
    let (url, client) = (metadata.introspection_endpoint(), ClientAuthentication::tls("rs-tls"));
    let introspection = Introspection::new(url.unwrap(), client, showing(Some(shown))).unwrap();
    let who = async |who: Authenticated| who.principal().client_id().unwrap().to_owned();
    let guard = RequireToken::new("api", introspection).unwrap();
    Server::start(Router::new().route("/", get(who)).route_layer(guard)).await
}

async fn assert_status(api: &Server, token: &AccessToken, status: u16) {
    let line = format!("Authorization: Bearer {}", token.expose());
    let reply = api.send("GET /", &[&line]).await;
    assert_eq!(reply.status, status, "{:?}", reply.challenges());
}

/// What the certificate is that the provider says `token` is bound to.
async fn binding_of(token: &AccessToken) -> Option<String> {
    let url = format!("{}/token/introspection", oidc_provider());
    let answer = post_token(&url, "rs", &secret_of("rs"), token.expose()).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer.get("active"), Some(&Value::Bool(true)), "{answer}");
    answer.pointer("/cnf/x5t#S256").map(|digest| digest.as_str().unwrap().to_owned())
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_and_a_resource_server_are_known_by_their_certificates() {
    let (api, metadata) = (api("rs-tls").await, metadata().await.with_mtls_aliases());
    let revocation = metadata.revocation_endpoint().unwrap();
    for client in ["svc-tls", "svc-tls-self"] {
        let token = token_of(client).await;
        assert_eq!(binding_of(&token).await, None);
        assert_status(&api, &token, 200).await;

        let own = ClientAuthentication::tls(client);
        let revocation = TokenRevocation::new(revocation, own, showing(Some(client))).unwrap();
        within_limit(revocation.revoke(token.expose(), "access_token")).await.unwrap();
        assert_status(&api, &token, 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_that_is_bound_to_a_certificate_is_none_that_whoever_has_it_may_use() {
    let token = token_of("svc-tls-bound").await;
    let digest = digest(&SHA256, &certificate("svc-tls-bound"));
    assert_eq!(binding_of(&token).await, Some(BASE64_URL_SAFE_NO_PAD.encode(digest)));
    assert_status(&api("rs-tls").await, &token, 401).await;
}

/// Calls `url` with `token` over a connection that shows the certificate `shown`.
async fn assert_answer(url: &str, token: &AccessToken, shown: Option<&str>, status: u16) {
    let origin = url.rsplit_once('/').unwrap().0;
    let layer = AddBearer::from_source(token.clone(), origin).unwrap();
    let mut client = ApiClient::new(layer.layer(client_showing(shown)));
    let answer = system::call(&mut client, url).await.unwrap();
    assert_eq!(answer.status(), status, "{shown:?} {answer:?}");
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn apache_takes_a_bound_token_over_connections_that_show_its_certificate_alone() {
    let client = ClientAuthentication::tls("svc-tls-bound");
    let transport = showing(Some("svc-tls-bound"));
    let endpoint = TokenEndpoint::from_issuer(&oidc_provider(), client, transport).unwrap();
    let grant = Grant::client_credentials().with_resource("urn:rs:jwt:es256").unwrap();
    let response = within_limit(endpoint.fetch(&grant)).await.unwrap();
    let url = format!("{}/mtls", apache()[1]);
    for (shown, status) in
        [(Some("svc-tls-bound"), 200), (Some("svc-tls"), 401), (Some("stranger"), 401), (None, 401)]
    {
        assert_answer(&url, response.access_token(), shown, status).await;
    }
}

/// The userinfo endpoint of the provider compares the certificate with that of the token. It accepts any
/// issuer.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_users_token_is_good_over_connections_that_show_its_certificate_alone() {
    let metadata = metadata().await;
    let authorize = format!("{}?prompt=consent", metadata.authorization_endpoint().unwrap());
    let url = metadata.with_mtls_aliases().token_endpoint().unwrap().to_owned();
    let userinfo = format!("{}/me", url.strip_suffix("/token").unwrap());
    let endpoint = |shown| {
        let client = ClientAuthentication::public("app-tls");
        TokenEndpoint::new(&url, client, showing(shown)).unwrap()
    };
    let sign_in = SignIn::new(endpoint(Some("svc-tls-self")), "app-tls", &authorize, CALLBACK)
        .unwrap()
        .with_scopes("openid offline_access".parse().unwrap());
    let (authorize, pending) = sign_in.begin().unwrap();
    let response = sign_in.finish(pending, &alice_agrees(&authorize).await).await.unwrap();
    for (shown, status) in
        [(Some("svc-tls-self"), 200), (Some("svc-tls"), 401), (Some("stranger"), 401), (None, 401)]
    {
        assert_answer(&userinfo, response.access_token(), shown, status).await;
    }
    // The refresh token of a client without a secret is bound too (RFC 8705 section 4).
    let again = Grant::refresh_token(response.refresh_token().unwrap());
    for shown in [Some("svc-tls"), None] {
        let error = within_limit(endpoint(shown).fetch(&again)).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_grant"), "{shown:?} {error}");
    }
    within_limit(endpoint(Some("svc-tls-self")).fetch(&again)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn another_certificate_and_none_are_refused_for_good() {
    for (client, shown) in [
        ("svc-tls", Some("svc-tls-bound")),
        ("svc-tls", Some("svc-tls-self")),
        // It has the right name.
        ("svc-tls", Some("stranger")),
        ("svc-tls", None),
        ("svc-tls-self", Some("svc-tls")),
        ("svc-tls-self", Some("stranger")),
        ("svc-tls-self", None),
    ] {
        let error = ask(&oidc_provider(), client, shown).await.unwrap_err();
        let told = format!("{client} {shown:?}: {error}");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{told}");
        assert_eq!(error.code(), Some("invalid_client"), "{told}");
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED), "{told}");
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_certificate_is_of_use_only_where_it_is_looked_at() {
    let metadata = metadata().await;
    let plain = metadata.token_endpoint().unwrap().to_owned();
    let alias = metadata.with_mtls_aliases().token_endpoint().unwrap().to_owned();
    assert!(plain.starts_with("http:") && alias.starts_with("https:"), "{plain} {alias}");
    let ask = async |url| {
        let client = ClientAuthentication::tls("svc-tls");
        let endpoint = TokenEndpoint::new(url, client, showing(Some("svc-tls"))).unwrap();
        within_limit(endpoint.fetch(&reading())).await
    };
    ask(&alias).await.unwrap();
    assert_eq!(ask(&plain).await.unwrap_err().code(), Some("invalid_client"));
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_resource_server_with_anothers_certificate_cannot_tell_of_any_token() {
    assert_status(&api("svc-tls").await, &token_of("svc-tls").await, 503).await;
}

/// TLS 1.3 lets a client speak before the server has looked at its certificate.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_handshake_that_ends_for_want_of_a_certificate_is_a_failure_of_the_transport() {
    ask(&realm(), "svc-tls", Some("svc-tls")).await.unwrap();
    for shown in [Some("stranger"), Some("svc-tls-self"), None] {
        let error = ask(&realm(), "svc-tls", shown).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{shown:?}: {error}");
        assert!(error.is_transient());
    }
}
