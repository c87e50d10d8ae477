//! A form body: it is handed on byte for byte, whatever it says of a token.
#![no_main]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_oauth2::{
    TokenLocation,
    server::{BufferForm, BufferFormBody, RequireToken},
    validate::{Principal, StaticTokens},
};

const LIMIT: usize = 4 * 1024;

fuzz_target!(|input: &[u8]| {
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let require = RequireToken::new("api", tokens).unwrap();
    let require = require.with_locations([TokenLocation::Form]).unwrap();
    let seen = Arc::new(Mutex::new(None));
    let inner = {
        let seen = seen.clone();
        service_fn(move |request: Request<BufferFormBody<Full<Bytes>>>| {
            *seen.lock().unwrap() = Some(request.into_body());
            ready(Ok::<_, Infallible>(Response::new(String::new())))
        })
    };
    let layers = ServiceBuilder::new().layer(BufferForm::new(LIMIT)).layer(require).into_inner();
    let mut service = layers.layer(inner);
    let request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::copy_from_slice(input)))
        .unwrap();
    let mut call = pin!(service.call(request));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else {
        panic!("a body that is there is waited for");
    };
    assert_eq!(response.status() == StatusCode::PAYLOAD_TOO_LARGE, input.len() > LIMIT);
    if let Some(body) = seen.lock().unwrap().take() {
        let mut body = pin!(body.collect());
        let Poll::Ready(Ok(body)) = body.as_mut().poll(&mut cx) else { panic!("no body") };
        assert_eq!(body.to_bytes(), input);
    }
});
