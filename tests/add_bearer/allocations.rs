//! What a call costs once there is a token: allocations, and bytes of its future.

use crate::resource::{HOME, Issuer, poll_once};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    mem::size_of_val,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceExt};
use tower_oauth2::client::{
    AddBearer, AddBearerService, ClientCredentialsRefresh, Cloned, ReplayPolicy, TokenCache,
};

type Body = Full<Bytes>;

/// Answers at once whether the request has a credential.
#[derive(Clone)]
struct Inner;

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let has = request.headers().contains_key(header::AUTHORIZATION);
        let body = if has { Bytes::from_static(b"has") } else { Bytes::new() };
        ready(Ok(Response::new(Body::from(body))))
    }
}

/// A request of five headers with room for more, as a client library makes it.
fn request() -> Request<Body> {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        (header::ACCEPT, "application/json"),
        (header::ACCEPT_ENCODING, "gzip"),
        (header::USER_AGENT, "test/1"),
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_LENGTH, "4"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let mut request = Request::new(Body::from("body"));
    *request.uri_mut() = Uri::from_static("https://api.example/v1/calls");
    *request.headers_mut() = headers;
    request
}

/// Allocations of one call through `client`, which answers at once.
fn allocations<S>(client: &mut S) -> u64
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let request = request();
    let mut context = Context::from_waker(Waker::noop());
    let measured = allocation_counter::measure(|| {
        assert!(client.poll_ready(&mut context).is_ready());
        let Poll::Ready(Ok(response)) = pin!(client.call(request)).poll(&mut context) else {
            panic!("it did not answer at once");
        };
        assert_eq!(response.body().size_hint_exact(), 3);
    });
    measured.count_total
}

trait Length {
    fn size_hint_exact(&self) -> u64;
}

impl Length for Body {
    fn size_hint_exact(&self) -> u64 {
        http_body::Body::size_hint(self).exact().unwrap()
    }
}

/// A client of `layer` that has its token, and has used it often enough to have a copy of its own.
async fn warmed<P>(layer: ClientCredentialsRefresh<P>) -> AddBearerService<Inner, TokenCache, P>
where
    P: ReplayPolicy<Body, Body = Body>,
{
    let mut client = layer.layer(Inner);
    for _ in 0..3 {
        client.ready().await.unwrap().call(request()).await.unwrap();
    }
    client
}

#[tokio::test]
async fn a_call_with_a_fixed_token_allocates_nothing() {
    let mut client = AddBearer::bearer("T1", HOME).unwrap().layer(Inner);
    client.ready().await.unwrap().call(request()).await.unwrap();
    allocations(&mut client);
    assert_eq!(allocations(&mut client), 0);
}

#[tokio::test]
async fn a_call_with_a_fetched_token_allocates_nothing_without_recovery() {
    let mut client = warmed(Issuer::of(["T1"]).layer().without_recovery()).await;
    for _ in 0..3 {
        assert_eq!(allocations(&mut client), 0);
    }
}

/// The copy of the headers is two of them, what the repetition needs is the third.
#[tokio::test]
async fn a_call_that_can_be_repeated_allocates_three_times_at_most() {
    let mut known = warmed(Issuer::of(["T1"]).layer()).await;
    let mut cloned = warmed(Issuer::of(["T1"]).layer().with_replay(Cloned)).await;
    for _ in 0..3 {
        let counts = [allocations(&mut known), allocations(&mut cloned)];
        assert!(counts.into_iter().all(|count| count <= 3), "{counts:?}");
        // It has something to repeat with.
        assert!(counts.into_iter().all(|count| count > 0), "{counts:?}");
    }
}

#[tokio::test]
async fn the_future_is_at_most_16_bytes_larger_than_that_of_the_client_below() {
    let client = || Client::builder(TokioExecutor::new()).build_http::<Body>();
    // Nobody listens there; it is not polled.
    let bare = size_of_val(&Service::call(&mut client(), request()));
    let mut fixed = AddBearer::bearer("T1", HOME).unwrap().layer(client());
    let fixed = size_of_val(&Service::call(&mut fixed, request()));
    assert!(fixed <= bare + 16, "{fixed} against {bare}");
    for layer in [Issuer::of(["T1"]).layer(), Issuer::of(["T1"]).layer().without_recovery()] {
        let mut fetched = layer.layer(client());
        let mut first = pin!(Service::call(&mut fetched, request()));
        assert!(poll_once(first.as_mut()).await.is_pending());
        let call = Service::call(&mut layer.layer(client()), request());
        assert!(size_of_val(&call) <= bare + 16, "{} against {bare}", size_of_val(&call));
    }
}
