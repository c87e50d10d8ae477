//! One cache for each user: whose token goes out, what a user's trouble does to the others, and
//! who gives way.

use crate::engine::{self, API, Body, Reply, World, at_once, bearer_of, exact, seconds, settle};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use proptest::prelude::*;
use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    convert::Infallible,
    future::{Future, ready},
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_oauth2::{
    AccessToken, RequestHead,
    client::{
        AddBearer, Error, ErrorKind, Grant, Never, ReplayPolicy, TokenCache, TokenPool,
        TokenResponse, TokenSource,
    },
};

type BoxError = tower::BoxError;
type Api = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct User(char);

const A: User = User('a');
const B: User = User('b');

/// By whom, and the token.
type Carried = (Option<User>, String);

/// What the API saw: who called with which token. It answers with the token, or with 401 where
/// the token is no good.
#[derive(Clone, Default)]
struct Seen {
    calls: Arc<Mutex<Vec<Carried>>>,
    rejected: Arc<Mutex<HashSet<String>>>,
}

impl Seen {
    fn reject(&self, token: &str) {
        self.rejected.lock().unwrap().insert(token.to_owned());
    }

    fn calls_of(&self, user: User) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let own = calls.iter().filter(|(by, _)| *by == Some(user));
        own.map(|(_, token)| token.clone()).collect()
    }

    fn api<P>(&self, pool: &TokenPool<User>, replay: P) -> Api
    where
        P: ReplayPolicy<Body, Body = Body> + Send + 'static,
        P::Copy: Send,
    {
        let seen = self.clone();
        let resource = service_fn(move |request: Request<Body>| {
            let (user, token) = (request.extensions().get().copied(), bearer_of(&request));
            let known = seen.rejected.lock().unwrap().contains(&token);
            seen.calls.lock().unwrap().push((user, token.clone()));
            let status = if known { 401 } else { 200 };
            let response = Response::builder().status(status).header("x-own", "1");
            ready(Ok::<_, Infallible>(response.body(Body::from(token)).unwrap()))
        });
        let layer = AddBearer::from_source(pool.clone(), API).unwrap().with_replay(replay);
        BoxCloneService::new(layer.layer(resource))
    }

    fn client(&self, pool: &TokenPool<User>) -> Api {
        self.api(pool, tower_oauth2::client::Known)
    }
}

fn get(user: Option<User>) -> Request<Body> {
    let mut request = Request::get(format!("{API}/x")).body(Body::default()).unwrap();
    user.map(|user| request.extensions_mut().insert(user));
    request
}

type Answered = Result<(StatusCode, String), Error>;

fn answer(api: &Api, user: Option<User>) -> impl Future<Output = Answered> + Send + use<> {
    let answer = api.clone().oneshot(get(user));
    async { read(answer.await).await }
}

async fn read(response: Result<Response<Body>, BoxError>) -> Answered {
    let response = response.map_err(|error| *error.downcast::<Error>().unwrap())?;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Calls as `user`: the token that the API saw.
async fn call(api: &Api, user: User) -> Result<String, Error> {
    at_once(answer(api, Some(user))).await.map(|(_, token)| token)
}

thread_local! {
    /// How many more looks at a [`Brittle`] key go well; nothing where all do.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A key that panics when it is looked at once too often.
#[derive(Clone, Debug, Eq)]
struct Brittle(char);

impl Brittle {
    fn look() {
        let left = FUSE.get();
        FUSE.set(left.map(|left| left.saturating_sub(1)));
        assert_ne!(left, Some(0), "once too often");
    }
}

impl PartialEq for Brittle {
    fn eq(&self, other: &Self) -> bool {
        Self::look();
        self.0 == other.0
    }
}

impl Hash for Brittle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::look();
        self.0.hash(state);
    }
}

