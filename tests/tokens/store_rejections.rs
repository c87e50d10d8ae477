//! Replicas whose tokens are revoked at the server: a call gets past each token that is no longer
//! good, though the store still has some of them.

use crate::engine::{self, API, Body, World, at_once, bearer_of, exact, get, millis, seconds};
use http::{Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    client::{AddBearer, Cloned, RefreshPolicy, StoreKeys, StorePolicy, TokenCache, TokenSource},
    testing::InMemoryStore,
};

type Api = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// An API that refuses revoked tokens, and writes down each one that it sees.
#[derive(Clone, Default)]
struct Resource {
    revoked: Arc<Mutex<Vec<String>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Resource {
    fn revoke(&self, tokens: &[&str]) {
        self.revoked.lock().unwrap().extend(tokens.iter().map(|token| (*token).to_owned()));
    }

    /// The tokens that were sent since the last look.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn api(&self) -> Api {
        let Self { revoked, seen } = self.clone();
        BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
            let token = bearer_of(&request);
            let is_revoked = revoked.lock().unwrap().contains(&token);
            seen.lock().unwrap().push(token);
            let response = match is_revoked {
                true => Response::builder()
                    .status(StatusCode::UNAUTHORIZED)
                    .header(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#),
                false => Response::builder(),
            };
            std::future::ready(Ok(response.body(Body::default()).unwrap()))
        }))
    }
}

/// A replica: its cache, over the store if there is one.
fn cache(world: &World, store: Option<&InMemoryStore>, policy: RefreshPolicy) -> TokenCache {
    let cache = world.cache(policy);
    let Some(store) = store else { return cache };
    let keys = StoreKeys::new(&[7; 32]).unwrap();
    cache.with_store(Arc::new(store.clone()), keys, StorePolicy::default()).unwrap()
}

/// Calls the API: the status that the caller gets.
async fn call(cache: TokenCache, resource: Resource) -> StatusCode {
    let mut client = AddBearer::from_source(cache, API).unwrap().layer(resource.api());
    client.ready().await.unwrap().call(get()).await.unwrap().status()
}

/// The same without the clock moving, once the token is saved too.
async fn called(cache: &TokenCache, resource: &Resource) -> StatusCode {
    let status = at_once(call(cache.clone(), resource.clone())).await;
    engine::settle().await;
    status
}

/// Two replicas that both hold `T1`, of which one has fetched `T2` into the store.
async fn one_ahead(world: &World, store: &InMemoryStore, resource: &Resource) -> [TokenCache; 2] {
    let caches = [(); 2].map(|()| cache(world, Some(store), exact()));
    for cache in &caches {
        assert_eq!(called(cache, resource).await, 200);
    }
    world.advance(seconds(5)).await;
    resource.revoke(&["T1"]);
    assert_eq!(called(&caches[0], resource).await, 200);
    assert_eq!(resource.seen(), ["T1", "T1", "T1", "T2"]);
    caches
}

#[tokio::test]
async fn a_call_is_repeated_with_a_fetched_token_if_that_of_the_store_is_rejected_too() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let [_, behind] = one_ahead(&world, &store, &resource).await;
    world.advance(seconds(5)).await;
    resource.revoke(&["T2"]);
    assert_eq!(called(&behind, &resource).await, 200);
    assert_eq!(resource.seen(), ["T1", "T2", "T3"]);
    assert_eq!(world.requests().len(), 3);
}

#[tokio::test]
async fn a_call_with_a_body_is_repeated_twice_too() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let [_, behind] = one_ahead(&world, &store, &resource).await;
    world.advance(seconds(5)).await;
    resource.revoke(&["T2"]);
    let layer = AddBearer::from_source(behind, API).unwrap().with_replay(Cloned);
    let mut client = layer.layer(resource.api());
    let request = Request::post(format!("{API}/x")).body(Body::from("body")).unwrap();
    let response = at_once(async { client.ready().await.unwrap().call(request).await }).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(resource.seen(), ["T1", "T2", "T3"]);
}

