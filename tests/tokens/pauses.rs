//! Silences that are not the server's fault: a runtime that rests, a process that was stopped, a time
//! in which nobody asked.

use crate::engine::{Reply, World, ask, at_once, call, exact, impatient, millis, seconds, settle};
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};
use tokio::runtime::{Builder, Runtime};
use tower_oauth2::{
    AccessToken, Clock,
    client::{Error, ErrorKind, RefreshPolicy, TokenCache, TokenResponse, TokenSource},
    testing::ManualClock,
};

/// A cache whose fetches take 50 ms of `clock`, and their number.
fn cache(clock: &ManualClock, policy: RefreshPolicy) -> (TokenCache, Arc<AtomicUsize>) {
    let (fetches, timers) = (Arc::new(AtomicUsize::new(0)), clock.clock());
    let count = fetches.clone();
    let fetch = move || {
        let (number, timer) = (count.fetch_add(1, SeqCst) + 1, timers.sleep(millis(50)));
        async move {
            timer.await;
            let token = AccessToken::new(format!("T{number}")).unwrap();
            Ok::<_, Infallible>(TokenResponse::new(token).with_lifetime(seconds(3600)))
        }
    };
    (TokenCache::from_fn(fetch, policy.with_fetch_deadline(millis(500)), clock.clock()), fetches)
}

/// A runtime that rests whenever `block_on` has returned.
fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Begins a call on `runtime`, which then rests.
fn begin_and_rest(runtime: &Runtime, cache: &TokenCache) {
    runtime.block_on(async {
        let call = tokio::spawn(ask(cache));
        settle().await;
        assert!(!call.is_finished());
    });
}

/// Returns the token that a call on `runtime` gets at once.
fn at_hand(runtime: &Runtime, cache: &TokenCache) -> String {
    runtime.block_on(async { at_once(ask(cache)).await }).unwrap().expose().to_owned()
}

/// Makes a call on `runtime`, and lets the time that it needs pass.
fn complete(runtime: &Runtime, clock: &ManualClock, cache: &TokenCache) -> Result<String, Error> {
    runtime.block_on(async {
        let call = tokio::spawn(ask(cache));
        settle().await;
        while !call.is_finished() {
            clock.advance(millis(50));
            settle().await;
        }
        call.await.unwrap().map(|token| token.expose().to_owned())
    })
}

#[test]
fn a_fetch_whose_runtime_rests_is_replaced_after_its_deadline() {
    for patience in [millis(400), millis(0)] {
        let clock = ManualClock::new();
        let (cache, fetches) = cache(&clock, RefreshPolicy::default().with_patience(patience));
        let (first, second) = (runtime(), runtime());
        begin_and_rest(&first, &cache);
        clock.advance(millis(500));
        assert_eq!(complete(&second, &clock, &cache).unwrap(), "T2");
        assert_eq!(fetches.load(SeqCst), 2);
    }
}

#[test]
fn no_caller_waits_longer_than_its_patience_for_a_runtime_that_rests() {
    let clock = ManualClock::new();
    let (cache, _) = cache(&clock, RefreshPolicy::default().with_patience(millis(300)));
    let (first, second) = (runtime(), runtime());
    begin_and_rest(&first, &cache);
    let begun = clock.clock().monotonic();
    let error = complete(&second, &clock, &cache).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert_eq!(clock.clock().monotonic() - begun, millis(300));
}

#[test]
fn a_background_fetch_whose_runtime_rests_costs_no_caller_an_error() {
    let clock = ManualClock::new();
    let (cache, fetches) = cache(&clock, RefreshPolicy::default().without_jitter());
    let (first, second) = (runtime(), runtime());
    assert_eq!(complete(&first, &clock, &cache).unwrap(), "T1");
    clock.advance(seconds(3500));
    // Stale: the token is served, and its renewal rests.
    assert_eq!(at_hand(&first, &cache), "T1");
    clock.advance(seconds(10));
    for _ in 0..2 {
        assert_eq!(at_hand(&second, &cache), "T1");
        clock.advance(millis(250));
    }
    second.block_on(settle());
    clock.advance(millis(50));
    second.block_on(settle());
    // The one that rested was never begun.
    assert_eq!(at_hand(&second, &cache), "T2");
    assert_eq!(fetches.load(SeqCst), 2);
}

