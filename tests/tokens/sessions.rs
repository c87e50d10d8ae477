//! Sessions that replicas share: who sends the refresh token, what the others find, and what a replica that
//! dies or a store that is down costs.

mod faults;

use crate::engine::{
    self, Asked, Reply, World, ask, at_once, exact, impatient, millis, seconds, settle,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;
use tower_oauth2::{
    AccessToken, ClientAuthentication, ClientSecret, Transport,
    client::{
        Error, ErrorKind, RefreshPolicy, SessionStore, SharedSessions, StoreFuture, StoreKey,
        StoreKeys, StoredValue, Swap, TokenCache, TokenEndpoint, TokenPool, TokenResponse,
        TokenRevocation, TokenSource, Version,
    },
    testing::InMemoryStore,
};

const ALICE: &str = "alice/laptop";

/// The refresh tokens that the server was sent.
type Sent = Arc<Mutex<Vec<String>>>;

/// The sessions of one service, and the server that renews them.
struct Fleet {
    world: World,
    store: InMemoryStore,
    sent: Sent,
}

impl Fleet {
    /// A server that answers the refresh token that it is sent.
    fn answering(mut answer: impl FnMut(&str, usize) -> Reply + Send + 'static) -> Self {
        let sent = Sent::default();
        let log = sent.clone();
        let world = World::answering(move |asked: &Asked| {
            let token = refresh_token_of(&asked.form);
            log.lock().unwrap().push(token.clone());
            answer(&token, asked.number)
        });
        let store = InMemoryStore::new().with_clock(world.clock.clock());
        Self { world, store, sent }
    }

    /// Alice has signed in: `T0` is good for a minute, and `R1` brings `T1` and `R2`.
    async fn signed_in(answer: impl FnMut(&str, usize) -> Reply + Send + 'static) -> Self {
        let fleet = Self::answering(answer);
        at_once(fleet.sessions().sign_in(ALICE, &sign_in())).await.unwrap();
        fleet
    }

    fn sessions(&self) -> SharedSessions {
        self.sessions_over(Arc::new(self.store.clone()))
    }

    fn sessions_over(&self, store: Arc<dyn SessionStore>) -> SharedSessions {
        let keys = StoreKeys::new(&[7; 32]).unwrap();
        SharedSessions::new(self.world.endpoint(), store, keys, "pepper")
    }

    fn replica(&self) -> TokenCache {
        self.replica_with(exact())
    }

    fn replica_with(&self, policy: RefreshPolicy) -> TokenCache {
        TokenCache::from_shared_session(&self.sessions(), ALICE, policy)
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

fn refresh_token_of(form: &str) -> String {
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs.find(|(name, _)| name == "refresh_token").unwrap().1.to_string()
}

fn sign_in() -> TokenResponse {
    TokenResponse::new(AccessToken::new("T0").unwrap())
        .with_lifetime(seconds(60))
        .with_refresh_token("R1")
}

/// What `Rn` brings: `Tn`, good for a minute, and `Rn+1`.
fn next(token: &str) -> Reply {
    let number: u32 = token[1..].parse().unwrap();
    Reply::rotated(&format!("T{number}"), &format!("R{}", number + 1), 60)
}

async fn token(cache: &TokenCache) -> Result<String, Error> {
    let token = at_once(ask(cache)).await;
    settle().await;
    token.map(|token| token.expose().to_owned())
}

/// The token for which a caller waits, while the clock moves.
async fn token_within(fleet: &Fleet, cache: &TokenCache, limit: Duration) -> Result<String, Error> {
    let asked = tokio::spawn(ask(cache));
    let end = fleet.world.now() + limit;
    while !asked.is_finished() && fleet.world.now() < end {
        fleet.world.advance(millis(50)).await;
    }
    at_once(asked).await.unwrap().map(|token| token.expose().to_owned())
}

#[tokio::test]
async fn any_replica_uses_the_session_that_another_began() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    for _ in 0..3 {
        let cache = fleet.replica();
        assert_eq!(token(&cache).await.unwrap(), "T0");
        assert_eq!(cache.status().expires_in(), Some(seconds(60)));
    }
    assert!(fleet.sent().is_empty());
    fleet.world.advance(seconds(30)).await;
    let late = fleet.replica();
    assert_eq!(token(&late).await.unwrap(), "T0");
    assert_eq!(late.status().expires_in(), Some(seconds(30)), "by the clock of the store");
}

#[tokio::test]
async fn one_replica_renews_for_all() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let replicas = [fleet.replica(), fleet.replica(), fleet.replica()];
    for round in 0..4 {
        for cache in &replicas {
            assert_eq!(token(cache).await.unwrap(), format!("T{round}"));
        }
        fleet.world.advance(seconds(60)).await;
    }
    assert_eq!(fleet.sent(), ["R1", "R2", "R3"]);
}

#[tokio::test]
async fn replicas_that_renew_at_once_send_the_refresh_token_once() {
    let fleet = Fleet::signed_in(|token, _| next(token).takes(seconds(2))).await;
    fleet.world.advance(seconds(60)).await;
    let replicas: Vec<_> = (0..20).map(|_| fleet.replica()).collect();
    let asked: Vec<_> = replicas.iter().map(|cache| tokio::spawn(ask(cache))).collect();
    for _ in 0..60 {
        fleet.world.advance(millis(50)).await;
    }
    for asked in asked {
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    }
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_by_that_of_another_replica_or_by_a_renewal() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let (one, other) = (fleet.replica(), fleet.replica());
    let first = at_once(ask(&one)).await.unwrap();
    let same = at_once(ask(&other)).await.unwrap();
    fleet.world.advance(seconds(1)).await;
    assert!(one.reject(&first));
    assert_eq!(token(&one).await.unwrap(), "T1");
    assert!(other.reject(&same));
    assert_eq!(token(&other).await.unwrap(), "T1");
    assert_eq!(fleet.sent(), ["R1"]);
}

/// A store whose swaps are held back, or carried out without an answer.
#[derive(Clone)]
struct Slow {
    store: InMemoryStore,
    swaps: Arc<Semaphore>,
    /// How many answers to them may be heard.
    heard: Arc<Semaphore>,
    answers: Arc<Mutex<bool>>,
}

impl Slow {
    fn new(store: &InMemoryStore, swaps: usize) -> Self {
        let (swaps, heard) = (Arc::new(Semaphore::new(swaps)), Arc::new(Semaphore::new(1000)));
        Self { store: store.clone(), swaps, heard, answers: Arc::new(Mutex::new(true)) }
    }
}

impl SessionStore for Slow {
    fn read<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredValue>> {
        SessionStore::read(&self.store, key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a StoreKey,
        from: Option<&'a Version>,
        to: Option<&'a StoredValue>,
    ) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            self.swaps.acquire().await?.forget();
            let swap = self.store.swap(key, from, to).await;
            self.heard.acquire().await?.forget();
            match *self.answers.lock().unwrap() {
                true => swap,
                false => Err("the answer was lost".into()),
            }
        })
    }
}