#[tokio::test]
async fn a_key_that_panics_gets_nobody_the_token_of_another() {
    let with_token = |key: char| {
        let cache = World::new().cache(exact());
        cache.store(&TokenResponse::new(AccessToken::new(key.to_string()).unwrap()));
        cache
    };
    let keys = ['a', 'b', 'c', 'd'];
    let mut panics = 0;
    for (looks, capacity) in (0..12).flat_map(|looks| [(looks, 9), (looks, 4)]) {
        let pool = TokenPool::<Brittle>::new(|_| None).with_capacity(capacity);
        for key in keys {
            pool.insert(Brittle(key), with_token(key));
        }
        FUSE.set(Some(looks));
        // Takes one out, by name or because there are too many.
        let done = catch_unwind(AssertUnwindSafe(|| match capacity {
            4 => drop(pool.insert(Brittle('e'), with_token('e'))),
            _ => drop(pool.remove(&Brittle('b'))),
        }));
        FUSE.set(None);
        panics += u32::from(done.is_err());
        for _ in 0..2 {
            for key in keys.into_iter().chain(['e']) {
                let Some(cache) = pool.get(&Brittle(key)) else { continue };
                let token = at_once(engine::ask(&cache)).await.unwrap();
                assert_eq!(token.expose(), key.to_string(), "after {looks} looks");
            }
            // It goes on, with the one too many at most that did not give way.
            for key in keys.into_iter().chain(['e', 'f', 'g']) {
                pool.insert(Brittle(key), with_token(key));
                assert!(pool.len() <= capacity + 1 && pool.get(&Brittle(key)).is_some());
            }
        }
    }
    assert!(panics >= 8, "{panics}");
}

fn by_extension() -> TokenPool<User> {
    TokenPool::new(|request: RequestHead<'_>| request.extensions().get::<User>().copied())
}

/// A cache that asks for a token of `user`.
fn own_cache(world: &World, user: User) -> TokenCache {
    let grant = Grant::client_credentials().with_param("user", user.0.to_string()).unwrap();
    TokenCache::new_with_clock(world.endpoint(), grant, exact(), world.clock.clock())
}

/// A pool whose caches are made when they are first asked for, for the lower-case users.
fn pool(world: &World) -> TokenPool<User> {
    let caches: HashMap<_, _> =
        ('a'..='z').map(|user| (User(user), Maker::new(world, User(user)))).collect();
    by_extension().with_caches(move |user| caches.get(user).map(Maker::make))
}

/// Makes the same cache again and again.
struct Maker(Box<dyn Fn() -> TokenCache + Send + Sync>);

impl Maker {
    fn new(world: &World, user: User) -> Self {
        let (endpoint, clock) = (world.endpoint(), world.clock.clock());
        let grant = Grant::client_credentials().with_param("user", user.0.to_string()).unwrap();
        Self(Box::new(move || {
            TokenCache::new_with_clock(endpoint.clone(), grant.clone(), exact(), clock.clone())
        }))
    }

    fn make(&self) -> TokenCache {
        (self.0)()
    }
}

/// A token endpoint whose tokens say for whom they are: `a.1` is of the user `a`.
fn world(expires_in: u64, takes: Duration) -> World {
    World::answering(move |asked| {
        let user = asked.form.split("user=").nth(1).unwrap().chars().next().unwrap();
        Reply::token(&format!("{user}.{}", asked.number), expires_in).takes(takes)
    })
}

/// A sign-in of `user`, whose token is good for ten minutes.
fn signed_in(world: &World, user: User) -> TokenCache {
    let token = AccessToken::new(format!("{}.0", user.0)).unwrap();
    let response = TokenResponse::new(token)
        .with_lifetime(seconds(600))
        .with_refresh_token(format!("refresh-{}", user.0));
    TokenCache::from_sign_in(world.endpoint(), &response, exact(), world.clock.clock())
}

#[tokio::test]
async fn a_user_who_signs_out_while_their_cache_is_made_stays_signed_out() {
    let world = World::answering(|_| Reply::rotated("T", "R2", 60));
    let kept = Arc::new(Mutex::new(HashMap::from([(A, "R1"), (B, "R1")])));
    let (makes, of_maker) = (kept.clone(), Arc::new(Mutex::new(None::<TokenPool<User>>)));
    let (endpoint, clock, maker) = (world.endpoint(), world.clock.clock(), of_maker.clone());
    let pool = by_extension().with_caches(move |user| {
        let token = *makes.lock().unwrap().get(user)?;
        // As another thread would.
        if *user == A && makes.lock().unwrap().remove(user).is_some() {
            let pool = maker.lock().unwrap().clone().unwrap();
            assert!(pool.remove(user).is_none(), "there is no cache yet");
        }
        let (endpoint, clock) = (endpoint.clone(), clock.clone());
        Some(TokenCache::from_refresh_token(endpoint, token, exact(), clock))
    });
    *of_maker.lock().unwrap() = Some(pool.clone());
    let api = Seen::default().client(&pool);
    for _ in 0..2 {
        let error = call(&api, A).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInNeeded);
    }
    assert_eq!((pool.len(), world.requests().len()), (0, 0));
    assert_eq!(call(&api, B).await.unwrap(), "T");
}

