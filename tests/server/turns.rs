//! Requests whose token takes a while to judge, and which then wait for their turn at the inner
//! service.

use crate::judge::{Judge, bearer};
use http::{Request, Response, StatusCode};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};
use tokio::{sync::Semaphore, task::yield_now};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_oauth2::{
    AccessToken,
    server::{Authenticated, RequireToken},
    testing::ManualClock,
    validate::{
        Principal, Rejection, RejectionKind, Revocable, Revocation, Revocations, SharedValidator,
        ValidateToken, Validated,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

/// Answers with the subject of the token, or with nothing.
async fn subject(request: Request<()>) -> Result<Response<Option<String>>, Infallible> {
    let authenticated = request.extensions().get::<Authenticated>();
    let subject = authenticated.and_then(|token| token.principal().subject());
    Ok(Response::new(subject.map(str::to_owned)))
}

type Answered = task::Spawn<
    tower::util::Oneshot<
        tower::util::BoxCloneService<Request<()>, Response<Option<String>>, Infallible>,
        Request<()>,
    >,
>;

/// Begins a call of `layer`, over an inner service for one request at a time.
fn begin<V: ValidateToken>(layer: RequireToken<V>, token: &str) -> (Answered, Arc<Semaphore>) {
    let turns = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(turns.clone());
    let service = ServiceBuilder::new().layer(layer).layer(limit).service(service_fn(subject));
    let mut call = task::spawn(service.boxed_clone().oneshot(bearer(token)));
    assert_pending!(call.poll());
    (call, turns)
}

/// Finds every token good, a moment later.
fn later(validated: impl Into<Validated>) -> SharedValidator {
    let validated = validated.into();
    let judge = move |_: AccessToken| {
        let validated = validated.clone();
        async move {
            yield_now().await;
            Ok::<_, Rejection>(validated)
        }
    };
    judge.into_shared()
}

#[tokio::test]
async fn a_token_that_ends_while_its_request_waits_for_its_turn_is_refused() {
    let manual = ManualClock::new();
    let start = manual.clock().wall();
    let alice = Principal::new("alice").with_expiry(start + MINUTE);
    let with_leeway = Validated::from(alice.clone()).with_good_until(Some(start + 2 * MINUTE));
    let revocation = Revocation::new();
    let revoked = Validated::from(Principal::new("alice")).with_revocation(revocation.clone());
    let list = Revocations::new().with_clock(manual.clock());
    let listed = Revocable::new(later(alice.clone()), list.clone()).into_shared();
    let revoke = || list.revoke_token("t", None).unwrap();
    let nothing = || {};
    let (expired, taken_back) = (Some(RejectionKind::Expired), Some(RejectionKind::Revoked));
    for (validator, wait, happens, refused) in [
        (later(alice.clone()), MINUTE, &nothing as &dyn Fn(), expired),
        (later(alice), MINUTE / 2, &nothing, None),
        (later(with_leeway.clone()), MINUTE, &nothing, None),
        (later(with_leeway), 2 * MINUTE, &nothing, expired),
        (later(revoked), Duration::ZERO, &|| revocation.revoke(), taken_back),
        (listed, Duration::ZERO, &revoke, taken_back),
    ] {
        manual.set_wall(start);
        let events = Arc::new(Mutex::new(Vec::new()));
        let audited = events.clone();
        let layer = RequireToken::new("api", validator).unwrap().with_clock(manual.clock());
        let layer = layer.with_audit(move |event| audited.lock().unwrap().push(event.rejection));
        let (mut call, turns) = begin(layer, "t");
        let other = turns.clone().try_acquire_owned().unwrap();
        assert_pending!(call.poll());
        assert!(events.lock().unwrap().is_empty(), "nothing is decided yet");
        manual.set_wall(start + wait);
        happens();
        drop(other);
        assert!(call.is_woken());
        let mut answer = call.poll();
        if answer.is_pending() {
            // In its leeway the token is judged again.
            answer = call.poll();
        }
        let response = assert_ready!(answer).unwrap();
        assert_eq!(*events.lock().unwrap(), [refused]);
        let kind = response.extensions().get().map(Rejection::kind);
        assert_eq!((kind, response.into_body().is_some()), (refused, refused.is_none()));
        assert_eq!(turns.available_permits(), 1, "a refusal keeps no turn");
    }
}

#[tokio::test]
async fn a_token_whose_verdict_may_no_longer_hold_is_judged_again_without_a_turn() {
    for (verdict, status) in [(Ok(Principal::new("alice")), 200), (Err(Rejection::unknown()), 401)]
    {
        let judge = Judge::slow();
        let (mut call, turns) = begin(RequireToken::new("api", judge.clone()).unwrap(), "good");
        let other = turns.clone().try_acquire_owned().unwrap();
        judge.let_answer();
        assert_pending!(call.poll());
        judge.new_generation();
        judge.say("good", verdict);
        drop(other);
        assert_pending!(call.poll());
        assert_eq!((judge.asked(), turns.available_permits()), (2, 1));
        judge.let_answer();
        let response = assert_ready!(call.poll()).unwrap();
        assert_eq!(response.status(), status);
    }
}

/// As a `JwtValidator` in a chain does with a token without an expiry.
#[tokio::test]
async fn a_verdict_that_never_passes_the_recheck_is_asked_for_no_third_time() {
    let manual = ManualClock::new();
    let judge = Judge::slow();
    judge.say("good", Ok(Principal::new("alice").with_expiry(manual.clock().wall())));
    judge.take_expired_tokens();
    let layer = RequireToken::new("api", judge.clone()).unwrap().with_clock(manual.clock());
    let (mut call, turns) = begin(layer, "good");
    for asked in 1..=2 {
        let other = turns.clone().try_acquire_owned().unwrap();
        judge.let_answer();
        assert_pending!(call.poll());
        assert_eq!(judge.asked(), asked);
        drop(other);
        if asked == 1 {
            assert_pending!(call.poll());
        }
    }
    assert_eq!(assert_ready!(call.poll()).unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_goes_on_at_once_is_judged_once() {
    let judge = Judge::slow();
    let (mut call, turns) = begin(RequireToken::new("api", judge.clone()).unwrap(), "good");
    judge.new_generation();
    judge.let_answer();
    assert_eq!(assert_ready!(call.poll()).unwrap().status(), StatusCode::OK);
    assert_eq!((judge.asked(), turns.available_permits()), (1, 1));
}

#[tokio::test]
async fn an_inner_service_that_fails_while_a_request_waits_fails_the_request() {
    let judge = Judge::slow();
    let (mock, mut handle) = tower_test::mock::pair::<Request<()>, Response<()>>();
    handle.allow(1);
    let service =
        ServiceBuilder::new().layer(RequireToken::new("api", judge.clone()).unwrap()).service(mock);
    let mut call = task::spawn(service.oneshot(bearer("good")));
    assert_pending!(call.poll());
    handle.send_error("gone");
    judge.let_answer();
    let Poll::Ready(Err(error)) = call.poll() else { panic!("no error") };
    assert_eq!(error.to_string(), "gone");
}
