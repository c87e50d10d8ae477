//! A token that the resource rejects is replaced, and the call is repeated once.

use crate::resource::{
    self, AnswerBody, BoxError, HOME, Issuer, Resource, Watch, body_of, ends, poll_once, refusal,
    settle,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    fmt::Debug,
    future::{Future, Ready, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tower::{Layer, Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit, service_fn};
use tower_oauth2::{
    AccessToken, Answer, RequestHead, TokenLocation,
    client::{
        AddBearer, AddBearerService, ClientCredentialsRefresh, Error, ErrorKind, Grant,
        InsufficientScope, RefreshPolicy, TokenCache, TokenResponse, TokenSource,
    },
    testing::ManualClock,
};
use tower_test::mock;

type Text = Full<Bytes>;

/// Whether the call that is looked at finds a token, or has to wait for its first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Warm,
    Cold,
}

const PATHS: [Path; 2] = [Path::Warm, Path::Cold];

/// A property of the caller's, which has to arrive each time.
#[derive(Clone, Debug, PartialEq)]
struct Tag(&'static str);

fn get() -> Request<Text> {
    Request::get(format!("{HOME}/calls")).body(Text::default()).unwrap()
}

fn post() -> Request<Text> {
    Request::post(format!("{HOME}/calls?page=2"))
        .header("x-own", "1")
        .header("x-own", "2")
        .extension(Tag("own"))
        .body(Text::from("body"))
        .unwrap()
}

/// Calls `client`, as a caller does that keeps it.
async fn call<S, B, R>(client: &mut S, request: Request<B>) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    client.ready().await?.call(request).await
}

/// Status and body of the answer to `request`.
async fn ask<S, B, R>(client: &mut S, request: Request<B>) -> (u16, String)
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Debug,
    R: Body,
    R::Error: Debug,
{
    read(call(client, request).await.unwrap()).await
}

async fn read<R>(response: Response<R>) -> (u16, String)
where
    R: Body,
    R::Error: Debug,
{
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), String::from_utf8(bytes.into()).unwrap())
}

fn welcome() -> (u16, String) {
    (200, "welcome".to_owned())
}

fn refused() -> (u16, String) {
    (401, "refused".to_owned())
}

/// Gets `client` its first token, where it is to have one, and has `resource` accept the next.
async fn rotate<S, R>(client: &mut S, resource: &Resource, path: Path)
where
    S: Service<Request<Text>, Response = Response<R>>,
    S::Error: Debug,
    R: Body,
    R::Error: Debug,
{
    if path == Path::Warm {
        resource.accept_only("T1");
        assert_eq!(ask(client, get()).await, welcome());
        assert_eq!(resource.tokens(), ["T1"]);
    }
    resource.accept_only("T2");
}

fn header(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
}

/// The head of an answer of gRPC that has trailers only.
fn grpc(status: &'static str) -> HeaderMap {
    let mut headers = header("content-type", "application/grpc");
    headers.extend(header("grpc-status", status));
    headers
}

/// A refusal with this head and the usual body.
fn refusing(status: u16, headers: &HeaderMap) -> impl Fn() -> Response<AnswerBody> + use<> {
    let headers = headers.clone();
    move || {
        let mut response = Response::new(body_of("refused"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers.clone();
        response
    }
}

// case: r401-01
#[tokio::test]
async fn a_rejected_token_is_replaced_and_the_call_repeated_once() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T2", "T3"]), Resource::accepting([]));
        let mut client = issuer.layer().layer(resource.clone());
        rotate(&mut client, &resource, path).await;
        assert_eq!(ask(&mut client, post()).await, welcome(), "{path:?}");
        let seen = resource.seen();
        let tokens: Vec<_> = seen.iter().map(|seen| seen.token().unwrap()).collect();
        assert_eq!(tokens, ["T1", "T2"], "{path:?}");
        for seen in &seen {
            let head = &seen.head;
            assert_eq!((&head.method, head.uri.path()), (&Method::POST, "/calls"));
            assert_eq!(head.uri.query(), Some("page=2"));
            let own: Vec<_> = head.headers.get_all("x-own").iter().collect();
            assert_eq!(own, ["1", "2"]);
            assert_eq!(head.headers.len(), 3);
            assert_eq!(head.extensions.get(), Some(&Tag("own")));
            assert_eq!(seen.body, "body");
        }
        assert_eq!(issuer.requests(), 2, "{path:?}");
        // From then on the new token is used.
        assert_eq!(ask(&mut client, post()).await, welcome());
        assert_eq!(resource.tokens(), ["T2"]);
    }
}

// case: r401-01
#[tokio::test]
async fn the_repeated_call_carries_the_new_token_alone_in_every_place() {
    let basic = |token: &str| BASE64_STANDARD.encode(format!("{token}:"));
    let (first, second) = (basic("T1"), basic("T2"));
    let places = [
        (TokenLocation::Query, "T1", "T2"),
        (TokenLocation::header("x-api-key").unwrap(), "T1", "T2"),
        (TokenLocation::header_with_scheme("authorization", "Token").unwrap(), "T1", "T2"),
        (TokenLocation::BasicUserName, &first, &second),
    ];
    for (place, first, second) in places {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([second]));
        let mut client = issuer.layer().with_location(place.clone()).layer(resource.clone());
        assert_eq!(ask(&mut client, post()).await, welcome(), "{place:?}");
        let seen = resource.seen();
        let shown = |index: usize, token: &str| {
            let head = &seen[index].head;
            format!("{} {:?}", head.uri, texts(&head.headers)).matches(token).count()
        };
        assert_eq!((seen.len(), shown(0, first), shown(0, second)), (2, 1, 0), "{place:?}");
        assert_eq!((shown(1, first), shown(1, second)), (0, 1), "{place:?}");
    }
}

