//! Many requests with one token while the validator of a `Cached` takes its time, and a cache
//! against a model of it.

use crate::judge::{Judge, bearer, kind, settle, validate};
use proptest::prelude::*;
use std::{collections::HashMap, future::Future, time::Duration};
use tokio::task::{JoinHandle, JoinSet};
use tower_oauth2::{
    Answer, RequestHead,
    testing::ManualClock,
    validate::{
        BoxVerdictFuture, Cached, CachedFuture, Principal, Rejection, RejectionKind, ValidateToken,
        Verdict,
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn cached(judge: &Judge) -> Cached<Judge> {
    Cached::new(judge.clone()).with_clock(ManualClock::new().clock())
}

/// The wait for a verdict on `token`, not polled.
fn asked<V: ValidateToken>(cache: &Cached<V>, token: &str) -> CachedFuture<V> {
    let request = bearer(token);
    match cache.validate(token, RequestHead::from_request(&request)) {
        Answer::Pending(future) => future,
        Answer::Ready(_) => panic!("it does not wait"),
    }
}

fn spawned<V: ValidateToken>(cache: &Cached<V>, token: &str) -> JoinHandle<Verdict<V::Claims>> {
    tokio::spawn(asked(cache, token))
}

#[tokio::test]
async fn fifty_at_once_ask_once() {
    let judge = Judge::slow();
    let cache = cached(&judge);
    let mut callers = JoinSet::new();
    (0..50).for_each(|_| drop(callers.spawn(asked(&cache, "good"))));
    settle().await;
    judge.let_answer();
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert!(validate(&cache, "good").await.is_ok());
    assert_eq!(judge.asked(), 1);
}

#[test]
fn fifty_threads_at_once_ask_once() {
    // Slow enough for the others to come by, without a wait for anything but the validator.
    struct Busy(Judge);

    impl ValidateToken for Busy {
        type Claims = ();
        type Future = BoxVerdictFuture<()>;

        fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
            (0..1_000).for_each(|_| std::thread::yield_now());
            self.0.validate(token, head)
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    for round in 0..20 {
        let judge = Judge::default();
        let cache = Cached::new(Busy(judge.clone()));
        let token = format!("good-{round}");
        let start = std::sync::Barrier::new(50);
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let _entered = runtime.enter();
                    start.wait();
                    assert!(tokio_test::block_on(validate(&cache, &token)).is_ok());
                });
            }
        });
        assert_eq!(judge.asked(), 1);
    }
}

#[tokio::test]
async fn a_refusal_and_an_outage_go_to_all_who_wait() {
    for rejection in [Rejection::unknown(), Rejection::unavailable(Some(SECOND))] {
        let judge = Judge::slow();
        judge.say("token", Err(rejection.clone()));
        let cache = cached(&judge);
        let (one, other) = (spawned(&cache, "token"), spawned(&cache, "token"));
        settle().await;
        judge.let_answer();
        assert_eq!(one.await.unwrap().unwrap_err(), rejection);
        assert_eq!(other.await.unwrap().unwrap_err(), rejection);
        assert_eq!(judge.asked(), 1);
    }
}

#[tokio::test]
async fn who_leaves_takes_nothing_along() {
    let judge = Judge::slow();
    let cache = cached(&judge);
    drop(asked(&cache, "good"));
    let leaves = spawned(&cache, "good");
    settle().await;
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    judge.let_answer();
    settle().await;
    // It was kept although nobody waited any more.
    assert!(validate(&cache, "good").await.is_ok());
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn other_tokens_do_not_wait_for_one_another() {
    let judge = Judge::slow();
    let cache = cached(&judge);
    let tokens = ["good.alice.sig", "good.bob.sig", "bad.alice.sig"];
    let callers = tokens.map(|token| spawned(&cache, token));
    tokens.iter().for_each(|_| judge.let_answer());
    let mut kinds = Vec::new();
    for caller in callers {
        kinds.push(kind(&caller.await.unwrap()));
    }
    assert_eq!(kinds, [None, None, Some(RejectionKind::Invalid)]);
    assert_eq!(judge.asked(), 3);
}

#[tokio::test]
async fn a_panic_of_the_validator_is_a_fault_for_all_and_kept_for_none() {
    let judge = Judge::slow();
    let cache = cached(&judge);
    let (one, other) = (spawned(&cache, "panic"), spawned(&cache, "panic"));
    judge.let_answer();
    for caller in [one, other] {
        assert_eq!(kind(&caller.await.unwrap()), Some(RejectionKind::Internal));
    }
    judge.say("panic", Ok(Principal::new("alice")));
    judge.let_answer();
    assert!(validate(&cache, "panic").await.is_ok());
}

#[tokio::test]
async fn a_panic_before_the_wait_leaves_nothing_behind() {
    let judge = Judge::default();
    let cache = cached(&judge);
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { validate(&cache, "panic").await }
    });
    assert!(caller.await.unwrap_err().is_panic());
    judge.say("panic", Ok(Principal::new("alice")));
    assert!(validate(&cache, "panic").await.is_ok());
}

