//! Tokens that the authorization server is asked about, from the request to the answer: over
//! `RequireToken`, cached and not, in the process and over sockets.

mod load;
mod signed;

use crate::{
    counting_server::{CountingServer, hyper_client},
    raw,
};
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Future, pending, ready},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    Algorithm, ClientAuthentication, SigningKey, SigningKeySource, Transport,
    client::AddBearer,
    server::{Authenticated, RenderRefusals, RequireScope, RequireToken},
    testing::{AuthorizationServer, ManualClock, RegisteredClient},
    validate::{
        Cached, Introspection, Principal, Rejection, RejectionKind, Revocations, StaticTokens,
        ValidateToken, first_of,
    },
};

const URL: &str = "https://as.example/introspect";
const ISSUER: &str = "https://as.example";
const API: &str = "https://api.example";
const TOKEN: &str = "mF_9.B5f-4.1JqM";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An introspection endpoint that answers as it is told, and keeps what it was asked.
#[derive(Clone)]
struct Endpoint {
    answer: Arc<Mutex<Response<String>>>,
    asked: Arc<Mutex<Vec<Request<String>>>>,
    clock: ManualClock,
}

impl Endpoint {
    fn new() -> Self {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + seconds(1_000_000));
        Self { answer: Arc::default(), asked: Arc::default(), clock }
    }

    /// Finds every token good, and says `members` of it.
    fn active(members: Value) -> Self {
        let endpoint = Self::new();
        endpoint.say(members);
        endpoint
    }

    fn say(&self, mut members: Value) {
        let said = members.as_object_mut().unwrap();
        for (name, value) in [("active", json!(true)), ("aud", json!(API)), ("sub", json!("alice"))]
        {
            said.entry(name).or_insert(value);
        }
        said.retain(|_, value| !value.is_null());
        self.answer(200, &members.to_string());
    }

    fn answer(&self, status: u16, body: &str) {
        self.respond(Response::builder().status(status).body(body.to_owned()).unwrap());
    }

    fn respond(&self, response: Response<String>) {
        *self.answer.lock().unwrap() = response;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn transport(&self) -> Transport {
        let endpoint = self.clone();
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let endpoint = endpoint.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = text(body).await;
                endpoint.asked.lock().unwrap().push(Request::from_parts(parts, body));
                let answer = endpoint.answer.lock().unwrap().clone();
                Ok::<_, Infallible>(answer.map(|body| Full::new(Bytes::from(body))))
            }
        });
        Transport::new(service).with_clock(self.clock.clock())
    }

    /// As the cases have it, with a leeway of zero.
    fn introspection(&self) -> Introspection {
        introspection(URL, self.transport(), &self.clock)
    }

    fn cached(&self) -> Cached<Introspection> {
        cached(self.introspection(), &self.clock)
    }
}

fn introspection(url: &str, transport: Transport, clock: &ManualClock) -> Introspection {
    let client = ClientAuthentication::basic("api", "s3cr3t");
    let introspection = Introspection::new(url, client, transport).unwrap();
    introspection
        .with_audience([API])
        .with_leeway(Duration::ZERO)
        .unwrap()
        .with_clock(clock.clock())
}

fn cached(introspection: Introspection, clock: &ManualClock) -> Cached<Introspection> {
    let cached = Cached::new(introspection).with_clock(clock.clock());
    cached.with_ttl(seconds(60)).with_negative_ttl(seconds(10))
}

async fn text<B: Body<Error: std::fmt::Debug>>(body: B) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap()
}

type Guarded = BoxCloneSyncService<Request<()>, Response<String>, Infallible>;

/// A handler under a layer over `validator`, which says whose token it got.
fn guarded<V: ValidateToken>(validator: V) -> Guarded {
    let inner = service_fn(|request: Request<()>| {
        let subject = request.extensions().get::<Authenticated>().unwrap();
        let subject = subject.principal().subject().unwrap_or("nobody").to_owned();
        ready(Ok::<_, Infallible>(Response::new(subject)))
    });
    BoxCloneSyncService::new(RequireToken::new("api", validator).unwrap().layer(inner))
}

fn request(token: &str) -> Request<()> {
    Request::get("/r").header("Authorization", format!("Bearer {token}")).body(()).unwrap()
}

