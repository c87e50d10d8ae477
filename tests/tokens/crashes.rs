//! Processes that die at random while they renew one session, against a server that revokes the family of a
//! refresh token that is used twice.

use crate::engine::{self, Reply, World, ask, exact, seconds, settle};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use tower_oauth2::{
    AccessToken,
    client::{
        SessionStore, SharedSessions, StoreFuture, StoreKey, StoreKeys, StoredValue, Swap,
        TokenCache, TokenResponse, Version,
    },
    testing::InMemoryStore,
};

/// A server that rotates refresh tokens (RFC 9700 §4.14.2).
#[derive(Default)]
struct Family {
    /// For so long the one before is still good.
    grace: Duration,
    newest: u32,
    /// When each was first used.
    used: BTreeMap<u32, Duration>,
    killed: u32,
    /// How many answers nobody got.
    lost: u32,
    /// How often each was sent while its access token lived.
    sendings: BTreeMap<u32, u32>,
}

impl Family {
    fn renew(&mut self, sent: u32, now: Duration) -> Reply {
        *self.sendings.entry(sent).or_default() += 1;
        let first = *self.used.entry(sent).or_insert(now);
        if sent + 1 < self.newest || sent < self.newest && now - first > self.grace {
            self.killed += 1;
            return Reply::refusal(400, "invalid_grant");
        }
        self.newest = sent + 1;
        Reply::rotated(&format!("T{}", self.newest), &format!("R{}", self.newest), 60)
    }
}

/// Counts the swaps that were carried out.
struct Counting {
    store: InMemoryStore,
    done: AtomicU32,
}

impl SessionStore for Counting {
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>> {
        SessionStore::read(&self.store, key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap> {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.store.swap(key, from, to)
    }
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Kills each of `crashes` processes at a random step of its renewal, and signs in again where that was needed.
/// Returns what became of the families.
fn survived(crashes: u32, grace: Duration, seed: u64) -> Family {
    let family = Arc::new(Mutex::new(Family { grace, newest: 1, ..Family::default() }));
    let takes = Arc::new(Mutex::new(Duration::ZERO));
    let (world, runtime) = {
        let (family, takes) = (family.clone(), takes.clone());
        let runtime = Builder::new_current_thread().build().unwrap();
        let clock = tower_oauth2::testing::ManualClock::new();
        let (start, own) = (clock.clock().monotonic(), clock.clock());
        let world = World::with_clock(clock, move |asked| {
            let (_, sent) = form_urlencoded::parse(asked.form.as_bytes())
                .find(|(name, _)| name == "refresh_token")
                .unwrap();
            let sent = sent[1..].parse().unwrap();
            let reply = family.lock().unwrap().renew(sent, own.monotonic() - start);
            reply.takes(*takes.lock().unwrap())
        });
        (world, runtime)
    };
    let store = InMemoryStore::new().with_clock(world.clock.clock());
    let keys = StoreKeys::new(&[7; 32]).unwrap();
    let store = Arc::new(Counting { store, done: AtomicU32::new(0) });
    let sessions = SharedSessions::new(world.endpoint(), store.clone(), keys, "pepper");
    let sign_in = |newest: u32| {
        let response = TokenResponse::new(AccessToken::new(format!("T{newest}")).unwrap())
            .with_lifetime(seconds(60))
            .with_refresh_token(format!("R{newest}"));
        runtime.block_on(sessions.sign_in("alice", &response)).unwrap();
    };
    sign_in(1);
    let policy = || exact().with_fetch_deadline(seconds(4)).with_patience(seconds(30));
    let replica = || TokenCache::from_shared_session(&sessions, "alice", policy());
    let mut dice = Dice(seed);
    for _ in 0..crashes {
        world.clock.advance(seconds(60));
        // One that dies after so many steps: before, between and after each question to the store.
        let before = family.lock().unwrap().newest;
        *takes.lock().unwrap() = seconds(dice.below(2));
        let cache = replica();
        store.done.store(0, Ordering::Relaxed);
        run(&world, &cache, dice.below(14));
        drop(cache);
        // The first is written ahead, the second saves the answer.
        let is_saved = store.done.load(Ordering::Relaxed) > 1;
        {
            let mut family = family.lock().unwrap();
            family.lost += u32::from(family.newest > before && !is_saved);
        }
        // One that lives.
        *takes.lock().unwrap() = Duration::ZERO;
        let got = live(&runtime, &world, &replica());
        if got.is_none() {
            let newest = family.lock().unwrap().newest + 2;
            family.lock().unwrap().newest = newest;
            sign_in(newest);
        }
    }
    let mut family = family.lock().unwrap();
    std::mem::take(&mut *family)
}

/// Asks for a token in a process that dies after `steps`.
fn run(world: &World, cache: &TokenCache, steps: u64) {
    let dying: Runtime = Builder::new_current_thread().build().unwrap();
    let _inside = dying.enter();
    dying.spawn(ask(cache));
    for step in 0..steps {
        dying.block_on(tokio::task::yield_now());
        if step % 4 == 3 {
            world.clock.advance(seconds(1));
        }
    }
    dying.shutdown_background();
}

/// The number of the token that a caller gets, who waits for it as long as it takes.
fn live(runtime: &Runtime, world: &World, cache: &TokenCache) -> Option<u32> {
    runtime.block_on(async {
        let asked = tokio::spawn(ask(cache));
        while !asked.is_finished() {
            world.clock.advance(engine::millis(100));
            settle().await;
        }
        let token = asked.await.unwrap();
        settle().await;
        match token {
            Ok(token) => token.expose()[1..].parse().ok(),
            Err(error) => {
                assert!(error.is_sign_in_needed(), "{error}");
                None
            }
        }
    })
}

#[test]
fn a_server_with_a_grace_period_kills_no_session_and_none_is_sent_thrice() {
    let family = survived(500, seconds(10), 1);
    assert_eq!(family.killed, 0);
    assert!(family.sendings.values().all(|sent| *sent <= 2), "{:?}", family.sendings);
    assert!(family.sendings.values().filter(|sent| **sent == 2).count() > 50, "it was tried");
}

#[test]
fn a_server_without_one_kills_no_more_sessions_than_answers_were_lost() {
    let family = survived(500, Duration::ZERO, 2);
    assert!(family.killed > 0 && family.killed <= family.lost, "{} {}", family.killed, family.lost);
    assert!(family.sendings.values().all(|sent| *sent <= 2), "{:?}", family.sendings);
}

/// `cargo test --release --test tokens ten_thousand -- --ignored --nocapture`
#[test]
#[ignore = "takes a minute"]
fn ten_thousand_crashes() {
    for (grace, name) in [(seconds(10), "10 s of grace"), (Duration::ZERO, "no grace")] {
        let family = survived(10_000, grace, 3);
        let twice = family.sendings.values().filter(|sent| **sent == 2).count();
        let most = family.sendings.values().max().unwrap();
        println!(
            "{name}: 10,000 crashes, {} answers lost, {} families killed, {twice} refresh tokens sent twice, none more than {most} times",
            family.lost, family.killed
        );
        assert!(family.killed <= if grace.is_zero() { family.lost } else { 0 });
    }
}