fn over(fleet: &Fleet, store: &Slow, policy: RefreshPolicy) -> TokenCache {
    let sessions = fleet.sessions_over(Arc::new(store.clone()));
    TokenCache::from_shared_session(&sessions, ALICE, policy)
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_written_down_and_callers_do_not_wait_for_the_save() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 0);
    let cache = over(&fleet, &slow, exact());
    fleet.world.advance(seconds(60)).await;
    let asked = tokio::spawn(ask(&cache));
    settle().await;
    assert!(fleet.sent().is_empty());
    slow.swaps.add_permits(1);
    assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    // Another replica may not go on from `R1` meanwhile.
    let other = tokio::spawn(ask(&fleet.replica()));
    fleet.world.advance(millis(200)).await;
    assert_eq!(fleet.sent(), ["R1"]);
    slow.swaps.add_permits(1);
    fleet.world.advance(millis(400)).await;
    assert_eq!(at_once(other).await.unwrap().unwrap().expose(), "T1");
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_save_that_failed_is_made_good_before_the_next_renewal() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 1);
    let cache = over(&fleet, &slow, exact());
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1");
    for _ in 0..50 {
        fleet.world.advance(seconds(1)).await;
    }
    assert_eq!(token(&cache).await.unwrap(), "T1", "it is good all the same");
    fleet.world.advance(seconds(11)).await;
    assert_eq!(fleet.sent(), ["R1"]);
    slow.swaps.add_permits(3);
    // The store is left alone for 5 s, and the next try is due within some more.
    fleet.world.advance(seconds(10)).await;
    assert_eq!(token(&cache).await.unwrap(), "T2");
    assert_eq!(fleet.sent(), ["R1", "R2"]);
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T2");
}

