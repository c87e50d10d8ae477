//! A store that replicas share: a bound token is found by the holders of its key alone.

use super::{Server, is_bound, key, token_of};
use crate::engine::{API, Body, get, settle};
use http::{
    Request, Response,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    ClientAuthentication, ProofKey,
    client::{AddBearer, Grant, RefreshPolicy, StoreKeys, StorePolicy, TokenCache},
    testing::InMemoryStore,
};

fn replica(server: &Server, key: Option<&ProofKey>, store: &InMemoryStore) -> TokenCache {
    let endpoint = match key {
        Some(key) => server.app(key),
        None => server.endpoint(ClientAuthentication::basic("app", "s")),
    };
    let (policy, clock) = (RefreshPolicy::default(), server.manual.clock());
    TokenCache::new_with_clock(endpoint, Grant::client_credentials(), policy, clock)
        .with_store(
            Arc::new(store.clone()),
            StoreKeys::new(&[7; 32]).unwrap(),
            StorePolicy::default(),
        )
        .unwrap()
}

#[tokio::test]
async fn replicas_share_a_token_if_they_have_the_same_key() {
    let server = Server::new();
    let store = InMemoryStore::new().with_clock(server.manual.clock());
    let (fleet, other) = (key(), key());
    let mut texts = Vec::new();
    for key in [Some(&fleet), Some(&fleet), Some(&other), None, Some(&fleet), None] {
        let token = token_of(&replica(&server, key, &store)).await.unwrap();
        settle().await;
        assert_eq!(is_bound(&token), key.is_some());
        assert_eq!(server.key_of(&token), key.map(|key| key.thumbprint().to_owned()));
        texts.push(token.expose().to_owned());
    }
    assert_eq!((&texts[0], &texts[0], &texts[3]), (&texts[1], &texts[4], &texts[5]));
    assert_eq!((server.server.token_requests(), store.keys().len()), (3, 3));
}

#[tokio::test]
async fn a_call_gets_past_a_nonce_and_two_tokens_that_were_revoked() {
    let server = Server::new();
    let store = InMemoryStore::new().with_clock(server.manual.clock());
    let fleet = key();
    let caches = [(); 2].map(|()| replica(&server, Some(&fleet), &store));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let revoked = Arc::new(Mutex::new(Vec::<String>::new()));
    let api = {
        let (seen, revoked) = (seen.clone(), revoked.clone());
        service_fn(move |request: Request<Body>| {
            let token = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
            let is_first = seen.lock().unwrap().is_empty();
            let error = match revoked.lock().unwrap().contains(&token) {
                _ if is_first => Some("use_dpop_nonce"),
                true => Some("invalid_token"),
                false => None,
            };
            seen.lock().unwrap().push(token);
            let response = match error {
                Some(error) => Response::builder()
                    .status(401)
                    .header(WWW_AUTHENTICATE, format!("DPoP error=\"{error}\""))
                    .header("dpop-nonce", "n-1"),
                None => Response::builder(),
            };
            ready(Ok::<_, Infallible>(response.body(Body::default()).unwrap()))
        })
    };
    let call = async |cache: &TokenCache| {
        let client = AddBearer::from_source(cache.clone(), API).unwrap().layer(api.clone());
        let status = client.oneshot(get()).await.unwrap().status();
        settle().await;
        status
    };
    let later = async || {
        server.manual.advance(Duration::from_secs(5));
        settle().await;
    };
    for cache in &caches {
        assert_eq!(call(cache).await, 200);
    }
    let first = seen.lock().unwrap().last().unwrap().clone();
    revoked.lock().unwrap().push(first.clone());
    later().await;
    assert_eq!(call(&caches[0]).await, 200);
    let second = seen.lock().unwrap().last().unwrap().clone();
    revoked.lock().unwrap().push(second.clone());
    later().await;
    seen.lock().unwrap().clear();
    assert_eq!(call(&caches[1]).await, 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..3], [first.clone(), first, second]);
    assert_eq!((seen.len(), server.server.token_requests()), (4, 3));
}
