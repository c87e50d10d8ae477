//! The answer of a token endpoint: the first line is its status and content type, the rest its
//! body. Whatever it is, there is no panic, and the secret shows in no error.
#![no_main]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower::service_fn;
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{Grant, TokenEndpoint},
};

const SECRET: &str = "hunter2-hunter2";

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|input: &[u8]| {
    let _timers = RUNTIME.enter();
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = input.split_at(end);
    let status = 200 + u16::from(head.first().copied().unwrap_or(0)) % 400;
    let mut response = Response::builder().status(status);
    if let Some(rest) = head.get(1..) {
        response = response.header("content-type", rest).header("location", rest);
    }
    let Ok(response) = response.body(Full::new(Bytes::copy_from_slice(body))) else { return };
    let service =
        service_fn(move |_: Request<Full<Bytes>>| ready(Ok::<_, Infallible>(response.clone())));
    let client = ClientAuthentication::post("id", SECRET);
    let endpoint =
        TokenEndpoint::new("https://as.example/t", client, Transport::new(service)).unwrap();
    let mut fetch = pin!(endpoint.fetch(&Grant::client_credentials()));
    match fetch.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => panic!("an answer that is there is waited for"),
        Poll::Ready(Ok(token)) => {
            assert!(token.lifetime() <= Some(Duration::from_secs(10 * 365 * 24 * 60 * 60)));
        }
        Poll::Ready(Err(error)) => {
            assert!(!format!("{error} {error:?}").contains(SECRET));
        }
    }
});