#[tokio::test]
async fn a_refresh_token_is_saved_as_soon_as_a_store_that_was_down_is_back() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 1);
    let cache = over(&fleet, &slow, exact());
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1");
    // Longer than the fetch may take.
    for _ in 0..40 {
        fleet.world.advance(seconds(1)).await;
    }
    slow.swaps.add_permits(1);
    fleet.world.advance(millis(1250)).await;
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T1");
    assert_eq!(fleet.sent(), ["R1"], "it is not sent again");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_keeps_nobody_waiting_and_no_token_from_being_saved() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 100);
    let cache = over(&fleet, &slow, impatient());
    fleet.world.advance(seconds(60)).await;
    *slow.answers.lock().unwrap() = false;
    let error = token(&cache).await.unwrap_err();
    assert!(error.is_transient() && error.kind() == ErrorKind::Source, "{error}");
    assert!(fleet.sent().is_empty());
    *slow.answers.lock().unwrap() = true;
    fleet.world.advance(seconds(2)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1", "this replica knows that nothing was sent");

    // The same for what is saved.
    fleet.world.advance(seconds(60)).await;
    let log = slow.answers.clone();
    fleet.world.answer(move |_| {
        *log.lock().unwrap() = false;
        Reply::rotated("T2", "R3", 60)
    });
    assert_eq!(token(&cache).await.unwrap(), "T2");
    *slow.answers.lock().unwrap() = true;
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T2");
    fleet.world.advance(seconds(2)).await;
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T2");
}

/// A replica in a process of its own.
struct Process {
    runtime: Option<tokio::runtime::Runtime>,
    cache: TokenCache,
}

impl Process {
    fn start(cache: TokenCache) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { runtime: Some(runtime), cache }
    }

    /// Lets it run until it waits.
    fn run(&self) {
        let runtime = self.runtime.as_ref().unwrap();
        let _inside = runtime.enter();
        runtime.spawn(ask(&self.cache));
        runtime.block_on(settle());
    }

    /// Nothing of it goes on.
    fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[test]
fn after_a_replica_died_while_it_sent_another_sends_once_more_when_its_time_is_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = runtime.block_on(Fleet::signed_in(|token, number| match number {
        1 => Reply::broken().hangs(),
        _ => next(token),
    }));
    fleet.world.clock.advance(seconds(60));
    let dead = Process::start(fleet.replica());
    dead.run();
    assert_eq!(fleet.sent(), ["R1"]);
    dead.kill();
    runtime.block_on(async {
        let cache = fleet.replica_with(exact().with_patience(seconds(60)));
        let asked = tokio::spawn(ask(&cache));
        for _ in 0..29 {
            fleet.world.advance(seconds(1)).await;
        }
        assert_eq!(fleet.sent(), ["R1"], "its answer may still come");
        for _ in 0..12 {
            fleet.world.advance(millis(200)).await;
        }
        assert_eq!(fleet.sent(), ["R1", "R1"]);
        assert_eq!(at_once(asked).await.unwrap().unwrap().expose(), "T1");
    });
}

#[test]
fn after_a_replica_died_before_it_saved_another_sends_once_more() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = runtime.block_on(Fleet::signed_in(|token, number| match number {
        1 => next(token),
        _ => Reply::refusal(400, "invalid_grant"),
    }));
    fleet.world.clock.advance(seconds(60));
    let slow = Slow::new(&fleet.store, 1);
    let dead = Process::start(over(&fleet, &slow, exact()));
    dead.run();
    assert_eq!(fleet.sent(), ["R1"]);
    dead.kill();
    runtime.block_on(async {
        let cache = fleet.replica_with(exact().with_patience(seconds(60)));
        let error = token_within(&fleet, &cache, seconds(40)).await.unwrap_err();
        assert!(error.is_sign_in_needed(), "{error}");
        assert_eq!(fleet.sent(), ["R1", "R1"]);
        assert!(fleet.store.keys().is_empty(), "the session has ended for all");
    });
}