fn texts(headers: &HeaderMap) -> Vec<&str> {
    headers.values().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn overwriting_replaces_the_callers_credential_both_times() {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting(["T2"]));
    let mut client = issuer.layer().allow_credential_overwrite().layer(resource.clone());
    let mut request = get();
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer own"));
    assert_eq!(ask(&mut client, request).await, welcome());
    assert_eq!(resource.tokens(), ["T1", "T2"]);
}

// case: r401-02
#[tokio::test]
async fn a_token_that_is_given_once_more_is_not_sent_once_more() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T1", "T1"]), Resource::accepting([]));
        let watch = Arc::new(Watch::default());
        let watched = watch.clone();
        let resource = resource.refusing_with(move || {
            let mut left = vec![Bytes::from("sed"), Bytes::from("refu")];
            let mut response =
                refusal(watched.body(move || Poll::Ready(left.pop())).boxed_unsync());
            response.extensions_mut().insert(Tag("of the answer"));
            response
        });
        let mut client = issuer.layer().layer(resource.clone());
        rotate(&mut client, &resource, path).await;
        let response = call(&mut client, post()).await.unwrap();
        assert_eq!((watch.polls(), watch.is_dropped()), (0, false), "it is untouched");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], resource::INVALID_TOKEN);
        assert_eq!(response.extensions().get(), Some(&Tag("of the answer")));
        assert_eq!(read(response).await, refused(), "{path:?}");
        assert_eq!(resource.tokens(), ["T1"], "{path:?}");
        assert_eq!(issuer.requests(), 2, "{path:?}");
    }
}

// case: r401-03
#[tokio::test]
async fn a_second_rejection_is_the_callers() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T2", "T3"]), Resource::accepting([]));
        let count = AtomicUsize::new(0);
        let resource = resource.refusing_with(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            refusal(body_of(format!("refusal {number}")))
        });
        let mut client = issuer.layer().layer(resource.clone());
        rotate(&mut client, &resource, path).await;
        resource.accept_only("T9");
        let answer = ask(&mut client, post()).await;
        assert_eq!(answer, (401, "refusal 2".to_owned()), "{path:?}");
        settle().await;
        assert_eq!(resource.tokens(), ["T1", "T2"], "{path:?}");
        assert_eq!(issuer.requests(), 2, "{path:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_second_send_is_the_callers() {
    let issuer = Issuer::of(["T1", "T2"]);
    let resource = Resource::accepting([]);
    let inner = {
        let resource = resource.clone();
        service_fn(move |request: Request<Text>| {
            let resource = resource.clone();
            let second = request.headers()[AUTHORIZATION] == "Bearer T2";
            async move {
                match second {
                    true => Err(BoxError::from("the line is cut")),
                    false => Ok(resource.oneshot(request).await?),
                }
            }
        })
    };
    let error = call(&mut issuer.layer().layer(inner), get()).await.unwrap_err();
    assert_eq!(error.to_string(), "the line is cut");
    assert_eq!(resource.tokens(), ["T1"]);
}

#[tokio::test]
async fn without_another_token_the_first_answer_is_the_callers() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1"]), Resource::accepting([]));
        let mut client = issuer.layer().layer(resource.clone());
        rotate(&mut client, &resource, path).await;
        assert_eq!(ask(&mut client, get()).await, refused(), "{path:?}");
        assert_eq!(resource.tokens(), ["T1"]);
        assert_eq!(issuer.requests(), 2);
    }
}

/// Its URI has room for a short token and none for a long one.
#[tokio::test]
async fn a_new_token_that_finds_no_place_leaves_the_first_answer_to_the_caller() {
    let long = "T2".repeat(8000);
    let (issuer, resource) = (Issuer::of(["T1", &long]), Resource::accepting(["T2"]));
    let mut client = issuer.layer().with_location(TokenLocation::Query).layer(resource.clone());
    let uri = format!("{HOME}/{}", "x".repeat(50_000));
    let request = Request::get(uri).body(Text::default()).unwrap();
    assert_eq!(ask(&mut client, request).await, refused());
    assert_eq!((resource.seen().len(), issuer.requests()), (1, 2));
}

/// A body that cannot be cloned.
fn stream(watch: &Arc<Watch>, chunks: usize) -> resource::Watched {
    let mut left = chunks;
    watch.body(move || {
        let chunk = (left > 0).then(|| Bytes::from("chunk "));
        left = left.saturating_sub(1);
        Poll::Ready(chunk)
    })
}

// case: r401-04
#[tokio::test]
async fn a_stream_is_sent_once_and_its_token_is_suspect_all_the_same() {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting(["T2"]));
    let layer = issuer.layer();
    let mut client = layer.layer(resource.clone());
    let watch = Arc::new(Watch::default());
    let body = stream(&watch, 3).boxed_unsync();
    let request = Request::post(format!("{HOME}/calls")).body(body).unwrap();
    assert_eq!(ask(&mut client, request).await, refused());
    let seen = resource.seen();
    assert_eq!((seen.len(), &seen[0].body[..]), (1, &b"chunk chunk chunk "[..]));
    assert_eq!(issuer.requests(), 1, "nobody waits for another");
    assert!(!layer.cache().status().is_fresh());
    assert_eq!(ask(&mut client, get().map(BodyExt::boxed_unsync)).await, welcome());
    // A call that can be repeated goes on with it.
    assert_eq!(resource.tokens(), ["T1", "T2"]);
    assert_eq!(issuer.requests(), 2);
}

