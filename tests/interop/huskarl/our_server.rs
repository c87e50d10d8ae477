//! huskarl's client at `RequireToken`.

use crate::{AUDIENCE, Http, SECRET, authorization_server, listen};
use axum::{Router, routing::any};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header::AUTHORIZATION};
use huskarl::{
    authorizer::{HttpAuthorizer, dpop_resend_advised, extract_dpop_nonce, parse_challenges},
    cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache},
    core::{
        client_auth::ClientSecret,
        dpop::{DPoP, ResourceDPoP, ResourceServerDPoP},
        http::HttpResponse,
        secrets::{ProvidedSecret, SecretString},
        server_metadata::AuthorizationServerMetadata,
        time::{Clock, PlatformClock},
    },
    grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters},
    prelude::*,
};
use huskarl_crypto_native::asymmetric::signer::{GenerateAlgorithm, PrivateKey};
use tower_oauth2::{
    Transport,
    server::{Authenticated, Dpop, DpopNonces, RequireToken},
    testing::BoundServer,
    validate::{Cached, Jwks, JwtValidator, TrustedIssuer},
};

/// Those that are no RSA: it takes a build without optimisation seconds to make such a key.
const ALGORITHMS: [GenerateAlgorithm; 4] = [
    GenerateAlgorithm::Es256,
    GenerateAlgorithm::Es384,
    GenerateAlgorithm::EdDsa,
    GenerateAlgorithm::Ed25519,
];

/// The URL of an API that takes tokens of `issuer`, with proofs as `settings` says.
async fn api(issuer: &BoundServer, settings: fn(Dpop) -> Dpop) -> Uri {
    let keys = Jwks::from_issuer(issuer.origin(), Transport::https()).unwrap();
    let issuer = TrustedIssuer::new(issuer.origin(), keys).with_audience([AUDIENCE]);
    let (listener, origin) = listen().await;
    let guard = RequireToken::new("api", Cached::new(JwtValidator::new(issuer).unwrap()))
        .unwrap()
        .with_dpop(settings(Dpop::new(&origin).unwrap()));
    let who = async |who: Authenticated| who.principal().client_id().unwrap().to_owned();
    let router = Router::new().fallback(any(who)).layer(guard);
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("{origin}/calls?a=1").parse().unwrap()
}

fn generated() -> PrivateKey {
    PrivateKey::generate(GenerateAlgorithm::Es256, None).unwrap()
}

fn with_nonces(dpop: Dpop) -> Dpop {
    dpop.with_nonces(DpopNonces::random().unwrap())
}

struct Caller {
    http: Http,
    authorizer: HttpAuthorizer,
}

impl Caller {
    async fn new(issuer: &BoundServer, key: PrivateKey) -> Self {
        let http = Http::new();
        let metadata = AuthorizationServerMetadata::fetch()
            .http_client(&http)
            .issuer(issuer.origin())
            .call()
            .await
            .unwrap();
        let secret = ProvidedSecret::new(SecretString::new(SECRET));
        let grant = ClientCredentialsGrant::builder_from_metadata(&metadata)
            .client_id("app")
            .http_client(http.clone())
            .client_auth(ClientSecret::new(secret))
            .dpop(DPoP::builder().signer(key).build())
            .build();
        let source = GrantTokenSource::builder()
            .grant(grant)
            .grant_parameters(ClientCredentialsGrantParameters::new())
            .refresh_store(InMemoryRefreshTokenStore::default())
            .build();
        let cache = InMemoryTokenCache::builder().source(source).build();
        Self { http, authorizer: HttpAuthorizer::builder().cache(cache).build() }
    }

    async fn headers(&self, method: &Method, uri: &Uri) -> HeaderMap {
        self.authorizer.get_headers(method, uri).await.unwrap()
    }

    async fn send(&self, method: &Method, uri: &Uri, headers: HeaderMap) -> HttpResponse {
        let mut request = Request::new(Bytes::new());
        (*request.method_mut(), *request.uri_mut()) = (method.clone(), uri.clone());
        *request.headers_mut() = headers;
        self.http.send(request).await
    }

    /// One call, as the documentation of `HttpAuthorizer` has it. How many requests it took.
    async fn assert_called(&self, method: &Method, uri: &Uri, requests: usize) {
        for sent in 1..=2 {
            let headers = self.headers(method, uri).await;
            let response = self.send(method, uri, headers).await;
            self.authorizer.process_response(uri, &response.headers);
            if sent == 1 && dpop_resend_advised(response.status, &response.headers) {
                continue;
            }
            assert_eq!((response.status, &response.body[..]), (StatusCode::OK, &b"app"[..]));
            return assert_eq!(sent, requests, "requests");
        }
    }