async fn call(service: &Guarded, token: &str) -> Response<String> {
    service.clone().oneshot(request(token)).await.unwrap()
}

async fn status<V: ValidateToken + Clone>(validator: &V, token: &str) -> u16 {
    call(&guarded(validator.clone()), token).await.status().as_u16()
}

/// The seconds of `Retry-After` of a refusal that says that nobody can tell, and no more.
fn outage(response: &Response<String>) -> u64 {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    assert_eq!(rejection(response).kind(), RejectionKind::Unavailable);
    response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap()
}

fn rejection(response: &Response<String>) -> &Rejection {
    response.extensions().get().unwrap()
}

/// The token is refused, as invalid.
fn refused(response: &Response<String>) {
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
}

/// What `answer` brings is an outage, is asked for again at once, and does not stand in the way of
/// a good answer.
async fn is_an_outage_that_is_not_kept(endpoint: &Endpoint, answer: Response<String>) {
    let service = guarded(endpoint.cached());
    endpoint.respond(answer);
    for asked in 1..3 {
        assert_eq!(outage(&call(&service, TOKEN).await), 5);
        assert_eq!(endpoint.asked(), asked);
    }
    endpoint.say(json!({}));
    assert_eq!(call(&service, TOKEN).await.body(), "alice");
}

// case: intro-001
#[tokio::test]
async fn a_token_is_asked_about_in_a_form_by_a_client_that_authenticates() {
    let endpoint = Endpoint::active(json!({}));
    let client = ClientAuthentication::basic("a:b", "p+/ q");
    let introspection = Introspection::new(URL, client, endpoint.transport()).unwrap();
    let service = guarded(introspection.with_audience([API]));
    assert_eq!(call(&service, "a+b/c==").await.body(), "alice");
    let asked = endpoint.asked.lock().unwrap().remove(0);
    assert_eq!((asked.method().as_str(), asked.uri().to_string()), ("POST", URL.to_owned()));
    assert_eq!(asked.body(), "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token");
    assert_eq!(asked.headers()["accept"], "application/json");
    assert_eq!(asked.headers()["content-type"], "application/x-www-form-urlencoded");
    // `a%3Ab:p%2B%2F+q`
    assert_eq!(asked.headers()["authorization"], "Basic YSUzQWI6cCUyQiUyRitx");
}

// case: intro-005
#[tokio::test]
async fn an_answer_without_active_is_no_answer() {
    let endpoint = Endpoint::new();
    is_an_outage_that_is_not_kept(&endpoint, Response::new(r#"{"sub":"x"}"#.into())).await;
}

// case: intro-007
#[tokio::test]
async fn a_server_error_is_an_outage() {
    let endpoint = Endpoint::new();
    let failed = Response::builder().status(500).body(r#"{"active":true}"#.to_owned()).unwrap();
    is_an_outage_that_is_not_kept(&endpoint, failed).await;
}

// case: intro-008
#[tokio::test]
async fn a_server_that_is_asked_too_often_is_left_alone() {
    let endpoint = Endpoint::active(json!({}));
    let service = guarded(endpoint.cached());
    assert_eq!(call(&service, "known").await.status(), 200);

    let later = Response::builder().status(429).header(RETRY_AFTER, "7").body(String::new());
    endpoint.respond(later.unwrap());
    assert_eq!(outage(&call(&service, TOKEN).await), 7);
    assert_eq!(endpoint.asked(), 2);
    endpoint.clock.advance(seconds(2));
    endpoint.say(json!({}));
    assert_eq!(outage(&call(&service, "another").await), 5);
    assert_eq!(outage(&call(&service, TOKEN).await), 5);
    assert_eq!(call(&service, "known").await.status(), 200);
    assert_eq!(endpoint.asked(), 2);
    endpoint.clock.advance(seconds(5));
    assert_eq!(call(&service, "another").await.status(), 200);
    assert_eq!(endpoint.asked(), 3);
}

#[tokio::test]
async fn a_date_says_as_well_as_a_number_how_long_and_clones_wait_together() {
    let endpoint = Endpoint::new();
    let introspection = endpoint.introspection();
    let later = Response::builder()
        .status(503)
        .header(RETRY_AFTER, "Mon, 12 Jan 1970 13:47:10 GMT")
        .body(String::new());
    endpoint.respond(later.unwrap());
    assert_eq!(outage(&call(&guarded(introspection.clone()), TOKEN).await), 30);
    assert_eq!(outage(&call(&guarded(introspection), TOKEN).await), 30);
    assert_eq!(endpoint.asked(), 1);
}

// case: intro-009
#[tokio::test]
async fn a_server_that_hangs_is_waited_for_five_seconds() {
    let clock = ManualClock::new();
    let hangs = service_fn(|_: Request<Full<Bytes>>| {
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let transport = Transport::new(hangs).with_clock(clock.clock());
    let service = guarded(introspection(URL, transport, &clock));
    let mut answer = pin!(call(&service, TOKEN));
    let mut poll = || answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    clock.advance(Duration::from_millis(4999));
    assert!(poll().is_pending());
    clock.advance(Duration::from_millis(1));
    let Poll::Ready(answer) = poll() else { panic!("it waits on") };
    outage(&answer);
}

/// A body of so many bytes, that counts those that were taken.
struct Long {
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Body for Long {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: usize = 16 * 1024;
        let Some(left) = self.left.checked_sub(PIECE) else { return Poll::Ready(None) };
        self.left = left;
        self.taken.fetch_add(PIECE, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; PIECE])))))
    }
}

