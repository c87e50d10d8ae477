//! Calls in a tokio runtime whose timers are disabled: they never panic.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Answer, ClientAuthentication, RequestHead, Transport, TransportErrorKind,
    client::{
        AddBearer, Error, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenSource,
    },
    server::RequireToken,
    validate::{Principal, Rejection, Validated},
};

/// Gives T1 until it is rejected, then T2.
#[derive(Default)]
struct Two(AtomicBool);

impl TokenSource for Two {
    type Future = Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        let text = if self.0.load(Ordering::SeqCst) { "T2" } else { "T1" };
        Answer::Ready(Ok(AccessToken::new(text).unwrap()))
    }

    fn can_recover(&self) -> bool {
        true
    }

    fn reject(&self, _: &AccessToken) -> bool {
        self.0.store(true, Ordering::SeqCst);
        true
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
}

fn transport() -> Transport {
    let silent = |_: Request<Full<Bytes>>| pending::<Result<Response<Full<Bytes>>, Infallible>>();
    Transport::new(service_fn(silent))
}

#[test]
fn a_rejected_call_is_repeated_even_if_the_first_answer_never_ends() {
    run(async {
        let resource = service_fn(|request: Request<Full<Bytes>>| {
            let refused = request.headers()["authorization"] == "Bearer T1";
            let status = if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(Endless).unwrap()))
        });
        let layer = AddBearer::from_source(Two::default(), "https://api.example").unwrap();
        let request = Request::get("https://api.example/").body(Full::default()).unwrap();
        let response = layer.layer(resource).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    });
}

/// A body that never has a frame and never ends.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[test]
fn a_fetch_and_a_request_say_that_timers_are_missing() {
    run(async {
        let request = Request::get("https://as.example/jwks").body(Full::default()).unwrap();
        let error = transport().send(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::NoRuntime);
        assert!(error.is_unsent());

        let client = ClientAuthentication::basic("app", "secret");
        let endpoint = TokenEndpoint::new("https://as.example/token", client, transport()).unwrap();
        let cache =
            TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
        let request = Request::new(());
        let token = cache.token(RequestHead::from_request(&request)).wait().await;
        assert_eq!(token.unwrap_err().kind(), ErrorKind::NoRuntime);
    });
}

#[test]
fn a_validator_that_takes_its_time_is_waited_for() {
    run(async {
        let validator = async |_: AccessToken| {
            tokio::task::yield_now().await;
            Ok::<_, Rejection>(Validated::from(Principal::new("alice")))
        };
        let handler =
            service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let service = RequireToken::new("api", validator).unwrap().layer(handler);
        let request = Request::get("/").header("authorization", "Bearer T").body(()).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::OK);
    });
}