// case: r401-04
/// The resource gets the very body, and reads it or does not.
#[tokio::test]
async fn a_stream_is_not_buffered() {
    for reads in [0, 1, 2] {
        let inner = service_fn(move |request: Request<AnswerBody>| async move {
            let mut body = request.into_body();
            for _ in 0..reads {
                body.frame().await.unwrap().unwrap();
            }
            Ok::<_, BoxError>(refusal(body_of("refused")))
        });
        let mut client = Issuer::of(["T1", "T2"]).layer().layer(inner);
        let watch = Arc::new(Watch::default());
        let body = stream(&watch, 1000).boxed_unsync();
        let request = Request::post(format!("{HOME}/calls")).body(body).unwrap();
        assert_eq!(ask(&mut client, request).await, refused());
        assert_eq!((watch.polls(), watch.is_dropped()), (reads, true));
    }
}

// case: r401-12
#[tokio::test]
async fn the_callers_own_credential_is_the_callers_affair() {
    let own = [
        (TokenLocation::Bearer, "authorization", "Bearer own"),
        (TokenLocation::Bearer, "authorization", "Basic b3duOg=="),
        (TokenLocation::BasicUserName, "authorization", "Bearer own"),
        (TokenLocation::header("x-api-key").unwrap(), "x-api-key", "own"),
        (TokenLocation::Query, "authorization", "Bearer own"),
    ];
    for (place, name, value) in own {
        let issuer = Issuer::of(["T1", "T2"]);
        // The token, and the token as a Basic user name.
        let resource = Resource::accepting(["T1", "VDE6"]);
        let mut client = issuer.layer().with_location(place).layer(resource.clone());
        // Before there is a token, and when there is one, which the rejection does not touch.
        for fetches in [0, 1] {
            let mut request = post();
            request.headers_mut().insert(name, HeaderValue::from_static(value));
            let headers = request.headers().clone();
            assert_eq!(ask(&mut client, request).await, refused());
            let seen = resource.seen();
            assert_eq!((seen.len(), &seen[0].head.headers), (1, &headers));
            assert_eq!(seen[0].head.uri.to_string(), format!("{HOME}/calls?page=2"));
            assert_eq!((&seen[0].body[..], issuer.requests()), (&b"body"[..], fetches));
            assert_eq!(ask(&mut client, get()).await, welcome());
            assert_eq!((resource.seen().len(), issuer.requests()), (1, 1));
        }
    }
}

// case: r401-12
#[tokio::test]
async fn a_token_in_the_callers_query_is_the_callers_affair() {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
    let mut client = issuer.layer().with_location(TokenLocation::Query).layer(resource.clone());
    let uri = format!("{HOME}/calls?access_token=own");
    let request = Request::get(&uri).body(Text::default()).unwrap();
    assert_eq!(ask(&mut client, request).await, refused());
    let seen = resource.seen();
    assert_eq!((seen.len(), seen[0].head.uri.to_string()), (1, uri));
    assert!(seen[0].head.headers.is_empty());
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn another_origin_does_not_reject_the_token_that_it_never_got() {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting(["T1"]));
    let layer = issuer.layer().allow_other_origins();
    let mut client = layer.layer(resource.clone());
    assert_eq!(ask(&mut client, get()).await, welcome());
    let request = Request::get("https://b.example/").body(Text::default()).unwrap();
    assert_eq!(ask(&mut client, request).await, refused());
    assert_eq!(ask(&mut client, get()).await, welcome());
    assert_eq!(resource.tokens(), ["T1", "none", "T1"]);
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn without_recovery_every_rejection_is_the_callers_and_the_token_stays() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
        let mut client = issuer.layer().without_recovery().layer(resource.clone());
        rotate(&mut client, &resource, path).await;
        for _ in 0..2 {
            assert_eq!(ask(&mut client, get()).await, refused());
        }
        assert_eq!(resource.tokens(), ["T1", "T1"], "{path:?}");
        assert_eq!(issuer.requests(), 1);
    }
}

#[tokio::test]
async fn no_other_status_is_a_rejection() {
    for status in [200, 400, 403, 404, 407, 500, 503] {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
        let challenge = header("www-authenticate", resource::INVALID_TOKEN);
        let resource = resource.refusing_with(refusing(status, &challenge));
        let mut client = issuer.layer().layer(resource.clone());
        assert_eq!(ask(&mut client, get()).await, (status, "refused".to_owned()));
        assert_eq!((resource.tokens().len(), issuer.requests()), (1, 1), "{status}");
    }
}

#[tokio::test]
async fn a_fixed_token_is_not_replaced() {
    let resource = Resource::accepting([]);
    let mut fixed = AddBearer::bearer("T1", HOME).unwrap().layer(resource.clone());
    assert_eq!(ask(&mut fixed, get()).await, refused());
    let source = AccessToken::new("T1").unwrap();
    let mut source = AddBearer::from_source(source, HOME).unwrap().layer(resource.clone());
    assert_eq!(ask(&mut source, get()).await, refused());
    let asked = || async { AccessToken::new("T1") };
    let mut asked = AddBearer::from_source(asked, HOME).unwrap().layer(resource.clone());
    assert_eq!(ask(&mut asked, get()).await, refused());
    assert_eq!(resource.tokens(), ["T1", "T1", "T1"]);
}

// case: r401-13
#[tokio::test]
async fn grpc_unauthenticated_without_a_message_is_a_rejection() {
    for strict in [false, true] {
        for path in PATHS {
            let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
            let resource = resource.refusing_with(refusing(200, &grpc("16")));
            let layer = match strict {
                true => issuer.layer().with_strict_recovery(),
                false => issuer.layer(),
            };
            let mut client = layer.layer(resource.clone());
            rotate(&mut client, &resource, path).await;
            assert_eq!(ask(&mut client, post()).await, welcome());
            assert_eq!((resource.tokens(), issuer.requests()), (two(), 2));
        }
    }
}

fn two() -> Vec<String> {
    vec!["T1".to_owned(), "T2".to_owned()]
}

