//! A store that replicas share: a bound token is found by the holders of its key alone.

use super::{Server, is_bound, key, token_of};
use crate::engine::settle;
use std::sync::Arc;
use tower_oauth2::{
    ClientAuthentication, ProofKey,
    client::{Grant, RefreshPolicy, StoreKeys, StorePolicy, TokenCache},
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
