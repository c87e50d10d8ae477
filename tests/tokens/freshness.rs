//! How long a token is used, and when it is renewed.

use crate::engine::{
    Reply, World, ask, at_once, call, exact, impatient, millis, numbered, seconds, settle,
};
use std::{collections::HashSet, time::Duration};
use tower_oauth2::{
    AccessToken,
    client::{ErrorKind, RefreshPolicy, TokenCache, TokenResponse},
};

// case: exp-02
#[tokio::test]
async fn a_margin_is_at_most_half_of_the_lifetime() {
    let world = World::answering(numbered(20, seconds(1)));
    let policy = RefreshPolicy::default().without_jitter().with_safety_margin(seconds(30));
    let client = world.client(policy);
    let first = tokio::spawn(call(&client));
    world.advance(seconds(1)).await;
    assert_eq!(first.await.unwrap().unwrap(), "T1");
    for tenth in 11..100 {
        world.advance_to(millis(tenth * 100)).await;
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    }
    assert_eq!(world.requests(), [Duration::ZERO]);
    world.answer(numbered(20, Duration::ZERO));
    world.advance_to(seconds(10)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
}

// case: exp-03
#[tokio::test]
async fn a_refresh_starts_one_lead_before_the_expiry() {
    for (lifetime, lead) in [(3600, 1200), (600, 300), (2, 1)] {
        let world = World::answering(numbered(lifetime, Duration::ZERO));
        let client = world.client(exact().with_lead(0.5, seconds(20 * 60)));
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
        let due = seconds(lifetime - lead);
        world.advance_to(due - millis(1)).await;
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
        settle().await;
        assert_eq!(world.requests().len(), 1, "{lifetime} s: it was renewed too early");
        world.advance_to(due).await;
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
        settle().await;
        assert_eq!(world.requests(), [Duration::ZERO, due]);
        assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
    }
}

/// When a client that is asked every second renewed its token, the first three times.
async fn renewals(policy: RefreshPolicy) -> [u64; 3] {
    let world = World::answering(numbered(200, Duration::ZERO));
    let client = world.client(policy);
    while world.requests().len() < 4 {
        at_once(call(&client)).await.unwrap();
        world.advance(seconds(1)).await;
    }
    let starts: Vec<_> = world.requests().iter().map(Duration::as_secs).collect();
    [starts[1] - starts[0], starts[2] - starts[1], starts[3] - starts[2]]
}

// case: exp-05
#[tokio::test]
async fn jitter_is_early_bounded_and_an_instances_own() {
    let wide = RefreshPolicy::default().with_lead(0.5, seconds(3600));
    for (policy, plain) in [(RefreshPolicy::default(), 160), (wide, 100)] {
        assert_eq!(renewals(policy.clone().without_jitter()).await, [plain; 3]);
        let mut seen = HashSet::new();
        for _ in 0..12 {
            let renewals = renewals(policy.clone()).await;
            assert_eq!(renewals, [renewals[0]; 3], "it is not stable");
            assert!((plain / 2..=plain).contains(&renewals[0]), "{renewals:?}");
            seen.insert(renewals[0]);
        }
        assert!(seen.len() > 1, "all instances renew at once");
    }
}

// case: exp-06
#[tokio::test]
async fn an_expired_token_is_never_sent() {
    for patience in [Duration::ZERO, seconds(5)] {
        let world = World::answering(numbered(60, Duration::ZERO));
        let client = world.client(exact().with_patience(patience));
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
        world.answer(|_| Reply::broken());
        world.advance_to(seconds(60) - millis(1)).await;
        assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
        world.advance_to(seconds(60)).await;
        let late = tokio::spawn(call(&client));
        world.advance(patience).await;
        assert_eq!(at_once(late).await.unwrap().unwrap_err().kind(), ErrorKind::Transport);
        assert_eq!(world.sent(), ["T1", "T1"]);
    }
}

// case: exp-09
#[tokio::test]
async fn the_monotonic_clock_alone_ends_a_token() {
    let world = World::answering(numbered(60, Duration::ZERO));
    let layer = world.layer(impatient());
    let client = world.client_of(&layer);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    world.clock.set_wall(world.clock.clock().wall() - seconds(3600));
    world.advance_to(seconds(60) - millis(1)).await;
    assert!(layer.cache().status().is_usable());
    world.advance_to(seconds(60)).await;
    assert!(!layer.cache().status().is_usable());
    assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
    assert_eq!(world.sent(), ["T1", "T2"]);
}

// case: exp-09
#[tokio::test]
async fn the_wall_clock_alone_ends_a_token() {
    let world = World::answering(numbered(60, Duration::ZERO));
    let client = world.client(impatient());
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    world.clock.set_wall(world.clock.clock().wall() + seconds(3600));
    // The wall clock is looked at once a second.
    world.advance(seconds(1)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
}

// case: exp-10
#[tokio::test]
async fn a_lifetime_counts_from_when_the_request_was_sent() {
    let world = World::answering(numbered(60, seconds(20)));
    let policy = exact().with_patience(seconds(30)).with_fetch_deadline(seconds(30));
    let layer = world.layer(policy);
    let client = world.client_of(&layer);
    let first = tokio::spawn(call(&client));
    world.advance(seconds(20)).await;
    assert_eq!(at_once(first).await.unwrap().unwrap(), "T1");
    assert_eq!(layer.cache().status().expires_in(), Some(seconds(40)));
    world.advance(seconds(40) - millis(1)).await;
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    world.advance(millis(1)).await;
    assert!(!layer.cache().status().is_usable());
    let second = tokio::spawn(call(&client));
    world.advance(seconds(20)).await;
    assert_eq!(second.await.unwrap().unwrap(), "T2");
    assert_eq!(world.sent(), ["T1", "T1", "T2"]);
}

#[tokio::test]
async fn a_machine_that_slept_while_it_waited_for_the_answer_counts_the_sleep() {
    let world = World::answering(numbered(60, seconds(2)));
    let client = world.client(exact().with_patience(seconds(30)));
    let call = tokio::spawn(call(&client));
    world.advance(seconds(1)).await;
    // Asleep: the wall clock goes on alone.
    world.clock.set_wall(world.clock.clock().wall() + seconds(3600));
    world.advance(seconds(1)).await;
    world.advance(seconds(1)).await;
    world.advance(seconds(2)).await;
    assert_eq!(at_once(call).await.unwrap().unwrap(), "T2");
    assert_eq!(world.sent(), ["T2"]);
}

#[tokio::test]
async fn a_sign_in_that_tells_no_lifetime_is_renewed_where_it_can_be() {
    let world = World::new();
    let policy = exact().with_default_lifetime(seconds(100));
    let once = TokenResponse::new(AccessToken::new("T0").unwrap());
    for (response, later) in [(once.clone(), "T0"), (once.with_refresh_token("R0"), "T1")] {
        let clock = world.clock.clock();
        let cache = TokenCache::from_sign_in(world.endpoint(), &response, policy.clone(), clock);
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T0");
        world.advance(seconds(100)).await;
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), later);
    }
}
