//! What callers get while no token can be fetched, and how often the server is asked meanwhile.

use crate::engine::{
    Asked, Client, Reply, World, ask, at_hand, at_once, call, exact, impatient, millis, seconds,
    settle,
};
use http::StatusCode;
use std::{
    future::{Future, ready},
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};
use tokio::task::JoinHandle;
use tower_oauth2::{
    AccessToken,
    client::{Error, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenResponse, TokenType},
};

/// A client with the token `T1`, which is good until 100 s and stale from 80 s on, then `script`.
async fn with_a_token(
    policy: RefreshPolicy,
    script: impl FnMut(&Asked) -> Reply + Send + 'static,
) -> (World, Client) {
    let world = World::answering(|_| Reply::token("T1", 100));
    let client = world.client(policy);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    world.answer(script);
    (world, client)
}

/// The pauses between the requests from the `first` on, which is counted from 0.
fn gaps(world: &World, first: usize) -> Vec<Duration> {
    world.requests()[first..].windows(2).map(|pair| pair[1] - pair[0]).collect()
}

// case: fail-02
#[tokio::test]
async fn after_an_outage_the_next_try_that_is_allowed_succeeds() {
    let (world, client) = with_a_token(impatient(), |_| Reply::broken()).await;
    world.advance_to(seconds(100)).await;
    let mut error = at_once(call(&client)).await.unwrap_err();
    while world.now() < seconds(200) {
        world.advance(seconds(1)).await;
        error = at_once(call(&client)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
    }
    world.answer(|_| Reply::token("T2", 3600));
    let asked = world.requests().len();
    let next_try = error.retry_after().unwrap();
    world.advance(next_try - millis(1)).await;
    assert!(at_once(call(&client)).await.is_err());
    assert_eq!(world.requests().len(), asked);
    world.advance(millis(1)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
    assert_eq!(world.sent(), ["T1", "T2"]);
}

// case: fail-04
#[tokio::test]
async fn without_a_token_the_resource_is_not_called() {
    let answers: [(fn() -> Reply, ErrorKind); 4] = [
        (Reply::broken, ErrorKind::Transport),
        (|| Reply::refusal(503, "temporarily_unavailable"), ErrorKind::Refused),
        (|| Reply::refusal(400, "invalid_scope"), ErrorKind::Refused),
        (|| Reply::token("no token", 60), ErrorKind::InvalidResponse),
    ];
    for (answer, kind) in answers {
        let world = World::answering(move |_| answer());
        let error = at_once(call(&world.client(impatient()))).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(world.sent().is_empty());
    }
}

// case: fail-04
#[tokio::test]
async fn a_call_without_a_token_passes_where_that_was_asked_for() {
    let world = World::answering(|_| Reply::refusal(503, "temporarily_unavailable"));
    for patience in [Duration::ZERO, seconds(5)] {
        let layer = world.layer(exact().with_patience(patience)).allow_missing_token();
        let client = world.client_of(&layer);
        // One that waits for the fetch, and one that fails at once.
        let waiting = tokio::spawn(call(&client));
        world.advance(patience).await;
        assert_eq!(at_once(waiting).await.unwrap().unwrap(), "");
    }
    let layer = world.layer(impatient()).allow_missing_token();
    let client = world.client_of(&layer);
    assert_eq!(at_once(call(&client)).await.unwrap(), "");
    assert!(at_hand(layer.cache()).unwrap().is_err());
    assert_eq!(at_once(call(&client)).await.unwrap(), "");
    assert_eq!(world.sent(), [""; 4]);
}

// case: fail-05
#[tokio::test]
async fn those_who_wait_get_the_error_of_their_own_attempt() {
    let refusals: [(RefreshPolicy, fn() -> Reply); 2] = [
        (impatient(), || Reply::refusal(503, "temporarily_unavailable")),
        (exact(), || Reply::refusal(400, "invalid_client")),
    ];
    for (policy, refusal) in refusals {
        let world = World::answering(move |asked| match asked.number {
            1 => refusal().takes(seconds(2)),
            _ => Reply::token("T2", 3600),
        });
        let cache = world.cache(policy);
        let mut waiting: Vec<Pin<Box<_>>> = (0..10).map(|_| Box::pin(ask(&cache))).collect();
        for call in &mut waiting {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        world.advance(seconds(2)).await;
        let slow = waiting.split_off(5);
        let mut errors = Vec::new();
        for call in waiting {
            errors.push(at_once(call).await.unwrap_err());
        }
        // Half of them are so slow that another call has a token by now, or a try is due.
        world.advance(seconds(1)).await;
        assert_eq!(world.requests().len(), 1);
        let mut slow = slow.into_iter();
        errors.push(at_once(slow.next().unwrap()).await.unwrap_err());
        assert_eq!(world.requests().len(), 1);
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T2");
        for call in slow {
            errors.push(at_once(call).await.unwrap_err());
        }
        assert_eq!(errors.len(), 10);
        assert!(errors.iter().all(|error| error.is_same(&errors[0])));
        assert_eq!(errors[0].kind(), ErrorKind::Refused);
        assert_eq!(world.requests().len(), 2);
    }
}

// case: fail-05
#[tokio::test]
async fn those_with_patience_get_the_token_of_the_next_try() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::refusal(503, "temporarily_unavailable").takes(seconds(2)),
        _ => Reply::token("T2", 3600),
    });
    let cache = world.cache(RefreshPolicy::default());
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ask(&cache))).collect();
    world.advance(seconds(2)).await;
    assert!(waiting.iter().all(|call| !call.is_finished()));
    world.advance(seconds(1)).await;
    for call in waiting {
        assert_eq!(at_once(call).await.unwrap().unwrap().expose(), "T2");
    }
    assert_eq!(world.requests().len(), 2);
}

