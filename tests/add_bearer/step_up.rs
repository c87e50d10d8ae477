//! A resource that asks for more scopes, and a client that gets them within a ceiling.

use crate::engine::{
    self, API, Asked, Body, Reply, World, at_once, bearer_of, exact, millis, seconds, settle,
};
use http::{Request, Response, header::WWW_AUTHENTICATE};
use std::{
    convert::Infallible,
    future::{Future, ready},
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};
use tower_oauth2::client::{ClientCredentialsRefresh, InsufficientScope};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Client = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

/// The scopes that each token request asked for, in order.
type Scopes = Arc<Mutex<Vec<String>>>;

fn scope_of(form: &str) -> String {
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs.find(|(name, _)| name == "scope").map_or(String::new(), |(_, value)| value.to_string())
}

/// A server whose tokens are the scopes that they were asked with, joined by `-`.
fn server(mut answer: impl FnMut(&str) -> Reply + Send + 'static) -> (World, Scopes) {
    let scopes = Scopes::default();
    let log = scopes.clone();
    let world = World::answering(move |asked: &Asked| {
        let scope = scope_of(&asked.form);
        log.lock().unwrap().push(scope.clone());
        answer(&scope)
    });
    (world, scopes)
}

fn granting(scope: &str) -> Reply {
    Reply::token(&format!("T-{}", scope.replace(' ', "-")), 3600)
}

/// An API whose path is the scope that it asks for, and which takes tokens that have it.
fn client(layer: &ClientCredentialsRefresh) -> (Client, Scopes) {
    let (api, seen) = api();
    (BoxCloneService::new(layer.layer(api)), seen)
}

/// The same, of an API that takes 5,000 s for an answer.
fn slow_client(world: &World, layer: &ClientCredentialsRefresh) -> (Client, Scopes) {
    let ((api, seen), clock) = (api(), world.clock.clock());
    let slow = service_fn(move |request| {
        let (answer, clock) = (api.clone().oneshot(request), clock.clone());
        async move {
            let answer = answer.await;
            clock.sleep(seconds(5000)).await;
            answer
        }
    });
    (BoxCloneService::new(layer.layer(slow)), seen)
}

