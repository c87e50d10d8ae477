//! Stores that are full of garbage or of values of other keys, or give answers that no store may: a
//! replica never sends a wrong token, and says what is wrong.

use crate::{
    engine::{self, World, ask, at_once, exact, impatient, millis, numbered, seconds},
    leaks,
    store_cases::{self, Subject, holder, version},
};
use std::{future::ready, sync::Arc, time::Duration};
use tower_oauth2::{
    ClientSecret,
    client::{
        Begun, ErrorKind, Grant, Holder, Lease, RefreshPolicy, StoreError, StoreFuture, StoreKey,
        StoreKeys, StorePolicy, StoredValue, TokenCache, TokenSource, TokenStore, Version,
    },
    testing::{InMemoryStore, ManualClock},
};

#[tokio::test]
async fn the_store_in_memory_answers_as_every_store_does() {
    store_cases::run(|| {
        let clock = ManualClock::new();
        let store = InMemoryStore::new().with_clock(clock.clock());
        let pass = move |time| {
            clock.advance(time);
            Box::pin(ready(())) as _
        };
        Subject { store: Arc::new(store), pass: Box::new(pass) }
    })
    .await;
}

fn store_of(world: &World) -> InMemoryStore {
    InMemoryStore::new().with_clock(world.clock.clock())
}

fn keys() -> StoreKeys {
    StoreKeys::new(&[7; 32]).unwrap()
}

fn over(world: &World, store: impl TokenStore, policy: RefreshPolicy) -> TokenCache {
    world.cache(policy).with_store(Arc::new(store), keys(), StorePolicy::default()).unwrap()
}

fn replica(world: &World, store: &InMemoryStore) -> TokenCache {
    over(world, store.clone(), exact())
}

/// The token that the cache has without the clock moving, once it is saved too.
async fn token(cache: &TokenCache) -> String {
    let token = at_once(ask(cache)).await.unwrap();
    engine::settle().await;
    token.expose().to_owned()
}

/// What the store has under its only key.
async fn value_of(store: &InMemoryStore) -> (StoreKey, StoredValue) {
    let key = store.keys().swap_remove(0);
    let begun = store.begin(&key, &holder("reader"), Duration::ZERO, &[]).await.unwrap();
    let Begun::Found(value) = begun else { panic!("{begun:?}") };
    (key, value)
}