// case: fail-06
#[tokio::test]
async fn an_answer_that_is_no_better_than_the_old_token_is_a_failure() {
    let replies: [(fn() -> Reply, u64); 4] = [
        (|| Reply::token("T2", 0), 0),
        (|| Reply::token("T2", 3).takes(seconds(5)), 5),
        (|| Reply::token("T2", 5).takes(seconds(5)), 5),
        // It comes within its safety margin, so that it could not be sent.
        (|| Reply::token("T2", 8).takes(seconds(5)), 5),
    ];
    for (reply, takes) in replies {
        let policy = exact().with_safety_margin(seconds(10)).with_min_interval(Duration::ZERO);
        let (world, client) = with_a_token(policy, move |_| reply()).await;
        world.advance_to(seconds(80)).await;
        while world.now() < seconds(90) {
            assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
            world.advance(millis(10)).await;
        }
        let gaps = gaps(&world, 1);
        assert!(!gaps.is_empty(), "it was not tried again");
        let back_off = seconds(takes) + millis(500)..=seconds(takes) + millis(2010);
        assert!(gaps.iter().all(|gap| back_off.contains(gap)), "{gaps:?}");
        assert!(world.sent().iter().all(|token| token == "T1"));
    }
}

// case: back-01
#[tokio::test]
async fn a_refused_client_asks_seldom_and_fails_at_once() {
    // The negative cache does not lean on the minimum interval.
    for min_interval in [Duration::ZERO, seconds(1)] {
        let world = World::answering(|_| Reply::refusal(401, "invalid_client"));
        let cache = world.cache(RefreshPolicy::default().with_min_interval(min_interval));
        for _ in 0..10_000 {
            let asked = world.requests().len();
            let error = match at_hand(&cache) {
                Some(answer) => answer.unwrap_err(),
                None => {
                    let error = at_once(ask(&cache)).await.unwrap_err();
                    assert_eq!(world.requests().len(), asked + 1, "it waited for no request");
                    error
                }
            };
            assert_eq!(error.code(), Some("invalid_client"));
            assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
            world.clock.advance(millis(1));
        }
        let asked = world.requests().len();
        assert!((2..=11).contains(&asked), "{asked}");
        assert!(gaps(&world, 0).iter().all(|gap| *gap >= seconds(1)));
    }
}

