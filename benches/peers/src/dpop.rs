//! Tokens that are bound to a key, with a proof on each request (RFC 9449).
//!
//! The same request is sent over and over, so none of them remembers proofs here: that is huskarl's
//! default, and a setting of the others. huskarl has no layer, so a service of a few lines calls it.

use crate::{
    support::{
        Case, answer,
        jwt::{AUDIENCE, ISSUER, Subject},
        server::{Body, Inner, request},
    },
    table::{self, Stack},
    targets::Targets,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use huskarl_resource_server::{
    core::{
        Error,
        http::{HttpClient, HttpResponse, Idempotency},
        platform::MaybeSendBoxFuture,
    },
    validator::rfc9068::Rfc9068Validator,
};
use serde_json::json;
use skyauth::{
    dpop::{DPoPVerifier, JwkEc},
    integrations::{tower::OAuthAuthLayer, validator::JwtAccessTokenValidator},
};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::runtime::Runtime;
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    AccessToken, Algorithm, ProofKey, SigningKey,
    client::AddBearer,
    server::{Dpop, RequireToken},
    testing::{AuthorizationServer, JwtFormat},
    validate::{Cached, Jwks, JwtValidator, TrustedIssuer},
};

const FIRST: &str = "RequireToken, first sight";
const SEEN: &str = "RequireToken, seen before";
const URL: &str = "https://api.example/v1/calls";

/// The key set of the issuer, and the headers of requests: with a good proof, and of a thief who has
/// the token and another key.
struct Given {
    keys: String,
    jwk: String,
    good: HeaderMap,
    stolen: HeaderMap,
}

impl Given {
    fn new() -> Self {
        let server = AuthorizationServer::new();
        let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("key-1");
        let jwk = key.public_jwk().unwrap();
        server.issue_jwts(JwtFormat::rfc9068(ISSUER, [AUDIENCE]), key);
        let [mine, other] = [(); 2]
            .map(|()| ProofKey::new(SigningKey::generate(Algorithm::Es256).unwrap()).unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "5f0e7c1a-9a64-4f0f-a6a5-6a3f3a0d5b3e",
            "client_id": "c005aef4-88d4-42d5-937e-290e4bb19661", "jti": "b7c3a1de-5f2f-4b52-8d7b",
            "iat": now, "exp": now + 3600, "scope": "read write",
            "cnf": { "jkt": mine.thumbprint() },
        });
        let token = server.mint("at+jwt", &claims.to_string()).unwrap();
        let token = AccessToken::new(token).unwrap();
        Self {
            keys: format!("{{\"keys\":[{jwk}]}}"),
            jwk,
            good: headers(&token.bound_to(&mine).unwrap()),
            stolen: headers(&token.bound_to(&other).unwrap()),
        }
    }
}