// case: intro-010
#[tokio::test]
async fn ten_mebibytes_over_a_socket_are_not_read_to_their_end() {
    const LENGTH: usize = 10 * 1024 * 1024;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let server = raw::Server::start(service_fn(move |_| {
        ready(Ok::<_, Infallible>(Response::new(Long { left: LENGTH, taken: counter.clone() })))
    }))
    .await;
    let clock = ManualClock::new();
    let url = format!("{}/introspect", server.origin());
    let service = guarded(introspection(&url, Transport::new(hyper_client()), &clock));
    let answer = call(&service, TOKEN).await;
    outage(&answer);
    assert!(rejection(&answer).description().contains("longer than allowed"));
    let taken = taken.load(Ordering::Relaxed);
    assert!((256 * 1024..LENGTH).contains(&taken), "{taken}");
}

// case: intro-011
#[tokio::test]
async fn a_page_of_somebody_else_is_no_answer() {
    let endpoint = Endpoint::new();
    let page = "<!doctype html><title>Log in</title>";
    let html = Response::builder().header("content-type", "text/html").body(page.to_owned());
    is_an_outage_that_is_not_kept(&endpoint, html.unwrap()).await;
}

#[tokio::test]
async fn a_page_over_a_socket_and_a_connection_that_is_reset_are_outages() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\
                Content-Length: 6\r\n\r\n<html>";
    // A connection that is cut is tried once more.
    for (answer, each) in [(page, 1), ("", 2)] {
        let server = CountingServer::start(answer).await;
        let clock = ManualClock::new();
        let url = format!("{}/introspect", server.origin());
        let cached = cached(introspection(&url, Transport::new(hyper_client()), &clock), &clock);
        let service = guarded(cached);
        for asked in 1..3 {
            let refused = call(&service, TOKEN).await;
            assert_eq!(outage(&refused), 5);
            assert!(!format!("{:?}", rejection(&refused)).contains(TOKEN));
            assert_eq!(server.requests().len(), asked * each);
        }
        let body = format!("\r\n\r\ntoken={TOKEN}&token_type_hint=access_token");
        assert!(server.requests()[0].ends_with(&body));
    }
}

// case: intro-013
#[tokio::test]
async fn a_token_that_expires_while_it_is_kept_is_refused() {
    let endpoint = Endpoint::active(json!({"exp": 1_000_005}));
    let service = guarded(endpoint.cached());
    assert_eq!(call(&service, TOKEN).await.status(), 200);
    endpoint.clock.advance(Duration::from_millis(4999));
    assert_eq!(call(&service, TOKEN).await.status(), 200);
    assert_eq!(endpoint.asked(), 1);
    endpoint.clock.advance(Duration::from_millis(1001));
    let answer = call(&service, TOKEN).await;
    refused(&answer);
    assert_eq!(rejection(&answer).kind(), RejectionKind::Expired);
}

