//! Tokens that were taken back: refused at once, whatever a cache says, and the requests under way
//! with them are told.

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use proptest::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Answer, RequestHead,
    server::{Authenticated, EndWithToken, RequireToken, TokenEnd},
    testing::ManualClock,
    validate::{
        Cached, Principal, Rejection, RejectionKind, Revocable, RevocationChanges, RevocationList,
        Revocations, StaticTokens, TokenFingerprint, ValidateToken, Validated, Verdict,
    },
};

const HOUR: Duration = Duration::from_secs(3600);

/// Tokens are `subject.iat.jti`, `-` where there is none of it; the issuer is `as`.
async fn judge(token: AccessToken) -> Result<Validated, Rejection> {
    let mut parts = token.expose().split('.');
    let mut next = || parts.next().filter(|part| *part != "-");
    let mut principal = Principal::new(next().ok_or(Rejection::unknown())?).with_issuer("as");
    if let Some(seconds) = next() {
        principal = principal.with_issued_at(second(seconds.parse().unwrap()));
    }
    if let Some(id) = next() {
        principal = principal.with_token_id(id);
    }
    Ok(Validated::from(principal))
}

fn second(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn bearer(token: &str) -> Request<()> {
    Request::get("/r").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

/// The verdict on `token`, whichever request it comes with.
async fn ask<V: ValidateToken>(validator: &V, token: &str) -> Verdict<V::Claims> {
    let request = bearer(token);
    let answer = validator.validate(token, RequestHead::from_request(&request));
    answer.wait().await
}

async fn kind<V: ValidateToken>(validator: &V, token: &str) -> Option<RejectionKind> {
    ask(validator, token).await.err().map(|rejection| rejection.kind())
}

/// The status of a request with `token`.
async fn status<S>(service: &mut S, token: &str) -> StatusCode
where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    service.ready().await.unwrap().call(bearer(token)).await.unwrap().status()
}

async fn ok(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

// case: rev-001
#[tokio::test]
async fn a_revoked_token_is_refused_at_once_though_the_cache_has_it() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = {
        let asked = asked.clone();
        move |token| {
            asked.fetch_add(1, Ordering::Relaxed);
            judge(token)
        }
    };
    let revocations = Revocations::new();
    let validator = Revocable::new(Cached::new(counted), revocations.clone());
    let mut service = RequireToken::new("api", validator).unwrap().layer(service_fn(ok));
    for _ in 0..2 {
        assert_eq!(status(&mut service, "bob.1.j1").await, StatusCode::OK);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the second is from the cache");
    revocations.revoke_token("bob.1.j1", None).unwrap();
    assert_eq!(status(&mut service, "bob.1.j1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&mut service, "bob.1.j2").await, StatusCode::OK);
    revocations.revoke_id(Some("as"), "j2", None).unwrap();
    assert_eq!(status(&mut service, "bob.1.j2").await, StatusCode::UNAUTHORIZED);
}

// case: rev-002
#[tokio::test]
async fn who_logs_out_everywhere_keeps_the_tokens_of_later() {
    let revocations = Revocations::new();
    let validator = Revocable::new(Cached::new(judge), revocations.clone());
    let mut service = RequireToken::new("api", validator).unwrap().layer(service_fn(ok));
    let tokens = ["bob.99.a", "bob.-.b", "bob.100.c", "bob.101.d", "alice.99.e", "alice.-.f"];
    for token in tokens {
        assert_eq!(status(&mut service, token).await, StatusCode::OK, "{token}");
    }
    revocations.revoke_subject(Some("as"), "bob", second(100), None).unwrap();
    for (token, refused) in tokens.into_iter().zip([true, true, false, false, false, false]) {
        let expected = if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        assert_eq!(status(&mut service, token).await, expected, "{token}");
    }
}

/// Keeps what the handler was handed.
fn keeping(
    kept: &Arc<Mutex<Option<Authenticated>>>,
) -> impl Fn(Request<()>) -> Ready<Result<Response<String>, Infallible>> + Clone + use<> {
    let kept = kept.clone();
    move |request| {
        *kept.lock().unwrap() = request.extensions().get().cloned();
        ready(Ok(Response::new(String::new())))
    }
}

// case: rev-006
#[tokio::test]
async fn a_guard_resolves_when_its_token_id_or_subject_is_revoked() {
    type Revoke = fn(&Revocations);
    let ways: [Revoke; 3] = [
        |list| list.revoke_token("bob.1.j1", None).unwrap(),
        |list| list.revoke_id(Some("as"), "j1", None).unwrap(),
        |list| list.revoke_subject(Some("as"), "bob", second(2), None).unwrap(),
    ];
    let others: [Revoke; 4] = [
        |list| list.revoke_token("bob.1.j2", None).unwrap(),
        |list| list.revoke_id(Some("another"), "j1", None).unwrap(),
        |list| list.revoke_id(None, "j1", None).unwrap(),
        |list| list.revoke_subject(Some("as"), "bob", second(1), None).unwrap(),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let revocations = Revocations::new();
        let validator = revocations.guard(Cached::new(judge));
        let kept = Arc::new(Mutex::new(None));
        let require = RequireToken::new("api", validator).unwrap();
        let mut service = require.layer(service_fn(keeping(&kept)));
        // The second is answered by the cache.
        for _ in 0..2 {
            assert_eq!(status(&mut service, "bob.1.j1").await, StatusCode::OK);
            let authenticated = kept.lock().unwrap().take().unwrap();
            let mut ended = tokio_test::task::spawn(authenticated.ended());
            assert!(ended.poll().is_pending());
            others.iter().for_each(|other| other(&revocations));
            assert!(ended.poll().is_pending(), "{number}");
        }
        assert_eq!(status(&mut service, "bob.1.j1").await, StatusCode::OK);
        let authenticated = kept.lock().unwrap().take().unwrap();
        let mut before = tokio_test::task::spawn(authenticated.ended());
        assert!(before.poll().is_pending());
        way(&revocations);
        assert!(before.is_woken());
        tokio_test::assert_ready_eq!(before.poll(), TokenEnd::Revoked);
        // Asked for afterwards, it is known already.
        assert_eq!(authenticated.ended().await, TokenEnd::Revoked);
        assert_eq!(status(&mut service, "bob.1.j1").await, StatusCode::UNAUTHORIZED);
    }
}

// case: rev-006
#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let revocations = Revocations::new();
    let require = RequireToken::new("api", revocations.guard(Cached::new(judge))).unwrap();
    let layers = ServiceBuilder::new().layer(require).layer(EndWithToken::new()).into_inner();
    let events = service_fn(|_: Request<()>| {
        let (sender, body) = tokio::sync::mpsc::unbounded_channel::<()>();
        // Never says anything, and never ends.
        std::mem::forget(sender);
        ready(Ok::<_, Infallible>(Response::new(Silent(Some(body)))))
    });
    let response = layers.layer(events).oneshot(bearer("bob.1.j1")).await.unwrap();
    let whole = tokio::spawn(response.into_body().collect());
    tokio::task::yield_now().await;
    assert!(!whole.is_finished());
    revocations.revoke_subject(Some("as"), "bob", second(5), None).unwrap();
    assert!(whole.await.unwrap().unwrap().to_bytes().is_empty());
}

#[derive(Default)]
struct Silent(Option<tokio::sync::mpsc::UnboundedReceiver<()>>);

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(body) => body.poll_recv(cx).map(|_| None),
            None => std::task::Poll::Ready(None),
        }
    }
}

