//! The answer of an introspection endpoint: the first line is its status and `Retry-After`, the
//! rest its body. Whatever it is, there is no panic, no secret in what is refused, and no token is
//! good that the body does not call active and for this audience.
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
    time::SystemTime,
};
use tower::service_fn;
use tower_oauth2::{
    Answer, ClientAuthentication, RequestHead, Transport,
    validate::{Introspection, ValidateToken},
};

const SECRET: &str = "hunter2-hunter2";
const TOKEN: &str = "mF_9.B5f-4.1JqM";

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|input: &[u8]| {
    let _timers = RUNTIME.enter();
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = input.split_at(end);
    let status = 200 + u16::from(head.first().copied().unwrap_or(0)) % 400;
    let mut response = Response::builder().status(status);
    if let Some(rest) = head.get(1..) {
        response = response.header("retry-after", rest);
    }
    let Ok(response) = response.body(Full::new(Bytes::copy_from_slice(body))) else { return };
    let service =
        service_fn(move |_: Request<Full<Bytes>>| ready(Ok::<_, Infallible>(response.clone())));
    let client = ClientAuthentication::post("id", SECRET);
    let introspection =
        Introspection::new("https://as.example/i", client, Transport::new(service)).unwrap();
    let introspection = introspection.with_audience(["a"]);
    let request = Request::new(());
    let Answer::Pending(asked) = introspection.validate(TOKEN, RequestHead::from_request(&request)) else {
        panic!("nothing was asked yet");
    };
    match pin!(asked).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => panic!("an answer that is there is waited for"),
        Poll::Ready(Ok(validated)) => {
            assert!(status == 200 && body.windows(4).any(|text| text == b"true"));
            let principal = validated.principal();
            assert!(principal.audience().any(|audience| audience == "a"));
            let leeway = std::time::Duration::from_secs(60);
            let expiry = principal.expires_at().and_then(|expiry| expiry.checked_add(leeway));
            assert!(expiry.is_none_or(|expiry| SystemTime::now() < expiry));
        }
        Poll::Ready(Err(rejection)) => {
            let shown = format!("{rejection} {rejection:?} {}", rejection.public_description());
            assert!(!shown.contains(SECRET) && !shown.contains(TOKEN));
        }
    }
});