#[tokio::test]
async fn an_answer_that_can_never_do_is_asked_for_seldom_and_nobody_waits_for_another() {
    let exchange = || Grant::token_exchange("S", &TokenType::JWT);
    for (grant, answer) in [
        (exchange(), r#"{"access_token":"T","token_type":"N_A","issued_token_type":"urn:x"}"#),
        (exchange(), r#"{"access_token":"T","token_type":"Bearer"}"#),
        (Grant::client_credentials(), r#"{"access_token":"T","token_type":"DPoP"}"#),
    ] {
        let world = World::answering(move |_| Reply::json(answer));
        let clock = world.clock.clock();
        let policy = RefreshPolicy::default();
        let cache = TokenCache::new_with_clock(world.endpoint(), grant, policy, clock);
        for _ in 0..2 {
            let error = at_once(ask(&cache)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            assert!(!error.is_transient() && error.retry_after().is_some(), "{error}");
        }
        assert_eq!(world.requests().len(), 1);
        // Each time it issues a token that nobody uses.
        for _ in 0..600 {
            world.advance(seconds(1)).await;
            assert!(at_once(ask(&cache)).await.is_err());
        }
        let asked = world.requests().len();
        assert!((5..=26).contains(&asked), "{asked}");
        assert_eq!(gaps(&world, asked - 2), [seconds(30)]);
    }
}

#[tokio::test]
async fn a_refusal_costs_seconds_and_never_more() {
    let world = World::answering(|_| Reply::refusal(401, "invalid_client"));
    let client = world.client(RefreshPolicy::default());
    call_until(&world, &client, seconds(120)).await;
    assert!(gaps(&world, 0).iter().all(|gap| *gap <= seconds(10)), "{:?}", gaps(&world, 0));
    world.answer(|_| Reply::token("T", 3600));
    call_until(&world, &client, seconds(131)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T");
}

#[tokio::test]
async fn a_changed_credential_may_try_at_once() {
    let world = World::answering(|_| Reply::refusal(401, "invalid_client"));
    let cache = world.cache(RefreshPolicy::default());
    assert_eq!(at_once(ask(&cache)).await.unwrap_err().code(), Some("invalid_client"));
    assert!(at_hand(&cache).unwrap().is_err());
    world.answer(|_| Reply::token("T2", 3600));
    cache.credential_changed();
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T2");
    assert_eq!(world.requests(), [Duration::ZERO; 2]);
}

#[tokio::test]
async fn what_the_old_credential_gets_does_not_count_against_the_new_one() {
    let world = World::answering(|_| Reply::refusal(401, "invalid_client").takes(seconds(1)));
    let cache = world.cache(RefreshPolicy::default());
    let early = tokio::spawn(ask(&cache));
    settle().await;
    cache.credential_changed();
    world.answer(|_| Reply::token("T2", 3600));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(early).await.unwrap().unwrap_err().code(), Some("invalid_client"));
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T2");
}

#[tokio::test]
async fn a_session_survives_a_client_that_is_refused_and_not_a_dead_refresh_token() {
    for (code, sign_in_needed) in [("invalid_client", false), ("invalid_grant", true)] {
        let world = World::answering(move |_| Reply::refusal(400, code));
        let response = TokenResponse::new(AccessToken::new("T0").unwrap())
            .with_lifetime(seconds(100))
            .with_refresh_token("R0");
        let clock = world.clock.clock();
        let cache = TokenCache::from_sign_in(world.endpoint(), &response, exact(), clock);
        world.advance(seconds(100)).await;
        let error = at_once(ask(&cache)).await.unwrap_err();
        assert_eq!(error.is_sign_in_needed(), sign_in_needed);
        world.answer(|_| Reply::token("T2", 3600));
        world.advance(seconds(10)).await;
        let later = at_once(ask(&cache)).await;
        assert_eq!(later.is_err(), sign_in_needed);
        assert_eq!(world.requests().len(), if sign_in_needed { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_changed_credential_is_no_way_around_the_minimum_interval() {
    let world = World::answering(|_| Reply::refusal(401, "invalid_client"));
    let cache = world.cache(RefreshPolicy::default().with_patience(Duration::ZERO));
    for _ in 0..1000 {
        cache.credential_changed();
        assert!(at_once(ask(&cache)).await.is_err());
        world.clock.advance(millis(10));
    }
    let requests = world.requests();
    let in_any_second = requests.windows(3).all(|three| three[2] - three[0] >= seconds(1));
    assert!(in_any_second, "{requests:?}");
}

// case: back-03
#[tokio::test]
async fn a_date_that_is_past_is_no_pause() {
    for past in ["Wed, 31 Dec 2025 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let world = World::answering(move |_| Reply::unavailable(past));
        let client = world.client(impatient().with_min_interval(Duration::ZERO));
        let error = at_once(call(&client)).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
        let next_try = error.retry_after().unwrap();
        assert!((millis(500)..=seconds(1)).contains(&next_try), "{next_try:?}");
        world.answer(|_| Reply::token("T2", 3600));
        world.advance(next_try).await;
        assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
    }
}

// case: back-04
#[tokio::test]
async fn a_back_off_beyond_the_patience_is_not_slept_through() {
    for (patience, wait) in [(seconds(5), 30), (Duration::ZERO, 1)] {
        let world = World::answering(move |_| Reply::unavailable(&wait.to_string()));
        let cache = world.cache(RefreshPolicy::default().with_patience(patience));
        // The call that asked, and one that comes while the back-off is on.
        let first = at_once(ask(&cache)).await.unwrap_err();
        assert_eq!(first.retry_after(), Some(seconds(wait)));
        world.advance(millis(300)).await;
        let second = at_hand(&cache).unwrap().unwrap_err();
        assert_eq!(second.retry_after(), Some(seconds(wait) - millis(300)));
        assert!(second.is_same(&first));
        assert_eq!(world.requests().len(), 1);
    }
}

// case: back-05
#[tokio::test]
async fn the_end_of_a_cool_down_lets_one_trial_through() {
    let refusals: [fn() -> Reply; 2] =
        [|| Reply::refusal(400, "unauthorized_client"), || Reply::unavailable("1")];
    for refusal in refusals {
        let world = World::answering(move |asked| match asked.number {
            1 => refusal(),
            2 => refusal().takes(seconds(1)),
            _ => Reply::token("T3", 3600).takes(seconds(1)),
        });
        let cache = world.cache(RefreshPolicy::default().with_patience(Duration::ZERO));
        assert!(at_once(ask(&cache)).await.is_err());
        for (trial, brings_a_token) in [(2, false), (3, true)] {
            let next_try = at_hand(&cache).unwrap().unwrap_err().retry_after().unwrap();
            world.advance(next_try).await;
            let callers: Vec<_> = (0..20).map(|_| tokio::spawn(ask(&cache))).collect();
            settle().await;
            assert_eq!(world.requests().len(), trial);
            world.advance(seconds(1)).await;
            for caller in callers {
                assert_eq!(at_once(caller).await.unwrap().is_ok(), brings_a_token);
            }
            assert_eq!(world.requests().len(), trial);
        }
    }
}

/// Calls every 100 ms until `end`, whether or not there is a token, with the default patience.
async fn call_until(world: &World, client: &Client, end: Duration) {
    while world.now() < end {
        drop(tokio::spawn(call(client)));
        world.advance(millis(100)).await;
    }
}

// case: back-08
#[tokio::test]
async fn refreshes_and_callers_share_one_window() {
    let (world, client) = with_a_token(exact(), |_| Reply::unavailable("7")).await;
    call_until(&world, &client, seconds(180)).await;
    let gaps = gaps(&world, 1);
    assert!(gaps.iter().all(|gap| *gap >= seconds(7)), "{gaps:?}");
    assert_background_and_callers(&world);
}

// case: back-08
#[tokio::test]
async fn the_window_goes_on_growing_when_the_token_is_gone() {
    let (world, client) = with_a_token(exact(), |_| Reply::broken()).await;
    call_until(&world, &client, seconds(180)).await;
    let requests = world.requests();
    let mut pauses =
        requests[1..].windows(2).map(|pair| (pair[0] - requests[1], pair[1] - pair[0]));
    assert!(pauses.all(|(age, pause)| pause >= (age / 10).max(seconds(1))), "{requests:?}");
    assert_background_and_callers(&world);
}

/// Some of the requests came while T1 was good, and some when callers waited.
fn assert_background_and_callers(world: &World) {
    let expiry = seconds(100);
    let requests = world.requests();
    assert!(requests[1] >= seconds(80), "{requests:?}");
    assert!(requests[2..].iter().filter(|at| **at < expiry).count() > 0, "{requests:?}");
    assert!(requests.iter().filter(|at| **at > expiry).count() > 2, "{requests:?}");
}

// case: back-10
#[tokio::test]
async fn tries_get_rarer_with_the_age_of_the_outage() {
    let world = World::answering(|_| Reply::broken());
    let client = world.client(RefreshPolicy::default());
    let mut calls: Vec<JoinHandle<Result<String, Error>>> = Vec::new();
    while world.now() < seconds(100) {
        calls.push(tokio::spawn(call(&client)));
        world.advance(millis(10)).await;
    }
    let requests = world.requests();
    assert!(requests.len() <= 60, "{}", requests.len());
    for pair in requests.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((millis(100)..=seconds(30)).contains(&gap), "{gap:?}");
        if pair[0] >= seconds(5) {
            // The age of the outage, at the begin of the gap and at its end.
            for age in [pair[0], pair[1]] {
                assert!((age / 10..=age / 4).contains(&gap), "{gap:?} at {age:?}");
            }
        }
    }
    // A call fails when its patience ends, or at once where that ends before the next try.
    let unanswered = calls.iter().filter(|call| !call.is_finished()).count();
    assert!(unanswered <= 500, "{unanswered}");
    assert!(world.sent().is_empty());

    world.answer(|_| Reply::token("T", 3600));
    while world.requests().len() == requests.len() {
        drop(tokio::spawn(call(&client)));
        world.advance(millis(10)).await;
    }
    let back = world.requests()[requests.len()];
    assert!(back - seconds(100) <= seconds(25), "{back:?}");
    assert_eq!(at_once(call(&client)).await.unwrap(), "T");
}

#[tokio::test]
async fn a_patience_or_an_interval_without_end_does_not_end_at_once() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::token("T1", 0),
        _ => Reply::token("T2", 3600).takes(seconds(3)),
    });
    let cache = world.cache(exact().with_patience(Duration::MAX));
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    let patient = tokio::spawn(ask(&cache));
    world.advance(seconds(1)).await;
    world.advance(seconds(3)).await;
    assert_eq!(at_once(patient).await.unwrap().unwrap().expose(), "T2");

    let world = World::answering(|_| Reply::token("T1", 0));
    let cache = world.cache(impatient().with_min_interval(Duration::MAX));
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    world.advance(seconds(3600)).await;
    assert!(at_hand(&cache).unwrap().is_err());
}

#[tokio::test]
async fn a_default_lifetime_without_end_is_a_long_one() {
    let world = World::new();
    let policy = exact().with_lead(1.0, Duration::MAX).with_default_lifetime(Duration::MAX);
    let fetch = || ready(AccessToken::new("T1").map(TokenResponse::new));
    let cache = TokenCache::from_fn(fetch, policy, world.clock.clock());
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    world.advance(seconds(400 * 24 * 3600)).await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T1");
}