#[tokio::test]
async fn the_second_repetition_waits_for_the_time_between_two_token_requests_of_the_fleet() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let [_, behind] = one_ahead(&world, &store, &resource).await;
    resource.revoke(&["T2"]);
    let called = tokio::spawn(call(behind, resource));
    for _ in 0..9 {
        world.advance(millis(100)).await;
    }
    assert_eq!((world.requests().len(), called.is_finished()), (2, false), "T2 is too young");
    for _ in 0..4 {
        world.advance(millis(100)).await;
    }
    assert_eq!(at_once(called).await.unwrap(), 200);
    assert_eq!(world.requests().len(), 3);
}

#[tokio::test]
async fn a_call_is_repeated_twice_at_most() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let [_, behind] = one_ahead(&world, &store, &resource).await;
    world.advance(seconds(5)).await;
    resource.revoke(&["T2", "T3", "T4", "T5"]);
    assert_eq!(called(&behind, &resource).await, 401);
    assert_eq!(resource.seen(), ["T1", "T2", "T3"]);
    assert_eq!(world.requests().len(), 3);
}

#[tokio::test]
async fn a_call_whose_second_token_was_fetched_is_repeated_once() {
    for shares in [true, false] {
        let (world, resource) = (World::new(), Resource::default());
        let store = InMemoryStore::new().with_clock(world.clock.clock());
        let alone = cache(&world, shares.then_some(&store), exact());
        assert_eq!(called(&alone, &resource).await, 200);
        world.advance(seconds(5)).await;
        resource.revoke(&["T1", "T2"]);
        assert_eq!(called(&alone, &resource).await, 401);
        assert_eq!(resource.seen(), ["T1", "T1", "T2"], "shares: {shares}");
        assert_eq!(world.requests().len(), 2);
    }
}

#[tokio::test]
async fn whatever_the_server_revokes_no_caller_of_any_replica_sees_it() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let caches = [(); 5].map(|()| cache(&world, Some(&store), exact()));
    for round in 1..20 {
        // Not all replicas call each time, so that they hold tokens of several ages.
        for (number, cache) in caches.iter().enumerate() {
            if round % (number + 1) == 0 {
                let called = tokio::spawn(call(cache.clone(), resource.clone()));
                for _ in 0..15 {
                    world.advance(millis(100)).await;
                }
                assert_eq!(at_once(called).await.unwrap(), 200, "round {round}, replica {number}");
            }
        }
        let all: Vec<_> = (0..=world.requests().len()).map(|number| format!("T{number}")).collect();
        resource.revoke(&all.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert!(world.requests().len() <= 19 + 5, "{} requests", world.requests().len());
}

#[tokio::test]
async fn replicas_that_call_at_once_after_a_revocation_share_one_new_token_each_time() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let caches = [(); 10].map(|()| cache(&world, Some(&store), exact()));
    for round in 1..=20 {
        let calls =
            caches.each_ref().map(|cache| tokio::spawn(call(cache.clone(), resource.clone())));
        for _ in 0..25 {
            world.advance(millis(100)).await;
        }
        for call in calls {
            assert_eq!(at_once(call).await.unwrap(), 200, "round {round}");
        }
        assert_eq!(world.requests().len(), round);
        resource.revoke(&[&format!("T{round}")]);
    }
}

#[tokio::test]
async fn who_has_no_patience_goes_on_with_a_rejected_token_in_a_pause() {
    let (world, resource) = (World::new(), Resource::default());
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let impatient = cache(&world, Some(&store), engine::impatient());
    assert_eq!(called(&impatient, &resource).await, 200);
    let token = at_once(engine::ask(&impatient)).await.unwrap();
    assert!(impatient.reject(&token));
    let same = at_once(engine::ask(&impatient)).await.unwrap();
    assert_eq!(same.expose(), "T1", "the store says that T1 is too young to be replaced");
    assert_eq!(world.requests().len(), 1);
}