// case: pool-01
#[tokio::test]
async fn users_do_not_meet_whatever_becomes_of_one_of_them() {
    let forms = Arc::new(Mutex::new(Vec::new()));
    let world = {
        let forms = forms.clone();
        World::answering(move |asked| {
            forms.lock().unwrap().push(asked.form.clone());
            match asked.form.contains("refresh-a") {
                true => Reply::refusal(400, "invalid_grant"),
                false => Reply::token("b.1", 600),
            }
        })
    };
    let (seen, pool) = (Seen::default(), by_extension());
    let api = seen.client(&pool);
    assert!(pool.insert(A, signed_in(&world, A)).is_none());
    assert!(pool.insert(B, signed_in(&world, B)).is_none());
    for _ in 0..100 {
        assert_eq!(call(&api, A).await.unwrap(), "a.0");
        assert_eq!(call(&api, B).await.unwrap(), "b.0");
    }
    assert!(forms.lock().unwrap().is_empty());

    seen.reject("a.0");
    let (status, body) = at_once(answer(&api, Some(A))).await.unwrap();
    assert_eq!((status, body.as_str()), (StatusCode::UNAUTHORIZED, "a.0"), "untouched");
    for _ in 0..10 {
        let error = call(&api, A).await.unwrap_err();
        assert!(error.is_sign_in_needed() && !error.is_transient(), "{error}");
        assert_eq!(call(&api, B).await.unwrap(), "b.0");
    }
    assert_eq!(*forms.lock().unwrap(), ["grant_type=refresh_token&refresh_token=refresh-a"]);
    assert_eq!(pool.get(&B).unwrap().status().fetches(), 0);

    let before = seen.calls.lock().unwrap().len();
    let error = at_once(answer(&api, None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey);
    assert!(!error.is_transient() && !error.is_sign_in_needed(), "{error}");
    assert_eq!(seen.calls.lock().unwrap().len(), before, "nothing was sent");
    assert!(seen.calls_of(A).iter().all(|token| token == "a.0"));
    assert!(seen.calls_of(B).iter().all(|token| token == "b.0"));
}

// case: pool-01
#[tokio::test]
async fn each_user_costs_one_fetch_and_two_hundred_calls_interleave() {
    let world = world(3600, seconds(1));
    let (seen, pool) = (Seen::default(), pool(&world));
    let api = seen.client(&pool);
    let calls: Vec<_> = (0..200)
        .map(|n| tokio::spawn(answer(&api, Some(if n % 2 == 0 { A } else { B }))))
        .collect();
    world.advance(seconds(1)).await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().0, StatusCode::OK);
    }
    assert_eq!(world.requests().len(), 2, "one each");
    assert!(seen.calls_of(A).iter().all(|token| token.starts_with("a.")));
    assert!(seen.calls_of(B).iter().all(|token| token.starts_with("b.")));
    assert_eq!((seen.calls_of(A).len(), seen.calls_of(B).len()), (100, 100));
}