    /// `headers` are refused with `code` in the challenge of `scheme`, and with none in the others.
    async fn assert_refused(
        &self,
        method: &Method,
        uri: &Uri,
        headers: HeaderMap,
        scheme: &str,
        code: &str,
    ) -> HttpResponse {
        let response = self.send(method, uri, headers).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        let challenges = parse_challenges(&response.headers);
        let proofs = challenges.iter().find(|challenge| challenge.is_scheme("DPoP")).unwrap();
        assert_eq!(proofs.param("algs"), Some("ES256 ES384 EdDSA PS256"));
        for challenge in &challenges {
            let expected = challenge.is_scheme(scheme).then_some(code);
            assert_eq!(challenge.param("error"), expected, "{challenges:?}");
        }
        response
    }
}

/// Calls with each algorithm, the first by so many requests.
async fn assert_calls(settings: fn(Dpop) -> Dpop, first: usize) {
    let (server, issuer) = authorization_server().await;
    let uri = api(&issuer, settings).await;
    for algorithm in ALGORITHMS {
        let before = server.token_requests();
        let caller = Caller::new(&issuer, PrivateKey::generate(algorithm, None).unwrap()).await;
        caller.assert_called(&Method::GET, &uri, first).await;
        caller.assert_called(&Method::GET, &uri, 1).await;
        caller.assert_called(&Method::POST, &uri, 1).await;
        // The nonce of the authorization server cost one more.
        assert_eq!(server.token_requests() - before, 2);
    }
}

#[tokio::test]
async fn huskarl_calls_with_each_of_its_algorithms() {
    assert_calls(|dpop| dpop, 1).await;
}

#[tokio::test]
async fn huskarl_calls_where_bearer_tokens_do_not_pass() {
    assert_calls(Dpop::without_bearer, 1).await;
}

#[tokio::test]
async fn huskarl_learns_a_nonce_by_one_request() {
    assert_calls(with_nonces, 2).await;
}

/// Sends a token of huskarl as a thief would. Each call must be refused.
async fn assert_stolen_token_is_refused(settings: fn(Dpop) -> Dpop, first: usize) {
    let (_, issuer) = authorization_server().await;
    let uri = api(&issuer, settings).await;
    let caller = Caller::new(&issuer, generated()).await;
    caller.assert_called(&Method::GET, &uri, first).await;
    let stolen = caller.headers(&Method::GET, &uri).await;
    let token = stolen[AUTHORIZATION].to_str().unwrap().strip_prefix("DPoP ").unwrap();

    let bearer = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let bearer = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    caller.assert_refused(&Method::GET, &uri, bearer, "Bearer", "invalid_token").await;

    let thief = generated();
    let jkt = thief.select_asymmetric_signer().await.public_key_jwk().thumbprint();
    let thief = ResourceDPoP::builder().signer(thief).build();
    let token = SecretString::new(token);
    for sent in 1..=first {
        let now = PlatformClock.now();
        let proof = thief.proof_at(&Method::GET, &uri, &token, &jkt, now).await.unwrap().unwrap();
        let mut foreign = stolen.clone();
        foreign.insert("dpop", HeaderValue::try_from(proof.expose_secret()).unwrap());
        let code = if sent == first { "invalid_token" } else { "use_dpop_nonce" };
        let refusal = caller.assert_refused(&Method::GET, &uri, foreign, "DPoP", code).await;
        if let Some(nonce) = extract_dpop_nonce(&refusal.headers) {
            thief.update_nonce(&uri, nonce);
        }
    }

    let bad_proof = async |method, uri: &Uri| {
        let (stolen, code) = (stolen.clone(), "invalid_dpop_proof");
        caller.assert_refused(&method, uri, stolen, "DPoP", code).await
    };
    bad_proof(Method::POST, &uri).await;
    bad_proof(Method::GET, &uri.to_string().replace("/calls", "/others").parse().unwrap()).await;
    let response = caller.send(&Method::GET, &uri, stolen.clone()).await;
    assert_eq!(response.status, StatusCode::OK);
    bad_proof(Method::GET, &uri).await;
    caller.assert_called(&Method::GET, &uri, 1).await;
}

#[tokio::test]
async fn a_token_that_was_stolen_from_huskarl_is_refused() {
    assert_stolen_token_is_refused(|dpop| dpop, 1).await;
}

#[tokio::test]
async fn a_token_that_was_stolen_from_huskarl_is_refused_with_nonces() {
    assert_stolen_token_is_refused(with_nonces, 2).await;
}