#[tokio::test]
async fn a_replica_that_stood_still_before_it_sent_leaves_that_to_others() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let slow = Slow::new(&fleet.store, 9);
    slow.heard.forget_permits(1000);
    let stopped = over(&fleet, &slow, exact());
    fleet.world.advance(seconds(60)).await;
    let asked = tokio::spawn(ask(&stopped));
    settle().await;
    // It is written down, and the process stands still for a minute before it takes note.
    slow.heard.add_permits(9);
    fleet.world.clock.advance(seconds(60));
    assert_eq!(at_once(ask(&fleet.replica())).await.unwrap().expose(), "T1");
    // Its own deadline has passed, and its next call finds what the other has.
    drop(asked.await.unwrap());
    fleet.world.advance(seconds(1)).await;
    assert_eq!(token(&stopped).await.unwrap(), "T1");
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_and_then_not_while_the_token_lives() {
    let fleet = Fleet::signed_in(|token, number| match number {
        2 | 3 => Reply::broken(),
        _ => next(token),
    })
    .await;
    let (one, other) = (fleet.replica(), fleet.replica());
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&one).await.unwrap(), "T1");
    fleet.world.advance(seconds(50)).await;
    for cache in [&one, &other] {
        assert_eq!(token(cache).await.unwrap(), "T1");
    }
    for _ in 0..9 {
        fleet.world.advance(seconds(1)).await;
        for cache in [&one, &other] {
            assert_eq!(token(cache).await.unwrap(), "T1");
        }
    }
    assert_eq!(fleet.sent(), ["R1", "R2", "R2"], "it may be used up");
    fleet.world.advance(seconds(1)).await;
    for cache in [&one, &other] {
        assert_eq!(token_within(&fleet, cache, seconds(9)).await.unwrap(), "T2");
    }
    assert_eq!(fleet.sent(), ["R1", "R2", "R2", "R2"]);
}

#[tokio::test]
async fn a_rejected_token_is_not_sent_on_after_its_session_has_ended() {
    let fleet = Fleet::signed_in(|_, _| Reply::refusal(400, "invalid_grant")).await;
    let cache = fleet.replica_with(impatient());
    let first = at_once(ask(&cache)).await.unwrap();
    cache.reject(&first);
    for _ in 0..2 {
        assert!(token(&cache).await.unwrap_err().is_sign_in_needed());
    }
    assert_eq!(fleet.sent(), ["R1"]);
}

#[tokio::test]
async fn a_refusal_without_a_reason_to_end_the_session_leaves_it() {
    let fleet = Fleet::signed_in(|token, number| match number {
        1 => Reply::refusal(503, "temporarily_unavailable"),
        _ => next(token),
    })
    .await;
    fleet.world.advance(seconds(60)).await;
    let hasty = fleet.replica_with(impatient());
    assert_eq!(token(&hasty).await.unwrap_err().status().unwrap(), 503);
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T1", "nobody waits for the first one");
    assert_eq!(fleet.sent(), ["R1", "R1"]);
}

#[tokio::test]
async fn without_its_store_a_session_is_not_renewed_and_its_token_is_used_to_its_end() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let cache = fleet.replica_with(impatient());
    assert_eq!(token(&cache).await.unwrap(), "T0");
    fleet.store.fail();
    fleet.world.advance(seconds(59)).await;
    assert_eq!(token(&cache).await.unwrap(), "T0");
    fleet.world.advance(seconds(1)).await;
    let error = token(&cache).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("the store of the sessions failed"), "{error}");
    assert!(fleet.sent().is_empty(), "never blindly");
    fleet.store.recover();
    fleet.world.advance(seconds(10)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1");
}

#[tokio::test]
async fn a_store_that_hangs_costs_its_deadline_and_is_spared_after_three() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    fleet.store.hang();
    let sessions = fleet.sessions();
    let (before, started) = (fleet.store.operations(), fleet.world.now());
    for _ in 0..3 {
        let response = sign_in();
        let asked = sessions.sign_in(ALICE, &response);
        let saved = tokio::select! {
            saved = asked => saved,
            () = async { loop { fleet.world.advance(millis(50)).await } } => unreachable!(),
        };
        assert!(saved.unwrap_err().is_transient());
    }
    assert!(fleet.world.now() - started <= millis(900), "250 ms each");
    at_once(sessions.sign_in(ALICE, &sign_in())).await.unwrap_err();
    assert_eq!(fleet.store.operations() - before, 3);
}