#[tokio::test]
async fn a_leeway_is_the_same_for_a_new_answer_and_one_that_is_kept() {
    let endpoint = Endpoint::active(json!({"exp": 999_990}));
    let cached =
        cached(endpoint.introspection().with_leeway(seconds(20)).unwrap(), &endpoint.clock);
    for (after, good, asked) in [(0, 200, 1), (9, 200, 1), (1, 401, 1), (0, 401, 2)] {
        endpoint.clock.advance(seconds(after));
        assert_eq!(status(&cached, TOKEN).await, good);
        assert_eq!(endpoint.asked(), asked);
    }
}

// case: intro-014
#[tokio::test]
async fn an_inactive_token_is_kept_for_the_shorter_time() {
    let endpoint = Endpoint::new();
    endpoint.answer(200, r#"{"active":false}"#);
    let service = guarded(endpoint.cached());
    refused(&call(&service, TOKEN).await);
    endpoint.say(json!({}));
    endpoint.clock.advance(Duration::from_millis(9999));
    refused(&call(&service, TOKEN).await);
    assert_eq!(endpoint.asked(), 1);
    endpoint.clock.advance(Duration::from_millis(1));
    assert_eq!(call(&service, TOKEN).await.status(), 200);
    assert_eq!(endpoint.asked(), 2);
}

// case: intro-015
#[tokio::test]
async fn a_token_without_an_expiry_is_kept_no_longer_than_others() {
    let endpoint = Endpoint::active(json!({}));
    let service = guarded(endpoint.cached());
    for (after, asked) in [(0, 1), (59, 1), (1, 2)] {
        endpoint.clock.advance(seconds(after));
        assert_eq!(call(&service, TOKEN).await.status(), 200);
        assert_eq!(endpoint.asked(), asked);
    }
}

// case: intro-018
#[tokio::test]
async fn scopes_are_judged_for_each_route_after_the_cache() {
    let endpoint = Endpoint::active(json!({"scope": "read"}));
    let cached = endpoint.cached();
    let route = |scope: &str| {
        let inner =
            service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
        let scoped = RequireScope::all_of([scope]).unwrap().layer(inner);
        BoxCloneSyncService::new(RequireToken::new("api", cached.clone()).unwrap().layer(scoped))
    };
    assert_eq!(call(&route("read"), TOKEN).await.status(), 200);
    let answer = call(&route("write"), TOKEN).await;
    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn an_item_of_a_list_of_scopes_is_one_scope_or_none() {
    for (scope, status) in [
        (json!(["may not admin"]), 403),
        (json!(["read admin"]), 403),
        (json!(["read", "may\tadmin"]), 403),
        (json!(["may not", "admin"]), 200),
        (json!("may not admin"), 200),
    ] {
        let endpoint = Endpoint::active(json!({"scope": scope.clone()}));
        let inner =
            service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
        let admins = RequireScope::all_of(["admin"]).unwrap().layer(inner);
        let layer = RequireToken::new("api", endpoint.introspection()).unwrap();
        let answer = layer.layer(admins).oneshot(request(TOKEN)).await.unwrap();
        assert_eq!(answer.status(), status, "{scope}");
    }
}

// case: intro-019
#[tokio::test]
async fn two_servers_know_nothing_of_each_others_tokens() {
    let (one, other) = (Endpoint::active(json!({})), Endpoint::new());
    other.answer(200, r#"{"active":false}"#);
    let (ours, theirs) = (guarded(one.cached()), guarded(other.cached()));
    for _ in 0..2 {
        let (good, bad) = tokio::join!(call(&ours, TOKEN), call(&theirs, TOKEN));
        assert_eq!(good.body(), "alice");
        refused(&bad);
    }
    assert_eq!((one.asked(), other.asked()), (1, 1));
}

// case: intro-020
#[tokio::test]
async fn no_token_shows_in_a_cache_that_keeps_it() {
    let endpoint = Endpoint::active(json!({}));
    let cached = endpoint.cached();
    assert_eq!(status(&cached, TOKEN).await, 200);
    assert_eq!(cached.len(), 1);
    let shown = format!("{cached:?} {cached:#?} {:?}", cached.get_ref());
    assert!(!shown.contains(TOKEN) && !shown.contains("s3cr3t"), "{shown}");
}

// case: intro-022
#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let endpoint = Endpoint::active(json!({"aud": "https://other.example"}));
    let service = guarded(endpoint.cached());
    refused(&call(&service, TOKEN).await);
    endpoint.say(json!({"aud": ["https://other.example", API]}));
    assert_eq!(call(&service, "both").await.status(), 200);
    endpoint.say(json!({"aud": null}));
    refused(&call(&service, "nobody").await);
    let lax = guarded(endpoint.introspection().dangerous_allow_missing_audience());
    assert_eq!(call(&lax, "nobody").await.status(), 200);
}

// case: intro-025
#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_refused_without_a_proof() {
    let endpoint =
        Endpoint::active(json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3"}}));
    refused(&call(&guarded(endpoint.cached()), TOKEN).await);
}

// case: intro-026
#[tokio::test]
async fn only_an_access_token_is_good() {
    let endpoint = Endpoint::new();
    let service = guarded(endpoint.introspection());
    for said in [
        json!({"token_type": "refresh_token"}),
        json!({"token_use": "refresh_token"}),
        json!({"token_use": "id_token"}),
        json!({"token_type": "Bearer", "token_use": "id_token"}),
    ] {
        endpoint.say(said);
        refused(&call(&service, TOKEN).await);
    }
    for kind in [json!("Bearer"), json!("bearer"), json!("access_token"), Value::Null] {
        for used in [json!("access_token"), Value::Null] {
            endpoint.say(json!({"token_type": kind, "token_use": used}));
            assert_eq!(call(&service, TOKEN).await.status(), 200, "{kind} {used}");
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_this_resource_says_nothing_to_callers() {
    let endpoint = Endpoint::new();
    let introspection = endpoint.cached();
    let inner =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::default()))));
    let layer = RequireToken::new("api", introspection).unwrap();
    let service = RenderRefusals::problem_json().layer(layer.layer(inner));
    for status in [401, 403, 400] {
        let text =
            format!(r#"{{"error":"invalid_client","error_description":"no {TOKEN} s3cr3t"}}"#);
        endpoint.answer(status, &text);
        let answer: Response<Full<Bytes>> = service.clone().oneshot(request(TOKEN)).await.unwrap();
        assert_eq!(answer.status(), 503, "{status}");
        let rejection = answer.extensions().get::<Rejection>().unwrap().clone();
        assert!(rejection.description().ends_with("invalid_client: no [redacted] [redacted]"));
        let body = text_of(answer).await;
        assert!(body.contains("cannot be checked at the moment"), "{body}");
        assert!(!body.contains("client"), "{body}");
    }
    assert_eq!(endpoint.asked(), 3);
}

/// An endpoint that never answers, and how often it is asked.
fn hanging(clock: &ManualClock) -> (Introspection, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let hangs = service_fn(move |_: Request<Full<Bytes>>| {
        counter.fetch_add(1, Ordering::Relaxed);
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let transport = Transport::new(hangs).with_clock(clock.clock());
    (introspection(URL, transport, clock), asked)
}

/// The description in the audit, and all that the caller gets.
async fn audited(introspection: Introspection) -> (String, String) {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let seen = told.clone();
    let layer = RequireToken::new("api", introspection).unwrap().with_audit(move |event| {
        seen.lock().unwrap().push(event.description.to_owned());
    });
    let inner =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::default()))));
    let service = RenderRefusals::problem_json().layer(layer.layer(inner));
    let answer: Response<Full<Bytes>> = service.oneshot(request(TOKEN)).await.unwrap();
    assert_eq!(answer.status(), 503);
    let headers = format!("{:?}", answer.headers());
    let told = told.lock().unwrap().drain(..).collect::<Vec<_>>();
    (told.join("; "), headers + &text_of(answer).await)
}

