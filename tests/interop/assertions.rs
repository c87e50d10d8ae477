//! Clients that sign who they are, with the keys of `oidc-provider/client-keys.json`.

use crate::peers::{endpoint, oidc_provider, secret_of};
use http::StatusCode;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tower_oauth2::{
    Algorithm, ClientAuthentication, Clock, JwtAssertion, SigningKey,
    client::{ErrorKind, Grant, RefreshPolicy, TokenCache},
    testing::ManualClock,
};

/// The clients, each with its key.
fn clients() -> Vec<(String, SigningKey)> {
    let keys: Value = serde_json::from_str(include_str!("oidc-provider/client-keys.json")).unwrap();
    let keys = keys.get("keys").unwrap().as_array().unwrap();
    let name = |key: &Value| key.get("kid").unwrap().as_str().unwrap().to_owned();
    let key = |key: &Value| SigningKey::from_jwk(&key.to_string()).unwrap();
    keys.iter().map(|jwk| (format!("svc-key-jwt-{}", name(jwk)), key(jwk))).collect()
}

fn by_secret(secret: &str) -> ClientAuthentication {
    let id = "svc-secret-jwt";
    ClientAuthentication::client_secret_jwt(id, Algorithm::Hs256, secret).unwrap()
}

/// The server takes each `jti` once.
async fn assert_known(client: ClientAuthentication) {
    let endpoint = endpoint(&format!("{}/token", oidc_provider()), client);
    for _ in 0..2 {
        endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    }
}

async fn assert_refused(client: ClientAuthentication) {
    let endpoint = endpoint(&format!("{}/token", oidc_provider()), client);
    let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{error}");
    assert_eq!(error.code(), Some("invalid_client"), "{error}");
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED), "{error}");
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_is_known_by_the_assertion_in_a_file_and_a_used_one_is_replaced() {
    let (id, key) = clients().remove(0);
    let file = std::env::temp_dir().join(format!("interop-assertion-{}", std::process::id()));
    let write = || {
        let assertion = JwtAssertion::new(id.as_str(), key.clone());
        let assertion = assertion.with_lifetime(Duration::from_secs(3600)).unwrap();
        let jwt = assertion.to_jwt(&oidc_provider(), &Clock::system()).unwrap();
        std::fs::write(&file, jwt.expose()).unwrap();
    };
    let from_file = || ClientAuthentication::assertion_from_file(&file);
    for client in [from_file(), from_file().with_client_id(id.as_str())] {
        write();
        let clock = ManualClock::from_wall(SystemTime::now());
        let endpoint = endpoint(&format!("{}/token", oidc_provider()), client);
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        let cache = TokenCache::new_with_clock(
            endpoint,
            Grant::client_credentials(),
            policy,
            clock.clock(),
        );
        let first = cache.access_token().await.unwrap();
        // The server takes each `jti` once.
        clock.advance(Duration::from_secs(1800));
        let error = cache.access_token().await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_client"), "{error}");
        write();
        assert_ne!(cache.access_token().await.unwrap(), first);
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_is_known_by_its_private_key() {
    let clients = clients();
    assert_eq!(clients.len(), 3);
    for (id, key) in clients {
        let client = ClientAuthentication::private_key_jwt(id, key).unwrap();
        assert_known(client.clone()).await;
        assert_known(client.with_assertion_audience(oidc_provider())).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_is_known_by_what_its_secret_signs() {
    let client = by_secret(&secret_of("svc-secret-jwt"));
    assert_known(client.clone()).await;
    assert_known(client.with_assertion_audience(oidc_provider())).await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn another_clients_key_another_secret_and_another_audience_are_refused() {
    let keys = clients();
    for ((id, own), (_, foreign)) in keys.iter().zip(keys.iter().cycle().skip(1)) {
        let stolen = ClientAuthentication::private_key_jwt(id.as_str(), foreign.clone()).unwrap();
        assert_refused(stolen).await;
        let own = ClientAuthentication::private_key_jwt(id.as_str(), own.clone()).unwrap();
        assert_refused(own.with_assertion_audience("https://elsewhere.example")).await;
    }
    assert_refused(by_secret(&secret_of("svc-basic"))).await;
}