#[tokio::test]
async fn what_does_not_open_is_an_error_that_names_the_keys_and_nothing_is_sent() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    for garbage in [&b""[..], b"\x01", &[0; 1024], &[1; 300_000]] {
        fleet.store.overwrite(garbage);
        let error = token(&fleet.replica_with(impatient())).await.unwrap_err();
        assert!(error.to_string().contains("StoreKeys"), "{error}");
        assert!(error.is_transient() && !error.is_sign_in_needed());
    }
    assert!(fleet.sent().is_empty());
    at_once(fleet.sessions().sign_in(ALICE, &sign_in())).await.unwrap();
    let keys = StoreKeys::new(&[8; 32]).unwrap();
    let store = Arc::new(fleet.store.clone());
    let strange = SharedSessions::new(fleet.world.endpoint(), store.clone(), keys, "pepper");
    let strange = TokenCache::from_shared_session(&strange, ALICE, impatient());
    assert!(token(&strange).await.unwrap_err().to_string().contains("StoreKeys"));
    // A key that is being replaced opens it.
    let keys = StoreKeys::new(&[8; 32]).unwrap().with_older_key(&[7; 32]).unwrap();
    let both = SharedSessions::new(fleet.world.endpoint(), store, keys, "pepper");
    let cache = TokenCache::from_shared_session(&both, ALICE, exact());
    assert_eq!(token(&cache).await.unwrap(), "T0");
}

#[tokio::test]
async fn after_a_sign_out_nobody_renews_and_the_answer_of_a_renewal_is_not_kept() {
    let fleet = Fleet::signed_in(|token, _| next(token).takes(seconds(1))).await;
    let cache = fleet.replica_with(impatient().with_patience(seconds(3)));
    fleet.world.advance(seconds(60)).await;
    let asked = tokio::spawn(ask(&cache));
    settle().await;
    assert_eq!(fleet.sent(), ["R1"]);
    let revoked = at_once(fleet.sessions().sign_out(ALICE)).await.unwrap().unwrap();
    assert_eq!(revoked.expose(), "R1");
    fleet.world.advance(seconds(1)).await;
    at_once(asked).await.unwrap().unwrap();
    settle().await;
    assert!(fleet.store.keys().is_empty(), "it is not brought back");
    let error = token(&fleet.replica_with(impatient())).await.unwrap_err();
    assert!(error.is_sign_in_needed(), "{error}");
    assert!(at_once(fleet.sessions().sign_out(ALICE)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_cache_without_a_session_goes_on_when_another_replica_has_signed_the_user_in() {
    let fleet = Fleet::answering(|token, _| next(token));
    let cache = fleet.replica();
    assert!(token(&cache).await.unwrap_err().is_sign_in_needed());
    at_once(fleet.sessions().sign_in(ALICE, &sign_in())).await.unwrap();
    fleet.world.advance(seconds(10)).await;
    assert_eq!(token(&cache).await.unwrap(), "T0");
    assert!(fleet.sent().is_empty());
}

/// A server that keeps what it is asked to revoke.
fn revocation(revoked: &Sent) -> TokenRevocation {
    let log = revoked.clone();
    let answer = tower::service_fn(move |request: http::Request<engine::Body>| {
        let log = log.clone();
        async move {
            use http_body_util::BodyExt;
            let form = request.into_body().collect().await.unwrap().to_bytes();
            let mut pairs = form_urlencoded::parse(&form);
            let token = pairs.find(|(name, _)| name == "token").unwrap().1.to_string();
            log.lock().unwrap().push(token);
            Ok::<_, std::convert::Infallible>(http::Response::new(engine::Body::default()))
        }
    });
    let client = ClientAuthentication::basic("id", "secret");
    TokenRevocation::new("https://as.example/revoke", client, Transport::new(answer)).unwrap()
}

#[tokio::test]
async fn a_session_that_is_revoked_has_ended_for_all_with_its_newest_refresh_token() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let (one, other) = (fleet.replica_with(impatient()), fleet.replica_with(impatient()));
    assert_eq!(token(&one).await.unwrap(), "T0");
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&other).await.unwrap(), "T1");
    let revoked = Sent::default();
    at_once(one.revoke(&revocation(&revoked))).await.unwrap();
    assert_eq!(*revoked.lock().unwrap(), ["R2", "T0"]);
    assert!(token(&one).await.unwrap_err().is_sign_in_needed());
    assert_eq!(token(&other).await.unwrap(), "T1", "until it ends");
    fleet.world.advance(seconds(60)).await;
    assert!(token(&other).await.unwrap_err().is_sign_in_needed());
    assert_eq!(fleet.sent(), ["R1"]);
    // Both go on after another sign-in.
    let again = TokenResponse::new(AccessToken::new("T9").unwrap()).with_refresh_token("R9");
    at_once(fleet.sessions().sign_in(ALICE, &again)).await.unwrap();
    fleet.world.advance(seconds(10)).await;
    for cache in [&one, &other] {
        assert_eq!(token(cache).await.unwrap(), "T9");
    }
}