#[tokio::test]
async fn the_cause_of_an_outage_is_in_the_audit_and_never_in_the_answer() {
    let endpoint = Endpoint::new();
    let mut outages = Vec::new();
    for (status, body, cause) in [
        (500, "", "500 Internal Server Error"),
        (302, "", "redirects"),
        (401, r#"{"error":"invalid_client"}"#, "does not let this resource ask"),
        (200, "<html>", "malformed"),
        (200, r#"{"active":"yes"}"#, "malformed"),
    ] {
        endpoint.answer(status, body);
        outages.push((audited(endpoint.introspection()).await, cause));
    }
    let refused = service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>("it is down")
    });
    let refused = Transport::new(refused).with_clock(endpoint.clock.clock());
    let down = introspection(URL, refused, &endpoint.clock);
    outages.push((audited(down).await, "cannot be asked: "));
    let later = Response::builder().status(429).header(RETRY_AFTER, "7").body(String::new());
    endpoint.respond(later.unwrap());
    let backs_off = endpoint.introspection();
    audited(backs_off.clone()).await;
    outages.push((audited(backs_off).await, "gets no requests for a while"));
    let (hangs, _) = hanging(&endpoint.clock);
    let mut waiting = tokio_test::task::spawn(audited(hangs));
    assert!(waiting.poll().is_pending());
    endpoint.clock.advance(seconds(5));
    outages.push((tokio_test::assert_ready!(waiting.poll()), "no answer within the deadline"));
    for ((told, answer), cause) in outages {
        assert!(told.contains("introspection") && told.contains(cause), "{cause}: {told}");
        assert!(!answer.contains("introspection") && !answer.contains(cause), "{cause}: {answer}");
    }
}

