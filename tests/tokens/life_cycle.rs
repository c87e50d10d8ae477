//! The life of a cache: its begin, what may be seen of it, and its end.

use crate::engine::{
    self, API, Body, Reply, World, ask, at_hand, at_once, call, exact, impatient, seconds, settle,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
};
use tokio::runtime::Handle;
use tower::service_fn;
use tower_oauth2::{
    AccessToken, ClientAuthentication, Transport,
    client::{
        ClientCredentialsRefresh, Error, ErrorKind, RefreshPolicy, TokenCache, TokenResponse,
        TokenRevocation, TokenSource, TokenState,
    },
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
    for policy in [exact(), impatient()] {
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

#[tokio::test]
async fn a_warm_up_fetches_where_there_is_no_token_and_nothing_else() {
    let world = World::answering(engine::numbered(100, seconds(1)));
    let cache = world.cache(exact());
    let warming = tokio::spawn({
        let cache = cache.clone();
        async move { cache.warm_up().await }
    });
    world.advance(seconds(1)).await;
    at_once(warming).await.unwrap().unwrap();
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T1");
    at_once(cache.warm_up()).await.unwrap();
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_warm_up_that_fails_says_why_and_spoils_nothing() {
    let world = World::answering(|_| Reply::refusal(401, "invalid_client"));
    let layer = world.layer(impatient());
    let error = at_once(layer.cache().warm_up()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")));
    world.answer(|_| Reply::token("T2", 100));
    world.advance(error.retry_after().unwrap()).await;
    assert_eq!(at_once(call(&world.client_of(&layer))).await.unwrap(), "T2");
}

#[tokio::test]
async fn a_warm_up_that_is_dropped_goes_on() {
    let world = World::answering(engine::numbered(100, seconds(1)));
    let cache = world.cache(exact());
    tokio::select! {
        biased;
        _ = cache.warm_up() => panic!("it is too early"),
        () = settle() => {}
    }
    world.advance(seconds(1)).await;
    assert_eq!(at_hand(&cache).unwrap().unwrap().expose(), "T1");
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_cache_that_was_taken_before_a_setter_is_the_cache_of_the_layer() {
    let world = World::answering(|asked| {
        let all = ["grant_type=client_credentials", "scope=read", "audience=api", "tenant=7"];
        assert!(all.iter().all(|param| asked.form.contains(param)), "{}", asked.form);
        Reply::token(&format!("T{}", asked.number), 100)
    });
    let layer = ClientCredentialsRefresh::new(world.endpoint(), API).unwrap();
    let cache = layer.cache().clone();
    let seen = cache.status();
    let changes = tokio::spawn({
        let cache = cache.clone();
        async move { cache.changed(&seen).await.is_fetching() }
    });
    let layer = layer
        .with_scopes("read".parse().unwrap())
        .with_audience("api")
        .with_param("tenant", "7")
        .unwrap()
        .with_step_up("write".parse().unwrap())
        .with_clock(world.clock.clock())
        .with_policy(exact().with_lead(0.5, seconds(50)));
    at_once(cache.warm_up()).await.unwrap();
    assert!(at_once(changes).await.unwrap());
    let client = world.client_of(&layer);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    assert_eq!(world.requests().len(), 1, "one cache, one fetch");
    world.advance(seconds(49)).await;
    assert_eq!(cache.status().state(), TokenState::Fresh);
    world.advance(seconds(1)).await;
    assert_eq!(cache.status().state(), TokenState::Stale, "clock and policy are the layer's");
    cache.shutdown();
    assert_eq!(at_once(call(&client)).await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_cache_that_was_shut_down_before_a_setter_stays_so() {
    let world = World::new();
    let layer = world.layer(exact());
    layer.cache().shutdown();
    let client = world.client_of(&layer.with_policy(impatient()));
    assert_eq!(at_once(call(&client)).await.unwrap_err().kind(), ErrorKind::ShutDown);
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn a_setter_changes_neither_a_clone_of_its_layer_nor_a_service_nor_a_used_cache() {
    let world = World::answering(|asked| match asked.form.contains("scope=write") {
        true => Reply::token("wide", 100),
        false => Reply::token("narrow", 100),
    });
    let write = || "write".parse().unwrap();
    let layer = world.layer(exact());
    let (service, wide) = (world.client_of(&layer), layer.with_scopes(write()));
    assert_eq!(at_once(call(&world.client_of(&wide))).await.unwrap(), "wide");
    assert_eq!(at_once(call(&service)).await.unwrap(), "narrow");

    let layer = world.layer(exact());
    let wide = layer.clone().with_scopes(write());
    assert_eq!(at_once(call(&world.client_of(&wide))).await.unwrap(), "wide");
    assert_eq!(at_once(call(&world.client_of(&layer))).await.unwrap(), "narrow");

    let layer = world.layer(exact());
    let used = layer.cache().clone();
    at_once(used.warm_up()).await.unwrap();
    let wide = layer.with_scopes(write());
    assert_eq!(at_once(call(&world.client_of(&wide))).await.unwrap(), "wide");
    assert_eq!(at_hand(&used).unwrap().unwrap().expose(), "narrow");
}

/// A cache whose fetch never ends, and what that fetch holds.
fn hanging(world: &World) -> (TokenCache, Arc<()>) {
    let held = Arc::new(());
    let fetch = {
        let held = held.clone();
        move || {
            let held = held.clone();
            async move {
                let _held = held;
                pending::<Result<TokenResponse, Error>>().await
            }
        }
    };
    (TokenCache::from_fn(fetch, RefreshPolicy::default(), world.clock.clock()), held)
}

#[tokio::test]
async fn a_shutdown_ends_the_fetch_and_the_wait_of_every_caller() {
    let world = World::new();
    let (cache, held) = hanging(&world);
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ask(&cache))).collect();
    settle().await;
    assert_eq!(Arc::strong_count(&held), 3, "the fetch is not in flight");
    cache.clone().shutdown();
    for call in waiting {
        assert_eq!(at_once(call).await.unwrap().unwrap_err().kind(), ErrorKind::ShutDown);
    }
    assert_eq!(Arc::strong_count(&held), 2, "the fetch goes on");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert!(!cache.status().is_fetching());
}

#[tokio::test]
async fn a_shutdown_wakes_those_who_wait_for_the_next_try() {
    let world = World::answering(|_| Reply::broken());
    let cache = world.cache(RefreshPolicy::default());
    let waiting = tokio::spawn(ask(&cache));
    settle().await;
    cache.shutdown();
    assert_eq!(at_once(waiting).await.unwrap().unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn after_a_shutdown_there_are_no_tokens_even_for_a_client_that_had_one() {
    let world = World::new();
    let layer = world.layer(exact());
    let client = world.client_of(&layer);
    let cache = layer.cache();
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    let token = at_hand(cache).unwrap().unwrap();
    cache.shutdown();
    for error in [
        at_once(call(&client)).await.unwrap_err(),
        at_hand(cache).unwrap().unwrap_err(),
        at_once(cache.warm_up()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ShutDown);
        assert!(!error.is_transient() && error.retry_after().is_none());
    }
    assert!(!cache.reject(&token), "there is another");
    cache.store(&response("S"));
    cache.credential_changed();
    assert!(at_hand(cache).unwrap().is_err());
    assert_eq!(cache.status().state(), TokenState::ShutDown);
    assert!(cache.status().expires_in().is_none());
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_fetch_ends_when_nobody_holds_its_cache_any_more() {
    let world = World::new();
    let (cache, held) = hanging(&world);
    drop(tokio::spawn(at_hand_of(cache.clone())));
    settle().await;
    assert_eq!(Arc::strong_count(&held), 3, "the fetch is not in flight");
    drop(cache);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

/// Asks, and does not wait.
async fn at_hand_of(cache: TokenCache) {
    assert!(at_hand(&cache).is_none());
}

#[tokio::test]
async fn a_caller_who_waits_holds_the_cache() {
    let world = World::answering(engine::numbered(100, seconds(1)));
    let cache = world.cache(exact());
    let waiting = tokio::spawn(ask(&cache));
    drop(cache);
    world.advance(seconds(1)).await;
    assert_eq!(at_once(waiting).await.unwrap().unwrap().expose(), "T1");
}

/// A revocation endpoint that answers `status` and keeps the forms it got.
fn revocation(status: StatusCode) -> (TokenRevocation, Arc<Mutex<Vec<String>>>) {
    let forms = Arc::<Mutex<Vec<String>>>::default();
    let kept = forms.clone();
    let service = service_fn(move |request: Request<Body>| {
        let kept = kept.clone();
        async move {
            let form = request.into_body().collect().await.unwrap().to_bytes();
            kept.lock().unwrap().push(String::from_utf8(form.to_vec()).unwrap());
            let body = Body::from(r#"{"error":"unsupported_token_type"}"#);
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        }
    });
    let client = ClientAuthentication::post("id", "hush");
    let url = "https://as.example/revoke";
    (TokenRevocation::new(url, client, Transport::new(service)).unwrap(), forms)
}

#[tokio::test]
async fn a_token_that_is_revoked_is_out_of_use_and_another_can_be_had() {
    let world = World::new();
    let layer = world.layer(exact().with_min_interval(seconds(0)));
    let client = world.client_of(&layer);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T1");
    let (endpoint, forms) = revocation(StatusCode::OK);
    at_once(layer.cache().revoke(&endpoint)).await.unwrap();
    let form = "client_id=id&client_secret=hush&token=T1&token_type_hint=access_token";
    assert_eq!(*forms.lock().unwrap(), [form]);
    assert_eq!(layer.cache().status().state(), TokenState::Absent);
    // Nothing is held, so nothing is revoked.
    at_once(layer.cache().revoke(&endpoint)).await.unwrap();
    assert_eq!(forms.lock().unwrap().len(), 1);
    assert_eq!(at_once(call(&client)).await.unwrap(), "T2");
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_with_both_its_tokens() {
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        let world = World::answering(|_| Reply::rotated("T2", "R2", 100).takes(seconds(1)));
        let response = response("T1").with_refresh_token("R1");
        let clock = world.clock.clock();
        let cache = TokenCache::from_sign_in(world.endpoint(), &response, exact(), clock);
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        let cache = cache.on_rotation(move |newest| log.lock().unwrap().push(newest.clone()));
        world.advance(seconds(99)).await;
        assert!(at_hand(&cache).unwrap().is_ok());
        settle().await;
        assert_eq!(world.requests().len(), 1, "no renewal is in flight");
        let (endpoint, forms) = revocation(status);
        let revoked = at_once(cache.revoke(&endpoint)).await;
        assert_eq!(
            revoked.map_err(|error| error.code().map(str::to_owned)),
            match status {
                StatusCode::OK => Ok(()),
                _ => Err(Some("unsupported_token_type".to_owned())),
            }
        );
        let waiting = tokio::spawn(ask(&cache));
        world.advance(seconds(1)).await;
        let forms = forms.lock().unwrap().clone();
        assert!(forms[0].ends_with("&token=R1&token_type_hint=refresh_token"), "{forms:?}");
        assert!(forms[1].ends_with("&token=T1&token_type_hint=access_token"), "{forms:?}");
        // The one that was on its way.
        assert!(forms[2].ends_with("&token=R2&token_type_hint=refresh_token"), "{forms:?}");
        let error = at_once(waiting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
        assert_eq!(cache.status().state(), TokenState::SignInNeeded);
        assert_eq!(world.requests().len(), 1);
        assert!(told.lock().unwrap().is_empty(), "whoever keeps it would sign in with it again");
    }
}

#[tokio::test]
async fn every_change_is_told_and_none_is_missed() {
    let world = World::answering(engine::numbered(100, seconds(1)));
    let cache = world.cache(exact().with_min_interval(seconds(0)));
    let before = cache.status();
    assert_eq!(before.state(), TokenState::Absent);
    assert!(at_hand(&cache).is_none());
    let fetching = at_once(cache.changed(&before)).await;
    assert!(fetching.is_fetching());
    let (watching, since) = (cache.clone(), fetching.clone());
    let told = tokio::spawn(async move { watching.changed(&since).await });
    settle().await;
    assert!(!told.is_finished(), "nothing happened");
    world.advance(seconds(1)).await;
    let landed = at_once(told).await.unwrap();
    assert_eq!((landed.state(), landed.is_fetching()), (TokenState::Fresh, false));
    // What has happened since an older status is told at once.
    assert_eq!(at_once(cache.changed(&fetching)).await.state(), TokenState::Fresh);

    assert!(cache.reject(&AccessToken::new("T1").unwrap()));
    let rejected = at_once(cache.changed(&landed)).await;
    assert_eq!((rejected.state(), rejected.rejected()), (TokenState::Stale, 1));
    cache.store(&response("S"));
    let stored = at_once(cache.changed(&rejected)).await;
    assert!(stored.is_fresh());
    cache.shutdown();
    assert_eq!(at_once(cache.changed(&stored)).await.state(), TokenState::ShutDown);
}

#[tokio::test]
async fn a_status_counts_fetches_and_tells_the_state_of_the_token() {
    let world = World::answering(|asked| match asked.number {
        1 | 2 => Reply::broken(),
        3 => Reply::token("T3", 100),
        _ => Reply::broken(),
    });
    let cache = world.cache(impatient());
    for tries in 1..=2 {
        assert!(at_once(ask(&cache)).await.is_err());
        let status = cache.status();
        assert_eq!(
            (status.fetches(), status.failed(), status.retried()),
            (tries, tries, tries - 1)
        );
        assert_eq!(status.last_error().unwrap().kind(), ErrorKind::Transport);
        world.advance(seconds(2)).await;
    }
    at_once(ask(&cache)).await.unwrap();
    let status = cache.status();
    assert_eq!((status.fetches(), status.failed(), status.retried()), (3, 2, 2));
    assert_eq!(status.expires_in(), Some(seconds(100)));
    assert!(status.last_error().is_none());
    world.advance(seconds(80)).await;
    assert_eq!(cache.status().state(), TokenState::Stale);
    assert!(cache.status().is_usable() && !cache.status().is_fresh());
    world.advance(seconds(20)).await;
    assert_eq!(cache.status().state(), TokenState::Expired);
    // The first try after a token came retries nothing.
    assert!(at_once(ask(&cache)).await.is_err());
    assert_eq!((cache.status().failed(), cache.status().retried()), (3, 2));
}