#[test]
fn the_late_token_of_a_fetch_that_was_given_up_counts_unless_a_newer_one_came() {
    let clock = ManualClock::new();
    let (cache, fetches) = cache(&clock, RefreshPolicy::default());
    let (first, second) = (runtime(), runtime());
    begin_and_rest(&first, &cache);
    clock.advance(millis(500));
    second.block_on(async {
        let call = tokio::spawn(ask(&cache));
        settle().await;
        clock.advance(millis(250));
        settle().await;
        assert!(!call.is_finished(), "the second fetch has not ended");
    });
    assert_eq!(fetches.load(SeqCst), 2);
    first.block_on(settle());
    assert_eq!(at_hand(&first, &cache), "T1");
    clock.advance(millis(50));
    second.block_on(settle());
    assert_eq!(at_hand(&second, &cache), "T2");
    assert_eq!(fetches.load(SeqCst), 2);

    a_newer_token_stays(&clock, &cache, &first, &second);
}

/// The same in the other order.
fn a_newer_token_stays(clock: &ManualClock, cache: &TokenCache, first: &Runtime, second: &Runtime) {
    clock.advance(seconds(10));
    assert!(cache.reject(&AccessToken::new("T2").unwrap()));
    begin_and_rest(first, cache);
    clock.advance(seconds(1));
    assert_eq!(complete(second, clock, cache).unwrap(), "T4");
    first.block_on(settle());
    assert_eq!(at_hand(first, cache), "T4");
}

#[test]
fn a_fetch_that_was_given_up_before_it_began_asks_for_nothing() {
    let clock = ManualClock::new();
    let (cache, fetches) = cache(&clock, RefreshPolicy::default());
    let (first, second) = (runtime(), runtime());
    // Its task has not run yet.
    first.block_on(async {
        let mut call = pin!(ask(&cache));
        let is_pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
    });
    clock.advance(millis(500));
    assert_eq!(complete(&second, &clock, &cache).unwrap(), "T1");
    first.block_on(settle());
    assert_eq!(fetches.load(SeqCst), 1);
}

/// A session whose first renewal is in flight on a runtime that rests, and whose second has just
/// begun on another. The server takes each refresh token once, and for each answer 50 ms.
fn renewing_twice(world: &World, first: &Runtime, second: &Runtime) -> TokenCache {
    let mut newest = 1;
    world.answer(move |asked| {
        if asked.form.contains(&format!("refresh_token=R{newest}")) {
            newest += 1;
            Reply::rotated(&format!("T{newest}"), &format!("R{newest}"), 60).takes(millis(50))
        } else {
            Reply::refusal(400, "invalid_grant").takes(millis(50))
        }
    });
    let (clock, policy) = (world.clock.clock(), exact().with_fetch_deadline(millis(500)));
    let cache = TokenCache::from_refresh_token(world.endpoint(), "R1", policy, clock);
    begin_and_rest(first, &cache);
    world.clock.advance(millis(500));
    second.block_on(async {
        drop(tokio::spawn(ask(&cache)));
        settle().await;
        world.advance(millis(250)).await;
    });
    assert_eq!(world.requests().len(), 2);
    cache
}

#[test]
fn a_session_goes_on_if_a_refresh_token_is_refused_that_was_replaced_meanwhile() {
    let (world, first, second) = (World::new(), runtime(), runtime());
    let cache = renewing_twice(&world, &first, &second);
    first.block_on(settle());
    second.block_on(world.advance(millis(50)));
    assert_eq!(at_hand(&second, &cache), "T2");
    world.clock.advance(seconds(60));
    assert_eq!(complete(&second, &world.clock, &cache).unwrap(), "T3");
}

#[test]
fn a_late_answer_brings_a_session_back_even_if_its_token_has_expired() {
    let (world, first, second) = (World::new(), runtime(), runtime());
    let cache = renewing_twice(&world, &first, &second);
    second.block_on(world.advance(millis(50)));
    let error = complete(&second, &world.clock, &cache).unwrap_err();
    assert!(error.is_sign_in_needed(), "{error}");
    world.clock.advance(seconds(60));
    first.block_on(settle());
    world.clock.advance(seconds(1));
    assert_eq!(complete(&second, &world.clock, &cache).unwrap(), "T3");
}