#[tokio::test]
async fn a_rejected_token_is_replaced_for_its_user_alone() {
    let world = world(3600, Duration::ZERO);
    let (seen, pool) = (Seen::default(), pool(&world));
    let api = seen.client(&pool);
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    assert_eq!(call(&api, B).await.unwrap(), "b.2");
    seen.reject("a.1");
    assert_eq!(call(&api, A).await.unwrap(), "a.3", "the call was repeated");
    assert_eq!(call(&api, B).await.unwrap(), "b.2");
    assert_eq!(world.requests().len(), 3);
}

#[tokio::test]
async fn a_rejection_reaches_the_cache_though_the_call_cannot_be_repeated() {
    let world = world(3600, Duration::ZERO);
    let (seen, pool) = (Seen::default(), pool(&world));
    let api = seen.api(&pool, Never);
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    assert_eq!(call(&api, B).await.unwrap(), "b.2");
    seen.reject("a.1");
    let (status, _) = at_once(answer(&api, Some(A))).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!pool.get(&A).unwrap().status().is_fresh());
    assert!(pool.get(&B).unwrap().status().is_fresh());
    assert_eq!(call(&api, A).await.unwrap(), "a.3");
}

#[tokio::test]
async fn a_user_nobody_knows_has_to_sign_in_and_nothing_is_sent() {
    let world = world(3600, Duration::ZERO);
    let seen = Seen::default();
    for pool in [by_extension(), pool(&world)] {
        let error = call(&seen.client(&pool), User('?')).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInNeeded);
        assert!(pool.is_empty());
    }
    assert!(seen.calls.lock().unwrap().is_empty());
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn a_user_whose_token_is_fetched_stays_above_the_bound_until_it_is_there() {
    let world = world(3600, seconds(1));
    let (seen, pool) = (Seen::default(), pool(&world).with_capacity(1));
    let api = seen.client(&pool);
    let waiting = tokio::spawn(answer(&api, Some(A)));
    settle().await;
    pool.insert(B, own_cache(&world, B));
    assert!(pool.get(&A).is_some() && pool.len() == 2);
    world.advance(seconds(1)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().1, "a.1");
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    assert!(pool.get(&B).is_none() && pool.len() == 1, "the next call restores the bound");
}

/// The refresh tokens that a server saw.
type Sent = Arc<Mutex<Vec<String>>>;

/// A pool for two users at once, each of whom has a session that goes on from the refresh token that
/// the program kept at its start: a rotated one is lost with its cache.
fn sessions(world: &World) -> TokenPool<User> {
    let (endpoint, clock) = (world.endpoint(), world.clock.clock());
    by_extension().with_capacity(2).with_caches(move |user| {
        let (kept, clock) = (format!("{}0", user.0), clock.clone());
        Some(TokenCache::from_refresh_token(endpoint.clone(), kept, exact(), clock))
    })
}

/// A server that rotates refresh tokens within a second.
fn rotating() -> (World, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let world = World::answering(move |asked| {
        let sent = asked.form.split("refresh_token=").nth(1).unwrap();
        let sent = sent.split('&').next().unwrap().to_owned();
        let user = sent.chars().next().unwrap();
        log.lock().unwrap().push(sent);
        let rotated = format!("{user}{}", asked.number);
        Reply::rotated(&format!("{user}.{}", asked.number), &rotated, 3600).takes(seconds(1))
    });
    (world, sent)
}

#[tokio::test]
async fn users_who_renew_at_once_in_a_full_pool_each_send_their_refresh_token_once() {
    let (world, sent) = rotating();
    let (seen, pool) = (Seen::default(), sessions(&world));
    let api = seen.client(&pool);
    let mut waiting = Vec::new();
    for user in "abcdabcd".chars() {
        waiting.push(tokio::spawn(answer(&api, Some(User(user)))));
        settle().await;
    }
    assert_eq!(*sent.lock().unwrap(), ["a0", "b0", "c0", "d0"]);
    world.advance(seconds(1)).await;
    for (waiting, user) in waiting.into_iter().zip("abcdabcd".chars()) {
        assert!(at_once(waiting).await.unwrap().unwrap().1.starts_with(user));
    }
    assert_eq!(sent.lock().unwrap().len(), 4);
    let last = call(&api, User('d')).await.unwrap();
    assert!(last.starts_with('d'));
    assert_eq!(pool.len(), 2, "the next call restores the bound");
}

