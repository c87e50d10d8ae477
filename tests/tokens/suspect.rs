//! A token that one call was rejected with: what that costs the others.

use crate::engine::{Reply, World, ask, at_once, exact, millis, seconds, settle};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::convert::Infallible;
use tower::{BoxError, Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    AccessToken,
    client::{AddBearer, TokenCache, TokenSource},
};

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Client = BoxCloneSyncService<Request<Body>, Response<Full<Bytes>>, BoxError>;

/// An API that rejects every token at `/odd` and likes each elsewhere.
fn client(cache: &TokenCache) -> Client {
    let api = service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Full::<Bytes>::default());
        if request.uri().path() == "/odd" {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        Ok::<_, Infallible>(response)
    });
    let layer = AddBearer::from_source(cache.clone(), "https://api.example").unwrap();
    BoxCloneSyncService::new(layer.layer(api))
}

fn request(path: &str) -> Request<Body> {
    let request = Request::get(format!("https://api.example{path}"));
    request.body(Full::<Bytes>::default().boxed_unsync()).unwrap()
}

/// A request that cannot be sent again: whether its body has ended is not known.
fn stream(path: &str) -> Request<Body> {
    request(path).map(|_| Full::from("chunk").boxed_unsync())
}

async fn status(client: &Client, request: Request<Body>) -> StatusCode {
    client.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_stray_401_while_the_server_is_down_takes_the_token_from_nobody() {
    let world = World::new();
    let cache = world.cache(exact());
    let api = client(&cache);
    assert_eq!(status(&api, request("/good")).await, 200);
    world.answer(|_| Reply::broken());
    world.advance(seconds(10)).await;
    assert_eq!(at_once(status(&api, request("/odd"))).await, 401);
    for _ in 0..100 {
        assert_eq!(at_once(status(&api, request("/good"))).await, 200);
        assert_eq!(at_once(status(&api, stream("/good"))).await, 200);
        world.advance(seconds(30)).await;
    }
    // Never past its expiry.
    world.advance(seconds(600)).await;
    let late = tokio::spawn(ask(&cache));
    world.advance(seconds(6)).await;
    assert!(late.await.unwrap().is_err());
}

#[tokio::test]
async fn a_route_that_rejects_every_token_costs_the_others_nothing() {
    let world = World::new();
    let cache = world.cache(exact());
    let (odd, good) = (client(&cache), client(&cache));
    assert_eq!(status(&good, request("/good")).await, 200);
    world.answer(|asked| Reply::token(&format!("T{}", asked.number), 3600).takes(millis(300)));
    for _ in 0..1_000 {
        drop(tokio::spawn({
            let odd = odd.clone();
            async move { status(&odd, request("/odd")).await }
        }));
        settle().await;
        // A call that can be repeated does not wait.
        assert_eq!(at_once(status(&good, request("/good"))).await, 200);
        world.advance(millis(10)).await;
    }
    // One a second, and the first at once.
    assert!(world.requests().len() <= 12, "{:?}", world.requests());
}

#[tokio::test]
async fn a_call_that_is_made_once_waits_for_the_fetch_under_way() {
    let world = World::new();
    let cache = world.cache(exact());
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    world.answer(|_| Reply::token("T2", 3600).takes(seconds(1)));
    world.advance(seconds(10)).await;
    assert!(cache.reject(&AccessToken::new("T1").unwrap()));
    let once = tokio::spawn(ask(&cache));
    let api = client(&cache);
    settle().await;
    assert!(!once.is_finished());
    assert_eq!(at_once(status(&api, request("/good"))).await, 200);
    world.advance(seconds(1)).await;
    assert_eq!(at_once(once).await.unwrap().unwrap().expose(), "T2");
}

#[tokio::test]
async fn a_call_that_is_made_once_goes_on_with_the_suspect_token_when_its_patience_ends() {
    let world = World::new();
    let cache = world.cache(exact().with_patience(seconds(2)));
    assert_eq!(at_once(ask(&cache)).await.unwrap().expose(), "T1");
    world.answer(|_| Reply::broken().hangs());
    world.advance(seconds(10)).await;
    assert!(cache.reject(&AccessToken::new("T1").unwrap()));
    let once = tokio::spawn(ask(&cache));
    world.advance(seconds(2)).await;
    assert_eq!(at_once(once).await.unwrap().unwrap().expose(), "T1");
}
