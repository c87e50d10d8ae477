//! The life of a cache: its begin, what may be seen of it, and its end.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

#[path = "support/engine.rs"]
mod engine;

use engine::{Reply, World, ask, at_once, exact, seconds, settle};
use tower_oauth2::{
    AccessToken,
    client::{RefreshPolicy, TokenResponse},
};

fn response(text: &str) -> TokenResponse {
    TokenResponse::new(AccessToken::new(text).unwrap()).with_lifetime(seconds(100))
}

#[tokio::test]
async fn a_token_that_is_stored_serves_those_who_wait_for_the_next_try() {
    let world = World::answering(|_| Reply::broken());
    let cache = world.cache(RefreshPolicy::default());
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ask(&cache))).collect();
    settle().await;
    assert!(waiting.iter().all(|call| !call.is_finished()));
    cache.store(&response("S"));
    for call in waiting {
        assert_eq!(at_once(call).await.unwrap().unwrap().expose(), "S");
    }
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_stored_serves_those_who_wait_for_a_fetch() {
    let world = World::answering(|_| Reply::token("T1", 100).takes(seconds(20)));
    for policy in [exact(), engine::impatient()] {
        let cache = world.cache(policy);
        let waiting = tokio::spawn(ask(&cache));
        settle().await;
        cache.store(&response("S"));
        assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "S");
        world.advance(seconds(20)).await;
        assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "S", "the older one is dropped");
    }
}

#[tokio::test]
async fn a_credential_that_changed_lets_those_who_wait_try_at_once() {
    let world = World::answering(|asked| match asked.number {
        1 => Reply::unavailable("3"),
        _ => Reply::token("T2", 100),
    });
    let cache = world.cache(RefreshPolicy::default());
    let waiting = tokio::spawn(ask(&cache));
    settle().await;
    assert!(!waiting.is_finished());
    cache.credential_changed();
    assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T2");
}