#[tokio::test]
async fn a_renewal_whose_callers_left_is_joined_in_a_full_pool() {
    let (world, sent) = rotating();
    let (seen, pool) = (Seen::default(), sessions(&world).with_capacity(1));
    let api = seen.client(&pool);
    let left = tokio::spawn(answer(&api, Some(A)));
    settle().await;
    left.abort();
    for user in "bcd".chars() {
        drop(tokio::spawn(answer(&api, Some(User(user)))));
        settle().await;
    }
    let back = tokio::spawn(answer(&api, Some(A)));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(back).await.unwrap().unwrap().1, "a.1");
    assert_eq!(*sent.lock().unwrap(), ["a0", "b0", "c0", "d0"]);
}

#[tokio::test]
async fn a_user_who_waits_for_the_next_try_is_not_evicted() {
    let world = World::answering(|_| Reply::refusal(503, "temporarily_unavailable"));
    let (seen, pool) = (Seen::default(), sessions(&world).with_capacity(1));
    let api = seen.client(&pool);
    let waiting = tokio::spawn(answer(&api, Some(A)));
    settle().await;
    assert_eq!(world.requests().len(), 1);
    pool.insert(B, signed_in(&world, B));
    let again = tokio::spawn(answer(&api, Some(A)));
    settle().await;
    assert_eq!(world.requests().len(), 1, "both wait for the same next try");
    world.answer(|_| Reply::rotated("a.2", "a2", 3600));
    world.advance(seconds(2)).await;
    for waiting in [waiting, again] {
        assert_eq!(at_once(waiting).await.unwrap().unwrap().1, "a.2");
    }
    assert_eq!(world.requests().len(), 2);
}

#[tokio::test]
async fn a_user_whose_token_is_fetched_gives_way_after_those_who_are_idle() {
    let world = world(3600, seconds(1));
    let (seen, pool) = (Seen::default(), pool(&world).with_capacity(2));
    let api = seen.client(&pool);
    let waiting = tokio::spawn(answer(&api, Some(A)));
    settle().await;
    ('b'..='f').for_each(|user| drop(pool.insert(User(user), own_cache(&world, User(user)))));
    assert_eq!(pool.get(&A).unwrap().status().fetches(), 1);
    world.advance(seconds(1)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().1, "a.1");
    assert_eq!(call(&api, A).await.unwrap(), "a.1", "it is still there");
}

#[tokio::test]
async fn a_renewal_in_the_background_keeps_its_user_from_giving_way() {
    let world = world(100, Duration::ZERO);
    let (seen, pool) = (Seen::default(), pool(&world).with_capacity(2));
    let api = seen.client(&pool);
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    world.answer(|_| Reply::token("a.2", 100).takes(seconds(1)));
    world.advance_to(seconds(85)).await;
    assert_eq!(call(&api, A).await.unwrap(), "a.1", "and a renewal begins");
    settle().await;
    ('b'..='f').for_each(|user| drop(pool.insert(User(user), own_cache(&world, User(user)))));
    world.advance(seconds(1)).await;
    assert_eq!(call(&api, A).await.unwrap(), "a.2");
}

#[tokio::test]
async fn a_token_rejected_after_its_user_gave_way_is_replaced_all_the_same() {
    let world = world(3600, Duration::ZERO);
    let (seen, pool) = (Seen::default(), pool(&world).with_capacity(1));
    let api = seen.client(&pool);
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    let old = at_once(pool.token(RequestHead::from_request(&get(Some(A)))).wait()).await.unwrap();
    assert_eq!(call(&api, B).await.unwrap(), "b.2");
    assert!(pool.get(&A).is_none());
    assert!(pool.reject(&old), "another can be had");
    assert!(pool.get(&B).unwrap().status().is_usable());
    assert_eq!(call(&api, A).await.unwrap(), "a.3");
}