/// Puts `value` under `key`, as one who may write to the store.
async fn plant(store: &InMemoryStore, key: &StoreKey, value: &StoredValue, had: &[Version]) {
    let writer = holder("writer");
    let begun = store.begin(key, &writer, seconds(1), had).await.unwrap();
    assert!(matches!(begun, Begun::Yours), "{begun:?}");
    store.finish(key, &writer, value, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_value_that_was_cut_changed_or_written_in_another_format_is_as_good_as_none() {
    let world = World::new();
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await, "T1");
    let sealed = value_of(&store).await.1.sealed;
    let changed = |at: usize| {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        changed
    };
    let older = [&[0], &sealed[1..]].concat();
    let newer = [&[2], &sealed[1..]].concat();
    let padded = [&sealed[..], b"\0"].concat();
    let oversized = [&sealed[..], &vec![0; 300_000]].concat();
    let cut = [1, 12, 13, 14, sealed.len() / 2, sealed.len() - 1].map(|len| sealed[..len].to_vec());
    let mut garbage = vec![vec![], b"T1".to_vec(), older, newer, padded, oversized];
    garbage.extend([changed(1), changed(sealed.len() / 2), changed(sealed.len() - 1)]);
    garbage.extend(cut);
    for (number, bytes) in (2..).zip(garbage) {
        store.overwrite(&bytes);
        world.advance(seconds(1)).await;
        let cache = replica(&world, &store);
        let ((), log) = leaks::traced(async {
            assert_eq!(token(&cache).await, format!("T{number}"), "{} bytes", bytes.len());
        })
        .await;
        assert_eq!(cache.status().store_failures(), 1, "{} bytes", bytes.len());
        assert!(log.contains("give every replica the same `StoreKeys`"), "{log}");
        // What was fetched has replaced it.
        assert_eq!(token(&replica(&world, &store)).await, format!("T{number}"));
    }
}

#[tokio::test]
async fn a_value_of_another_client_that_was_copied_here_is_as_good_as_none() {
    let world = World::new();
    let (store, elsewhere) = (store_of(&world), store_of(&world));
    let other = |store: &InMemoryStore| {
        let grant = Grant::client_credentials().with_scopes("admin".parse().unwrap());
        let (endpoint, clock) = (world.endpoint(), world.clock.clock());
        let cache = TokenCache::new_with_clock(endpoint, grant, exact(), clock);
        cache.with_store(Arc::new(store.clone()), keys(), StorePolicy::default()).unwrap()
    };
    assert_eq!(token(&other(&elsewhere)).await, "T1");
    let (key, value) = value_of(&elsewhere).await;
    let own = {
        let lost = store_of(&world);
        assert_eq!(token(&replica(&world, &lost)).await, "T2");
        value_of(&lost).await.0
    };
    assert_ne!(own, key);
    plant(&store, &own, &value, &[]).await;
    let cache = replica(&world, &store);
    assert_eq!(token(&cache).await, "T3", "not the token of the administrator");
    assert_eq!(cache.status().store_failures(), 1);
    // Where it belongs, it is found.
    plant(&store, &key, &value, &[]).await;
    assert_eq!(token(&other(&store)).await, "T1");
}

#[tokio::test]
async fn an_old_value_under_the_name_of_a_new_one_is_as_good_as_none() {
    let world = World::new();
    let store = store_of(&world);
    let cache = replica(&world, &store);
    assert_eq!(token(&cache).await, "T1");
    let (key, mut value) = value_of(&store).await;
    world.advance(seconds(1)).await;
    let had = std::mem::replace(&mut value.version, version("newer"));
    plant(&store, &key, &value, &[had]).await;
    let first = at_once(ask(&cache)).await.unwrap();
    assert!(cache.reject(&first));
    assert_eq!(token(&cache).await, "T2", "not the rejected one again");
    assert_eq!(cache.status().store_failures(), 1);
}

#[tokio::test]
async fn replicas_without_a_common_key_fetch_for_themselves_and_say_so() {
    let world = World::new();
    let store = store_of(&world);
    let of = |key: u8| {
        let (keys, store) = (StoreKeys::new(&[key; 32]).unwrap(), Arc::new(store.clone()));
        world.cache(exact()).with_store(store, keys, StorePolicy::default()).unwrap()
    };
    let (one, other) = (of(1), of(2));
    assert_eq!(token(&one).await, "T1");
    world.advance(seconds(1)).await;
    assert_eq!(token(&other).await, "T2");
    assert_eq!((one.status().store_failures(), other.status().store_failures()), (0, 1));
}

#[tokio::test]
async fn a_dump_of_the_store_holds_no_token_no_secret_and_no_user() {
    let world = World::answering(numbered_tokens());
    let store = store_of(&world);
    let (subject, password) = ("alice@example.com", "a-password-of-alice");
    let pepper = || StorePolicy::default().with_key_secret("the-pepper-of-the-keys");
    for policy in [StorePolicy::default(), pepper()] {
        let grant = Grant::password(subject, &ClientSecret::new(password));
        let (endpoint, clock) = (world.endpoint(), world.clock.clock());
        let cache = TokenCache::new_with_clock(endpoint, grant, exact(), clock);
        let cache = cache.with_store(Arc::new(store.clone()), keys(), policy).unwrap();
        // While it is fetched, and when it is kept.
        let asked = tokio::spawn(ask(&cache));
        engine::settle().await;
        assert_dump_is_clean(&store, &[subject, password]);
        world.advance(seconds(1)).await;
        at_once(asked).await.unwrap().unwrap();
        engine::settle().await;
        assert_dump_is_clean(&store, &[subject, password]);
    }
    assert_eq!(store.keys().len(), 2);
    for key in store.keys() {
        assert!(String::from_utf8_lossy(&store.dump()).contains(key.as_str()), "it is all there");
    }
}

fn numbered_tokens() -> impl FnMut(&engine::Asked) -> engine::Reply + Send + 'static {
    |asked| {
        let token = format!("an-access-token-{}", asked.number);
        engine::Reply::scoped(&token, "a-scope-of-it", 3600).takes(seconds(1))
    }
}