#[tokio::test]
async fn a_revocation_by_issuer_matches_a_token_whose_answer_names_no_issuer() {
    let endpoint = Endpoint::active(json!({"jti": "j"}));
    let list = Revocations::new().with_clock(endpoint.clock.clock());
    let validator = list.guard(endpoint.introspection().with_issuer(ISSUER));
    assert_eq!(status(&validator, TOKEN).await, 200);
    list.revoke_id(Some(ISSUER), "j", None).unwrap();
    assert_eq!(status(&validator, TOKEN).await, 401);
}

#[tokio::test]
async fn an_empty_issuer_is_a_wrong_one() {
    let endpoint = Endpoint::active(json!({"iss": ""}));
    refused(&call(&guarded(endpoint.introspection()), TOKEN).await);
    refused(&call(&guarded(endpoint.introspection().with_issuer(ISSUER)), TOKEN).await);
}

#[tokio::test]
async fn each_request_of_a_client_that_signs_is_signed_anew_and_off_the_executor() {
    let endpoint = Endpoint::active(json!({}));
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = threads.clone();
    let asked_for = SigningKeySource::from_fn(move || {
        seen.lock().unwrap().push(std::thread::current().id());
        Ok::<_, Infallible>(key.clone())
    });
    let client = ClientAuthentication::private_key_jwt("api", asked_for).unwrap();
    let introspection = Introspection::new(URL, client, endpoint.transport()).unwrap();
    let service = guarded(introspection.with_clock(endpoint.clock.clock()));
    for _ in 0..2 {
        assert_eq!(call(&service, TOKEN).await.status(), 200);
    }
    let here = std::thread::current().id();
    let threads = threads.lock().unwrap();
    assert!(threads.len() == 2 && threads.iter().all(|thread| *thread != here));
    let asked = endpoint.asked.lock().unwrap();
    assert_ne!(asked[0].body(), asked[1].body());
}

async fn text_of(response: Response<Full<Bytes>>) -> String {
    text(response.into_body()).await
}