#[tokio::test]
async fn another_sign_in_takes_the_place_of_the_first_and_a_sign_out_ends_it() {
    let world = world(3600, Duration::ZERO);
    let (seen, pool) = (Seen::default(), by_extension());
    let api = seen.client(&pool);
    pool.insert(A, signed_in(&world, A));
    assert_eq!(call(&api, A).await.unwrap(), "a.0");
    let first = pool.insert(A, own_cache(&world, A)).unwrap();
    assert!(first.status().is_usable(), "it is given back as it was");
    assert_eq!(call(&api, A).await.unwrap(), "a.1");
    assert!(pool.remove(&A).is_some() && pool.remove(&A).is_none());
    assert_eq!(call(&api, A).await.unwrap_err().kind(), ErrorKind::SignInNeeded);
}

#[tokio::test]
async fn the_closure_that_makes_caches_may_ask_the_pool() {
    let world = world(3600, Duration::ZERO);
    let shared = by_extension();
    shared.insert(A, own_cache(&world, A));
    let pool = {
        let shared = shared.clone();
        by_extension().with_caches(move |_| shared.get(&A))
    };
    let seen = Seen::default();
    assert_eq!(call(&seen.client(&pool), B).await.unwrap(), "a.1", "as it was told");
    assert_eq!((pool.len(), shared.len()), (1, 1));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call(u8),
    /// At once, of one user and of another.
    Burst(u8, u8),
    /// The API is tired of all tokens of this user.
    Reject(u8),
    Remove(u8),
    Insert(u8),
    Advance(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..6_u8;
    prop_oneof![
        6 => user.clone().prop_map(Step::Call),
        2 => (user.clone(), user.clone()).prop_map(|(one, other)| Step::Burst(one, other)),
        2 => user.clone().prop_map(Step::Reject),
        1 => user.clone().prop_map(Step::Remove),
        1 => user.prop_map(Step::Insert),
        2 => (0..90_u16).prop_map(Step::Advance),
    ]
}

fn user(number: u8) -> User {
    User(char::from(b'a' + number))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_call_carries_the_token_of_another_user(
        capacity in 1..5_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = world(60, Duration::ZERO);
            let (seen, pool) = (Seen::default(), pool(&world).with_capacity(capacity));
            let api = seen.client(&pool);
            let mut own = api.clone();
            for step in steps {
                match step {
                    Step::Call(one) => {
                        // One service for all, which keeps what it attached last. The call may
                        // fail: fetches keep their distance.
                        let call = own.ready().await.unwrap().call(get(Some(user(one))));
                        drop(tokio::spawn(async { read(call.await).await }));
                    }
                    Step::Burst(one, other) => {
                        for number in [one, other, one, other] {
                            drop(tokio::spawn(answer(&api, Some(user(number)))));
                        }
                    }
                    Step::Reject(one) => {
                        seen.calls_of(user(one)).iter().for_each(|token| seen.reject(token));
                    }
                    Step::Remove(one) => drop(pool.remove(&user(one))),
                    Step::Insert(one) => {
                        drop(pool.insert(user(one), own_cache(&world, user(one))));
                    }
                    Step::Advance(by) => world.advance(seconds(by.into())).await,
                }
                settle().await;
            }
            // Nobody waits any more, and the next calls restore the bound.
            world.advance(seconds(3600)).await;
            (0..6).for_each(|one| drop(pool.token(RequestHead::from_request(&get(Some(user(one)))))));
            settle().await;
            assert!(call(&api, A).await.is_ok() && pool.len() <= capacity);
            for (user, token) in seen.calls.lock().unwrap().iter() {
                let User(name) = user.unwrap();
                assert!(token.starts_with(name), "{name} called with {token}");
            }
        });
    }
}
