//! Every layer among tower's own middleware: readiness, reservations, waiting calls.

use crate::scripted::*;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{task::yield_now, time::timeout};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    buffer::Buffer,
    limit::ConcurrencyLimit,
    load_shed::LoadShed,
    retry::Retry,
    service_fn,
    timeout::{Timeout, error::Elapsed},
};
use tower_oauth2::{
    Answer, RequestHead, TokenLocation,
    client::{AddBearer, Error, ErrorKind},
    server::{Authenticated, BufferForm, RequireScope, RequireToken},
    validate::{Principal, StaticTokens, ValidateToken, Verdict},
};
use tower_test::mock::{Handle, Mock, Spawn, pair};

/// Answers the next request, on which a layer must have left its mark.
async fn answer(handle: &mut Handle<Req, Res>, status: u16) {
    let (request, response) = handle.next_request().await.unwrap();
    let admitted = request.extensions().get::<Authenticated>().is_some();
    assert!(admitted || request.headers().contains_key(AUTHORIZATION));
    response.send_response(Response::builder().status(status).body(String::new()).unwrap());
}

// case: tow-01
#[tokio::test(start_paused = true)]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    for (layer_name, layer) in layers() {
        for (below, wrap_below) in MIDDLEWARE {
            for (above, wrap_above) in MIDDLEWARE {
                let (mock, mut handle) = pair();
                let mut service = wrap_above(layer.layer(wrap_below(Boxed::new(mock))));
                let script = async {
                    for _ in 0..3 {
                        let call = service.ready().await.unwrap().call(request());
                        let answers = async {
                            if [above, below].contains(&"Retry") {
                                answer(&mut handle, 503).await;
                            }
                            answer(&mut handle, 200).await;
                        };
                        let (response, ()) = tokio::join!(call, answers);
                        assert_eq!(response.unwrap().status(), 200);
                    }
                };
                let over = timeout(HOUR, script).await;
                over.unwrap_or_else(|_| panic!("{above} over {layer_name} over {below} hangs"));
            }
        }
    }
}

// case: tow-03
#[tokio::test]
async fn poll_ready_is_the_inner_services_own() {
    for (name, layer) in reserving_layers::<Mock<Req, Res>>() {
        let (mock, mut handle) = pair();
        let mut service = Spawn::new(layer.layer(mock));
        handle.allow(0);
        assert!(!is_ready(&mut service), "{name}");
        handle.allow(1);
        assert!(service.is_woken() && is_ready(&mut service), "{name}");
        handle.send_error("out of order");
        assert_eq!(failure(service.poll_ready()), "out of order", "{name}");
    }
}

// case: tow-03
#[tokio::test]
async fn poll_ready_asks_no_source_and_leaves_the_inner_alone_while_no_token_is_there() {
    let source = Source::new(true, Gives::Now("now"));
    let (mock, mut handle) = pair();
    let mut service = Spawn::new(source.layer().layer(mock));
    let warm = waiting_call(&mut service);
    next(&mut handle).1.send_response(Response::default());
    drop(warm);
    source.cool();
    handle.send_error("for whoever polls the inner service first");
    for _ in 0..3 {
        assert!(is_ready(&mut service));
    }
    assert_eq!(source.asked(), 1);
    let mut cold = Box::pin(service.call(request()));
    assert_eq!(failure(poll(&mut cold)), "for whoever polls the inner service first");
}