fn api() -> (BoxCloneService<Request<Body>, Response<Body>, Infallible>, Scopes) {
    let seen = Scopes::default();
    let log = seen.clone();
    let api = service_fn(move |request: Request<Body>| {
        let (token, needed) = (bearer_of(&request), request.uri().path()[1..].to_owned());
        log.lock().unwrap().push(token.clone());
        let has = needed.split('+').all(|scope| token.split('-').any(|own| own == scope));
        let mut response = Response::new(Body::from(token));
        if !has {
            *response.status_mut() = http::StatusCode::FORBIDDEN;
            let scope = needed.replace('+', " ");
            let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        ready(Ok::<_, Infallible>(response))
    });
    (BoxCloneService::new(api), seen)
}

fn layer(world: &World) -> ClientCredentialsRefresh {
    world.layer(exact()).with_scopes("read".parse().unwrap())
}

fn stepping_up(world: &World) -> ClientCredentialsRefresh {
    layer(world).with_step_up("read write admin".parse().unwrap())
}

fn call(client: &Client, path: &str) -> impl Future<Output = (u16, bool)> + Send + use<> {
    let request = Request::get(format!("{API}/{path}")).body(Body::default()).unwrap();
    let client = client.clone();
    async move {
        let response = client.oneshot(request).await.unwrap();
        let told = response.extensions().get::<InsufficientScope>().is_some();
        (response.status().as_u16(), told)
    }
}

#[tokio::test]
async fn what_is_within_the_ceiling_is_fetched_with_the_union_and_kept() {
    let (world, asked) = server(granting);
    let (client, seen) = client(&stepping_up(&world));
    assert_eq!(at_once(call(&client, "write")).await, (200, false));
    assert_eq!(at_once(call(&client, "write")).await, (200, false));
    assert_eq!(at_once(call(&client, "read+write")).await, (200, false));
    assert_eq!(*asked.lock().unwrap(), ["read", "read write"]);
    assert_eq!(*seen.lock().unwrap(), ["T-read", "T-read-write", "T-read-write", "T-read-write"]);
    world.advance(seconds(3600)).await;
    assert_eq!(at_once(call(&client, "read")).await, (200, false));
    assert_eq!(*asked.lock().unwrap(), ["read", "read write", "read write"]);
}

#[tokio::test]
async fn outside_of_the_ceiling_and_without_one_the_refusal_is_the_callers() {
    let (world, asked) = server(granting);
    for (layer, path) in [
        (layer(&world), "write"),
        (stepping_up(&world), "root"),
        (stepping_up(&world), "write+root"),
    ] {
        let (client, seen) = client(&layer);
        asked.lock().unwrap().clear();
        assert_eq!(at_once(call(&client, path)).await, (403, true));
        assert_eq!(*asked.lock().unwrap(), ["read"], "{path}");
        assert_eq!(*seen.lock().unwrap(), ["T-read"]);
    }
    let (quiet, _) = client(&stepping_up(&world).without_recovery());
    assert_eq!(at_once(call(&quiet, "write")).await, (403, true));
}

#[tokio::test]
async fn many_calls_that_are_refused_share_one_fetch() {
    let (world, asked) = server(|scope| granting(scope).takes(seconds(1)));
    let (client, seen) = client(&stepping_up(&world));
    let first = tokio::spawn(call(&client, "read"));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(first).await.unwrap(), (200, false));
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(call(&client, "write"))).collect();
    settle().await;
    // The narrow token is as good as before for whom it is wide enough.
    assert_eq!(at_once(call(&client, "read")).await, (200, false));
    world.advance(seconds(1)).await;
    for call in calls {
        assert_eq!(at_once(call).await.unwrap(), (200, false));
    }
    assert_eq!(*asked.lock().unwrap(), ["read", "read write"]);
    assert_eq!(seen.lock().unwrap().len(), 1 + 100 + 1 + 100);
}

#[tokio::test]
async fn a_server_that_refuses_more_is_asked_once_and_the_narrow_token_goes_on() {
    let (world, asked) = server(|scope| match scope {
        "read" => granting(scope),
        _ => Reply::refusal(400, "invalid_scope"),
    });
    let (client, _) = client(&stepping_up(&world));
    for _ in 0..5 {
        assert_eq!(at_once(call(&client, "admin")).await, (403, true));
        assert_eq!(at_once(call(&client, "read")).await, (200, false));
        world.advance(seconds(60)).await;
    }
    assert_eq!(*asked.lock().unwrap(), ["read", "read admin"]);
    world.advance(seconds(3600)).await;
    assert_eq!(at_once(call(&client, "read")).await, (200, false));
    assert_eq!(asked.lock().unwrap().last().unwrap(), "read");
}

#[tokio::test]
async fn what_the_client_has_already_is_not_refused_along_with_what_it_lacks() {
    let (world, asked) = server(|scope| match scope.contains("write") {
        true => Reply::refusal(400, "invalid_scope"),
        false => granting(scope),
    });
    let (client, _) = client(&stepping_up(&world));
    assert_eq!(at_once(call(&client, "read+write")).await, (403, true));
    world.advance(seconds(60)).await;
    assert_eq!(at_once(call(&client, "read+admin")).await, (200, false));
    assert_eq!(at_once(call(&client, "read+write")).await, (403, true));
    assert_eq!(at_once(call(&client, "read+write+admin")).await, (403, true));
    assert_eq!(*asked.lock().unwrap(), ["read", "read write", "read admin"]);
}