#[tokio::test]
async fn a_token_that_the_server_cannot_read_is_refused_and_kept_as_such() {
    let endpoint = Endpoint::new();
    endpoint.answer(400, r#"{"error":"unsupported_token_type"}"#);
    let service = guarded(endpoint.cached());
    for _ in 0..2 {
        let answer = call(&service, TOKEN).await;
        refused(&answer);
        assert_eq!(rejection(&answer).kind(), RejectionKind::NotMine);
    }
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn other_members_are_claims_for_who_asks_for_them() {
    let endpoint = Endpoint::active(json!({"tenant": "acme"}));
    let validator = endpoint.introspection().with_claims::<BTreeMap<String, Value>>();
    let inner = service_fn(|request: Request<()>| {
        let known = request.extensions().get::<Authenticated>().unwrap();
        let claims = known.claims::<BTreeMap<String, Value>>().unwrap();
        let tenant = claims["tenant"].as_str().unwrap().to_owned();
        ready(Ok::<_, Infallible>(Response::new(tenant)))
    });
    let layer = RequireToken::new("api", validator).unwrap();
    let service = BoxCloneSyncService::new(layer.layer(inner));
    assert_eq!(call(&service, TOKEN).await.body(), "acme");

    let texts = endpoint.introspection().with_claims::<BTreeMap<String, String>>();
    refused(&call(&guarded(texts), TOKEN).await);
}

#[tokio::test]
async fn an_endpoint_that_wants_a_bearer_token_gets_it_from_a_layer_below() {
    let endpoint = Endpoint::active(json!({}));
    let seen = Arc::new(Mutex::new(None));
    let (kept, answer) = (seen.clone(), endpoint.answer.clone());
    let server = service_fn(move |request: Request<Full<Bytes>>| {
        *kept.lock().unwrap() = request.headers().get("authorization").cloned();
        let answer = answer.lock().unwrap().clone();
        ready(Ok::<_, Infallible>(answer.map(|body| Full::new(Bytes::from(body)))))
    });
    let bearer = AddBearer::bearer("of-the-resource", "https://as.example").unwrap();
    let transport = Transport::new(bearer.layer(server));
    let validator = Introspection::new(URL, ClientAuthentication::none(), transport).unwrap();
    assert_eq!(status(&validator, TOKEN).await, 200);
    assert_eq!(seen.lock().unwrap().take().unwrap(), "Bearer of-the-resource");
}

#[test]
fn what_would_show_a_token_or_a_secret_on_the_way_is_not_built() {
    let transport = Endpoint::new().transport();
    let build = |url, client, transport: &Transport| {
        Introspection::new(url, client, transport.clone()).map(|_| ())
    };
    let basic = || ClientAuthentication::basic("id", "s3cr3t");
    for url in ["http://as.example/i", "/i", "", "ftp://as.example/i", "https://u:p@as.example/i"] {
        assert!(build(url, basic(), &transport).is_err(), "{url}");
    }
    let query = ClientAuthentication::query("id", "s3cr3t");
    assert!(!build(URL, query, &transport).unwrap_err().to_string().contains("s3cr3t"));
    for url in [URL, "http://127.0.0.1:1/i", "http://localhost/i", "https://as.example/i?x=y"] {
        assert!(build(url, basic(), &transport).is_ok(), "{url}");
    }
    assert!(build("http://as.example/i", basic(), &transport.allow_plain_http()).is_ok());
}

#[tokio::test]
async fn a_destroyed_token_is_refused_at_once_and_by_a_cache_when_its_time_is_over() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::new().with_clock(clock.clock());
    server.register_client(RegisteredClient::confidential("api", "s3cr3t"));
    server.register_client(RegisteredClient::confidential("app", "s"));
    server.set_introspection_member("aud", &format!("\"{API}\"")).unwrap();
    let bound = server.bind().await.unwrap();
    let transport = || Transport::new(hyper_client());
    let form = "grant_type=client_credentials&client_id=app&client_secret=s";
    let asked = Request::post(bound.url("/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into());
    let issued = transport().send(asked.unwrap()).await.unwrap();
    let issued: Value = serde_json::from_slice(issued.body()).unwrap();
    let token = issued["access_token"].as_str().unwrap();

    let validator = introspection(&bound.url("/introspect"), transport(), &clock);
    // Times are in whole seconds on the wire.
    let validator = validator.with_leeway(seconds(1)).unwrap();
    let cached = cached(validator.clone(), &clock);
    assert_eq!(status(&validator, token).await, 200);
    assert_eq!(status(&cached, token).await, 200);
    assert!(server.revoke(token));
    assert_eq!(status(&validator, token).await, 401);
    assert_eq!(status(&cached, token).await, 200);
    clock.advance(seconds(60));
    assert_eq!(status(&cached, token).await, 401);
    assert_eq!(server.introspections(), 4);
}

/// The server says the same of a token that was revoked and of one that it does not know.
#[tokio::test]
async fn asked_first_the_server_decides_over_every_token() {
    let endpoint = Endpoint::new();
    endpoint.answer(200, r#"{"active":false}"#);
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("robot")).unwrap();
    let request = Request::new(());
    let head = tower_oauth2::RequestHead::from_request(&request);
    let first = first_of(endpoint.introspection(), tokens.clone());
    let refused = first.validate(TOKEN, head).wait().await.unwrap_err();
    assert_eq!(refused.kind(), RejectionKind::Invalid);
    assert_eq!(endpoint.asked(), 1);
    let last = first_of(tokens, endpoint.introspection());
    assert!(last.validate(TOKEN, head).wait().await.is_ok());
    assert_eq!(endpoint.asked(), 1);
}
