//! Replicas that share their tokens through a store: who fetches, what is found under which key,
//! and what a store that is down costs.

use crate::engine::{
    self, Asked, Reply, World, ask, at_once, exact, impatient, millis, numbered, seconds,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    collections::HashSet,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;
use tower::service_fn;
use tower_oauth2::{
    Algorithm, ClientAuthentication, ClientSecret, ClientSecretSource, Clock, JwtAssertion,
    SigningKey, SigningKeySource, Transport,
    client::{
        Begun, Error, ErrorKind, Grant, Holder, Lease, RefreshPolicy, StoreFuture, StoreKey,
        StoreKeys, StorePolicy, StoredValue, TokenCache, TokenEndpoint, TokenResponse,
        TokenRevocation, TokenSource, TokenStore, Version,
    },
    testing::InMemoryStore,
};

const NOW: Duration = Duration::ZERO;

fn shared(store: &InMemoryStore) -> Arc<dyn TokenStore> {
    Arc::new(store.clone())
}

fn keys() -> StoreKeys {
    StoreKeys::new(&[7; 32]).unwrap()
}

/// A store by the clock of `world`.
fn store_of(world: &World) -> InMemoryStore {
    InMemoryStore::new().with_clock(world.clock.clock())
}

/// A replica: a cache of its own over the store of all.
fn replica(world: &World, store: &InMemoryStore) -> TokenCache {
    world.cache(exact()).with_store(shared(store), keys(), StorePolicy::default()).unwrap()
}

/// The token that the cache has without the clock moving, once it is saved too.
async fn token(cache: &TokenCache) -> Result<String, Error> {
    let token = at_once(ask(cache)).await;
    engine::settle().await;
    token.map(|token| token.expose().to_owned())
}

// case: sto-01
#[tokio::test]
async fn a_store_that_hangs_costs_its_deadline_and_no_call() {
    let world = World::new();
    let store = store_of(&world);
    let cache = replica(&world, &store);
    store.hang();
    let asked = tokio::spawn(ask(&cache));
    world.advance(millis(249)).await;
    assert!(world.requests().is_empty() && !asked.is_finished());
    world.advance(millis(1)).await;
    assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    assert_eq!(world.requests(), [millis(250)], "fetched directly");
    assert_eq!(cache.status().store_failures(), 1, "it was not asked again");
    assert!(cache.status().last_error().is_none());
}

#[tokio::test]
async fn a_cache_that_was_used_takes_no_store() {
    let store = InMemoryStore::new();
    let refused = |cache: TokenCache| {
        let error = cache.with_store(shared(&store), keys(), StorePolicy::default()).unwrap_err();
        assert!(error.to_string().contains("used already"), "{error}");
    };
    let world = World::new();
    let warm = world.cache(exact());
    at_once(warm.warm_up()).await.unwrap();
    refused(warm);

    let world = World::answering(|_| Reply::broken().hangs());
    let fetching = world.cache(exact());
    let gave_up = tokio::select! {
        biased;
        _ = fetching.warm_up() => false,
        () = engine::settle() => true,
    };
    assert!(gave_up && world.requests().len() == 1);
    refused(fetching);
}

// case: sto-01
#[tokio::test]
async fn a_store_that_fails_is_one_that_has_nothing() {
    let world = World::new();
    let store = store_of(&world);
    store.fail();
    let cache = replica(&world, &store);
    assert_eq!(token(&cache).await.unwrap(), "T1");
    assert_eq!((store.operations(), cache.status().store_failures()), (1, 1));
    store.recover();
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
    assert_eq!(world.requests().len(), 2);
}

/// How an operation of a [`Faulty`] store goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    PanicsAtOnce,
    PanicsInItsFuture,
    PanicsLater,
    PanicsWhenDropped,
    Hangs,
}

/// A store one of whose operations goes wrong.
struct Faulty {
    operation: &'static str,
    fault: Fault,
    store: InMemoryStore,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bug in a destructor of the store");
    }
}

