//! Sessions over a store that is broken, with settings at their ends, and in races.

use super::*;
use crate::session_cases::{self, Subject};
use std::sync::atomic::{AtomicUsize, Ordering};
use tower_oauth2::testing::ManualClock;

/// A store that says something else of its swaps.
struct Bent {
    store: InMemoryStore,
    swap: Box<dyn Fn(Swap) -> Swap + Send + Sync>,
    asked: Arc<AtomicUsize>,
}

impl Bent {
    fn new(store: &InMemoryStore) -> Self {
        let store = store.clone();
        Self { store, swap: Box::new(|swap| swap), asked: Arc::default() }
    }
}

impl SessionStore for Bent {
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        SessionStore::read(&self.store, key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let swap = self.store.swap(key, from, to).await?;
            Ok((self.swap)(swap))
        })
    }
}

fn cache_of(sessions: &SharedSessions, policy: RefreshPolicy) -> TokenCache {
    TokenCache::from_shared_session(sessions, ALICE, policy)
}

#[tokio::test]
async fn the_store_in_memory_keeps_sessions_as_every_store_does() {
    session_cases::run(|| {
        let clock = ManualClock::new();
        let store = InMemoryStore::new().with_clock(clock.clock());
        let pass = move |time| {
            clock.advance(time);
            Box::pin(std::future::ready(())) as _
        };
        Subject { store: Arc::new(store), pass: Box::new(pass) }
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_goes_at_any_step_leaves_the_session_to_another_replica() {
    for steps in 0..40 {
        let fleet = Fleet::signed_in(|token, _| next(token).takes(millis(100))).await;
        fleet.world.advance(seconds(60)).await;
        let cache = fleet.replica();
        let asked = tokio::spawn(ask(&cache));
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        asked.abort();
        if steps % 2 == 0 {
            cache.shutdown();
        }
        drop(cache);
        let other = fleet.replica_with(exact().with_patience(seconds(60)));
        let got = token_within(&fleet, &other, seconds(50)).await;
        assert_eq!(got.unwrap(), "T1", "{steps}");
        assert_eq!(fleet.sent(), ["R1"], "{steps}");
    }
}

#[tokio::test]
async fn a_sign_in_at_any_step_of_a_renewal_wins_over_it() {
    for pause in 0..60 {
        let fleet = Fleet::signed_in(|token, _| match token {
            "R1" => Reply::rotated("T1", "R2", 60).takes(millis(50)),
            "R9" => Reply::rotated("T9", "R10", 60).takes(millis(50)),
            _ => Reply::rotated("Tx", "Rx", 60).takes(millis(50)),
        })
        .await;
        fleet.world.advance(seconds(60)).await;
        let caches = [fleet.replica(), fleet.replica()];
        let asked: Vec<_> = caches.iter().map(|cache| tokio::spawn(ask(cache))).collect();
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
        // The answer has come, and is being saved.
        if pause > 30 {
            fleet.world.clock.advance(millis(50));
            for _ in 30..pause {
                tokio::task::yield_now().await;
            }
        }
        let again = TokenResponse::new(AccessToken::new("T8").unwrap())
            .with_lifetime(seconds(60))
            .with_refresh_token("R9");
        at_once(fleet.sessions().sign_in(ALICE, &again)).await.unwrap();
        for _ in 0..20 {
            fleet.world.advance(millis(50)).await;
        }
        drop(asked);
        let fresh = fleet.replica();
        assert_eq!(token(&fresh).await.unwrap(), "T8", "{pause}: {:?}", fleet.sent());
        fleet.world.advance(seconds(61)).await;
        assert_eq!(token_within(&fleet, &fresh, seconds(5)).await.unwrap(), "T9", "{pause}");
        for cache in &caches {
            let got = token_within(&fleet, cache, seconds(5)).await.unwrap();
            assert_eq!(got, "T9", "{pause}");
        }
        let sent = fleet.sent();
        assert!(sent.iter().filter(|t| *t == "R1").count() <= 1, "{pause} {sent:?}");
        assert_eq!(sent.iter().filter(|t| *t == "R9").count(), 1, "{pause} {sent:?}");
    }
}

#[tokio::test]
async fn a_lifetime_that_no_clock_can_show_lets_one_replica_send() {
    for lifetime in [Duration::MAX, seconds(11 * 365 * 86_400)] {
        let fleet = Fleet::answering(|token, _| next(token).takes(seconds(2)));
        let sessions = fleet.sessions().with_lifetime(lifetime);
        at_once(sessions.sign_in(ALICE, &sign_in())).await.unwrap();
        let cache = cache_of(&sessions, exact());
        assert_eq!(token(&cache).await.unwrap(), "T0", "{lifetime:?}");
        fleet.world.advance(seconds(60)).await;
        let caches: Vec<_> = (0..5).map(|_| cache_of(&sessions, exact())).collect();
        let asked: Vec<_> = caches.iter().map(|cache| tokio::spawn(ask(cache))).collect();
        for _ in 0..100 {
            fleet.world.advance(millis(100)).await;
        }
        for asked in asked {
            at_once(asked).await.unwrap().unwrap();
        }
        assert_eq!(fleet.sent(), ["R1"], "{lifetime:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_too_large_to_be_read_is_not_saved() {
    for (size, is_saved) in [(255_000, true), (263_000, false)] {
        let fleet = Fleet::answering(|token, _| next(token));
        let response = sign_in().with_refresh_token("R".repeat(size));
        let saved = at_once(fleet.sessions().sign_in(ALICE, &response)).await;
        assert_eq!(saved.is_ok(), is_saved, "{size}");
        assert_eq!(token(&fleet.replica_with(impatient())).await.is_ok(), is_saved, "{size}");
    }
}

#[tokio::test]
async fn after_a_revocation_that_the_store_did_not_take_nobody_sends_the_refresh_token_before() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 1);
    let cache = over(&fleet, &slow, impatient());
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1");
    fleet.store.fail();
    let revoked = Sent::default();
    at_once(cache.revoke(&revocation(&revoked))).await.unwrap_err();
    assert_eq!(*revoked.lock().unwrap(), ["R2", "T1"]);
    fleet.store.recover();
    slow.swaps.add_permits(9);
    let other = fleet.replica_with(exact().with_patience(seconds(60)));
    drop(token_within(&fleet, &other, seconds(50)).await);
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_swap_that_is_always_lost_sends_nothing_and_is_asked_as_often_as_a_waiting_replica_does()
{
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let mut bent = Bent::new(&fleet.store);
    bent.swap = Box::new(|_| Swap::Lost);
    let asked = bent.asked.clone();
    let sessions = fleet.sessions_over(Arc::new(bent));
    fleet.world.advance(seconds(60)).await;
    let cache = cache_of(&sessions, exact().with_patience(seconds(30)));
    token_within(&fleet, &cache, seconds(31)).await.unwrap_err();
    assert!(fleet.sent().is_empty());
    assert!(asked.load(Ordering::Relaxed) < 400, "{asked:?}");
    at_once(sessions.sign_in(ALICE, &sign_in())).await.unwrap_err();
}

#[tokio::test]
async fn a_store_that_hangs_without_a_deadline_keeps_a_caller_for_its_patience() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let sessions = fleet.sessions().with_deadline(Duration::MAX);
    let cache = cache_of(&sessions, exact().with_patience(seconds(3)));
    fleet.store.hang();
    let start = fleet.world.now();
    token_within(&fleet, &cache, seconds(10)).await.unwrap_err();
    assert!(fleet.world.now() - start < seconds(4));
}

#[tokio::test]
async fn a_session_of_no_lifetime_is_there_until_its_renewal_is_answered() {
    let fleet = Fleet::answering(|token, _| next(token).takes(seconds(2)));
    let sessions = fleet.sessions().with_lifetime(Duration::ZERO);
    at_once(sessions.sign_in(ALICE, &sign_in())).await.unwrap();
    let cache = cache_of(&sessions, exact());
    assert_eq!(token(&cache).await.unwrap(), "T0");
    fleet.world.advance(seconds(50)).await;
    assert_eq!(token(&cache).await.unwrap(), "T0", "and a renewal begins");
    fleet.world.advance(seconds(10)).await;
    let again = token_within(&fleet, &cache_of(&sessions, exact()), seconds(5)).await;
    assert_eq!(again.unwrap(), "T1");
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_user_who_is_removed_from_the_pool_is_looked_up_at_once() {
    let fleet = Fleet::answering(|token, _| next(token));
    let sessions = fleet.sessions();
    let of_all = sessions.clone();
    let pool = TokenPool::new(|_| None::<String>).with_caches(move |user: &String| {
        Some(TokenCache::from_shared_session(&of_all, user, impatient()))
    });
    let user = ALICE.to_owned();
    let without = at_once(pool.access_token(&user)).await.unwrap_err();
    assert!(without.is_sign_in_needed());
    at_once(sessions.sign_in(ALICE, &sign_in())).await.unwrap();
    drop(pool.remove(&user));
    assert_eq!(at_once(pool.access_token(&user)).await.unwrap().expose(), "T0");
    at_once(sessions.sign_out(ALICE)).await.unwrap();
    drop(pool.remove(&user));
    let without = at_once(pool.access_token(&user)).await.unwrap_err();
    assert!(without.is_sign_in_needed());
}
