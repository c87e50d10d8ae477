//! What a readiness probe says, before, during and after an outage of the authorization server.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tower::service_fn;
use tower_oauth2::{
    ClientAuthentication, Health, RequestHead, Transport,
    client::{Grant, RefreshPolicy, TokenCache, TokenEndpoint},
    testing::ManualClock,
    validate::{Introspection, Jwks, ValidateToken},
};

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// An authorization server that can be down, all of whose endpoints answer.
fn server(down: &Arc<AtomicBool>) -> Transport {
    let down = down.clone();
    Transport::new(service_fn(move |request: Request<Full<Bytes>>| {
        let body = match request.uri().path() {
            "/jwks" => KEYS,
            "/introspect" => r#"{"active":true,"sub":"alice"}"#,
            _ => r#"{"access_token":"S3CR3T","token_type":"Bearer","expires_in":600}"#,
        };
        let status = if down.load(Ordering::SeqCst) { 503 } else { 200 };
        let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
        async { Ok::<_, Infallible>(response.unwrap()) }
    }))
}

#[tokio::test]
async fn a_replica_is_ready_while_its_token_and_keys_are_good_whatever_the_server_does() {
    let (clock, down) = (ManualClock::new(), Arc::new(AtomicBool::new(false)));
    let transport = server(&down).with_clock(clock.clock());
    let client = || ClientAuthentication::basic("id", "secret");
    let endpoint =
        TokenEndpoint::new("https://as.example/token", client(), transport.clone()).unwrap();
    let grant = Grant::client_credentials();
    let token = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    let keys = Jwks::from_url("https://as.example/jwks", transport.clone()).unwrap();
    let introspection =
        Introspection::new("https://as.example/introspect", client(), transport).unwrap();
    let health = || {
        Health::new()
            .with_part("token", token.status())
            .with_part("keys", keys.status())
            .with_part("introspection", &introspection)
    };
    let ask = async || {
        let request = Request::new(());
        let head = RequestHead::from_request(&request);
        let _ = introspection.validate("opaque", head).wait().await;
    };

    assert!(!health().is_ready(), "nothing was fetched yet");
    token.warm_up().await.unwrap();
    assert!(!health().is_ready(), "there are no keys yet");
    keys.warm_up().await.unwrap();
    ask().await;
    let line = r#"{"ready":true,"parts":{"introspection":{"error":null,"ready":true},"keys":{"age":0,"error":null,"ready":true,"stale":false},"token":{"error":null,"expires_in":600,"ready":true,"state":"Fresh"}}}"#;
    assert_eq!(health().to_string(), line);
    assert_eq!(serde_json::to_string(&health()).unwrap(), line);

    down.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(570));
    token.warm_up().await.unwrap();
    keys.refresh().await.unwrap_err();
    ask().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let said: serde_json::Value = serde_json::from_str(&health().to_string()).unwrap();
    assert_eq!(said["ready"], true, "{said}");
    for part in ["token", "keys", "introspection"] {
        assert!(said["parts"][part]["error"].is_string(), "{said}");
    }
    assert_eq!(said["parts"]["token"]["state"], "Stale");
    assert!(!said.to_string().contains("S3CR3T"), "{said}");

    clock.advance(Duration::from_secs(60));
    let said: serde_json::Value = serde_json::from_str(&health().to_string()).unwrap();
    assert_eq!(
        (&said["ready"], &said["parts"]["token"]["state"]),
        (&false.into(), &"Expired".into())
    );
    assert_eq!(said["parts"]["keys"]["ready"], true);

    down.store(false, Ordering::SeqCst);
    clock.advance(Duration::from_secs(60));
    token.warm_up().await.unwrap();
    ask().await;
    assert!(health().is_ready());
    token.shutdown();
    assert!(!health().is_ready());
}

#[test]
fn a_replica_that_depends_on_nothing_is_ready() {
    assert_eq!(Health::new().to_string(), r#"{"ready":true,"parts":{}}"#);
}