impl Faulty {
    fn answer<'a, T: Send + 'a>(
        &'a self,
        operation: &str,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        if operation != self.operation {
            return answer;
        }
        match self.fault {
            Fault::PanicsAtOnce => panic!("a bug in the store"),
            Fault::PanicsInItsFuture => Box::pin(async { panic!("a bug in the store") }),
            Fault::PanicsLater => Box::pin(async {
                tokio::task::yield_now().await;
                panic!("a bug in the store")
            }),
            Fault::PanicsWhenDropped => Box::pin(async {
                let _bomb = Bomb;
                pending().await
            }),
            Fault::Hangs => Box::pin(pending()),
        }
    }
}

impl TokenStore for Faulty {
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun> {
        self.answer("begin", self.store.begin(key, holder, lease, had))
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.answer("renew", self.store.renew(key, holder, lease))
    }

    fn finish<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        value: &'a StoredValue,
        pause: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.answer("finish", self.store.finish(key, holder, value, pause))
    }

    fn release<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        pause: Duration,
    ) -> StoreFuture<'a, ()> {
        self.answer("release", self.store.release(key, holder, pause))
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> StoreFuture<'a, ()> {
        self.answer("remove", self.store.remove(key, version))
    }
}

fn faulty(world: &World, operation: &'static str, fault: Fault) -> TokenCache {
    let store = Faulty { operation, fault, store: store_of(world) };
    world.cache(exact()).with_store(Arc::new(store), keys(), StorePolicy::default()).unwrap()
}

#[tokio::test]
async fn a_store_that_panics_costs_no_token() {
    for operation in ["begin", "finish"] {
        for fault in [Fault::PanicsAtOnce, Fault::PanicsInItsFuture, Fault::PanicsLater] {
            let world = World::new();
            let cache = faulty(&world, operation, fault);
            let of = format!("{operation} {fault:?}");
            assert_eq!(token(&cache).await.expect(&of), "T1");
            engine::settle().await;
            assert_eq!(cache.status().store_failures(), 1, "{of}");
            assert!(cache.status().last_error().is_none(), "{of}");
            cache.revoke(&revocation()).await.expect(&of);
            // As long as this one may seem to fetch, if it could not say that it ended.
            let again = tokio::spawn(ask(&cache));
            for _ in 0..70 {
                world.advance(millis(50)).await;
            }
            assert_eq!(at_once(again).await.unwrap().expect(&of).expose(), "T2");
        }
    }
}