#[test]
fn a_runtime_that_is_shut_down_ends_the_wait() {
    let judge = Judge::slow();
    let cache = cached(&judge);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waits = {
        let _entered = runtime.enter();
        asked(&cache, "good")
    };
    drop(runtime);
    assert_eq!(kind(&tokio_test::block_on(waits)), Some(RejectionKind::Internal));
    judge.let_answer();
    assert!(tokio_test::block_on(validate(&cache, "good")).is_ok());
}

#[tokio::test]
async fn a_validator_that_never_answers_is_given_up() {
    let judge = Judge::slow();
    let clock = ManualClock::new();
    let cache = Cached::new(judge.clone()).with_clock(clock.clock()).with_deadline(SECOND);
    let caller = spawned(&cache, "good");
    settle().await;
    clock.advance(SECOND);
    let verdict = caller.await.unwrap();
    assert_eq!(kind(&verdict), Some(RejectionKind::Unavailable));
    let cause = verdict.err().unwrap();
    assert_eq!(cause.description(), "the validator took longer than allowed");
    judge.let_answer();
    assert!(validate(&cache, "good").await.is_ok());
    assert_eq!(judge.asked(), 2);
}

#[tokio::test]
async fn beyond_the_bound_each_waits_for_its_own_and_keeps_it() {
    let judge = Judge::slow();
    let cache = cached(&judge).with_max_validations(1);
    let first = spawned(&cache, "good-1");
    let (second, third) = (spawned(&cache, "good-2"), spawned(&cache, "good-2"));
    settle().await;
    assert_eq!(judge.asked(), 3);
    // A caller of its own that leaves takes its question along.
    third.abort();
    judge.let_answer();
    judge.let_answer();
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert!(validate(&cache, "good-1").await.is_ok());
    assert!(validate(&cache, "good-2").await.is_ok());
    // There is room again.
    let (fourth, fifth) = (spawned(&cache, "good-3"), spawned(&cache, "good-3"));
    judge.let_answer();
    assert!(fourth.await.unwrap().is_ok() && fifth.await.unwrap().is_ok());
    assert_eq!(judge.asked(), 4);
}

/// What is asked before `change` is not the answer to what is asked after it.
async fn nothing_survives(change: impl Fn(&Judge, &Cached<Judge>)) {
    let judge = Judge::slow();
    let cache = cached(&judge);
    let before = spawned(&cache, "good");
    settle().await;
    change(&judge, &cache);
    let after = spawned(&cache, "good");
    settle().await;
    assert_eq!(judge.asked(), 2);
    // The first in line is the one of before.
    judge.let_answer();
    assert!(before.await.unwrap().is_ok());
    judge.say("good", Err(Rejection::revoked()));
    judge.let_answer();
    assert_eq!(kind(&after.await.unwrap()), Some(RejectionKind::Revoked));
    assert_eq!(kind(&validate(&cache, "good").await), Some(RejectionKind::Revoked));
    assert_eq!((judge.asked(), cache.len()), (2, 0));
}

#[tokio::test]
async fn what_was_under_way_when_it_was_cleared_is_not_kept() {
    nothing_survives(|_, cache| cache.clear()).await;
}

#[tokio::test]
async fn what_was_under_way_in_another_generation_is_not_kept() {
    nothing_survives(|judge, cache| {
        judge.new_generation();
        assert!(cache.is_empty());
    })
    .await;
}

/// What the world does to a cache.
#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    /// What the validator says of a token from now on.
    Say(usize, Says),
    Advance(u64),
    /// Sets the wall clock, in seconds from the start.
    SetWall(i64),
    NewGeneration,
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Good,
    GoodUntil(i64),
    Bad,
    Down,
}

/// Two of them differ in what is public alone, two in the signature alone; one is opaque.
const TOKENS: [&str; 4] = ["a.b.sig", "a.c.sig", "a.b.gis", "opaque"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let token = 0..TOKENS.len();
    let says = prop_oneof![
        Just(Says::Good),
        (-50..200_i64).prop_map(Says::GoodUntil),
        Just(Says::Bad),
        Just(Says::Down)
    ];
    let step = prop_oneof![
        6 => token.clone().prop_map(Step::Ask),
        3 => (token, says).prop_map(|(token, says)| Step::Say(token, says)),
        2 => (0..40_u64).prop_map(Step::Advance),
        1 => (-100..200_i64).prop_map(Step::SetWall),
        1 => Just(Step::NewGeneration),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..60)
}