/// The verdict is on its way, found good, when the token is revoked: whether the list stands above
/// the cache or below, neither this request nor a later one gets through.
#[tokio::test]
async fn a_verdict_that_is_being_fetched_does_not_survive_a_revocation() {
    fn slow(go: &Arc<Notify>) -> impl ValidateToken<Claims = ()> + use<> {
        let go = go.clone();
        move |token| {
            let go = go.clone();
            async move {
                let verdict = judge(token).await;
                go.notified().await;
                verdict
            }
        }
    }
    async fn check<V: ValidateToken<Claims = ()>>(validator: V, list: Revocations, go: &Notify) {
        let request = bearer("bob.1.j1");
        let Answer::Pending(verdict) =
            validator.validate("bob.1.j1", RequestHead::from_request(&request))
        else {
            panic!("it was not asked before");
        };
        let mut verdict = pin!(verdict);
        assert!(verdict.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        list.revoke_id(Some("as"), "j1", None).unwrap();
        go.notify_one();
        assert_eq!(verdict.await.unwrap_err().kind(), RejectionKind::Revoked);
        go.notify_one();
        assert_eq!(kind(&validator, "bob.1.j1").await, Some(RejectionKind::Revoked));
    }
    let (go, list) = (Arc::new(Notify::new()), Revocations::new());
    check(list.guard(Cached::new(slow(&go))), list, &go).await;
    let (go, list) = (Arc::new(Notify::new()), Revocations::new());
    check(Cached::new(list.guard(slow(&go))), list, &go).await;
}

#[tokio::test]
async fn below_a_cache_a_revocation_makes_it_forget() {
    let list = Revocations::new();
    let validator = Cached::new(list.guard(judge));
    assert_eq!(kind(&validator, "bob.1.j1").await, None);
    assert_eq!(kind(&validator, "bob.1.j1").await, None);
    list.revoke_token("bob.1.j1", None).unwrap();
    assert_eq!(kind(&validator, "bob.1.j1").await, Some(RejectionKind::Revoked));
}

/// How long a destroyed token works: no longer, unless nobody tells the cache that keeps it.
#[tokio::test]
async fn a_destroyed_token_works_no_longer_than_its_validator_says() {
    const TTL: Duration = Duration::from_secs(60);
    let manual = ManualClock::new();
    let known = Arc::new(AtomicBool::new(true));
    let server = || {
        let known = known.clone();
        move |token| {
            let known = known.load(Ordering::Relaxed);
            async move { if known { judge(token).await } else { Err(Rejection::unknown()) } }
        }
    };
    let untold = Cached::new(server()).with_clock(manual.clock()).with_ttl(TTL);
    let list = Revocations::new().with_clock(manual.clock());
    let told = list.guard(Cached::new(server()).with_clock(manual.clock()).with_ttl(TTL));
    let tokens = StaticTokens::new();
    tokens.insert("bob.1.j1", Principal::new("bob")).unwrap();
    let removed = Cached::new(tokens.clone()).with_clock(manual.clock()).with_ttl(TTL);
    for good in [kind(&untold, "bob.1.j1").await, kind(&told, "bob.1.j1").await] {
        assert_eq!(good, None);
    }
    assert_eq!(kind(&removed, "bob.1.j1").await, None);

    known.store(false, Ordering::Relaxed);
    list.revoke_id(Some("as"), "j1", None).unwrap();
    tokens.remove("bob.1.j1");
    assert_eq!(kind(&told, "bob.1.j1").await, Some(RejectionKind::Revoked));
    // Its verdict says that it was taken back, also to a cache.
    assert_eq!(kind(&removed, "bob.1.j1").await, Some(RejectionKind::Revoked));
    assert_eq!(kind(&tokens, "bob.1.j1").await, Some(RejectionKind::Invalid));
    manual.advance(TTL - Duration::from_secs(1));
    assert_eq!(kind(&untold, "bob.1.j1").await, None, "nobody told");
    manual.advance(Duration::from_secs(1));
    assert_eq!(kind(&untold, "bob.1.j1").await, Some(RejectionKind::Invalid));
}

/// A validator that keeps its verdicts hands out the same one: what guards need is added once.
#[test]
fn a_warm_verdict_allocates_nothing_for_the_list() {
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice").with_token_id("j")).unwrap();
    let list = Revocations::new();
    let validator = list.guard(list.guard(tokens));
    let request = bearer("t");
    let judged = || {
        let answer = validator.validate("t", RequestHead::from_request(&request));
        assert!(matches!(answer, Answer::Ready(Ok(_))));
    };
    judged();
    assert_eq!(allocation_counter::measure(judged).count_total, 0);
    list.revoke_token("another", None).unwrap();
    list.revoke_id(None, "another", None).unwrap();
    list.revoke_subject(None, "bob", second(9), None).unwrap();
    judged();
    assert_eq!(allocation_counter::measure(judged).count_total, 0);
}

#[tokio::test]
async fn a_guard_watches_its_validator_and_every_list_above_it() {
    for which in 0..3 {
        let tokens = StaticTokens::new();
        tokens.insert("t", Principal::new("alice")).unwrap();
        let (one, other) = (Revocations::new(), Revocations::new());
        let kept = Arc::new(Mutex::new(None));
        let validator = one.guard(other.guard(tokens.clone()));
        let require = RequireToken::new("api", validator).unwrap();
        assert_eq!(status(&mut require.layer(service_fn(keeping(&kept))), "t").await, 200);
        let authenticated = kept.lock().unwrap().take().unwrap();
        let mut ended = tokio_test::task::spawn(authenticated.ended());
        assert!(ended.poll().is_pending());
        match which {
            0 => one.revoke_token("t", None).unwrap(),
            1 => other.revoke_subject(None, "alice", second(1), None).unwrap(),
            _ => assert!(tokens.remove("t")),
        }
        tokio_test::assert_ready_eq!(ended.poll(), TokenEnd::Revoked);
    }
}

#[tokio::test]
async fn an_entry_lives_as_long_as_what_it_revokes_and_is_then_let_go() {
    let manual = ManualClock::from_wall(second(1_000_000));
    let list = Revocations::new()
        .with_clock(manual.clock())
        .with_max_lifetime(HOUR)
        .with_leeway(Duration::from_secs(30))
        .with_capacity(2);
    let validator = list.guard(judge);
    list.revoke_token("a.1.x", None).unwrap();
    list.revoke_token("b.1.x", Some(second(1_000_100))).unwrap();
    let full = list.revoke_token("c.1.x", None).unwrap_err();
    assert_eq!(full.to_string(), "the list of revocations is full");
    assert_eq!(kind(&validator, "c.1.x").await, None, "and nothing was forgotten for it");
    list.revoke_token("b.1.x", Some(second(1_000_200))).unwrap();
    manual.advance(Duration::from_secs(229));
    assert_eq!(kind(&validator, "b.1.x").await, Some(RejectionKind::Revoked));
    manual.advance(Duration::from_secs(1));
    assert_eq!(kind(&validator, "b.1.x").await, None);
    list.revoke_token("c.1.x", None).unwrap();
    manual.advance(HOUR);
    assert_eq!(kind(&validator, "a.1.x").await, None);
    assert_eq!(kind(&validator, "c.1.x").await, Some(RejectionKind::Revoked));
    manual.advance(Duration::from_secs(30));
    assert_eq!(kind(&validator, "c.1.x").await, None);
}

#[tokio::test]
async fn a_time_that_no_clock_shows_revokes_for_ever() {
    let list = Revocations::new().with_max_lifetime(Duration::MAX).with_leeway(Duration::MAX);
    list.revoke_token("a.1.x", None).unwrap();
    list.revoke_id(Some("as"), "y", Some(SystemTime::now())).unwrap();
    for token in ["a.1.x", "b.1.y"] {
        assert_eq!(kind(&list.guard(judge), token).await, Some(RejectionKind::Revoked), "{token}");
    }
}

/// A list of subjects that another process tells of.
#[derive(Clone, Default)]
struct Told(Arc<(Mutex<HashSet<String>>, RevocationChanges)>);

impl RevocationList for Told {
    fn fingerprint(&self, _: &str) -> TokenFingerprint {
        TokenFingerprint::new([0; 32])
    }

    fn is_fingerprint_revoked(&self, _: &TokenFingerprint, principal: &Principal) -> bool {
        principal.subject().is_some_and(|subject| self.0.0.lock().unwrap().contains(subject))
    }

    fn changes(&self) -> &RevocationChanges {
        &self.0.1
    }
}

#[tokio::test]
async fn another_list_stands_in_for_revocations() {
    let told = Told::default();
    let kept = Arc::new(Mutex::new(None));
    let require = RequireToken::new("api", Revocable::new(Cached::new(judge), told.clone()));
    let mut service = require.unwrap().layer(service_fn(keeping(&kept)));
    assert_eq!(status(&mut service, "bob.1.j").await, StatusCode::OK);
    let mut ended = tokio_test::task::spawn(kept.lock().unwrap().take().unwrap().ended());
    assert!(ended.poll().is_pending());
    told.0.0.lock().unwrap().insert("bob".into());
    told.0.1.announce();
    tokio_test::assert_ready_eq!(ended.poll(), TokenEnd::Revoked);
    assert_eq!(status(&mut service, "bob.1.j").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&mut service, "alice.1.j").await, StatusCode::OK);
}