fn assert_dump_is_clean(store: &InMemoryStore, user: &[&str]) {
    let dump = store.dump();
    assert!(!dump.is_empty());
    let secrets = ["an-access-token", "a-scope-of-it", "access_token", "the-pepper-of-the-keys"];
    let key = String::from_utf8(vec![7; 32]).unwrap();
    let secrets = [&secrets[..], &[&*key, "as.example"], user].concat();
    leaks::assert_absent(&secrets, &String::from_utf8_lossy(&dump));
}

/// What happens to the operation of a [`Rigged`] store.
type Lie = Box<dyn Fn(Begun) -> Result<Begun, StoreError> + Send + Sync>;

/// A store that takes its time to begin, whose answers to that are `lie`'s, and whose `finish` is as it
/// is told.
struct Rigged {
    store: InMemoryStore,
    clock: ManualClock,
    takes: Duration,
    lie: Lie,
    finish: Finish,
}

#[derive(Clone, Copy, PartialEq)]
enum Finish {
    Once,
    Twice,
    /// It is carried out, and the answer is lost.
    Unanswered,
}

impl Rigged {
    fn new(
        world: &World,
        lie: impl Fn(Begun) -> Result<Begun, StoreError> + Send + Sync + 'static,
    ) -> Self {
        let (store, clock) = (store_of(world), world.clock.clone());
        Self { store, clock, takes: Duration::ZERO, lie: Box::new(lie), finish: Finish::Once }
    }

    fn finishing(world: &World, finish: Finish) -> Self {
        Self { finish, ..Self::new(world, Ok) }
    }
}

impl TokenStore for Rigged {
    fn begin<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a Holder,
        lease: Duration,
        had: &'a [Version],
    ) -> StoreFuture<'a, Begun> {
        Box::pin(async move {
            self.clock.clock().sleep(self.takes).await;
            (self.lie)(self.store.begin(key, holder, lease, had).await?)
        })
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
        Box::pin(async move {
            let answer = self.store.finish(key, holder, value, pause).await;
            match self.finish {
                Finish::Once => answer,
                Finish::Twice => self.store.finish(key, holder, value, pause).await,
                Finish::Unanswered => Err("the connection broke".into()),
            }
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
        self.store.remove(key, version)
    }
}