#[tokio::test]
async fn what_was_refused_beside_another_is_asked_for_alone() {
    let (world, asked) = server(|scope| match scope.contains("write") {
        true => Reply::refusal(400, "invalid_scope"),
        false => granting(scope),
    });
    let (client, _) = client(&stepping_up(&world));
    assert_eq!(at_once(call(&client, "read")).await, (200, false));
    let both = ["write", "admin"].map(|path| tokio::spawn(call(&client, path)));
    for call in both {
        assert_eq!(at_once(call).await.unwrap(), (403, true));
    }
    for _ in 0..3 {
        world.advance(seconds(60)).await;
        assert_eq!(at_once(call(&client, "write")).await, (403, true));
        world.advance(seconds(60)).await;
        assert_eq!(at_once(call(&client, "admin")).await, (200, false));
    }
    assert_eq!(*asked.lock().unwrap(), ["read", "read write admin", "read write", "read admin"]);
}

#[tokio::test]
async fn a_refusal_that_is_not_about_scopes_is_forgotten_with_the_next_token() {
    for (status, code) in [(404, ""), (403, ""), (302, ""), (401, ""), (400, "invalid_target")] {
        let (world, asked) = server(move |scope| match scope {
            "read" => granting(scope),
            _ => Reply::refusal(status, code),
        });
        let (client, _) = client(&stepping_up(&world));
        for _ in 0..3 {
            assert_eq!(at_once(call(&client, "write")).await, (403, true));
            world.advance(seconds(60)).await;
        }
        assert_eq!(asked.lock().unwrap()[1..], ["read write"], "{status} {code}");
        let log = asked.clone();
        world.answer(move |asked| {
            let scope = scope_of(&asked.form);
            log.lock().unwrap().push(scope.clone());
            granting(&scope)
        });
        world.advance(seconds(3600)).await;
        assert_eq!(at_once(call(&client, "write")).await, (200, false), "{status} {code}");
        assert_eq!(asked.lock().unwrap()[2..], ["read", "read write"], "{status} {code}");
    }
}