#[tokio::test]
async fn an_answer_that_comes_at_the_deadline_of_a_renewal_is_taken() {
    let world = World::answering(|_| Reply::rotated("T1", "R2", 3600).takes(seconds(30)));
    let policy = RefreshPolicy::default().with_fetch_deadline(seconds(30));
    let cache = renewing(&world, policy).await;
    world.advance(seconds(26)).await;
    let waiting = tokio::spawn(ask(&cache));
    world.advance(seconds(4)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T1");
    assert_eq!(world.requests().len(), 1);
}

/// A session whose renewal is in flight, and the refresh tokens that its server saw.
async fn renewing(world: &World, policy: RefreshPolicy) -> TokenCache {
    let cache = world.session(policy);
    world.advance(seconds(50)).await;
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T0");
    settle().await;
    assert_eq!(world.requests().len(), 1, "no renewal is in flight");
    cache
}

#[tokio::test]
async fn a_renewal_in_flight_survives_a_stop_of_the_process() {
    for stop in [seconds(5), seconds(31), seconds(86_400)] {
        let world = World::answering(|_| Reply::rotated("T1", "R2", 172_800).takes(seconds(2)));
        let cache = renewing(&world, RefreshPolicy::default()).await;
        world.advance(seconds(1)).await;
        // Answer and deadline are both due when it goes on.
        world.clock.stop_for(stop);
        settle().await;
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1", "after {stop:?}");
        assert_eq!(world.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_renewal_whose_answer_comes_after_the_stop_keeps_the_rest_of_its_time() {
    let world = World::answering(|_| Reply::rotated("T1", "R2", 3600).takes(seconds(600)));
    let policy = RefreshPolicy::default().with_fetch_deadline(seconds(30));
    let cache = renewing(&world, policy).await;
    world.advance(seconds(1)).await;
    world.clock.stop_for(seconds(580));
    settle().await;
    // A caller that sees the deadline passed waits for the renewal, which runs.
    let waiting = tokio::spawn(ask(&cache));
    world.advance(seconds(1)).await;
    for _ in 0..18 {
        assert_eq!(world.requests().len(), 1);
        world.advance(seconds(1)).await;
    }
    drop(waiting);
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
}

/// The system's clock does not know of stops: it sees timers that fire late.
#[tokio::test(start_paused = true)]
async fn a_stop_of_the_process_is_noticed_by_the_clock_of_the_system() {
    let fetch = || async {
        tokio::time::sleep(seconds(2)).await;
        let token = AccessToken::new("T1").unwrap();
        Ok::<_, Infallible>(TokenResponse::new(token).with_lifetime(seconds(3600)))
    };
    let policy = RefreshPolicy::default().with_patience(seconds(5));
    let cache = TokenCache::from_fn(fetch, policy, Clock::system());
    let call = tokio::spawn(ask(&cache));
    settle().await;
    tokio::time::advance(seconds(300)).await;
    assert_eq!(call.await.unwrap().unwrap().expose(), "T1");
}

#[tokio::test]
async fn two_failures_long_after_each_other_are_no_long_outage() {
    let world = World::answering(|_| Reply::broken());
    let client = world.client(exact());
    for _ in 0..5 {
        let failed = tokio::spawn(call(&client));
        world.advance(seconds(6)).await;
        assert!(failed.await.unwrap().is_err());
        world.advance(seconds(600)).await;
    }
    world.answer(|_| Reply::token("T", 3600));
    assert_eq!(at_once(call(&client)).await.unwrap(), "T");
}

#[tokio::test]
async fn a_failure_after_a_long_rest_is_tried_again_within_a_second() {
    let world = World::answering(|asked| match asked.number {
        1 | 2 => Reply::broken(),
        _ => Reply::token("T", 3600),
    });
    let client = world.client(impatient());
    assert!(call(&client).await.is_err());
    world.advance(seconds(600)).await;
    assert!(call(&client).await.is_err());
    world.advance(seconds(1)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T");
}

#[tokio::test]
async fn a_stop_during_an_attempt_makes_no_outage_old() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::broken().takes(seconds(1)),
        _ => Reply::token("T", 3600),
    });
    let client = world.client(exact());
    let stopped = tokio::spawn(call(&client));
    settle().await;
    world.clock.stop_for(seconds(3600));
    settle().await;
    world.advance(seconds(1)).await;
    assert_eq!(at_once(stopped).await.unwrap().unwrap(), "T");
}