#[tokio::test]
async fn a_pool_serves_the_users_whom_any_replica_has_signed_in() {
    let fleet = Fleet::answering(|token, _| next(token));
    let pool = |fleet: &Fleet| {
        let sessions = fleet.sessions();
        TokenPool::new(|_| None::<String>).with_caches(move |user: &String| {
            Some(TokenCache::from_shared_session(&sessions, user, exact()))
        })
    };
    let (one, other) = (pool(&fleet), pool(&fleet));
    for user in ["alice", "bob"] {
        let response = TokenResponse::new(AccessToken::new(format!("T-{user}")).unwrap())
            .with_lifetime(seconds(60))
            .with_refresh_token(format!("R-{user}"));
        at_once(fleet.sessions().sign_in(user, &response)).await.unwrap();
    }
    for pool in [&one, &other] {
        for user in ["bob", "alice"] {
            let token = at_once(pool.access_token(&user.to_owned())).await.unwrap();
            assert_eq!(token.expose(), format!("T-{user}"));
        }
        let error = at_once(pool.access_token(&"carol".to_owned())).await.unwrap_err();
        assert!(error.is_sign_in_needed());
    }
    assert_eq!(fleet.store.keys().len(), 2);
}

#[tokio::test]
async fn resources_scopes_and_what_is_told_of_rotations_are_those_of_the_session() {
    let fleet = Fleet::answering(|token, _| next(token));
    let response = sign_in().with_scope("read write".parse().unwrap());
    at_once(fleet.sessions().sign_in(ALICE, &response)).await.unwrap();
    let told = Sent::default();
    let log = told.clone();
    let cache = fleet.replica().on_rotation(move |newest: &ClientSecret| {
        log.lock().unwrap().push(newest.expose().to_owned());
    });
    fleet.world.advance(seconds(60)).await;
    assert_eq!(token(&cache).await.unwrap(), "T1");
    assert_eq!(*told.lock().unwrap(), ["R2"]);
}

#[tokio::test]
async fn names_are_not_to_be_read_in_the_store_and_are_the_same_at_every_replica() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let [key] = <[StoreKey; 1]>::try_from(fleet.store.keys()).unwrap();
    assert!(!key.as_str().contains("alice") && key.as_str().len() <= 64, "{key:?}");
    at_once(fleet.sessions().sign_in(ALICE, &sign_in())).await.unwrap();
    assert_eq!(fleet.store.keys(), std::slice::from_ref(&key));
    let keys = StoreKeys::new(&[7; 32]).unwrap();
    let other =
        SharedSessions::new(fleet.world.endpoint(), Arc::new(fleet.store.clone()), keys, "salt");
    at_once(other.sign_in(ALICE, &sign_in())).await.unwrap();
    assert_eq!(fleet.store.keys().len(), 2, "another secret has other names");
}

#[tokio::test]
async fn a_refresh_token_is_not_sent_to_another_server_or_by_another_client() {
    let fleet = Fleet::signed_in(|token, _| next(token)).await;
    let transport = || Transport::new(fleet.world.service()).with_clock(fleet.world.clock.clock());
    for (url, client) in
        [("https://evil.example/token", "id"), ("https://as.example/token", "other")]
    {
        let client = ClientAuthentication::basic(client, "secret");
        let endpoint = TokenEndpoint::new(url, client, transport()).unwrap();
        let keys = StoreKeys::new(&[7; 32]).unwrap();
        let store = Arc::new(fleet.store.clone());
        let sessions = SharedSessions::new(endpoint, store, keys, "pepper");
        fleet.world.advance(seconds(60)).await;
        let cache = TokenCache::from_shared_session(&sessions, ALICE, impatient());
        assert!(token(&cache).await.unwrap_err().is_sign_in_needed());
    }
    assert!(fleet.sent().is_empty());
    assert_eq!(token(&fleet.replica()).await.unwrap(), "T1");
}
