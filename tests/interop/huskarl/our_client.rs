//! `AddBearer` at an API that huskarl guards.

use crate::{AUDIENCE, Http, SECRET, authorization_server, listen, within_limit};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use huskarl::core::{
    Error,
    crypto::seal::AeadV1Sealer,
    dpop::SealedTimestampNonce,
    jwk::{OctKey, SymmetricJwk},
    jwt::JtiUniquenessChecker,
    platform::MaybeSendBoxFuture,
};
use huskarl_crypto_native::aead::XChaChaKey;
use huskarl_resource_server::validator::rfc9068::Rfc9068Validator;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, ProofKey, SigningKey, Transport,
    client::{AddBearer, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenSource},
    testing::BoundServer,
};

#[derive(Debug, Default)]
struct Seen(Mutex<HashSet<String>>);

impl JtiUniquenessChecker for Seen {
    fn check_and_mark_seen(&self, jti: &str) -> MaybeSendBoxFuture<'_, Result<bool, Error>> {
        let known = !self.0.lock().unwrap().insert(jti.to_owned());
        Box::pin(async move { Ok(known) })
    }
}

/// A nonce is good for an hour. An answer to one that has less than `renewed_before` left brings
/// another.
fn nonces(renewed_before: Duration) -> SealedTimestampNonce {
    let key = SymmetricJwk::builder().key(OctKey::builder().k([7; 32])).build();
    let sealer = AeadV1Sealer::new(XChaChaKey::from_jwk(key).unwrap());
    SealedTimestampNonce::builder().sealer(sealer).renewal_window(renewed_before).build()
}

struct Api {
    origin: String,
    validator: Rfc9068Validator,
    /// The status of each request.
    seen: Mutex<Vec<u16>>,
}

/// An API that takes no tokens but those of `issuer` with a proof.
async fn api(issuer: &BoundServer, nonces: Option<SealedTimestampNonce>) -> Arc<Api> {
    let (listener, origin) = listen().await;
    let validator = Rfc9068Validator::builder()
        .issuer(issuer.origin())
        .audience(AUDIENCE)
        .jwks_uri(issuer.url("/jwks").parse().unwrap())
        .jwks_source(Http::new())
        .require_dpop(true)
        .dpop_jti_checker(Seen::default())
        .maybe_dpop_nonce_checker(nonces)
        .build()
        .await
        .unwrap();
    let api = Arc::new(Api { origin, validator, seen: Mutex::default() });
    let router = Router::new().fallback(answer).with_state(api.clone());
    tokio::spawn(async { axum::serve(listener, router).await });
    api
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let uri: Uri = format!("{}{path}", api.origin).parse().unwrap();
    let result =
        api.validator.validate_request(request.headers(), request.method(), &uri, None).await;
    let response = match result.rejection(&api.validator.validator_metadata(None), None) {
        Some(rejection) => rejection.apply(Response::builder()).body(Body::empty()).unwrap(),
        None => {
            let mut response = Response::builder();
            if let Some(nonce) = &result.dpop_nonce {
                response = response.header("dpop-nonce", nonce);
            }
            let client = result.outcome.unwrap().unwrap().claims.client_id;
            response.body(Body::from(client)).unwrap()
        }
    };
    api.seen.lock().unwrap().push(response.status().as_u16());
    response
}

impl Api {
    /// One call with a token of `source`.
    async fn call(
        &self,
        source: impl TokenSource,
        method: Method,
        path: &str,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let service = AddBearer::from_source(source, self.origin.clone()).unwrap();
        let request = Request::builder().method(method).uri(format!("{}{path}", self.origin));
        let request = request.body(Full::new(Bytes::from_static(b"a=1"))).unwrap();
        let response = within_limit(service.layer(Http::new().0).oneshot(request)).await.unwrap();
        let (head, body) = response.into_parts();
        let body = within_limit(body.collect()).await.unwrap().to_bytes();
        (head.status, head.headers, body)
    }

    fn seen(&self) -> Vec<u16> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn key(algorithm: Algorithm) -> ProofKey {
    ProofKey::new(SigningKey::generate(algorithm).unwrap()).unwrap()
}

fn endpoint(issuer: &BoundServer, key: &ProofKey) -> TokenEndpoint {
    let client = ClientAuthentication::basic("app", SECRET);
    let transport = Transport::https();
    TokenEndpoint::new(&issuer.url("/token"), client, transport).unwrap().with_proof(key.clone())
}

/// Calls with each algorithm, with the answers `first` to the first call.
async fn assert_calls(nonces: fn() -> Option<SealedTimestampNonce>, first: &[u16]) {
    let (server, issuer) = authorization_server().await;
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ed25519] {
        let api = api(&issuer, nonces()).await;
        let before = server.token_requests();
        let endpoint = endpoint(&issuer, &key(algorithm));
        let cache =
            TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
        let mut expected = first;
        for path in ["", "/calls?a=1", "/a//b/%7Eme/%c3%a9;v=1", "/calls"] {
            for method in [Method::GET, Method::PUT] {
                let (status, headers, body) = api.call(cache.clone(), method, path).await;
                assert_eq!((status, &body[..]), (StatusCode::OK, &b"app"[..]), "{headers:?}");
                assert_eq!(api.seen(), expected, "{algorithm} {path}");
                expected = &[200];
            }
        }
        // The nonce of the authorization server cost one more.
        assert_eq!(server.token_requests() - before, 2);
    }
}

#[tokio::test]
async fn huskarl_takes_every_call() {
    assert_calls(|| None, &[200]).await;
}

#[tokio::test]
async fn a_nonce_of_huskarl_costs_one_request() {
    assert_calls(|| Some(nonces(Duration::ZERO)), &[401, 200]).await;
}

#[tokio::test]
async fn a_nonce_that_huskarl_renews_with_each_answer_costs_no_more() {
    assert_calls(|| Some(nonces(Duration::from_secs(3600))), &[401, 200]).await;
}

#[tokio::test]
async fn huskarl_refuses_a_stolen_token_with_another_key_and_as_bearer() {
    let (_, issuer) = authorization_server().await;
    for nonces in [None, Some(nonces(Duration::ZERO))] {
        let refused: &[u16] = if nonces.is_some() { &[401, 401] } else { &[401] };
        let api = api(&issuer, nonces).await;
        let (mine, other) = (key(Algorithm::Es256), key(Algorithm::Es256));
        let response = endpoint(&issuer, &mine).fetch(&Grant::client_credentials()).await.unwrap();
        let token = response.access_token();
        let stolen = AccessToken::new(token.expose()).unwrap();
        for (token, answers, why) in [
            (stolen.clone(), &[401][..], "DPoP"),
            (stolen.bound_to(&other).unwrap(), refused, "thumbprint does not match"),
        ] {
            let (status, headers, _) = api.call(token, Method::GET, "/calls").await;
            assert_eq!((status, api.seen()), (StatusCode::UNAUTHORIZED, answers.to_vec()));
            let challenge = headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.contains(why), "{challenge}");
        }
        assert_eq!(api.call(token.clone(), Method::GET, "/calls").await.0, StatusCode::OK);
    }
}