#[tokio::test]
async fn what_the_server_takes_back_is_done_without() {
    let withdrawn = Arc::new(Mutex::new(false));
    let has_withdrawn = withdrawn.clone();
    let (world, asked) = server(move |scope| match scope {
        "read write" if *has_withdrawn.lock().unwrap() => Reply::refusal(400, "invalid_scope"),
        _ => granting(scope),
    });
    let (client, _) = client(&stepping_up(&world));
    assert_eq!(at_once(call(&client, "write")).await, (200, false));
    *withdrawn.lock().unwrap() = true;
    world.advance(seconds(3600)).await;
    assert!(at_once(client.clone().oneshot(engine::get())).await.is_err(), "it was refused");
    for _ in 0..3 {
        world.advance(seconds(60)).await;
        assert_eq!(at_once(call(&client, "read")).await, (200, false));
        assert_eq!(at_once(call(&client, "write")).await, (403, true));
    }
    let expected = ["read", "read write", "read write", "read", "read write"];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_server_that_gives_less_than_was_asked_for_is_not_asked_at_every_call() {
    let (world, asked) = server(|_| granting("read"));
    let (client, seen) = client(&stepping_up(&world));
    for _ in 0..5 {
        assert_eq!(at_once(call(&client, "admin")).await, (403, true));
        world.advance(millis(100)).await;
    }
    assert_eq!(*asked.lock().unwrap(), ["read", "read admin"]);
    assert_eq!(seen.lock().unwrap().len(), 5, "the same token is no reason to repeat a call");
}

/// By a server that takes long, so that another fetch might begin at each end.
#[tokio::test]
async fn a_slow_server_that_gives_less_is_asked_once_and_waited_for_no_longer_than_the_patience() {
    let (world, asked) = server(|scope| match scope {
        "read" => granting("read"),
        _ => granting("read").takes(seconds(3)),
    });
    let (client, _) = client(&stepping_up(&world));
    let mut refused = tokio::spawn(call(&client, "admin"));
    settle().await;
    world.advance(seconds(2)).await;
    assert!(!refused.is_finished());
    world.advance(seconds(1)).await;
    assert_eq!(at_once(&mut refused).await.unwrap(), (403, true));
    world.advance(seconds(10)).await;
    assert_eq!(*asked.lock().unwrap(), ["read", "read admin"]);
}

#[tokio::test]
async fn an_outage_of_the_server_costs_nobody_the_narrow_token() {
    let (world, _) = server(|scope| match scope {
        "read" => granting(scope),
        _ => Reply::unavailable("1"),
    });
    let (client, _) = client(&stepping_up(&world));
    assert_eq!(at_once(call(&client, "write")).await, (403, true));
    assert_eq!(at_once(call(&client, "read")).await, (200, false));
    world.answer(|asked| granting(&scope_of(&asked.form)));
    world.advance(seconds(10)).await;
    assert_eq!(at_once(call(&client, "write")).await, (200, false));
}

/// A server whose tokens are told apart by their number too, and are there after `takes`.
fn numbering(takes: Duration) -> (World, Scopes) {
    let mut number = 0;
    server(move |scope| {
        number += 1;
        Reply::token(&format!("{number}-{}", scope.replace(' ', "-")), 3600).takes(takes)
    })
}

#[tokio::test]
async fn without_a_ceiling_a_refusal_is_the_callers_though_the_token_was_renewed_meanwhile() {
    let (world, asked) = numbering(Duration::ZERO);
    let other = layer(&world).with_step_up("admin".parse().unwrap());
    for layer in [layer(&world), other] {
        let (slow, seen) = slow_client(&world, &layer);
        asked.lock().unwrap().clear();
        let called = tokio::spawn(call(&slow, "write"));
        world.advance(seconds(3600)).await;
        layer.cache().warm_up().await.unwrap();
        world.advance(seconds(1400)).await;
        assert_eq!(at_once(called).await.unwrap(), (403, true));
        assert_eq!(seen.lock().unwrap().len(), 1);
        assert_eq!(*asked.lock().unwrap(), ["read", "read"]);
    }
}

#[tokio::test]
async fn a_token_that_was_renewed_meanwhile_is_no_wider_for_it() {
    let (world, asked) = numbering(Duration::ZERO);
    let layer = stepping_up(&world);
    let (slow, seen) = slow_client(&world, &layer);
    let called = tokio::spawn(call(&slow, "write"));
    world.advance(seconds(3600)).await;
    layer.cache().warm_up().await.unwrap();
    world.advance(seconds(1400)).await;
    world.advance(seconds(5000)).await;
    assert_eq!(at_once(called).await.unwrap(), (200, false));
    assert_eq!(*seen.lock().unwrap(), ["1-read", "3-read-write"]);
    assert_eq!(*asked.lock().unwrap(), ["read", "read", "read write"]);

    // Nor is one that was on its way.
    let (world, asked) = numbering(seconds(1));
    let (client, seen) = client(&stepping_up(&world));
    let first = tokio::spawn(call(&client, "read"));
    world.advance(seconds(1)).await;
    first.await.unwrap();
    world.advance(seconds(3400)).await;
    let renewing = tokio::spawn(call(&client, "read"));
    settle().await;
    let called = tokio::spawn(call(&client, "write"));
    world.advance(seconds(1)).await;
    world.advance(seconds(1)).await;
    assert_eq!(at_once(renewing).await.unwrap(), (200, false));
    assert_eq!(at_once(called).await.unwrap(), (200, false));
    assert_eq!(*asked.lock().unwrap(), ["read", "read", "read write"]);
    assert_eq!(*seen.lock().unwrap(), ["1-read", "1-read", "1-read", "3-read-write"]);
}

#[tokio::test]
async fn what_was_granted_unasked_is_asked_for_beside_it() {
    let (world, asked) = server(|scope| match scope {
        "" => Reply::scoped("T-read-list", "read list", 3600),
        _ => granting(scope),
    });
    let layer = world.layer(exact()).with_step_up("write".parse().unwrap());
    let (client, _) = client(&layer);
    assert_eq!(at_once(call(&client, "write")).await, (200, false));
    assert_eq!(*asked.lock().unwrap(), ["", "read list write"]);
}