#[derive(Clone, Debug)]
enum Step {
    Token { token: u8, until: Option<u64> },
    Id { issuer: Option<u8>, id: u8, until: Option<u64> },
    Subject { issuer: Option<u8>, subject: u8, before: u64, until: Option<u64> },
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let until = || proptest::option::of(0_u64..100);
    let issuer = || proptest::option::of(0_u8..2);
    let step = prop_oneof![
        (0_u8..6, until()).prop_map(|(token, until)| Step::Token { token, until }),
        (issuer(), 0_u8..3, until()).prop_map(|(issuer, id, until)| Step::Id { issuer, id, until }),
        (issuer(), 0_u8..3, 0_u64..100, until()).prop_map(|(issuer, subject, before, until)| {
            Step::Subject { issuer, subject, before, until }
        }),
        (0_u64..40).prop_map(Step::Advance),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What is revoked, as one would write it down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Token(u8),
    Id(Option<u8>, u8),
    Subject(Option<u8>, u8),
}

/// Until when, and of tokens issued before when.
type Model = HashMap<Key, (u64, u64)>;

const CAPACITY: usize = 8;
const LIFETIME: u64 = 20;
const LEEWAY: u64 = 3;

/// Whether it fits.
fn write_down(model: &mut Model, now: u64, key: Key, before: u64, until: Option<u64>) -> bool {
    model.retain(|own, (until, _)| *until > now || *own == key);
    let start = if matches!(key, Key::Subject(..)) { before.max(now) } else { now };
    let until = until.unwrap_or(start + LIFETIME) + LEEWAY;
    let there = model.get(&key).copied();
    if there.is_none() && model.len() >= CAPACITY {
        return false;
    }
    let (old_until, old_before) = there.filter(|(until, _)| *until > now).unwrap_or_default();
    model.insert(key, (until.max(old_until), before.max(old_before)));
    true
}

proptest! {
    #[test]
    fn a_list_says_what_its_model_says(steps in steps()) {
        let manual = ManualClock::from_wall(second(0));
        let list = Revocations::new()
            .with_clock(manual.clock())
            .with_max_lifetime(Duration::from_secs(LIFETIME))
            .with_leeway(Duration::from_secs(LEEWAY))
            .with_capacity(CAPACITY);
        let (mut model, mut now) = (Model::new(), 0);
        let name = |issuer: Option<u8>| issuer.map(|issuer| format!("as{issuer}"));
        for step in steps {
            let until = |until: Option<u64>| until.map(second);
            let (added, fits) = match step {
                Step::Advance(seconds) => {
                    manual.advance(Duration::from_secs(seconds));
                    now += seconds;
                    (Ok(()), true)
                }
                Step::Token { token, until: end } => (
                    list.revoke_token(&token.to_string(), until(end)),
                    write_down(&mut model, now, Key::Token(token), u64::MAX, end),
                ),
                Step::Id { issuer, id, until: end } => (
                    list.revoke_id(name(issuer).as_deref(), &id.to_string(), until(end)),
                    write_down(&mut model, now, Key::Id(issuer, id), u64::MAX, end),
                ),
                Step::Subject { issuer, subject, before, until: end } => (
                    list.revoke_subject(
                        name(issuer).as_deref(), &subject.to_string(), second(before), until(end),
                    ),
                    write_down(&mut model, now, Key::Subject(issuer, subject), before, end),
                ),
            };
            prop_assert_eq!(added.is_ok(), fits);
            prop_assert!(list.len() <= CAPACITY);
            for (token, issuer, who, issued) in [
                (0, None, 0, None),
                (1, Some(0), 1, Some(30)),
                (2, Some(1), 2, Some(60)),
                (3, None, 1, Some(0)),
                (4, Some(0), 0, Some(99)),
                (5, Some(1), 0, None),
            ] {
                let mut principal =
                    Principal::new(who.to_string()).with_token_id(who.to_string());
                if let Some(issuer) = name(issuer) {
                    principal = principal.with_issuer(issuer);
                }
                if let Some(issued) = issued {
                    principal = principal.with_issued_at(second(issued));
                }
                let keys = [Key::Token(token), Key::Id(issuer, who), Key::Subject(issuer, who)];
                let revoked = keys.iter().filter_map(|key| model.get(key)).any(|entry| {
                    entry.0 > now && issued.is_none_or(|issued| issued < entry.1)
                });
                let token = token.to_string();
                prop_assert_eq!(list.is_revoked(&token, &principal), revoked);
                let fingerprint = list.fingerprint(&token);
                prop_assert_eq!(list.is_fingerprint_revoked(&fingerprint, &principal), revoked);
            }
        }
    }
}

/// Entries that have had their time go while others come, without anybody asking.
#[test]
fn a_list_that_is_written_to_does_not_grow_with_what_is_over() {
    let manual = ManualClock::from_wall(second(0));
    let list = Revocations::new().with_clock(manual.clock()).with_leeway(Duration::ZERO);
    for number in 0..5_000_u64 {
        list.revoke_id(None, &number.to_string(), Some(second(number + 10))).unwrap();
        manual.advance(Duration::from_secs(1));
    }
    // Ten are alive; every shard was looked through during the last 256.
    assert!(list.len() <= 10 + 256, "{}", list.len());
    assert!(!list.is_empty());
}