#[tokio::test]
async fn a_store_that_panics_when_it_is_stopped_costs_its_deadline() {
    for (operation, waits) in [("begin", millis(250)), ("finish", NOW)] {
        let world = World::new();
        let cache = faulty(&world, operation, Fault::PanicsWhenDropped);
        let asked = tokio::spawn(ask(&cache));
        world.advance(waits).await;
        assert_eq!(at_once(asked).await.unwrap().expect(operation).expose(), "T1");
        world.advance(millis(250)).await;
        assert_eq!(cache.status().store_failures(), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_store_that_panics_keeps_nobody_from_revoking() {
    for fault in [Fault::PanicsAtOnce, Fault::PanicsInItsFuture, Fault::PanicsLater] {
        let world = World::new();
        let cache = faulty(&world, "remove", fault);
        assert_eq!(token(&cache).await.unwrap(), "T1");
        cache.revoke(&revocation()).await.unwrap();
        assert_eq!(cache.status().store_failures(), 1);
    }
}

#[tokio::test]
async fn a_store_that_fails_while_the_lease_is_renewed_costs_no_token() {
    for fault in [Fault::PanicsAtOnce, Fault::PanicsLater, Fault::PanicsWhenDropped, Fault::Hangs] {
        let world = World::answering(numbered(3600, seconds(4)));
        let cache = faulty(&world, "renew", fault);
        let asked = tokio::spawn(ask(&cache));
        for _ in 0..16 {
            world.advance(millis(250)).await;
        }
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1", "{fault:?}");
        assert_eq!((cache.status().store_failures(), world.requests().len()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_is_not_held_back_by_a_store_that_takes_long_to_save_it() {
    let world = World::new();
    let cache = faulty(&world, "finish", Fault::Hangs);
    assert_eq!(token(&cache).await.unwrap(), "T1");
    world.advance(millis(249)).await;
    assert_eq!(cache.status().store_failures(), 0);
    world.advance(millis(1)).await;
    assert_eq!(cache.status().store_failures(), 1, "it has its own deadline");
}

#[tokio::test]
async fn a_fetch_that_fails_is_not_held_back_by_a_store_that_takes_long_to_hear_of_it() {
    let world = World::answering(|_| Reply::refusal(400, "invalid_client"));
    let cache = faulty(&world, "release", Fault::Hangs);
    assert_eq!(token(&cache).await.unwrap_err().status().unwrap(), 400);
}

/// A store whose operations are written down, and whose `finish` needs a permit.
#[derive(Clone)]
struct Slow {
    store: InMemoryStore,
    permits: Arc<Semaphore>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Slow {
    fn new(world: &World, permits: usize) -> Self {
        let (store, permits) = (store_of(world), Arc::new(Semaphore::new(permits)));
        Self { store, permits, log: Arc::default() }
    }

    fn replica(&self, world: &World) -> TokenCache {
        let store = Arc::new(self.clone());
        world.cache(exact()).with_store(store, keys(), StorePolicy::default()).unwrap()
    }

    fn note(&self, event: &'static str) {
        self.log.lock().unwrap().push(event);
    }
}

impl TokenStore for Slow {
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun> {
        self.store.begin(key, holder, lease, had)
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.store.renew(key, holder, lease)
    }

    fn finish<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        value: &'a StoredValue,
        pause: Duration,
    ) -> StoreFuture<'a, Lease> {
        self.note("asked to save");
        Box::pin(async move {
            self.permits.acquire().await?.forget();
            self.note("saved");
            self.store.finish(key, holder, value, pause).await
        })
    }

    fn release<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        pause: Duration,
    ) -> StoreFuture<'a, ()> {
        self.store.release(key, holder, pause)
    }

    fn remove<'a>(&'a self, key: &'a StoreKey, version: &'a Version) -> StoreFuture<'a, ()> {
        self.note("asked to remove");
        self.store.remove(key, version)
    }
}

#[tokio::test]
async fn callers_are_served_before_the_store_is_asked_to_save() {
    let world = World::new();
    let slow = Slow::new(&world, 1);
    let cache = slow.replica(&world);
    let callers = [(); 3].map(|()| {
        let (asked, slow) = (ask(&cache), slow.clone());
        tokio::spawn(async move {
            asked.await.unwrap();
            slow.note("served");
        })
    });
    for caller in callers {
        at_once(caller).await.unwrap();
    }
    engine::settle().await;
    assert_eq!(*slow.log.lock().unwrap(), ["served", "served", "served", "asked to save", "saved"]);
}

#[tokio::test]
async fn a_token_that_is_revoked_while_it_is_saved_is_not_left_to_others() {
    let world = World::new();
    let slow = Slow::new(&world, 0);
    let cache = slow.replica(&world);
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    let revoke = tokio::spawn({
        let cache = cache.clone();
        async move { cache.revoke(&revocation()).await }
    });
    engine::settle().await;
    slow.permits.add_permits(1);
    at_once(revoke).await.unwrap().unwrap();
    assert_eq!(*slow.log.lock().unwrap(), ["asked to save", "saved", "asked to remove"]);
    assert!(slow.store.keys().is_empty());
}

#[tokio::test]
async fn a_token_that_was_rejected_while_it_is_saved_does_not_replace_the_next() {
    let world = World::new();
    let slow = Slow::new(&world, 0);
    let cache = slow.replica(&world);
    let first = at_once(ask(&cache)).await.unwrap();
    cache.reject(&first);
    let second = tokio::spawn(ask(&cache));
    engine::settle().await;
    slow.permits.add_permits(2);
    // All replicas leave the server alone for as long as each does.
    assert_eq!(at_once(second).await.unwrap().unwrap().expose(), "T1");
    world.advance(seconds(2)).await;
    assert_eq!(token(&cache).await.unwrap(), "T2");
    assert_eq!(token(&slow.replica(&world)).await.unwrap(), "T2");
}

#[tokio::test]
async fn what_one_replica_fetched_the_others_find() {
    let world = World::new();
    let store = store_of(&world);
    for _ in 0..3 {
        let cache = replica(&world, &store);
        assert_eq!(token(&cache).await.unwrap(), "T1");
        assert_eq!(cache.status().expires_in(), Some(seconds(3600)));
    }
    assert_eq!(world.requests().len(), 1);
    assert!(store.leased_keys().is_empty(), "nobody is fetching any more");

    world.advance(seconds(1000)).await;
    let late = replica(&world, &store);
    assert_eq!(token(&late).await.unwrap(), "T1");
    assert_eq!(late.status().expires_in(), Some(seconds(2600)));
}

#[tokio::test]
async fn a_token_that_has_to_be_renewed_is_not_taken_from_the_store() {
    let world = World::answering(numbered(100, NOW));
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    world.advance_to(seconds(79)).await;
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    world.advance_to(seconds(80)).await;
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2", "its lead has begun");
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
}

#[tokio::test]
async fn one_replica_renews_for_all() {
    let world = World::answering(numbered(100, NOW));
    let store = store_of(&world);
    let replicas = [replica(&world, &store), replica(&world, &store)];
    for replica in &replicas {
        assert_eq!(token(replica).await.unwrap(), "T1");
    }
    world.advance_to(seconds(85)).await;
    for replica in &replicas {
        assert_eq!(token(replica).await.unwrap(), "T1", "it is still good");
        world.advance(NOW).await;
        assert_eq!(token(replica).await.unwrap(), "T2");
    }
    assert_eq!(world.requests().len(), 2);
}

#[tokio::test]
async fn replicas_that_start_at_once_fetch_once() {
    let world = World::answering(numbered(3600, millis(300)));
    let store = store_of(&world);
    let replicas: Vec<_> = (0..8).map(|_| replica(&world, &store)).collect();
    let asked: Vec<_> = replicas.iter().map(|cache| tokio::spawn(ask(cache))).collect();
    // The answer, and the longest time between two looks.
    for _ in 0..12 {
        world.advance(millis(50)).await;
    }
    for asked in asked {
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    }
    assert_eq!(world.requests().len(), 1);
    assert!(store.leased_keys().is_empty());
}

#[tokio::test]
async fn a_replica_that_died_while_it_fetched_costs_the_others_its_lease() {
    let world = World::new();
    let store = store_of(&world);
    world.answer(|_| Reply::broken().hangs());
    let dead = replica(&world, &store);
    let caller = tokio::spawn(ask(&dead));
    world.advance(NOW).await;
    assert_eq!((world.requests().len(), store.leased_keys().len()), (1, 1));
    // With its cache and its caller the fetch ends, and says nothing to the store.
    drop(dead);
    caller.abort();
    engine::settle().await;
    world.answer(|_| Reply::token("T2", 3600));
    let other = tokio::spawn(ask(&replica(&world, &store)));
    for _ in 0..59 {
        world.advance(millis(50)).await;
    }
    assert_eq!(world.requests().len(), 1, "it looks again and again");
    for _ in 0..3 {
        world.advance(millis(50)).await;
    }
    assert_eq!(at_once(other).await.unwrap().unwrap().expose(), "T2");
}

#[tokio::test]
async fn however_long_the_server_takes_one_replica_asks_it() {
    let world = World::answering(numbered(3600, seconds(20)));
    let store = store_of(&world);
    let patient = || exact().with_patience(seconds(25));
    let replicas: Vec<_> = (0..100)
        .map(|_| world.cache(patient()).with_store(shared(&store), keys(), StorePolicy::default()))
        .collect::<Result<_, _>>()
        .unwrap();
    let asked: Vec<_> = replicas.iter().map(|cache| tokio::spawn(ask(cache))).collect();
    for _ in 0..82 {
        world.advance(millis(250)).await;
    }
    for asked in asked {
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    }
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_holder_whose_process_stood_still_uses_its_token_and_leaves_that_of_the_next() {
    let world = World::new();
    let store = store_of(&world);
    world.answer(|_| Reply::token("T1", 3600).takes(seconds(5)));
    let stopped = world.cache(exact().with_patience(seconds(20)));
    let stopped = stopped.with_store(shared(&store), keys(), StorePolicy::default()).unwrap();
    let asked = tokio::spawn(ask(&stopped));
    world.advance(NOW).await;
    // Its lease is not renewed meanwhile.
    store.hang();
    world.advance(seconds(4)).await;
    store.recover();
    world.answer(|_| Reply::token("T2", 3600));
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
    world.advance(seconds(2)).await;
    assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    engine::settle().await;
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
}

#[tokio::test]
async fn after_a_failure_all_replicas_leave_the_server_alone_for_the_same_time() {
    let world = World::new();
    let store = store_of(&world);
    world.answer(|_| Reply::refusal(503, "temporarily_unavailable"));
    let hasty =
        || world.cache(impatient()).with_store(shared(&store), keys(), StorePolicy::default());
    assert_eq!(token(&hasty().unwrap()).await.unwrap_err().status().unwrap(), 503);
    assert!(store.leased_keys().is_empty() && store.keys().is_empty());
    let error = token(&hasty().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Paused, true));
    assert!(error.retry_after().unwrap() >= seconds(1));
    assert_eq!(world.requests().len(), 1);
    world.advance(seconds(1)).await;
    world.answer(|_| Reply::token("T2", 3600));
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
}

#[tokio::test]
async fn a_value_that_does_not_open_is_as_good_as_none() {
    let world = World::new();
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    for garbage in [&b""[..], b"\x01", &[0; 1024], &[1; 300_000]] {
        store.overwrite(garbage);
        world.advance(seconds(1)).await;
        assert!(token(&replica(&world, &store)).await.unwrap().starts_with('T'));
    }
    assert_eq!(world.requests().len(), 5);
    let other = StoreKeys::new(&[8; 32]).unwrap();
    let stranger = world.cache(exact()).with_store(shared(&store), other, StorePolicy::default());
    world.advance(seconds(1)).await;
    assert_eq!(token(&stranger.unwrap()).await.unwrap(), "T6");
}

#[tokio::test]
async fn a_store_that_lost_everything_costs_a_fetch() {
    let world = World::new();
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    store.lose();
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T2");
}

#[tokio::test]
async fn three_failures_spare_the_next_fetches_the_wait_for_the_store() {
    let world = World::answering(numbered(0, NOW));
    let store = store_of(&world);
    store.hang();
    let cache = replica(&world, &store);
    for _ in 0..3 {
        let asked = tokio::spawn(ask(&cache));
        world.advance(millis(250)).await;
        at_once(asked).await.unwrap().unwrap();
        world.advance(seconds(1)).await;
    }
    assert_eq!(store.operations(), 3);
    token(&cache).await.unwrap();
    assert_eq!(store.operations(), 3, "it is not asked");
    world.advance(seconds(5)).await;
    store.recover();
    token(&cache).await.unwrap();
    assert!(store.operations() > 3);
}

#[tokio::test]
async fn the_end_of_a_token_is_told_by_the_clock_of_the_store_alone() {
    let world = World::answering(numbered(100, NOW));
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    world.advance(seconds(50)).await;
    for skew in [-3600_i64, 3600] {
        let now = world.clock.clock().wall();
        let skewed = match skew {
            ..0 => now - Duration::from_secs(skew.unsigned_abs()),
            _ => now + Duration::from_secs(skew.unsigned_abs()),
        };
        world.clock.set_wall(skewed);
        let cache = replica(&world, &store);
        assert_eq!(token(&cache).await.unwrap(), "T1");
        assert_eq!(cache.status().expires_in(), Some(seconds(50)));
        world.clock.set_wall(now);
    }
}

#[tokio::test]
async fn a_rejected_token_is_not_taken_from_the_store_again() {
    let world = World::new();
    let store = store_of(&world);
    let (one, other) = (replica(&world, &store), replica(&world, &store));
    let first = at_once(ask(&one)).await.unwrap();
    assert_eq!(token(&other).await.unwrap(), "T1");
    world.advance(seconds(1)).await;
    assert!(one.reject(&first));
    assert_eq!(token(&one).await.unwrap(), "T2");
    // The other finds what the one has fetched meanwhile.
    assert!(other.reject(&first));
    assert_eq!(token(&other).await.unwrap(), "T2");
    assert_eq!(world.requests().len(), 2);
}

#[tokio::test]
async fn a_token_rejected_earlier_is_not_taken_again_though_the_newer_could_not_be_saved() {
    let world = World::new();
    let store = store_of(&world);
    let cache = replica(&world, &store);
    let first = at_once(ask(&cache)).await.unwrap();
    engine::settle().await;
    store.fail();
    assert!(cache.reject(&first));
    let second = at_once(ask(&cache)).await.unwrap();
    assert_eq!(second.expose(), "T2");
    store.recover();
    world.advance(seconds(6)).await;
    assert!(cache.reject(&second));
    assert_eq!(token(&cache).await.unwrap(), "T3", "not T1, which is still there");
}

/// A server that revokes whatever it is asked to.
fn revocation() -> TokenRevocation {
    let answer = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let client = ClientAuthentication::basic("id", "secret");
    TokenRevocation::new("https://as.example/revoke", client, Transport::new(answer)).unwrap()
}

#[tokio::test]
async fn a_revoked_token_is_not_left_to_others() {
    let world = World::new();
    let store = store_of(&world);
    let (first, second) = (replica(&world, &store), replica(&world, &store));
    assert_eq!(token(&first).await.unwrap(), "T1");
    first.revoke(&revocation()).await.unwrap();
    assert!(store.keys().is_empty());
    world.advance(seconds(1)).await;
    assert_eq!(token(&second).await.unwrap(), "T2");

    // The token of a replica that fetched another is left alone.
    let third = replica(&world, &store);
    assert_eq!(token(&third).await.unwrap(), "T2");
    world.advance(seconds(1)).await;
    second.reject(&ask(&second).await.unwrap());
    assert_eq!(token(&second).await.unwrap(), "T3");
    third.revoke(&revocation()).await.unwrap();
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T3");
}

#[tokio::test]
async fn a_store_that_fails_keeps_nobody_from_revoking() {
    let world = World::new();
    let store = store_of(&world);
    let cache = replica(&world, &store);
    assert_eq!(token(&cache).await.unwrap(), "T1");
    store.fail();
    cache.revoke(&revocation()).await.unwrap();
    assert_eq!((cache.status().store_failures(), store.keys().len()), (1, 1));
    store.recover();
    world.advance(seconds(1)).await;
    assert_eq!(token(&cache).await.unwrap(), "T2", "it had the other once");
}

#[tokio::test]
async fn a_token_good_for_no_time_is_not_shared() {
    let world = World::answering(numbered(0, NOW));
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await.unwrap(), "T1");
    assert!(store.keys().is_empty());
}

#[tokio::test]
async fn withheld_scopes_are_known_of_a_token_from_the_store() {
    let world = World::new();
    let store = store_of(&world);
    world.answer(|_| Reply::json(r#"{"access_token":"T","expires_in":60,"scope":"a"}"#));
    for _ in 0..2 {
        let grant = Grant::client_credentials().with_scopes("a b".parse().unwrap());
        let cache =
            TokenCache::new_with_clock(world.endpoint(), grant, exact(), world.clock.clock());
        let cache = cache.with_store(shared(&store), keys(), StorePolicy::default()).unwrap();
        assert_eq!(token(&cache).await.unwrap(), "T");
        assert_eq!(cache.status().withheld().to_string(), "b");
    }
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn sessions_closures_and_caches_with_clones_are_not_shared() {
    let world = World::new();
    let store = store_of(&world);
    let over = |cache: TokenCache| cache.with_store(shared(&store), keys(), StorePolicy::default());
    let response = TokenResponse::new("T".try_into().unwrap());
    let session =
        TokenCache::from_sign_in(world.endpoint(), &response, exact(), world.clock.clock());
    assert!(over(session).is_err());
    let closure = move || std::future::ready(Ok::<_, Error>(response.clone()));
    assert!(over(TokenCache::from_fn(closure, exact(), Clock::system())).is_err());
    let cache = world.cache(exact());
    let clone = cache.clone();
    assert!(over(cache).is_err());
    assert!(over(clone).is_ok(), "the other is gone");
}

/// The key under which a cache shares its token.
async fn key_of(client: ClientAuthentication, url: &str, grant: Grant) -> String {
    key_under(client, url, grant, StorePolicy::default()).await
}

async fn key_under(
    client: ClientAuthentication,
    url: &str,
    grant: Grant,
    policy: StorePolicy,
) -> String {
    let service = tower::service_fn(async |_: http::Request<engine::Body>| {
        let body = engine::Body::from(r#"{"access_token":"T","expires_in":60}"#);
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    });
    let store = InMemoryStore::new();
    let endpoint = TokenEndpoint::new(url, client, Transport::new(service)).unwrap();
    let cache = TokenCache::new(endpoint, grant, RefreshPolicy::default());
    let cache = cache.with_store(shared(&store), keys(), policy).unwrap();
    token(&cache).await.unwrap();
    let keys = store.keys();
    assert_eq!(keys.len(), 1);
    keys.first().unwrap().as_str().to_owned()
}

const URL: &str = "https://as.example/token";

fn basic() -> ClientAuthentication {
    ClientAuthentication::basic("id", "a-secret")
}

fn asking(scopes: &str) -> Grant {
    Grant::client_credentials().with_scopes(scopes.parse().unwrap())
}

// case: key-01
#[tokio::test]
async fn other_scopes_have_another_token() {
    let world = World::new();
    let store = store_of(&world);
    world.answer(|asked: &Asked| Reply::token(&format!("T{}", asked.number), 3600));
    let of = |scopes: &str| {
        let clock = world.clock.clock();
        let cache = TokenCache::new_with_clock(world.endpoint(), asking(scopes), exact(), clock);
        cache.with_store(shared(&store), keys(), StorePolicy::default()).unwrap()
    };
    assert_eq!(token(&of("a")).await.unwrap(), "T1");
    assert_eq!(token(&of("a b")).await.unwrap(), "T2", "not the token for a alone");
    assert_eq!(token(&of("b a")).await.unwrap(), "T2", "the order means nothing");
    assert_eq!(token(&of("a")).await.unwrap(), "T1");
}

// case: key-03
#[tokio::test]
async fn whatever_tells_tokens_apart_is_in_the_key() {
    let extra = |value: &str| asking("a").with_param("tenant", value).unwrap();
    let resource = |uri: &str| asking("a").with_resource(uri).unwrap();
    let password = |text: &str| Grant::password("alice", &ClientSecret::new(text));
    let mut keys = HashSet::new();
    for (client, url, grant) in [
        (basic(), URL, asking("a")),
        (basic(), URL, asking("a b")),
        (basic(), URL, Grant::client_credentials()),
        (basic(), "https://as.example/other", asking("a")),
        (ClientAuthentication::basic("other", "a-secret"), URL, asking("a")),
        (ClientAuthentication::basic("id", "another-secret"), URL, asking("a")),
        (ClientAuthentication::basic_raw("id", "a-secret"), URL, asking("a")),
        (ClientAuthentication::post("id", "a-secret"), URL, asking("a")),
        (ClientAuthentication::public("id"), URL, asking("a")),
        (ClientAuthentication::none(), URL, asking("a")),
        (basic(), URL, asking("a").with_audience("x")),
        (basic(), URL, resource("https://x")),
        (basic(), URL, extra("x")),
        (basic(), URL, extra("y")),
        (basic(), URL, password("a-secret")),
        (basic(), URL, password("another-secret")),
        (basic(), URL, Grant::refresh_token(&ClientSecret::new("a-secret"))),
        (basic(), URL, Grant::form([("grant_type", "client_credentials"), ("scope", "a")])),
    ] {
        let key = key_of(client.clone(), url, grant.clone()).await;
        assert!(!key.contains("secret"), "{key}");
        assert!(key.len() <= 64, "{key}");
        assert_eq!(key, key_of(client, url, grant.clone()).await, "the same at every replica");
        assert!(keys.insert(key), "{grant:?}");
    }
}

// case: key-03
#[tokio::test]
async fn a_secret_that_may_change_keeps_the_key() {
    let rotating = |secret: &'static str| {
        let source = ClientSecretSource::from_fn(move || Ok::<_, String>(secret.into()));
        ClientAuthentication::basic("id", source)
    };
    let before = key_of(rotating("a-secret"), URL, asking("a")).await;
    assert_eq!(before, key_of(rotating("another-secret"), URL, asking("a")).await);
    assert_ne!(before, key_of(basic(), URL, asking("a")).await);
}

// case: key-03
#[tokio::test]
async fn keys_and_claims_of_assertions_are_in_the_key_as_far_as_they_stay() {
    let key = |text: &str| SigningKey::from_secret(Algorithm::Hs256, text).unwrap();
    let (one, other) =
        (key("a client secret of 32 characters"), key("another one of 32 characters, too"));
    let by = |key: SigningKeySource, subject: &str| {
        Grant::signed_jwt_bearer(JwtAssertion::new("app", key).with_subject(subject))
    };
    let mut keys = HashSet::new();
    for grant in [
        by(one.clone().into(), "alice"),
        by(other.clone().into(), "alice"),
        by(one.clone().into(), "bob"),
    ] {
        let key = key_of(basic(), URL, grant.clone()).await;
        assert_eq!(key, key_of(basic(), URL, grant).await, "though each assertion is another");
        assert!(keys.insert(key));
    }
    let rotating =
        |key: SigningKey| SigningKeySource::from_fn(move || Ok::<_, String>(key.clone()));
    let before = key_of(basic(), URL, by(rotating(one.clone()), "alice")).await;
    assert_eq!(before, key_of(basic(), URL, by(rotating(other), "alice")).await);

    let secret =
        |text: &str| ClientAuthentication::client_secret_jwt("id", Algorithm::Hs256, text).unwrap();
    let first = key_of(secret("a client secret of 32 characters"), URL, asking("a")).await;
    assert_ne!(first, key_of(secret("another one of 32 characters, too"), URL, asking("a")).await);
}

#[tokio::test]
async fn neither_the_order_of_what_is_asked_for_nor_the_client_of_an_own_form_is_in_the_key() {
    let two = |one: &str, other: &str| {
        let grant = Grant::client_credentials().with_resource(one).unwrap();
        grant.with_resource(other).unwrap()
    };
    let ab = key_of(basic(), URL, two("https://a", "https://b")).await;
    assert_eq!(ab, key_of(basic(), URL, two("https://b", "https://a")).await);
    let form = || Grant::form([("user", "alice")]);
    let own = key_of(basic(), URL, form()).await;
    assert_eq!(own, key_of(ClientAuthentication::none(), URL, form()).await);
}

/// What is in the stores of running services would be lost otherwise; see `VERSION` in
/// `src/client/store/key.rs`.
#[tokio::test]
async fn keys_stay_as_they_are() {
    let key = key_of(basic(), URL, asking("a")).await;
    assert_eq!(key, "2.AiQkVN_ZmhNP_ze591vi365Ly-ykz5dA0SrJbwJgoLM");
}

#[tokio::test]
async fn a_secret_of_the_store_changes_every_key() {
    let policy = || StorePolicy::default().with_key_secret("pepper");
    let plain = key_of(basic(), URL, asking("a")).await;
    let mixed = key_under(basic(), URL, asking("a"), policy()).await;
    assert_ne!(plain, mixed);
    assert_eq!(mixed, key_under(basic(), URL, asking("a"), policy()).await);
}
