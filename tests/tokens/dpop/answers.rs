//! Token requests with a proof, and their answers.

use super::{Server, is_bound, key, token_of};
use crate::scripted_endpoint::{Reply, Script};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, Request};
use serde_json::Value;
use std::{collections::HashSet, time::Duration};
use tower_oauth2::{
    Algorithm, ClientAuthentication, ProofKey, SigningKey,
    client::{Grant, RefreshPolicy, TokenCache, TokenPool},
    testing::{JwtFormat, Quirk, RegisteredClient},
};

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

fn claims_of<B>(request: &Request<B>) -> Value {
    let proof = request.headers()["dpop"].to_str().unwrap();
    let payload = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn bound_token(text: &str) -> Reply {
    Reply::json(format!(r#"{{"access_token":"{text}","token_type":"DPoP","expires_in":60}}"#))
}

fn needs_nonce(nonce: &str) -> Reply {
    Reply::status(400).with_body(r#"{"error":"use_dpop_nonce"}"#).with_header(DPOP_NONCE, nonce)
}

async fn fetched(server: &Server, key: &ProofKey) -> tower_oauth2::AccessToken {
    let endpoint = server.app(key);
    endpoint.fetch(&Grant::client_credentials()).await.unwrap().access_token().clone()
}

#[tokio::test]
async fn the_server_binds_the_token_to_the_key_that_the_request_proves() {
    let (server, key) = (Server::new(), key());
    let token = fetched(&server, &key).await;
    assert!(is_bound(&token));
    assert_eq!(server.key_of(&token).as_deref(), Some(key.thumbprint()));
    let request = server.server.last_token_request().unwrap();
    let claims = claims_of(&request);
    assert_eq!(
        (&claims["htm"], &claims["htu"]),
        (&"POST".into(), &"https://as.example/token".into())
    );
    assert_eq!(claims.as_object().unwrap().len(), 4, "no ath, no nonce: {claims}");

    let signing = SigningKey::generate(Algorithm::Es256).unwrap();
    server.server.issue_jwts(JwtFormat::rfc9068("https://as.example", ["api"]), signing);
    let token = fetched(&server, &key).await;
    let payload = token.expose().split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(claims["cnf"]["jkt"], key.thumbprint());
}

#[tokio::test]
async fn a_nonce_costs_one_more_request_at_first_and_after_each_rotation() {
    let (server, key) = (Server::new(), key());
    server.server.enable(Quirk::DpopNonces);
    server.server.enable(Quirk::DpopRequired);
    for requests in [2, 3, 4] {
        fetched(&server, &key).await;
        assert_eq!(server.server.token_requests(), requests);
    }
    server.server.rotate_dpop_nonce();
    fetched(&server, &key).await;
    assert_eq!(server.server.token_requests(), 6);
    // The nonce is of the key, so another endpoint with it knows the nonce.
    fetched(&server, &key.clone()).await;
    assert_eq!(server.server.token_requests(), 7);
    // An hour later the nonce is too old.
    server.manual.advance(Duration::from_secs(3600));
    fetched(&server, &key).await;
    assert_eq!(server.server.token_requests(), 9);
}

#[tokio::test]
async fn the_request_with_a_nonce_has_a_client_assertion_of_its_own() {
    let (server, key) = (Server::new(), key());
    server.server.enable(Quirk::DpopNonces);
    let signing = SigningKey::generate(Algorithm::Es256).unwrap();
    let public = signing.public_jwk().unwrap();
    let client = RegisteredClient::private_key_jwt("signer", &public).unwrap();
    server.server.register_client(client);
    let authentication = ClientAuthentication::private_key_jwt("signer", signing).unwrap();
    let endpoint = server.endpoint(authentication).with_proof(key);
    let response = endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    assert!(is_bound(response.access_token()));
    let requests = server.server.recent_token_requests();
    let bodies: HashSet<_> = requests.iter().map(|request| request.body().clone()).collect();
    let names: HashSet<_> =
        requests.iter().map(|request| claims_of(request)["jti"].to_string()).collect();
    assert_eq!((requests.len(), bodies.len(), names.len()), (2, 2, 2));
}

#[tokio::test]
async fn a_server_that_asks_for_nonces_without_end_is_asked_twice() {
    for (replies, requests) in [
        (vec![needs_nonce("n1"), needs_nonce("n2"), bound_token("T")], 2),
        // Without a nonce that can be used there is nothing to try.
        (vec![Reply::status(400).with_body(r#"{"error":"use_dpop_nonce"}"#), bound_token("T")], 1),
        (vec![needs_nonce("a b"), bound_token("T")], 1),
        (vec![needs_nonce(&"n".repeat(10_000)), bound_token("T")], 1),
        // Another refusal with a nonce is what it says.
        (
            vec![
                Reply::status(400)
                    .with_body(r#"{"error":"invalid_scope"}"#)
                    .with_header(DPOP_NONCE, "n"),
                bound_token("T"),
            ],
            1,
        ),
    ] {
        let script = Script::of(replies);
        let endpoint = script.endpoint(ClientAuthentication::basic("id", "s")).with_proof(key());
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        assert_eq!(script.asked(), requests, "{error}");
    }
}

#[tokio::test]
async fn a_nonce_of_the_authorization_server_is_not_for_the_resources_of_its_origin() {
    let script = Script::of([bound_token("T").with_header(DPOP_NONCE, "as-1")]);
    let key = key();
    let endpoint = script.endpoint(ClientAuthentication::basic("id", "s")).with_proof(key.clone());
    let token = endpoint.fetch(&Grant::client_credentials()).await.unwrap().access_token().clone();
    endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    let nonces: Vec<_> =
        script.requests().iter().map(|request| claims_of(request)["nonce"].clone()).collect();
    assert_eq!(nonces, [Value::Null, "as-1".into()]);
    let layer = tower_oauth2::client::AddBearer::from_source(token, "https://as.example").unwrap();
    let resource = tower::service_fn(|request: Request<String>| async move {
        Ok::<_, std::convert::Infallible>(http::Response::new(claims_of(&request).to_string()))
    });
    let request = Request::get("https://as.example/me").body(String::new()).unwrap();
    let answer = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, resource), request).await;
    assert!(!answer.unwrap().body().contains("as-1"));
}

#[tokio::test]
async fn an_answer_that_is_not_bound_is_of_no_use_unless_that_is_allowed() {
    for kind in
        [r#","token_type":"Bearer""#, r#","token_type":"bearer""#, r#","token_type":"""#, ""]
    {
        let answer = Reply::json(format!(r#"{{"access_token":"secret-T"{kind}}}"#));
        let client = || ClientAuthentication::basic("id", "s");
        let strict = Script::of([answer.clone()]).endpoint(client()).with_proof(key());
        let error = strict.fetch(&Grant::client_credentials()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("not DPoP") && text.contains("allow_bearer"), "{text}");
        assert!(!text.contains("secret-T"));
        let lenient = Script::of([answer]).endpoint(client()).with_proof(key().allow_bearer());
        let response = lenient.fetch(&Grant::client_credentials()).await.unwrap();
        assert_eq!(response.access_token().authorization(), "Bearer secret-T");
    }
    // A bound one is bound all the same.
    let lenient = Script::of([bound_token("T")]);
    let lenient = lenient.endpoint(ClientAuthentication::basic("id", "s"));
    let lenient = lenient.with_proof(key().allow_bearer());
    let response = lenient.fetch(&Grant::client_credentials()).await.unwrap();
    assert!(is_bound(response.access_token()));
}

#[tokio::test]
async fn a_bound_token_without_a_key_is_an_error() {
    for kind in ["DPoP", "dpop"] {
        let reply = Reply::json(format!(r#"{{"access_token":"T","token_type":"{kind}"}}"#));
        let endpoint = Script::of([reply]).endpoint(ClientAuthentication::basic("id", "s"));
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        assert!(
            error.to_string().contains("DPoP") || error.to_string().contains("dpop"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn each_user_of_a_pool_has_a_key_of_its_own() {
    let server = std::sync::Arc::new(Server::new());
    let made = server.clone();
    let pool = TokenPool::new(|_| Some(0_u8)).with_caches(move |_| {
        let endpoint = made.app(&ProofKey::generate().ok()?);
        let (policy, clock) = (RefreshPolicy::default(), made.manual.clock());
        Some(TokenCache::new_with_clock(endpoint, Grant::client_credentials(), policy, clock))
    });
    let mut keys = HashSet::new();
    for user in 0..3_u8 {
        let endpoint = server.app(&key());
        let (policy, clock) = (RefreshPolicy::default(), server.manual.clock());
        let grant = Grant::client_credentials();
        pool.insert(user, TokenCache::new_with_clock(endpoint, grant, policy, clock));
        let token = token_of(&pool.get(&user).unwrap()).await.unwrap();
        assert!(is_bound(&token));
        keys.insert(server.key_of(&token));
    }
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_by_the_server() {
    let (server, key) = (Server::new(), key());
    let wrong = tower_oauth2::testing::ManualClock::from_wall(std::time::UNIX_EPOCH);
    let error =
        server.app(&key).with_clock(wrong.clock()).fetch(&Grant::client_credentials()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some("invalid_dpop_proof"));
    assert!(error.to_string().contains("iat"), "{error}");
    assert!(server.app(&key).fetch(&Grant::client_credentials()).await.is_ok());
}

#[tokio::test]
async fn a_client_that_must_have_bound_tokens_gets_no_others() {
    let server = Server::new();
    let client = RegisteredClient::confidential("app", "s").with_bound_tokens();
    server.server.register_client(client);
    let plain = server.endpoint(ClientAuthentication::basic("app", "s"));
    let error = plain.fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_request"));
    assert!(is_bound(&fetched(&server, &key()).await));
}
