//! Tokens that are bound to a key, at a certified provider with nonces and without.

use crate::{
    peers::{
        apache, call_json, client_of, endpoint, oidc_provider, oidc_provider_with_nonces,
        post_token, secret_of, verifier,
    },
    sign_in::provider_peer_at,
    system::{self, ApiClient},
};
use serde_json::{Value, json};
use tower::Layer;
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, Clock, ProofKey, SigningKey,
    client::{AddBearer, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenEndpoint},
};

fn key(algorithm: Algorithm) -> ProofKey {
    ProofKey::new(SigningKey::generate(algorithm).unwrap()).unwrap()
}

fn public(origin: &str, key: &ProofKey) -> TokenEndpoint {
    let client = ClientAuthentication::public("app");
    endpoint(&format!("{origin}/token"), client).with_proof(key.clone())
}

fn confidential(origin: &str, key: &ProofKey) -> TokenEndpoint {
    let client = ClientAuthentication::basic("svc-basic", secret_of("svc-basic"));
    endpoint(&format!("{origin}/token"), client).with_proof(key.clone())
}

/// Of tokens for the APIs that oauth4webapi and Apache guard.
fn verified() -> Grant {
    Grant::client_credentials().with_resource("urn:rs:jwt:es256").unwrap()
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_gets_a_token_that_is_bound_to_its_key_with_nonces_and_without() {
    for origin in [oidc_provider(), oidc_provider_with_nonces()] {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ed25519] {
            let key = key(algorithm);
            let endpoint = confidential(&origin, &key);
            for _ in 0..2 {
                let response = endpoint.fetch(&Grant::client_credentials()).await.unwrap();
                let token = response.access_token().expose();
                let url = format!("{origin}/token/introspection");
                let answer = post_token(&url, "rs", &secret_of("rs"), token).await;
                let answer: Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(answer["cnf"]["jkt"], key.thumbprint(), "{algorithm} {answer}");
                assert_eq!(answer["token_type"], "DPoP");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_user_s_bound_tokens_are_renewed_with_nonces() {
    let origin = oidc_provider_with_nonces();
    let endpoint = public(&origin, &key(Algorithm::Es256));
    provider_peer_at(origin, endpoint).assert_renewals().await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_user_s_session_goes_on_with_its_key_and_with_no_other() {
    for origin in [oidc_provider(), oidc_provider_with_nonces()] {
        let (mine, other) = (key(Algorithm::EdDsa), key(Algorithm::EdDsa));
        let response =
            provider_peer_at(origin.clone(), public(&origin, &mine)).alice_signs_in().await;
        let resumed = |key| {
            let token = response.refresh_token().unwrap().clone();
            let policy = RefreshPolicy::default();
            TokenCache::from_refresh_token(public(&origin, key), token, policy, Clock::system())
        };
        let url = format!("{origin}/me");
        let thief = resumed(&other);
        let error = thief.warm_up().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
        let mut client = client_of(&resumed(&mine), &origin);
        for _ in 0..2 {
            assert_eq!(call_json(&mut client, &url).await, json!({"sub": "alice"}));
        }
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn oauth4webapi_takes_every_call_while_its_nonces_change() {
    let origin = verifier();
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ed25519] {
        let key = key(algorithm);
        let endpoint = confidential(&oidc_provider(), &key);
        let cache = TokenCache::new(endpoint, verified(), RefreshPolicy::default());
        let mut client = client_of(&cache, &origin);
        // A nonce is good for three requests.
        let paths = ["", "/", "/calls?a=1", "/a//b/%7Eme/%C3%A9;v=1?b", "/nonces?c", "/nonces/d"];
        for path in [paths, paths, paths].concat() {
            let claims = call_json(&mut client, &format!("{origin}{path}")).await;
            assert_eq!(claims["cnf"]["jkt"], key.thumbprint(), "{algorithm} {path}");
        }
        assert_eq!(cache.status().fetches(), 1);
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn oauth4webapi_refuses_a_stolen_token_with_another_key_and_as_bearer() {
    let api = verifier();
    assert_theft_is_of_no_use(&api, "/calls", ["no DPoP HTTP Header", "confirmation mismatch"])
        .await;
}

/// `origin` takes a bound token from its owner, and from nobody else, whom it tells `why`: as Bearer,
/// and with another key.
async fn assert_theft_is_of_no_use(origin: &str, path: &str, why: [&str; 2]) {
    let (mine, other) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let response = confidential(&oidc_provider(), &mine).fetch(&verified()).await.unwrap();
    let stolen = AccessToken::new(response.access_token().expose()).unwrap();
    for (token, status, why) in [
        (stolen.clone(), 401, why[0]),
        (stolen.bound_to(&other).unwrap(), 401, why[1]),
        (stolen.bound_to(&mine).unwrap(), 200, ""),
        (response.access_token().clone(), 200, ""),
    ] {
        let layer = AddBearer::from_source(token, origin).unwrap();
        let mut client = ApiClient::new(layer.layer(system::http()));
        let answer = system::call(&mut client, &format!("{origin}{path}")).await.unwrap();
        assert_eq!(answer.status(), status, "{answer:?}");
        assert!(format!("{answer:?}").contains(why), "{answer:?}");
    }
}

/// It knows no EdDSA, and takes no path with escapes: those of the request it decodes, those of the
/// proof not.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn apache_takes_every_call() {
    let [origin, _] = apache();
    for algorithm in [Algorithm::Es256, Algorithm::Es384] {
        let endpoint = confidential(&oidc_provider(), &key(algorithm));
        let cache = TokenCache::new(endpoint, verified(), RefreshPolicy::default());
        let mut client = client_of(&cache, &origin);
        for path in ["/dpop", "/dpop/calls?a=1", "/dpop/calls?a=1", "/dpop/~me;v=1"] {
            let answer = system::call(&mut client, &format!("{origin}{path}")).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "it is open"));
        }
        assert_eq!(cache.status().fetches(), 1);
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn apache_refuses_a_stolen_token_with_another_key_and_as_bearer() {
    let [origin, _] = apache();
    assert_theft_is_of_no_use(&origin, "/dpop", ["invalid_request", "invalid_token"]).await;
}