/// What this crate's client sends with `token`.
fn headers(token: &AccessToken) -> HeaderMap {
    let add = AddBearer::from_source(token.clone(), "https://api.example").unwrap();
    let echo = service_fn(async |request: Request<Body>| {
        let mut response = Response::new(Body::default());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::new(Body::default());
    *request.uri_mut() = Uri::from_static(URL);
    answer(&mut add.layer(echo), request).headers().clone()
}

/// `GET` with `headers` beside those of every request.
fn call(headers: &HeaderMap) -> Request<()> {
    let mut request = request(None);
    *request.uri_mut() = Uri::from_static(URL);
    request.headers_mut().extend(headers.clone());
    request
}

struct Huskarl {
    validator: Arc<Rfc9068Validator>,
    inner: Inner,
}

impl Service<Request<()>> for Huskarl {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let (validator, mut inner) = (self.validator.clone(), self.inner.clone());
        Box::pin(async move {
            let (method, uri): (&Method, &Uri) = (request.method(), request.uri());
            let result = validator.validate_request(request.headers(), method, uri, None).await;
            if let Some(rejection) = result.rejection(&validator.validator_metadata(None), None) {
                return Ok(rejection.apply(Response::builder()).body(Body::default()).unwrap());
            }
            request.extensions_mut().insert(Arc::new(result.outcome.unwrap()));
            inner.call(request).await
        })
    }
}

/// Answers each request with the key set.
struct Keys(String);

impl HttpClient for Keys {
    fn execute(
        &self,
        _: Request<Bytes>,
        _: Idempotency,
    ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        let body = Bytes::from(self.0.clone());
        let headers = HeaderMap::new();
        Box::pin(async { Ok(HttpResponse { status: StatusCode::OK, headers, body }) })
    }
}

fn huskarl(runtime: &Runtime, given: &Given) -> Arc<Rfc9068Validator> {
    let validator = Rfc9068Validator::builder()
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .jwks_uri("https://as.example/keys".parse().unwrap())
        .jwks_source(Keys(given.keys.clone()))
        .require_dpop(true)
        .build();
    Arc::new(runtime.block_on(validator).unwrap())
}

fn skyauth(given: &Given) -> OAuthAuthLayer {
    let jwk: JwkEc = serde_json::from_str(&given.jwk).unwrap();
    let tokens = JwtAccessTokenValidator::new()
        .with_verifying_key(jwk.to_verifying_key().unwrap())
        .with_expected_issuer(ISSUER)
        .with_expected_audience(AUDIENCE);
    let verifier = DPoPVerifier::new().with_replay_prevention(false);
    OAuthAuthLayer::from_jwt_validator(Arc::new(verifier), tokens)
}

pub fn measure(runtime: &Runtime, targets: &mut Targets) {
    let given = Given::new();
    let raw = Subject::new(Algorithm::Es256);
    let issuer = TrustedIssuer::new(ISSUER, Jwks::from_json(&given.keys).unwrap());
    let validator = JwtValidator::new(issuer.with_audience([AUDIENCE])).unwrap();
    let dpop =
        || Dpop::new("https://api.example").unwrap().without_bearer().dangerous_allow_replay();
    let first = RequireToken::new("api", validator.clone()).unwrap().with_dpop(dpop());
    let seen = RequireToken::new("api", Cached::new(validator)).unwrap().with_dpop(dpop());
    for (name, headers, expected) in [
        ("server, bound token, ES256", &given.good, StatusCode::OK),
        ("server, bound token, ES256, stolen", &given.stolen, StatusCode::UNAUTHORIZED),
    ] {
        let send = || call(headers);
        let check = |response: &Response<Body>| response.status() == expected;
        let validator = huskarl(runtime, &given);
        let answers = table::measure(
            name,
            vec![
                (Stack::Bare, Case::new("no layer", Inner, send, |_| true)),
                (
                    Stack::Floor,
                    Case::new(
                        "one verification, the library alone",
                        raw.raw.clone(),
                        || request(Some(&raw.good)),
                        |response| response.status() == StatusCode::OK,
                    ),
                ),
                (
                    Stack::Peer,
                    Case::new(
                        "huskarl-resource-server",
                        Huskarl { validator, inner: Inner },
                        send,
                        check,
                    ),
                ),
                (Stack::Peer, Case::new("skyauth", skyauth(&given).layer(Inner), send, check)),
                (Stack::Ours, Case::new(FIRST, first.layer(Inner), send, check)),
                (Stack::Ours, Case::new(SEEN, seen.layer(Inner), send, check)),
            ],
        );
        match expected {
            StatusCode::OK => {
                for (case, limit) in [(FIRST, 0.35), (SEEN, 0.15)] {
                    let what = format!("bound token, {case}, Δ time of the best peer");
                    targets.at_most(what, answers.of_best_peer(case), limit);
                }
            }
            _ => {
                let times = 1.0 / answers.of_best_peer(SEEN);
                let what = "stolen bound token, times faster in Δ than the best peer";
                targets.at_least(what, times, 40.0);
            }
        }
    }
}