// case: r401-13
#[tokio::test]
async fn other_grpc_statuses_and_a_status_after_a_message_are_the_callers() {
    for status in ["0", "7", "14", "160", "1"] {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
        let resource = resource.refusing_with(refusing(200, &grpc(status)));
        let mut client = issuer.layer().layer(resource.clone());
        assert_eq!(ask(&mut client, post()).await, (200, "refused".to_owned()));
        assert_eq!((resource.tokens().len(), issuer.requests()), (1, 1), "{status}");
    }
    // The head is handed on while the trailers are still to come.
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
    let resource = resource.refusing_with(|| {
        let trailers = async { Some(Ok(header("grpc-status", "16"))) };
        Response::new(body_of("message").with_trailers(trailers).boxed_unsync())
    });
    let response = call(&mut issuer.layer().layer(resource), post()).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "16");
    assert_eq!((collected.to_bytes(), issuer.requests()), (Bytes::from("message"), 1));
}

// case: r401-06
/// All of them are rejected before any asks for another token.
#[tokio::test]
async fn a_hundred_rejections_at_once_cost_one_token_request() {
    const CALLS: usize = 100;
    let issuer = Issuer::of(["T1", "T2", "T3"]);
    let resource = Resource::accepting(["T1"]).refusing_together(CALLS);
    let mut client = issuer.layer().layer(resource.clone());
    rotate(&mut client, &resource, Path::Warm).await;
    let calls: Vec<_> = (0..CALLS).map(|_| tokio::spawn(client.clone().oneshot(post()))).collect();
    for call in calls {
        assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
    }
    let mut tokens = resource.tokens();
    tokens.sort();
    let (first, second) = tokens.split_at(CALLS);
    assert!(first.iter().all(|token| token == "T1"), "{tokens:?}");
    assert!(second.len() == CALLS && second.iter().all(|token| token == "T2"), "{tokens:?}");
    assert_eq!(issuer.requests(), 2);
}

// case: r401-06
/// The rejections come in one after another, most of them when the new token is there already.
#[tokio::test]
async fn a_late_rejection_of_the_old_token_leaves_the_new_one_alone() {
    let (mock, mut handle) = mock::pair::<Request<Text>, Response<Text>>();
    let issuer = Issuer::of(["T1", "T2", "T3"]);
    let client = issuer.layer().layer(mock);
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.clone().oneshot(get()))).collect();
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.push(ends(handle.next_request()).await.unwrap());
    }
    for (request, answer) in sent {
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer T1");
        answer.send_response(refusal_text());
        let (request, answer) = ends(handle.next_request()).await.unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer T2");
        answer.send_response(Response::new(Text::from("welcome")));
    }
    for call in calls {
        assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
    }
    assert_eq!(issuer.requests(), 2);
}

