//! A store that replicas share: a bound token is found by the holders of its key alone, and never goes
//! as Bearer.

use super::{Server, is_bound, key, token_of};
use crate::engine::settle;
use http::Request;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, ClientAuthentication, ProofKey,
    client::{
        Acquired, AddBearer, Error, ErrorKind, Grant, RefreshPolicy, StoreFuture, StoreKey,
        StorePolicy, StoredToken, TokenCache, TokenStore,
    },
    testing::InMemoryStore,
};

fn replica(server: &Server, key: Option<&ProofKey>, store: Arc<dyn TokenStore>) -> TokenCache {
    let endpoint = match key {
        Some(key) => server.app(key),
        None => server.endpoint(ClientAuthentication::basic("app", "s")),
    };
    let (policy, clock) = (RefreshPolicy::default(), server.manual.clock());
    TokenCache::new_with_clock(endpoint, Grant::client_credentials(), policy, clock)
        .with_store(store, StorePolicy::default())
        .unwrap()
}

#[tokio::test]
async fn replicas_share_a_token_if_they_have_the_same_key() {
    let (server, store) = (Server::new(), InMemoryStore::new());
    let (fleet, other) = (key(), key());
    let mut texts = Vec::new();
    for key in [Some(&fleet), Some(&fleet), Some(&other), None, Some(&fleet), None] {
        let token = token_of(&replica(&server, key, Arc::new(store.clone()))).await.unwrap();
        settle().await;
        assert_eq!(is_bound(&token), key.is_some());
        assert_eq!(server.key_of(&token), key.map(|key| key.thumbprint().to_owned()));
        texts.push(token.expose().to_owned());
    }
    assert_eq!((&texts[0], &texts[0], &texts[3]), (&texts[1], &texts[4], &texts[5]));
    assert_eq!((server.server.token_requests(), store.keys().len()), (3, 3));
}

/// A store that has one token, whatever it is asked for.
struct Having {
    token: StoredToken,
    saved: Mutex<Vec<String>>,
}

impl TokenStore for Having {
    fn load<'a>(&'a self, _: &'a StoreKey) -> StoreFuture<'a, Option<StoredToken>> {
        // As through a database.
        let text = self.token.to_secret_string();
        Box::pin(async move { Ok(text.expose().parse().ok()) })
    }

    fn save<'a>(
        &'a self,
        _: &'a StoreKey,
        token: &'a StoredToken,
        _: Duration,
    ) -> StoreFuture<'a, ()> {
        self.saved.lock().unwrap().push(token.to_secret_string().expose().to_owned());
        Box::pin(async { Ok(()) })
    }

    fn acquire<'a>(
        &'a self,
        _: &'a StoreKey,
        _: &'a str,
        _: Duration,
    ) -> StoreFuture<'a, Acquired> {
        Box::pin(async { Ok(Acquired::Yours) })
    }

    fn release<'a>(&'a self, _: &'a StoreKey, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_token_of_the_store_that_is_bound_otherwise_is_as_good_as_none() {
    let (server, mine, other) = (Server::new(), key(), key());
    let plain = AccessToken::new("stored").unwrap();
    let of = |key: &ProofKey| plain.bound_to(key).unwrap();
    for (key, stored, is_used) in [
        (Some(&mine), of(&mine), true),
        (Some(&mine), of(&other), false),
        (Some(&mine), plain.clone(), false),
        (None, of(&mine), false),
        (None, plain.clone(), true),
    ] {
        let now = server.manual.clock().wall();
        let token = StoredToken::new(stored, now, Duration::from_secs(3600));
        let store = Arc::new(Having { token, saved: Mutex::default() });
        let token = token_of(&replica(&server, key, store.clone())).await.unwrap();
        settle().await;
        assert_eq!((token.expose() == "stored", is_bound(&token)), (is_used, key.is_some()));
        let saved = store.saved.lock().unwrap();
        let jkt = key.filter(|_| !is_used).map(|key| format!(r#""jkt":"{}""#, key.thumbprint()));
        assert_eq!(saved.len(), usize::from(!is_used));
        assert!(saved.iter().all(|text| jkt.iter().all(|jkt| text.contains(jkt))));
    }
}

#[tokio::test]
async fn an_unbound_token_of_the_store_is_used_where_the_key_allows_bearer() {
    let (server, lenient) = (Server::new(), key().allow_bearer());
    let now = server.manual.clock().wall();
    let stored = AccessToken::new("stored").unwrap();
    let token = StoredToken::new(stored, now, Duration::from_secs(3600));
    let store = Arc::new(Having { token, saved: Mutex::default() });
    let token = token_of(&replica(&server, Some(&lenient), store)).await.unwrap();
    assert_eq!((token.expose(), is_bound(&token)), ("stored", false));
}

#[tokio::test]
async fn a_bound_token_that_was_stored_cannot_be_sent_without_its_key() {
    let mine = key();
    let token = AccessToken::new("T").unwrap().bound_to(&mine).unwrap();
    let stored = StoredToken::new(token, SystemTime::UNIX_EPOCH, Duration::from_secs(60));
    let text = stored.to_secret_string();
    let back: StoredToken = text.expose().parse().unwrap();
    assert_eq!(back.to_secret_string().expose(), text.expose());
    assert!(!format!("{back:?} {back:#?}").contains("\"T\""));
    let token = back.access_token().clone();
    assert_eq!(token.authorization(), "DPoP T", "not Bearer");

    let client = AddBearer::from_source(token, "https://api.example").unwrap().layer(service_fn(
        async |_: Request<String>| -> Result<http::Response<String>, std::convert::Infallible> {
            panic!("nothing is sent")
        },
    ));
    let request = Request::get("https://api.example").body(String::new()).unwrap();
    let error = client.oneshot(request).await.unwrap_err().downcast::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Placement);
    assert!(error.to_string().contains("key"), "{error}");

    for odd in [r#"{"a":1}"#, "7", "null", "[]"] {
        let odd = text.expose().replace(&format!("\"{}\"", mine.thumbprint()), odd);
        assert!(odd.parse::<StoredToken>().is_err(), "{odd}");
    }
}