#[tokio::test]
async fn a_store_that_finds_what_it_was_told_is_of_no_use_counts_as_down() {
    let world = World::new();
    let store = store_of(&world);
    assert_eq!(token(&replica(&world, &store)).await, "T1");
    let value = value_of(&store).await.1;
    let cache =
        over(&world, Rigged::new(&world, move |_| Ok(Begun::Found(value.clone()))), exact());
    assert_eq!(token(&cache).await, "T1");
    let first = at_once(ask(&cache)).await.unwrap();
    assert!(cache.reject(&first));
    assert_eq!(token(&cache).await, "T2", "not the rejected one for ever");
    assert_eq!((cache.status().store_failures(), world.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_store_that_tells_of_a_lease_or_a_pause_without_end_counts_as_down() {
    let left = Duration::MAX;
    for begun in [Begun::Taken { left }, Begun::Paused { left }] {
        let world = World::new();
        let answer = begun.clone();
        let cache = over(&world, Rigged::new(&world, move |_| Ok(answer.clone())), exact());
        assert_eq!(token(&cache).await, "T1", "{begun:?}");
        assert_eq!(cache.status().store_failures(), 1, "{begun:?}");
    }
}

#[tokio::test]
async fn the_longest_pause_of_a_store_is_an_hour_and_an_error_says_when_it_is_over() {
    let world = World::new();
    let begun = Begun::Paused { left: seconds(3600) };
    let cache = over(&world, Rigged::new(&world, move |_| Ok(begun.clone())), impatient());
    let error = at_once(ask(&cache)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Paused, true));
    let wait = error.retry_after().unwrap();
    assert!((seconds(3600)..seconds(3601)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn while_a_store_says_that_another_fetches_callers_wait_for_their_patience() {
    let world = World::new();
    let begun = Begun::Taken { left: seconds(3600) };
    let cache = over(&world, Rigged::new(&world, move |_| Ok(begun.clone())), exact());
    let asked = tokio::spawn(ask(&cache));
    for _ in 0..20 {
        world.advance(millis(250)).await;
    }
    let error = at_once(asked).await.unwrap().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("patience"), "{error}");
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn a_value_is_good_for_its_own_lifetime_whatever_the_store_says() {
    let world = World::new();
    let lie = |begun| match begun {
        Begun::Found(mut value) => {
            value.left = Duration::MAX;
            Ok(Begun::Found(value))
        }
        begun => Ok(begun),
    };
    let rigged = Rigged::new(&world, lie);
    let store = rigged.store.clone();
    assert_eq!(token(&replica(&world, &store)).await, "T1");
    let cache = over(&world, rigged, exact());
    assert_eq!(token(&cache).await, "T1");
    assert_eq!(cache.status().expires_in(), Some(seconds(3600)));
}

#[tokio::test]
async fn a_value_without_time_left_is_as_good_as_none() {
    let world = World::new();
    let lie = |begun| match begun {
        Begun::Found(mut value) => {
            value.left = Duration::ZERO;
            Ok(Begun::Found(value))
        }
        begun => Ok(begun),
    };
    let rigged = Rigged::new(&world, lie);
    assert_eq!(token(&replica(&world, &rigged.store)).await, "T1");
    world.advance(seconds(1)).await;
    assert_eq!(token(&over(&world, rigged, exact())).await, "T2");
}

#[tokio::test]
async fn a_store_that_finds_another_useless_value_each_time_is_given_up_after_eight() {
    let world = World::new();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rigged = Rigged::new(&world, move |_| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let value = StoredValue::new(version(&number.to_string()), b"garbage".to_vec(), seconds(9));
        Ok(Begun::Found(value))
    });
    let store = rigged.store.clone();
    let cache = over(&world, rigged, exact());
    assert_eq!(token(&cache).await, "T1");
    assert_eq!(store.operations(), 9);
}

#[tokio::test]
async fn a_value_that_is_saved_twice_or_without_an_answer_is_found_by_the_others_once() {
    for finish in [Finish::Twice, Finish::Unanswered] {
        let world = World::new();
        let rigged = Rigged::finishing(&world, finish);
        let store = rigged.store.clone();
        let cache = over(&world, rigged, exact());
        assert_eq!(token(&cache).await, "T1");
        let lost = u64::from(finish == Finish::Unanswered);
        assert_eq!(cache.status().store_failures(), lost);
        assert_eq!(token(&replica(&world, &store)).await, "T1");
        // Its own value is none that another has fetched.
        world.advance(seconds(1)).await;
        let first = at_once(ask(&cache)).await.unwrap();
        assert!(cache.reject(&first));
        assert_eq!(token(&cache).await, "T2");
        assert_eq!(token(&replica(&world, &store)).await, "T2");
    }
}

#[tokio::test]
async fn a_lease_that_was_given_without_an_answer_costs_the_others_its_time_and_no_call() {
    let world = World::new();
    let rigged = Rigged::new(&world, |_| Err("the connection broke".into()));
    let store = rigged.store.clone();
    let cache = over(&world, rigged, exact());
    assert_eq!(token(&cache).await, "T1", "alone");
    assert_eq!((cache.status().store_failures(), store.leased_keys().len()), (1, 1));
    let other = tokio::spawn(ask(&replica(&world, &store)));
    for _ in 0..13 {
        world.advance(millis(250)).await;
    }
    assert_eq!(at_once(other).await.unwrap().unwrap().expose(), "T2");
}

#[tokio::test]
async fn an_answer_within_the_deadline_counts_and_a_later_one_does_not() {
    for (takes, token, failures) in [(millis(249), "T1", 0), (millis(251), "T2", 1)] {
        let world = World::answering(numbered(3600, Duration::ZERO));
        let store = store_of(&world);
        assert_eq!(self::token(&replica(&world, &store)).await, "T1");
        let late = Rigged { store, takes, clock: world.clock.clone(), ..Rigged::new(&world, Ok) };
        let cache = over(&world, late, exact());
        let asked = tokio::spawn(ask(&cache));
        for _ in 0..3 {
            world.advance(millis(83)).await;
        }
        world.advance(millis(1)).await;
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), token);
        assert_eq!(cache.status().store_failures(), failures);
    }
}