fn refusal_text() -> Response<Text> {
    let mut response = Response::new(Text::from("refused"));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// A source in front of another, which keeps what it was given: the second cache of two.
#[derive(Clone)]
struct Memo {
    below: TokenCache,
    kept: Arc<Mutex<Option<AccessToken>>>,
}

impl TokenSource for Memo {
    type Future = <TokenCache as TokenSource>::Future;

    fn token(&self, request: RequestHead<'_>) -> Answer<Self::Future> {
        if let Some(kept) = &*self.kept.lock().unwrap() {
            return Answer::Ready(Ok(kept.clone()));
        }
        let (below, kept) = (self.below.token(request), self.kept.clone());
        Answer::Pending(Box::pin(async move {
            let token = below.wait().await?;
            Ok(kept.lock().unwrap().insert(token).clone())
        }))
    }

    fn can_recover(&self) -> bool {
        self.below.can_recover()
    }

    fn reject(&self, rejected: &AccessToken) -> bool {
        *self.kept.lock().unwrap() = None;
        self.below.reject(rejected)
    }
}

fn cache_of(issuer: &Issuer) -> TokenCache {
    let grant = Grant::client_credentials();
    let (policy, clock) = (RefreshPolicy::default(), ManualClock::new().clock());
    TokenCache::new_with_clock(issuer.endpoint(), grant, policy, clock)
}

// case: r401-07
#[tokio::test]
async fn a_rejection_reaches_the_innermost_cache() {
    for path in PATHS {
        let issuers = [(); 4].map(|()| Issuer::of(["T1", "T2", "T3"]));
        let [plain, erased, shared, memo] = issuers.clone();
        let memo = Memo { below: cache_of(&memo), kept: Arc::default() };
        let sources = [
            cache_of(&plain).into_shared(),
            Arc::new(cache_of(&erased).into_shared()).into_shared(),
            Arc::new(Arc::new(cache_of(&shared))).into_shared(),
            memo.into_shared(),
        ];
        for (source, issuer) in sources.into_iter().zip(issuers) {
            let resource = Resource::accepting([]);
            let layer = AddBearer::from_source(source, HOME).unwrap();
            let mut client = layer.layer(resource.clone());
            rotate(&mut client, &resource, path).await;
            assert_eq!(ask(&mut client, post()).await, welcome());
            assert_eq!((resource.tokens(), issuer.requests()), (two(), 2), "{path:?}");
        }
    }
}

// case: r401-16
/// Relatel's tokens have neither an expiry nor a refresh token.
#[tokio::test]
async fn a_destroyed_token_is_the_end_until_a_new_one_is_stored() {
    let token = |text: &str| TokenResponse::new(AccessToken::new(text).unwrap());
    let (issuer, resource) = (Issuer::of(["T9"]), Resource::accepting(["T1"]));
    let (policy, clock) = (RefreshPolicy::default(), ManualClock::new().clock());
    let cache = TokenCache::from_sign_in(issuer.endpoint(), &token("T1"), policy, clock);
    let layer = AddBearer::from_source(cache.clone(), HOME).unwrap();
    let mut client = layer.layer(resource.clone());
    assert_eq!(ask(&mut client, post()).await, welcome());
    resource.seen();
    for new in ["T2", "T3"] {
        // The user destroys it.
        resource.accept_only(new);
        assert_eq!(ask(&mut client, post()).await, refused());
        let seen = resource.seen();
        assert_eq!((seen.len(), &seen[0].body[..]), (1, &b"body"[..]));
        for _ in 0..2 {
            let error = call(&mut client, post()).await.unwrap_err().downcast::<Error>().unwrap();
            assert_eq!((error.kind(), error.is_sign_in_needed()), (ErrorKind::SignInNeeded, true));
            assert!(error.to_string().contains("has to sign in"), "{error}");
            assert_eq!(resource.seen().len(), 0, "the resource is not called");
        }
        cache.store(&token(new));
        assert_eq!(ask(&mut client, post()).await, welcome());
        assert_eq!(resource.tokens(), [new]);
    }
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn a_403_says_which_scopes_it_wants_on_every_way() {
    let cases = [
        (r#"Bearer error="insufficient_scope", scope="calls:read calls:write""#, Some(2)),
        (r#"Basic realm="x", bearer ERROR=insufficient_scope, scope=a"#, Some(1)),
        (r#"Bearer error="insufficient_scope""#, Some(0)),
        (r#"Bearer scope="a""#, None),
        (r#"DPoP error="insufficient_scope", scope="a""#, Some(1)),
        (r#"Other error="insufficient_scope", scope="a""#, None),
    ];
    for (challenge, scopes) in cases {
        let headers = header("www-authenticate", challenge);
        let resource = Resource::accepting(["T9"]).refusing_with(refusing(403, &headers));
        let issuer = Issuer::of(["T1", "T1"]);
        let fixed = AddBearer::bearer("T1", HOME).unwrap().layer(resource.clone());
        let keeping = issuer.layer().layer(resource.clone());
        let quick = issuer.layer().without_recovery().layer(resource.clone());
        let mut clients = [fixed.boxed_clone(), keeping.boxed_clone(), quick.boxed_clone()];
        // The second round has its tokens.
        for round in 0..2 {
            for client in &mut clients {
                let response = call(client, get()).await.unwrap();
                let wanted = response.extensions().get::<InsufficientScope>();
                let wanted = wanted.map(|wanted| wanted.scopes().iter().count());
                assert_eq!(wanted, scopes, "{challenge} in round {round}");
                assert_eq!(read(response).await, (403, "refused".to_owned()));
            }
        }
    }
    // No other status speaks of scopes.
    let headers = header("www-authenticate", r#"Bearer error="insufficient_scope", scope="a""#);
    let resource = Resource::accepting([]).refusing_with(refusing(400, &headers));
    let mut client = AddBearer::bearer("T1", HOME).unwrap().layer(resource);
    let response = call(&mut client, get()).await.unwrap();
    assert!(response.extensions().get::<InsufficientScope>().is_none());
}

#[tokio::test]
async fn a_repeated_call_may_be_the_one_that_lacks_a_scope() {
    let headers = header("www-authenticate", r#"Bearer error="insufficient_scope", scope="a b""#);
    let (issuer, count) = (Issuer::of(["T1", "T2"]), AtomicUsize::new(0));
    let forbidden = refusing(403, &headers);
    let resource =
        Resource::accepting([]).refusing_with(move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => refusal(body_of("refused")),
            _ => forbidden(),
        });
    let response = call(&mut issuer.layer().layer(resource), get()).await.unwrap();
    let wanted = response.extensions().get::<InsufficientScope>().unwrap();
    assert_eq!(*wanted.scopes(), "a b".parse().unwrap());
}

/// A resource that refuses `T1` with `body`, and notes whether it was dropped by the second call.
fn refusing_once(
    watch: &Arc<Watch>,
    next: impl FnMut() -> Poll<Option<Bytes>> + Clone + Send + Sync + 'static,
) -> Resource {
    let watch = watch.clone();
    Resource::accepting(["T2"])
        .refusing_with(move || refusal(watch.body(next.clone()).boxed_unsync()))
}

#[tokio::test]
async fn the_first_answer_is_held_untouched_while_another_token_is_fetched() {
    let (issuer, watch) = (Issuer::hesitating(["T1", "T2"]), Arc::new(Watch::default()));
    let resource = refusing_once(&watch, || Poll::Ready(None));
    let mut client = issuer.layer().layer(resource.clone());
    let mut call = pin!(ask(&mut client, get()));
    for _ in 0..8 {
        assert!(poll_once(call.as_mut()).await.is_pending());
        settle().await;
    }
    assert_eq!((issuer.requests(), watch.polls(), watch.is_dropped()), (2, 0, false));
    issuer.let_answer();
    assert_eq!(ends(call).await, welcome());
    assert_eq!((watch.polls(), watch.is_dropped()), (1, true));
}

#[tokio::test]
async fn the_first_answer_is_dropped_before_the_call_is_repeated() {
    let (mock, mut handle) = mock::pair::<Request<Text>, Response<AnswerBody>>();
    let client = Issuer::of(["T1", "T2"]).layer().layer(mock);
    let watch = Arc::new(Watch::default());
    let call = tokio::spawn(client.oneshot(get()));
    let (_, answer) = ends(handle.next_request()).await.unwrap();
    answer.send_response(refusal(watch.body(|| Poll::Ready(None)).boxed_unsync()));
    let (_, answer) = ends(handle.next_request()).await.unwrap();
    assert!(watch.is_dropped());
    answer.send_response(Response::new(body_of("welcome")));
    assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
}

#[tokio::test]
async fn at_most_16_kib_of_the_first_answer_are_read() {
    // The length of each of its chunks, and how many of them are read.
    for (length, chunks) in [(1024, 17), (16 * 1024, 2), (16 * 1024 + 1, 1), (4 << 20, 1)] {
        let watch = Arc::new(Watch::default());
        let resource = refusing_once(&watch, move || Poll::Ready(Some(vec![b'x'; length].into())));
        let mut client = Issuer::of(["T1", "T2"]).layer().layer(resource);
        assert_eq!(ends(ask(&mut client, get())).await, welcome());
        assert_eq!((watch.polls(), watch.is_dropped()), (chunks, true), "{length}");
    }
}

#[tokio::test]
async fn empty_chunks_without_end_are_given_up() {
    let watch = Arc::new(Watch::default());
    // A body that would keep the thread for ever fails the test instead.
    let mut polls = 0;
    let resource = refusing_once(&watch, move || {
        polls += 1;
        assert!(polls < 1_000_000, "it is read without end");
        Poll::Ready(Some(Bytes::new()))
    });
    let mut client = Issuer::of(["T1", "T2"]).layer().layer(resource);
    assert_eq!(ends(ask(&mut client, get())).await, welcome());
    assert_eq!((watch.bytes(), watch.is_dropped()), (0, true));
}

#[tokio::test]
async fn a_first_answer_that_never_ends_is_given_up_after_100_ms() {
    let (issuer, manual) = (Issuer::of(["T1", "T2"]), ManualClock::new());
    let watch = Arc::new(Watch::default());
    let resource = refusing_once(&watch, || Poll::Pending);
    let client = issuer.layer_for(HOME, &manual).layer(resource.clone());
    let call = tokio::spawn(client.oneshot(get()));
    settle().await;
    for wait in [99, 1] {
        assert_eq!((resource.tokens().len(), watch.is_dropped()), (wait / 99, false));
        manual.advance(Duration::from_millis(wait as u64));
        settle().await;
    }
    assert!(watch.is_dropped());
    assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
    assert_eq!(resource.tokens(), ["T2"]);
}

/// The limit below the layer has one permit, which the first send gives back.
#[tokio::test]
async fn the_call_is_repeated_within_a_limit_of_one() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
        let mut client = issuer.layer().layer(ConcurrencyLimit::new(resource.clone(), 1));
        rotate(&mut client, &resource, path).await;
        assert_eq!(ends(ask(&mut client, post())).await, welcome(), "{path:?}");
        assert_eq!(ends(ask(&mut client, post())).await, welcome(), "{path:?}");
        assert_eq!(resource.tokens(), ["T1", "T2", "T2"]);
    }
}

#[tokio::test]
async fn calls_that_are_repeated_within_a_limit_take_turns() {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
    let mut client = issuer.layer().layer(ConcurrencyLimit::new(resource.clone(), 1));
    rotate(&mut client, &resource, Path::Warm).await;
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.clone().oneshot(post()))).collect();
    for call in calls {
        assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
    }
    let tokens = resource.tokens();
    assert!((21..=40).contains(&tokens.len()), "{tokens:?}");
    assert_eq!(tokens.iter().filter(|token| *token == "T2").count(), 20);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn the_call_is_repeated_through_a_buffer_of_one() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::of(["T1", "T2"]), Resource::accepting([]));
        let buffered = Buffer::new(ConcurrencyLimit::new(resource.clone(), 1), 1);
        let mut client = issuer.layer().layer(buffered);
        rotate(&mut client, &resource, path).await;
        assert_eq!(ends(ask(&mut client, post())).await, welcome(), "{path:?}");
        assert_eq!(resource.tokens(), ["T1", "T2"]);
    }
}

/// A clone of the mock is not ready, and panics when it is called all the same.
#[tokio::test]
async fn the_second_send_waits_until_the_inner_service_is_ready() {
    for path in PATHS {
        let (mock, mut handle) = mock::pair::<Request<Text>, Response<Text>>();
        let mut client = Issuer::of(["T1", "T2"]).layer().layer(mock);
        if path == Path::Warm {
            let first = tokio::spawn(client.clone().oneshot(get()));
            answer_next(&mut handle, "Bearer T1", Response::new(Text::default())).await;
            ends(first).await.unwrap().unwrap();
        }
        handle.allow(1);
        let mut call = pin!(call(&mut client, get()));
        assert!(poll_once(call.as_mut()).await.is_pending());
        settle().await;
        assert!(poll_once(call.as_mut()).await.is_pending());
        answer_next(&mut handle, "Bearer T1", refusal_text()).await;
        handle.allow(0);
        for _ in 0..4 {
            assert!(poll_once(call.as_mut()).await.is_pending());
            settle().await;
        }
        assert!(poll_once(pin!(handle.next_request())).await.is_pending(), "it is not ready");
        handle.allow(1);
        assert!(poll_once(call.as_mut()).await.is_pending());
        answer_next(&mut handle, "Bearer T2", Response::new(Text::from("welcome"))).await;
        assert_eq!(read(ends(call).await.unwrap()).await, welcome());
    }
}

async fn answer_next(
    handle: &mut mock::Handle<Request<Text>, Response<Text>>,
    credential: &str,
    answer: Response<Text>,
) {
    let (request, send) = ends(handle.next_request()).await.unwrap();
    assert_eq!(request.headers()[AUTHORIZATION], credential);
    send.send_response(answer);
}

#[tokio::test]
async fn an_inner_service_that_fails_to_become_ready_again_fails_the_call() {
    let (mock, mut handle) = mock::pair::<Request<Text>, Response<Text>>();
    let mut client = Issuer::of(["T1", "T2"]).layer().layer(mock);
    let mut call = pin!(call(&mut client, get()));
    handle.allow(1);
    assert!(poll_once(call.as_mut()).await.is_pending());
    settle().await;
    assert!(poll_once(call.as_mut()).await.is_pending());
    answer_next(&mut handle, "Bearer T1", refusal_text()).await;
    handle.send_error("not any more");
    assert_eq!(ends(call).await.unwrap_err().to_string(), "not any more");
}

/// A source that sometimes says that there is a token at once, and always has one.
struct Moody {
    warm: Arc<AtomicBool>,
    token: AccessToken,
}

impl TokenSource for Moody {
    type Future = Ready<Result<AccessToken, Error>>;

    fn token(&self, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(Ok(self.token.clone()))
    }

    fn is_warm(&self) -> bool {
        self.warm.load(Ordering::SeqCst)
    }
}

/// A service that is polled while there is a token stands in the queue of the limit. When it is
/// called without being ready, its place must not be kept by the service, which nobody polls.
#[tokio::test]
async fn a_place_in_the_queue_of_a_limit_goes_to_the_call_that_waits() {
    let warm = Arc::new(AtomicBool::new(true));
    let source = Moody { warm: warm.clone(), token: AccessToken::new("T1").unwrap() };
    let mut others = ConcurrencyLimit::new(Resource::accepting(["T1"]), 1);
    let mut client = AddBearer::from_source(source, HOME).unwrap().layer(others.clone());
    ServiceExt::<Request<Text>>::ready(&mut others).await.unwrap();
    {
        let mut ready = pin!(ServiceExt::<Request<Text>>::ready(&mut client));
        assert!(poll_once(ready.as_mut()).await.is_pending());
        warm.store(false, Ordering::SeqCst);
        assert!(poll_once(ready.as_mut()).await.is_ready());
    }
    let mut call = pin!(client.call(get()));
    assert!(poll_once(call.as_mut()).await.is_pending());
    drop(others);
    assert_eq!(read(ends(call).await.unwrap()).await, welcome());
}

#[tokio::test]
async fn a_rejected_call_that_waits_for_a_token_leaves_the_limit_to_others() {
    for path in PATHS {
        let (issuer, resource) = (Issuer::hesitating(["T1", "T2"]), Resource::accepting([]));
        let mut limited = ConcurrencyLimit::new(resource.clone(), 1);
        let mut client = issuer.layer().layer(limited.clone());
        rotate(&mut client, &resource, path).await;
        let mut call = pin!(ask(&mut client, get()));
        for _ in 0..4 {
            assert!(poll_once(call.as_mut()).await.is_pending());
            settle().await;
        }
        assert_eq!((resource.tokens().len(), issuer.requests()), (1, 2));
        assert_eq!(ends(ask(&mut limited, get())).await, refused(), "{path:?}");
        issuer.let_answer();
        assert_eq!(ends(call).await, welcome());
    }
}

#[tokio::test]
async fn a_rejected_call_that_is_dropped_while_it_waits_loses_no_token() {
    let (issuer, resource) = (Issuer::hesitating(["T1", "T2", "T3"]), Resource::accepting(["T2"]));
    let mut client = issuer.layer().layer(resource.clone());
    {
        let mut call = pin!(ask(&mut client, get()));
        for _ in 0..4 {
            assert!(poll_once(call.as_mut()).await.is_pending());
            settle().await;
        }
    }
    assert_eq!((resource.tokens(), issuer.requests()), (vec!["T1".to_owned()], 2));
    issuer.let_answer();
    settle().await;
    assert_eq!(ask(&mut client, get()).await, welcome());
    assert_eq!((resource.tokens(), issuer.requests()), (vec!["T2".to_owned()], 2));
}

const SHORT: usize = 1024;
const LONG: usize = 3 << 20;

fn long_refusal(length: usize) -> impl Fn() -> Response<AnswerBody> {
    move || refusal(body_of(vec![b'x'; length]))
}

/// A call over a connection: its URI has no authority.
fn over_the_wire() -> Request<Text> {
    Request::post("/calls?page=2").body(Text::from("body")).unwrap()
}

// case: r401-01
#[tokio::test]
async fn over_one_connection_the_call_is_repeated() {
    for length in [0, SHORT, 16 * 1024] {
        let issuer = Issuer::of(["T1", "T2"]);
        let resource = Resource::accepting(["T2"]).refusing_with(long_refusal(length));
        let served = resource.serve().await;
        let mut client = issuer.layer().layer(served.one_connection().await);
        for _ in 0..2 {
            assert_eq!(ends(ask(&mut client, over_the_wire())).await, welcome(), "{length}");
        }
        let seen = resource.seen();
        assert!(seen.iter().all(|seen| seen.body == "body"));
        let tokens: Vec<_> = seen.iter().map(|seen| seen.token().unwrap()).collect();
        assert_eq!(tokens, ["T1", "T2", "T2"]);
        assert_eq!((served.connections(), issuer.requests()), (1, 2));
    }
}

/// An answer that is not read to its end costs the connection, and this client has but the one:
/// the error is the connection's, and it comes at once.
#[tokio::test]
async fn over_one_connection_a_long_refusal_ends_in_an_error_and_in_no_deadlock() {
    let issuer = Issuer::of(["T1", "T2"]);
    let resource = Resource::accepting(["T2"]).refusing_with(long_refusal(LONG));
    let served = resource.serve().await;
    let mut client = issuer.layer().layer(served.one_connection().await);
    assert!(ends(call(&mut client, over_the_wire())).await.is_err());
    assert_eq!((resource.tokens(), issuer.requests()), (vec!["T1".to_owned()], 2));
}

/// A client that makes a new connection when it needs one, and has one call at a time.
type OneAtATime = AddBearerService<ConcurrencyLimit<Client<HttpConnector, Text>>, TokenCache>;

fn one_at_a_time(layer: &ClientCredentialsRefresh) -> OneAtATime {
    let client = Client::builder(TokioExecutor::new()).build_http();
    layer.layer(ConcurrencyLimit::new(client, 1))
}

// case: r401-01
#[tokio::test]
async fn over_another_connection_the_call_is_repeated_after_a_long_refusal() {
    let issuer = Issuer::of(["T1", "T2"]);
    let resource = Resource::accepting(["T2"]).refusing_with(long_refusal(LONG));
    let served = resource.serve().await;
    let origin = served.origin();
    let mut client = one_at_a_time(&issuer.layer_for(&origin, &ManualClock::new()));
    let request = || Request::post(format!("{origin}/calls")).body(Text::from("body")).unwrap();
    assert_eq!(ends(ask(&mut client, request())).await, welcome());
    assert_eq!((resource.tokens(), issuer.requests()), (two(), 2));
    assert_eq!(served.connections(), 2);
}

/// Nobody knows from without when the client begins to wait for the rest of the refusal, so the
/// clock is turned until it has given up.
#[tokio::test]
async fn over_a_socket_a_refusal_that_never_ends_is_given_up_after_100_ms() {
    let (issuer, manual) = (Issuer::of(["T1", "T2"]), ManualClock::new());
    let watch = Arc::new(Watch::default());
    let resource = refusing_once(&watch, {
        let mut begun = false;
        move || match std::mem::replace(&mut begun, true) {
            false => Poll::Ready(Some(Bytes::from("the rest "))),
            true => Poll::Pending,
        }
    });
    let served = resource.serve().await;
    let origin = served.origin();
    let patient = RefreshPolicy::default().with_patience(Duration::from_secs(3600));
    let mut client = one_at_a_time(&issuer.layer_for(&origin, &manual).with_policy(patient));
    let request = Request::get(format!("{origin}/calls")).body(Text::default()).unwrap();
    let mut call = pin!(ask(&mut client, request));
    let before = manual.clock().monotonic();
    let answer = ends(poll_fn(|cx| {
        let answer = call.as_mut().poll(cx);
        if answer.is_pending() && issuer.requests() == 2 {
            manual.advance(Duration::from_millis(1));
            cx.waker().wake_by_ref();
        }
        answer
    }));
    assert_eq!(answer.await, welcome());
    assert!(manual.clock().monotonic() - before >= Duration::from_millis(100));
    assert_eq!((resource.tokens(), served.connections()), (two(), 2));
}

// case: r401-02
#[tokio::test]
async fn over_one_connection_a_refusal_is_the_callers_to_read() {
    // The endpoint gives the same again, or nothing.
    for (issuer, length) in [(Issuer::of(["T1", "T1"]), LONG), (Issuer::of(["T1"]), SHORT)] {
        let resource = Resource::accepting(["T2"]).refusing_with(long_refusal(length));
        let served = resource.serve().await;
        let connection = served.one_connection().await;
        let mut client = issuer.layer().layer(connection.clone());
        let (status, body) = ends(ask(&mut client, over_the_wire())).await;
        assert_eq!((status, body.len()), (401, length));
        assert!(body.bytes().all(|byte| byte == b'x'));
        assert_eq!((resource.tokens(), issuer.requests()), (vec!["T1".to_owned()], 2));
        // The caller read it to its end, so the connection lives.
        let mut client = AddBearer::bearer("T2", HOME).unwrap().layer(connection);
        assert_eq!(ends(ask(&mut client, over_the_wire())).await, welcome());
    }
}

// case: r401-03
#[tokio::test]
async fn over_one_connection_a_second_refusal_is_the_callers_to_read() {
    let issuer = Issuer::of(["T1", "T2", "T3"]);
    let resource = Resource::accepting(["T9"]).refusing_with(long_refusal(SHORT));
    let served = resource.serve().await;
    let mut client = issuer.layer().layer(served.one_connection().await);
    let (status, body) = ends(ask(&mut client, over_the_wire())).await;
    assert_eq!((status, body.len()), (401, SHORT));
    assert_eq!((resource.tokens(), issuer.requests()), (two(), 2));
    assert_eq!(served.connections(), 1);
}

// case: r401-04
#[tokio::test]
async fn over_one_connection_a_stream_is_sent_once() {
    let issuer = Issuer::of(["T1", "T2"]);
    let resource = Resource::accepting(["T2"]).refusing_with(long_refusal(LONG));
    let served = resource.serve().await;
    let mut client = issuer.layer().layer(served.one_connection::<AnswerBody>().await);
    let watch = Arc::new(Watch::default());
    let body = stream(&watch, 100).boxed_unsync();
    let (status, refusal) = ends(ask(&mut client, over_the_wire().map(|_| body))).await;
    assert_eq!((status, refusal.len()), (401, LONG));
    let seen = resource.seen();
    assert_eq!((seen.len(), seen[0].body.len(), watch.bytes()), (1, 600, 600));
    assert_eq!(issuer.requests(), 1);
    let body = stream(&watch, 1).boxed_unsync();
    assert_eq!(ends(ask(&mut client, over_the_wire().map(|_| body))).await, welcome());
    assert_eq!((resource.tokens(), issuer.requests()), (vec!["T2".to_owned()], 2));
}

// case: r401-06
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_many_connections_a_hundred_rejections_cost_one_token_request() {
    const CALLS: usize = 100;
    let issuer = Issuer::of(["T1", "T2", "T3"]);
    let resource = Resource::accepting(["T2"]).refusing_together(CALLS);
    let served = resource.serve().await;
    let origin = served.origin();
    let client = Client::builder(TokioExecutor::new()).build_http::<Text>();
    let client = issuer.layer_for(&origin, &ManualClock::new()).layer(client);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let request = Request::get(format!("{origin}/calls")).body(Text::default()).unwrap();
            tokio::spawn(client.clone().oneshot(request))
        })
        .collect();
    for call in calls {
        assert_eq!(read(ends(call).await.unwrap().unwrap()).await, welcome());
    }
    let tokens = resource.tokens();
    let count = |wanted: &str| tokens.iter().filter(|token| *token == wanted).count();
    assert_eq!((count("T1"), count("T2"), tokens.len()), (CALLS, CALLS, 2 * CALLS));
    assert_eq!(issuer.requests(), 2);
}