// case: tow-03
#[tokio::test]
async fn an_inner_service_that_is_not_ready_delays_the_call_and_its_errors_come_out() {
    for warm in [false, true] {
        let source = Source::new(warm, Gives::Later);
        let (mock, mut handle) = pair();
        let mut service = Spawn::new(source.layer().layer(mock));
        let mut call = waiting_call(&mut service);
        handle.allow(0);
        source.let_go(1);
        assert!(poll(&mut call).is_pending() && handle.poll_request().is_pending());
        handle.allow(1);
        assert!(poll(&mut call).is_pending());
        next(&mut handle).1.send_error("out of order");
        assert_eq!(failure(poll(&mut call)), "out of order");
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_token_holds_no_permit() {
    let source = Source::new(true, Gives::Later);
    let (mut service, mut other, mut handle) = over_a_limit(&source.layer());
    let mut call = waiting_call(&mut service);
    assert!(other.is_woken() && is_ready(&mut other), "while the token is waited for");
    source.let_go(1);
    assert!(poll(&mut call).is_pending() && handle.poll_request().is_pending());
    drop(other);
    assert!(poll(&mut call).is_pending());
    let (request, response) = next(&mut handle);
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer later");
    response.send_response(Response::new("answer".into()));
    assert!(matches!(poll(&mut call), Poll::Ready(Ok(answer)) if answer.body() == "answer"));
}

#[tokio::test]
async fn a_reservation_that_a_call_does_not_use_is_given_back() {
    let foreign = Source::new(true, Gives::Now("now"));
    let foreign = AddBearer::from_source(foreign, "https://other.example").unwrap();
    let colon =
        Source::new(true, Gives::Now("a:b")).layer().with_location(TokenLocation::BasicUserName);
    for (layer, expected) in [
        (Source::new(true, Gives::Later).layer(), None),
        (Source::new(true, Gives::Failure).layer(), Some(ErrorKind::Source)),
        (foreign, Some(ErrorKind::ForeignOrigin)),
        (colon, Some(ErrorKind::Placement)),
    ] {
        let (mut service, mut other, mut handle) = over_a_limit(&layer);
        let mut call = Box::pin(service.call(request()));
        assert!(other.is_woken() && is_ready(&mut other), "{expected:?}");
        let failed = match poll(&mut call) {
            Poll::Pending => None,
            Poll::Ready(answer) => Some(answer.unwrap_err().downcast::<Error>().unwrap().kind()),
        };
        assert_eq!(failed, expected);
        assert!(handle.poll_request().is_pending());
    }
}

#[tokio::test]
async fn dropping_a_call_that_waits_harms_no_other() {
    let source = Source::new(false, Gives::Later);
    let (mock, mut handle) = pair();
    let layer = source.layer();
    let mut service = Spawn::new(layer.layer(ConcurrencyLimit::new(mock, 1)));

    let dropped = waiting_call(&mut service);
    let mut first = waiting_call(&mut service);
    let mut second = waiting_call(&mut service);
    assert_eq!(source.waiting(), 3);
    drop(dropped);
    assert_eq!(source.waiting(), 2, "the source learns that nobody waits any longer");
    source.let_go(2);
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    let answer = next(&mut handle).1;
    drop(second); // It waited for the permit of the first.
    answer.send_response(Response::default());
    assert!(poll(&mut first).is_ready());

    let mut third = waiting_call(&mut service);
    source.let_go(1);
    assert!(poll(&mut third).is_pending());
    next(&mut handle).1.send_response(Response::default());
    assert!(poll(&mut third).is_ready());
}

#[tokio::test(start_paused = true)]
async fn what_stands_above_copes_with_a_call_that_waits_for_its_token() {
    let source = Source::new(false, Gives::Later);
    let (mock, mut handle) = pair::<Req, Res>();
    let service = source.layer().layer(mock);

    let timed = Timeout::new(service.clone(), HOUR).oneshot(request());
    assert!(timed.await.unwrap_err().is::<Elapsed>());
    assert_eq!((source.asked(), source.waiting()), (1, 0));

    // A service that waited in `poll_ready` would be overloaded to this one.
    let mut shedding = Spawn::new(LoadShed::new(service.clone()));
    let mut shed = waiting_call(&mut shedding);
    source.let_go(1);
    assert!(poll(&mut shed).is_pending());
    next(&mut handle).1.send_response(Response::default());
    assert!(matches!(poll(&mut shed), Poll::Ready(Ok(_))));

    // And to this one it would be the end of the line for every other call.
    let buffer = Buffer::new(service, 1);
    let calls = [buffer.clone().oneshot(request()), buffer.oneshot(request())].map(tokio::spawn);
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(source.waiting(), 2);
    source.let_go(2);
    for call in calls {
        answer(&mut handle, 200).await;
        call.await.unwrap().unwrap();
    }
}

/// The token of the request that has come to the inner service, which is answered with `status`.
fn answer_token(handle: &mut Handle<Req, Res>, status: u16) -> String {
    let (request, response) = next(handle);
    response.send_response(Response::builder().status(status).body(String::new()).unwrap());
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = values.next().unwrap().to_str().unwrap().to_owned();
    assert_eq!(values.next(), None);
    value
}

// case: tow-06
#[tokio::test]
async fn each_attempt_of_a_retry_above_carries_the_token_of_its_time() {
    let source = Rotating::new("old");
    let layer = AddBearer::from_source(source.clone(), API).unwrap();
    let (mock, mut handle) = pair();
    let mut service = Spawn::new(Retry::new(Again, layer.layer(mock)));
    let mut call = waiting_call(&mut service);
    source.rotate("new");
    assert_eq!(answer_token(&mut handle, 503), "Bearer old");
    assert!(poll(&mut call).is_pending());
    assert_eq!(answer_token(&mut handle, 200), "Bearer new");
    assert!(matches!(poll(&mut call), Poll::Ready(Ok(answer)) if answer.status() == 200));
}

#[tokio::test]
async fn a_token_is_used_again_until_its_source_disowns_it() {
    let source = Rotating::new("old");
    let layer = AddBearer::from_source(source.clone(), API).unwrap();
    let (mock, mut handle) = pair();
    let mut service = Spawn::new(layer.layer(mock));
    for (expected, asked) in [("old", 1), ("old", 1), ("new", 2), ("new", 2)] {
        if expected == "new" {
            source.rotate("new");
        }
        let call = waiting_call(&mut service);
        assert_eq!(answer_token(&mut handle, 200), format!("Bearer {expected}"));
        assert_eq!(source.asked(), asked);
        drop(call);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_never_calls_the_inner_service() {
    let refusals = [("two words", 400), ("bad", 401), ("good", 403)];
    for (layer, refusals) in [
        (BoxedLayer::new(require(tokens())), &refusals[..2]),
        (BoxedLayer::new(require(judge)), &refusals[..2]),
        (require_scope(tokens(), "write"), &refusals),
        (require_scope(judge, "write"), &refusals),
        (BoxedLayer::new(RequireScope::all_of(["read"]).unwrap()), &[("good", 500)]),
    ] {
        let (mock, mut handle) = pair::<Req, Res>();
        let service = layer.layer(mock);
        for (token, status) in refusals {
            let refusal = timeout(HOUR, service.clone().oneshot(request_with(token))).await;
            assert_eq!(refusal.unwrap().unwrap().status(), *status, "{token}");
        }
        drop(service);
        assert!(handle.next_request().await.is_none());
    }
}

#[tokio::test]
async fn a_token_that_is_judged_holds_no_reservation_and_a_good_one_gets_another() {
    for token in ["good", "bad"] {
        let (mut service, mut other, mut handle) = over_a_limit(&require(judge));
        let mut call = Box::pin(service.call(request_with(token)));
        for _ in 0..3 {
            assert!(poll(&mut call).is_pending());
            assert!(is_ready(&mut other), "while the token is judged");
        }
        // The other has the one reservation now, and a refusal does not wait for it.
        match poll(&mut call) {
            Poll::Pending => assert_eq!(token, "good"),
            Poll::Ready(refusal) => {
                assert_eq!((refusal.unwrap().status().as_u16(), token), (401, "bad"));
            }
        }
        drop(other);
        if token == "good" {
            assert!(poll(&mut call).is_pending());
            assert_eq!(next(&mut handle).0.headers()["x-token"], "good");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_comes_at_once_gives_the_reservation_back() {
    for token in ["two words", "bad"] {
        let (mut service, mut other, _handle) = over_a_limit(&require(tokens()));
        let refusal = service.call(request_with(token)).await.unwrap();
        assert_ne!(refusal.status(), 200);
        assert!(is_ready(&mut other), "{token}");
    }
}

/// A body that comes when its sender likes.
struct Sent {
    body: Full<Bytes>,
    sent: Arc<AtomicBool>,
}

impl From<Bytes> for Sent {
    fn from(bytes: Bytes) -> Self {
        Self { body: Full::from(bytes), sent: Arc::new(true.into()) }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.sent.load(Ordering::Relaxed) {
            true => Pin::new(&mut self.body).poll_frame(cx),
            false => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn a_form_that_does_not_come_keeps_no_reservation_and_one_that_comes_asks_for_another() {
    let echo = service_fn(|request: Request<Sent>| async move {
        Ok::<_, Infallible>(Response::new(request.into_body().collect().await.unwrap().to_bytes()))
    });
    let layers = ServiceBuilder::new().layer(BufferForm::default()).concurrency_limit(1);
    let service = layers.service(echo);
    let (mut service, mut other) = (service.clone(), service);
    let sent = Arc::<AtomicBool>::default();
    let body = Sent { body: Full::from("access_token=t"), sent: sent.clone() };
    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let mut call = Box::pin(service.ready().await.unwrap().call(form.body(body).unwrap()));
    assert!(poll(&mut call).is_pending());
    assert!(poll(&mut Box::pin(other.ready())).is_ready(), "while the form is waited for");
    sent.store(true, Ordering::Relaxed);
    assert!(poll(&mut call).is_pending(), "the other has the one reservation");
    drop(other);
    assert_eq!(call.await.unwrap().into_body(), "access_token=t");
}

/// Finds every token good, and remembers whether it saw the claims of another layer.
#[derive(Clone, Default)]
struct Witness {
    saw_claims: Arc<AtomicUsize>,
}

impl ValidateToken for Witness {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, _: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
        let claims = head.extensions().get::<Authenticated>();
        self.saw_claims.fetch_add(claims.iter().count(), Ordering::Relaxed);
        Answer::Ready(Ok(Arc::new(alice().into())))
    }
}

/// The claims that get below `guard`.
async fn claims<V: ValidateToken>(guard: &RequireToken<V>, request: Req) -> Option<Authenticated> {
    let reveal = service_fn(|request: Req| {
        let claims = request.extensions().get::<Authenticated>().cloned();
        ready(Ok::<_, Infallible>(Response::new(claims)))
    });
    guard.layer(reveal).oneshot(request).await.unwrap().into_body()
}

#[tokio::test]
async fn the_claims_that_an_outer_layer_put_there_are_removed() {
    let everyone = StaticTokens::new();
    let mallory = Principal::new("mallory").with_scopes("read write".parse().unwrap());
    everyone.insert("good", mallory).unwrap();
    let mut request = request();
    let outer = claims(&require(everyone), request.clone()).await.unwrap();
    assert_eq!(outer.principal().subject(), Some("mallory"));
    request.extensions_mut().insert(outer);

    let witness = Witness::default();
    let own = claims(&require(witness.clone()), request.clone()).await.unwrap();
    assert_eq!(own.principal(), &alice());
    assert_eq!(witness.saw_claims.load(Ordering::Relaxed), 0);
    let own = claims(&require(judge), request.clone()).await.unwrap();
    assert_eq!(own.principal(), &alice());

    // Nor does a scope of theirs count below.
    let (mock, _handle) = pair::<Req, Res>();
    let mut refusal = Box::pin(require_scope(tokens(), "write").layer(mock).oneshot(request));
    let Poll::Ready(refusal) = poll(&mut refusal) else { panic!("the inner service was called") };
    assert_eq!(refusal.unwrap().status(), StatusCode::FORBIDDEN);
}