/// The last verdict on a token that a cache may repeat.
#[derive(Clone, Copy)]
struct Last {
    says: Says,
    refused: Option<RejectionKind>,
    at: i64,
}

/// Whether `last` may be repeated at `now`.
fn holds(last: Last, now: i64) -> bool {
    let ttl = if last.refused.is_some() { 10 } else { 60 };
    (last.at..last.at + ttl).contains(&now)
}

/// The kind of the refusal that `says` is at `now`.
fn refusal(says: Says, now: i64) -> Option<RejectionKind> {
    match says {
        Says::GoodUntil(expiry) if now >= expiry => Some(RejectionKind::Expired),
        Says::Good | Says::GoodUntil(_) => None,
        Says::Bad => Some(RejectionKind::Invalid),
        Says::Down => Some(RejectionKind::Unavailable),
    }
}

/// Runs `steps`: each answer is either what the validator says, having been asked, or what it said
/// last and may be repeated.
fn runs(steps: Vec<Step>) {
    let judge = Judge::default();
    let clock = ManualClock::new();
    let start = clock.clock().wall();
    let at = |seconds: i64| match u64::try_from(seconds) {
        Ok(seconds) => start + SECOND * u32::try_from(seconds).unwrap(),
        Err(_) => start - SECOND * u32::try_from(-seconds).unwrap(),
    };
    let cache = Cached::new(judge.clone()).with_clock(clock.clock());
    let mut says = [Says::Bad; TOKENS.len()];
    let mut lasts: HashMap<usize, Last> = HashMap::new();
    let mut now = 0_i64;
    for step in steps {
        match step {
            Step::Say(token, new) => says[token] = new,
            Step::Advance(seconds) => {
                clock.advance(SECOND * u32::try_from(seconds).unwrap());
                now += i64::try_from(seconds).unwrap();
            }
            Step::SetWall(seconds) => {
                clock.set_wall(at(seconds));
                now = seconds;
            }
            Step::NewGeneration => {
                judge.new_generation();
                lasts.clear();
            }
            Step::Clear => {
                cache.clear();
                lasts.clear();
            }
            Step::Ask(token) => {
                let current = says[token];
                let verdict = match (refusal(current, now), current) {
                    (None, Says::GoodUntil(expiry)) => {
                        Ok(Principal::new("alice").with_expiry(at(expiry)))
                    }
                    (None, _) => Ok(Principal::new("alice")),
                    (Some(RejectionKind::Unavailable), _) => Err(Rejection::unavailable(None)),
                    (Some(RejectionKind::Expired), _) => Err(Rejection::expired()),
                    (Some(_), _) => Err(Rejection::unknown()),
                };
                judge.say(TOKENS[token], verdict);
                let before = judge.asked();
                let answer = tokio_test::block_on(validate(&cache, TOKENS[token]));
                let was_asked = judge.asked() > before;
                let last = lasts.get(&token).copied();
                let repeats = last.is_some_and(|last| holds(last, now));
                if was_asked {
                    // Two tokens of one signature, which no validator finds good, take turns.
                    assert!(!repeats || token < 2, "asked for nothing");
                    assert_eq!(kind(&answer), refusal(current, now));
                } else {
                    assert!(repeats, "the verdict was from another time");
                    let last = last.unwrap();
                    assert_eq!(kind(&answer), last.refused.or(refusal(last.says, now)));
                }
                remember(&mut lasts, token, was_asked.then_some(current), &answer, now);
            }
        }
    }
}

/// What the model knows once `token` was judged.
fn remember(
    lasts: &mut HashMap<usize, Last>,
    token: usize,
    asked: Option<Says>,
    answer: &Verdict<()>,
    now: i64,
) {
    match (asked, kind(answer)) {
        (Some(Says::Down), _) => {}
        (Some(says), refused) => drop(lasts.insert(token, Last { says, refused, at: now })),
        // It expired in the cache, which forgets it.
        (None, Some(RejectionKind::Expired)) => {
            lasts.retain(|of, last| *of != token || last.refused.is_some());
        }
        (None, _) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_is_one_that_the_validator_would_not_stand_for(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        runs(steps);
    }
}

#[test]
fn a_future_of_a_cache_is_send_and_shows_nothing() {
    fn is_send<T: Send + 'static>(_: &T) {}
    let judge = Judge::slow();
    let future = asked(&cached(&judge), "good-secret");
    is_send(&future);
    assert_eq!(format!("{future:?}"), "CachedFuture { .. }");
    let _: &dyn Future<Output = Verdict<()>> = &future;
}
