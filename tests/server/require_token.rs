//! What `RequireToken` and the layers around it do that no case in `tests/cases/server.json` shows.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::cors::{Any, CorsLayer};
use tower_oauth2::{
    AccessToken, Challenge, ConfigError, TokenLocation,
    server::{
        Anonymous, AuditEvent, Authenticated, BufferForm, BufferFormBody, RequireToken,
        ResourceMetadata, TokenEnd,
    },
    testing::ManualClock,
    validate::{Principal, Rejection, RejectionKind, StaticTokens, Validated},
};

pub(super) const TOKEN: &str = "mF_9.B5f-4.1JqM";
const MINUTE: Duration = Duration::from_secs(60);

pub(super) type Body = Full<Bytes>;

pub(super) fn tokens() -> StaticTokens {
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice").with_scopes("read".parse().unwrap())).unwrap();
    tokens
}

pub(super) fn layer() -> RequireToken<StaticTokens> {
    RequireToken::new("api", tokens()).unwrap()
}

pub(super) fn bearer<B: Default>(token: &str) -> Request<B> {
    let header = format!("Bearer {token}");
    Request::get("/r").header("authorization", header).body(B::default()).unwrap()
}

/// A request without a token that declares a body.
pub(super) fn typed(method: &str, version: Version, content_type: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri("/pkg.S/M").version(version);
    request.header(header::CONTENT_TYPE, content_type).body(Body::default()).unwrap()
}

/// Answers with the extension that the inner service got.
async fn handed_on<T: Clone + Send + Sync + 'static>(
    request: Request<Body>,
) -> Result<Response<Option<T>>, Infallible> {
    Ok(Response::new(request.extensions().get::<T>().cloned()))
}

/// Answers with the request's body.
pub(super) async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(request.into_body()))
}

async fn authenticated(layer: &RequireToken<StaticTokens>) -> Authenticated {
    let service = layer.layer(service_fn(handed_on::<Authenticated>));
    service.oneshot(bearer(TOKEN)).await.unwrap().into_body().unwrap()
}

#[tokio::test]
async fn a_guard_ends_when_the_token_expires_and_not_before() {
    let manual = ManualClock::new();
    let tokens = StaticTokens::new().with_clock(manual.clock());
    let expiry = manual.clock().wall() + 90 * MINUTE;
    tokens.insert(TOKEN, Principal::new("alice").with_expiry(expiry)).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap().with_clock(manual.clock());
    let mut ended = task::spawn(authenticated(&layer).await.ended());
    for minutes in [0, 60, 29] {
        manual.advance(minutes * MINUTE);
        assert_pending!(ended.poll());
    }
    manual.advance(MINUTE);
    assert!(ended.is_woken());
    assert_ready_eq!(ended.poll(), TokenEnd::Expired);
}

#[tokio::test]
async fn a_guard_follows_a_wall_clock_that_is_set() {
    let manual = ManualClock::new();
    let start = manual.clock().wall();
    let tokens = StaticTokens::new().with_clock(manual.clock());
    tokens.insert(TOKEN, Principal::new("alice").with_expiry(start + 90 * MINUTE)).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap().with_clock(manual.clock());
    let mut ended = task::spawn(authenticated(&layer).await.ended());
    assert_pending!(ended.poll());
    manual.set_wall(start - 60 * MINUTE);
    manual.advance(60 * MINUTE);
    assert_pending!(ended.poll());
    manual.set_wall(start + 90 * MINUTE);
    manual.advance(60 * MINUTE);
    assert_ready_eq!(ended.poll(), TokenEnd::Expired);
}

#[tokio::test]
async fn a_guard_ends_when_the_token_is_removed_and_others_go_on() {
    let tokens = tokens();
    tokens.insert("tok-rw", Principal::new("bob")).unwrap();
    let layer = RequireToken::new("api", tokens.clone()).unwrap();
    let authenticated = authenticated(&layer).await;
    let mut guards = [authenticated.ended(), authenticated.ended()].map(task::spawn);
    guards.iter_mut().for_each(|guard| assert_pending!(guard.poll()));
    assert!(tokens.remove("tok-rw"));
    guards.iter_mut().for_each(|guard| assert_pending!(guard.poll()));
    assert!(tokens.remove(TOKEN));
    for mut guard in guards {
        assert!(guard.is_woken());
        assert_ready_eq!(guard.poll(), TokenEnd::Revoked);
    }
    // One that is asked for afterwards is over at once.
    assert_ready_eq!(task::spawn(authenticated.ended()).poll(), TokenEnd::Revoked);
}

#[tokio::test]
async fn a_validator_that_takes_too_long_is_answered_for_with_503() {
    let manual = ManualClock::new();
    let judge = |_: AccessToken| pending::<Result<Validated, Rejection>>();
    let layer = RequireToken::new("api", judge).unwrap();
    for (layer, limit) in [
        (layer.clone().with_clock(manual.clock()), Duration::from_secs(10)),
        (layer.with_clock(manual.clock()).with_validator_timeout(MINUTE), MINUTE),
    ] {
        let mut answer = task::spawn(layer.layer(service_fn(echo)).call(bearer(TOKEN)));
        assert_pending!(answer.poll());
        manual.advance(limit - Duration::from_millis(1));
        assert_pending!(answer.poll());
        manual.advance(Duration::from_millis(1));
        let response = assert_ready!(answer.poll()).unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.kind(), RejectionKind::Unavailable);
        assert_eq!(rejection.description(), "the validator took longer than allowed");
    }
}

/// A form in one piece.
fn form(body: &'static str) -> Request<Body> {
    let request = Request::post("/r").header("content-type", "application/x-www-form-urlencoded");
    request.body(Body::from(body)).unwrap()
}

/// Answers with the body and the trailers that the inner service got.
async fn collect<B: HttpBody>(
    request: Request<BufferFormBody<B>>,
) -> Result<Response<(Bytes, Option<HeaderMap>)>, B::Error>
where
    B::Data: From<Bytes>,
{
    let body = request.into_body();
    let (hint, is_end) = (HttpBody::size_hint(&body), HttpBody::is_end_stream(&body));
    let body = BodyExt::collect(body).await?;
    let (trailers, bytes) = (body.trailers().cloned(), body.to_bytes());
    assert_eq!(hint.exact(), Some(bytes.len() as u64));
    assert_eq!(is_end, bytes.is_empty() && trailers.is_none());
    Ok(Response::new((bytes, trailers)))
}

#[tokio::test]
async fn a_form_is_handed_on_byte_for_byte_up_to_its_limit() {
    let require = layer().with_locations([TokenLocation::Form]).unwrap();
    let text = "a=%2f+&&access_token=mF_9.B5f-4.1JqM&b=\u{e9}";
    for (limit, status) in [(text.len(), 200), (text.len() - 1, 413)] {
        let service = BufferForm::new(limit).layer(require.layer(service_fn(collect)));
        let response = service.oneshot(form(text)).await.unwrap();
        assert_eq!(response.status(), status);
        let refused = response.extensions().get::<Rejection>().map(Rejection::kind);
        assert_eq!(refused, (status == 413).then_some(RejectionKind::TooLarge));
        assert_eq!(response.into_body().0, if status == 200 { text } else { "" });
    }
}

#[tokio::test]
async fn a_form_and_any_other_body_keep_their_trailers() {
    let require = layer().with_locations([TokenLocation::Bearer, TokenLocation::Form]).unwrap();
    let service = BufferForm::default().layer(require.layer(service_fn(collect)));
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]);
    for (content_type, text) in [
        ("application/x-www-form-urlencoded", "a=1"),
        ("application/x-www-form-urlencoded", ""),
        ("text/plain", "hello"),
    ] {
        let sent = Some(Ok::<_, Infallible>(trailers.clone()));
        let mut request = Request::post("/").header("authorization", format!("Bearer {TOKEN}"));
        request = request.header("content-type", content_type);
        let request = request.body(Body::from(text).with_trailers(ready(sent))).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.into_body(), (Bytes::from(text), Some(trailers.clone())));
    }
}

/// A body that fails.
struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("reset"))))
    }
}

#[tokio::test]
async fn a_form_that_breaks_off_is_refused_and_one_without_a_buffer_is_our_fault() {
    let require = layer().with_locations([TokenLocation::Form]).unwrap();
    let broken = || form("").map(|_| Broken);
    let buffered = BufferForm::default().layer(require.layer(service_fn(collect)));
    assert_eq!(buffered.oneshot(broken()).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let response = require.layer(service_fn(echo)).oneshot(form("")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_token_in_a_query_that_is_not_read_does_not_reach_the_inner_service() {
    let service_fn = || {
        service_fn(async |request: Request<Body>| {
            Ok::<_, Infallible>(Response::new(request.uri().to_string()))
        })
    };
    let named = TokenLocation::query_parameter("jwt").unwrap();
    let locations = [TokenLocation::Bearer, TokenLocation::Query, named];
    let layer =
        layer().with_locations(locations).unwrap().allow_anonymous().allow_cors_preflights();
    let uri = "/r?a=%2f&access_token=T&jwt=U&access%5Ftoken=V&b";
    let with = |method: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::default()).unwrap()
    };
    let good = format!("Bearer {TOKEN}");
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "PUT")];
    for request in [
        with("POST", &[("authorization", &good)]),
        with("PUT", &[]),
        with("DELETE", &[("authorization", "Negotiate x")]),
        with("OPTIONS", &preflight),
    ] {
        let response = layer.layer(service_fn()).oneshot(request.clone()).await.unwrap();
        assert_eq!(response.into_body(), "/r?a=%2f&b", "{}", request.method());
        let kept = layer.clone().without_token_removal().layer(service_fn());
        assert_eq!(kept.oneshot(request).await.unwrap().into_body(), uri);
    }
    // Where no token is looked for in the query, its parameters are the service's own.
    let bearer = self::layer().layer(service_fn());
    let response = bearer.oneshot(with("POST", &[("authorization", &good)])).await.unwrap();
    assert_eq!(response.into_body(), uri);
}

/// What pages of other origins may read of the refusal of `request` below `cors`, in the order of
/// layers that the guide has.
async fn exposed(
    cors: CorsLayer,
    layer: RequireToken<StaticTokens>,
    request: http::request::Builder,
) -> Vec<String> {
    let service = cors.layer(layer.layer(service_fn(echo)));
    let request = request.header("origin", "https://app.example");
    let response = service.oneshot(request.body(Body::default()).unwrap()).await.unwrap();
    assert!(response.extensions().get::<Rejection>().is_some());
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let lines = response.headers().get_all("access-control-expose-headers").iter();
    let names = lines.flat_map(|line| line.to_str().unwrap().split(','));
    names.map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn a_challenge_is_exposed_below_a_layer_for_cors_unless_its_own_list_lacks_it() {
    let cors = || CorsLayer::new().allow_origin(Any);
    let exposing = || layer().with_exposed_challenges();
    let get = || Request::get("/");
    assert!(exposed(cors(), layer(), get()).await.is_empty());
    // A layer with a list of its own replaces the header by it.
    for (cors, expected) in [
        (cors(), &["www-authenticate"] as &[_]),
        (
            cors().expose_headers([header::ETAG, header::WWW_AUTHENTICATE]),
            &["etag", "www-authenticate"],
        ),
        (cors().expose_headers([header::ETAG]), &["etag"]),
        (cors().expose_headers(Any), &["*"]),
    ] {
        assert_eq!(exposed(cors, exposing(), get()).await, expected);
    }
}

#[tokio::test]
async fn a_refusal_of_grpc_web_is_exposed_below_a_layer_for_cors_unless_its_own_list_lacks_it() {
    let cors = || CorsLayer::new().allow_origin(Any);
    let call = || Request::post("/").header("content-type", "application/grpc-web+proto");
    let status = header::HeaderName::from_static("grpc-status");
    for (cors, expected) in [
        (cors(), &["grpc-status", "grpc-message", "www-authenticate"] as &[_]),
        (cors().expose_headers([status]), &["grpc-status"]),
        (cors().expose_headers([header::ETAG]), &["etag"]),
        (cors().expose_headers(Any), &["*"]),
    ] {
        assert_eq!(exposed(cors, layer(), call()).await, expected);
    }
}

fn metadata() -> Result<ResourceMetadata, ConfigError> {
    layer().with_resource("https://api.example/mcp")?.resource_metadata()
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_the_metadata() {
    let mut preflight = Request::options("/.well-known/oauth-protected-resource/mcp")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version")
        .body(Body::default())
        .unwrap();
    let service = metadata().unwrap().layer(layer().layer(service_fn(echo)));
    let response = service.clone().oneshot(preflight.clone()).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-allow-methods"], "GET, HEAD");
    assert_eq!(response.headers()["access-control-allow-headers"], "*");
    assert!(layer().resource_metadata().is_err(), "no resource is named");

    *preflight.uri_mut() = "/mcp".parse().unwrap();
    let response = service.oneshot(preflight).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_audit_has_one_event_a_decision_without_the_token() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = events.clone();
    let layer = layer().allow_anonymous().with_audit(move |event| {
        told.lock().unwrap().push((
            event.allowed,
            event.rejection,
            event.location.cloned(),
            event.principal.and_then(Principal::subject).map(str::to_owned),
            event.token_id,
            format!("{event:?} {}", event.description),
        ));
    });
    let service = layer.layer(service_fn(echo));
    for request in [bearer(TOKEN), bearer(TOKEN), bearer("tok-unknown"), Request::default()] {
        service.clone().oneshot(request).await.unwrap();
    }
    let events = events.lock().unwrap();
    let [allowed, again, refused, anonymous] = &events[..] else { panic!("{events:?}") };
    let header = Some(TokenLocation::Bearer);
    assert_eq!(allowed, again);
    assert_eq!((allowed.0, allowed.1, &allowed.2), (true, None, &header));
    assert_eq!(allowed.3.as_deref(), Some("alice"));
    assert_eq!((refused.0, refused.1, &refused.2), (false, Some(RejectionKind::Invalid), &header));
    assert_eq!((anonymous.0, anonymous.1, &anonymous.2), (true, None, &None));
    assert!(refused.4.is_some() && refused.4 != allowed.4 && anonymous.4.is_none());
    for event in events.iter() {
        assert!(!event.5.contains(TOKEN) && !event.5.contains("tok-unknown"), "{}", event.5);
    }
}

/// The rejections that an audit was told of.
fn audit() -> (Arc<Mutex<Vec<RejectionKind>>>, impl Fn(&AuditEvent<'_>) + Clone) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = events.clone();
    let hook = move |event: &AuditEvent<'_>| {
        assert!(!event.allowed && event.token_id.is_none() && event.principal.is_none());
        told.lock().unwrap().extend(event.rejection);
    };
    (events, hook)
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_audited() {
    let (events, hook) = audit();
    let require = layer().with_locations([TokenLocation::Form]).unwrap().with_audit(hook.clone());
    let buffer = BufferForm::new(32).with_audit(hook);
    for (body, kind) in [
        ("access_token=mF_9.B5f-4.1JqM&a=too-long", RejectionKind::TooLarge),
        ("access_token=a&access_token=b", RejectionKind::Malformed),
        ("a=b", RejectionKind::Missing),
    ] {
        let service = buffer.layer(require.layer(service_fn(collect)));
        let response = service.oneshot(form(body)).await.unwrap();
        assert_eq!(response.extensions().get().map(Rejection::kind), Some(kind));
        assert_eq!(*events.lock().unwrap(), [kind]);
        events.lock().unwrap().clear();
    }
    let broken = buffer.layer(require.layer(service_fn(collect)));
    assert_eq!(broken.oneshot(form("").map(|_| Broken)).await.unwrap().status(), 400);
    assert_eq!(*events.lock().unwrap(), [RejectionKind::Malformed]);
}

#[tokio::test]
async fn anonymous_is_told_to_the_inner_service_only_where_nothing_was_presented() {
    let service = layer().allow_anonymous().layer(service_fn(handed_on::<Anonymous>));
    let nothing = Request::get("/r").body(Body::default()).unwrap();
    assert!(service.clone().oneshot(nothing).await.unwrap().into_body().is_some());
    assert!(service.clone().oneshot(bearer(TOKEN)).await.unwrap().into_body().is_none());
    let refused = service.oneshot(bearer("tok-unknown")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenges = Challenge::from_headers(refused.headers());
    assert_eq!(challenges[0].param("error"), Some("invalid_token"));
}

#[tokio::test]
async fn where_the_first_token_wins_the_others_are_taken_out_like_it() {
    let uri = service_fn(async |request: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::from(request.uri().to_string())))
    });
    let jwt = TokenLocation::query_parameter("jwt").unwrap();
    let places = [TokenLocation::Bearer, TokenLocation::Query, jwt];
    let layer = layer().with_locations(places).unwrap().dangerous_first_token_wins();
    let answer = async |layer: RequireToken<_>, method: Method, before: &str| {
        let mut request = bearer(TOKEN);
        (*request.uri_mut(), *request.method_mut()) = (before.parse().unwrap(), method);
        let response = layer.layer(uri).oneshot(request).await.unwrap();
        let private = response.headers().get(header::CACHE_CONTROL).is_some();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.into()).unwrap(), private)
    };
    for (before, after) in [
        ("/r?x=1&access_token=tok-rw", "/r?x=1"),
        ("/r?access_token=A&access_token=B", "/r"),
        ("/r?access_token=A&x=%2f&&access%5Ftoken=B&y", "/r?x=%2f&&y"),
        ("/r?access_token=a+b&jwt=", "/r"),
        ("/r?access_token&jwt=%ff&jwt=A&jwtx=1", "/r?jwtx=1"),
    ] {
        let expected = |uri: &str, private| (uri.to_owned(), private);
        let got = answer(layer.clone(), Method::GET, before).await;
        assert_eq!(got, expected(after, true), "{before}");
        let kept = answer(layer.clone().without_token_removal(), Method::GET, before).await;
        assert_eq!(kept, expected(before, true));
        // The query of a POST is not read, and its tokens are taken out all the same.
        assert_eq!(answer(layer.clone(), Method::POST, before).await, expected(after, false));
        let any = layer.clone().allow_query_on_any_method();
        assert_eq!(answer(any, Method::POST, before).await, expected(after, true));
    }
    assert_eq!(answer(layer, Method::GET, "/r?x").await, ("/r?x".to_owned(), false));
}

#[tokio::test]
async fn where_the_first_token_wins_a_malformed_one_beside_it_leaves_no_trace() {
    let locations = [
        TokenLocation::Bearer,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::cookie("at").unwrap(),
        TokenLocation::websocket_protocol("b64.").unwrap(),
    ];
    let layer = layer().with_locations(locations).unwrap().dangerous_first_token_wins();
    let inner = service_fn(async |request: Request<Body>| {
        Ok::<_, Infallible>(Response::new(request.headers().clone()))
    });
    for (name, values) in [
        ("x-api-key", &["seg ment"][..]),
        ("x-api-key", &["one", "two"]),
        ("cookie", &["at=a; at=b"]),
        ("cookie", &["theme=dark; at=a,b", "x=1"]),
        ("sec-websocket-protocol", &["b64.!, chat"]),
        ("sec-websocket-protocol", &["b64.bUZfOS5CNWYtNC4xSnFN"]),
    ] {
        let inside = async |layer: RequireToken<_>| {
            let mut request = bearer(TOKEN);
            let headers = request.headers_mut();
            headers.insert("connection", HeaderValue::from_static("upgrade"));
            headers.insert("upgrade", HeaderValue::from_static("websocket"));
            for value in values {
                headers.append(name, HeaderValue::from_static(value));
            }
            let response = layer.layer(inner).oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200, "{name}");
            response.into_body()
        };
        let left = inside(layer.clone().with_full_token_removal()).await;
        assert!(!left.contains_key(name), "{name}: {values:?}");
        let left = inside(layer.clone()).await;
        assert!(left.get_all(name).iter().all(HeaderValue::is_sensitive), "{name}: {values:?}");
        assert_eq!(left.contains_key(name), name != "sec-websocket-protocol");
        let left = inside(layer.clone().without_token_removal()).await;
        assert_eq!(left.get_all(name).iter().count(), values.len());
        assert!(left.get_all(name).iter().all(HeaderValue::is_sensitive), "{name}: {values:?}");
    }
}

/// Over HTTP/2 the socket of a browser is a CONNECT (RFC 8441).
#[tokio::test]
async fn a_websocket_over_http_2_has_its_token_where_one_over_http_1_has_it() {
    let layer = layer().with_locations([
        TokenLocation::Query,
        TokenLocation::websocket_protocol("base64url.bearer.authorization.k8s.io.").unwrap(),
        TokenLocation::websocket_protocol_pair("bearer").unwrap(),
    ]);
    let layer = layer.unwrap();
    let encoded = "base64url.bearer.authorization.k8s.io.bUZfOS5CNWYtNC4xSnFN, chat.v1";
    for (method, uri, protocols, expected) in [
        ("CONNECT", "https://api.example/r", encoded, 200),
        ("CONNECT", "https://api.example/r", "bearer, mF_9.B5f-4.1JqM", 200),
        ("CONNECT", "https://api.example/r?access_token=mF_9.B5f-4.1JqM", "chat.v1", 200),
        ("CONNECT", "https://api.example/r?access_token=mF_9.B5f-4.1JqM", encoded, 400),
        ("CONNECT", "https://api.example/r", "chat.v1", 401),
        ("CONNECT", "api.example:443", "chat.v1", 401),
        ("GET", "/r", encoded, 401),
        ("POST", "/r", encoded, 401),
    ] {
        let headers = [("sec-websocket-protocol", protocols)];
        assert_eq!(browser(&layer, method, uri, &headers).await, expected, "{method} {uri}");
    }
}

const BASIC: (&str, &str) = ("authorization", "Basic bUZfOS5CNWYtNC4xSnFNOg==");
const COOKIE: (&str, &str) = ("cookie", "at=mF_9.B5f-4.1JqM");
const UPGRADE: (&str, &str) = ("upgrade", "WebSocket");

fn site(value: &'static str) -> (&'static str, &'static str) {
    ("sec-fetch-site", value)
}

fn origin(value: &'static str) -> (&'static str, &'static str) {
    ("origin", value)
}

/// What a layer answers to a request of a browser, which adds a credential by itself.
async fn browser(
    layer: &RequireToken<StaticTokens>,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> u16 {
    let mut request = Request::builder().method(method).uri(uri).body(Body::default()).unwrap();
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    layer.clone().layer(service_fn(echo)).oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_a_browser_adds_by_itself_is_not_taken_from_another_site() {
    let cookie = layer().with_locations([TokenLocation::cookie("at").unwrap()]).unwrap();
    let user =
        layer().with_locations([TokenLocation::Bearer, TokenLocation::BasicUserName]).unwrap();
    let password = layer().with_locations([TokenLocation::basic_password("x").unwrap()]).unwrap();
    let password_of_x = ("authorization", "Basic eDptRl85LkI1Zi00LjFKcU0=");
    let host = ("host", "api.example");
    let (own, other) = (origin("https://api.example"), origin("https://evil.example"));
    let sibling = origin("https://app.example");
    for (method, uri, headers, expected) in [
        // Whatever changes nothing, and cannot be read across origins.
        ("GET", "/r", &[host, other, site("cross-site")][..], 200),
        ("HEAD", "/r", &[host, other], 200),
        ("OPTIONS", "/r", &[host, origin("null")], 200),
        // No browser says anything.
        ("POST", "/r", &[host], 200),
        ("POST", "/r", &[], 200),
        // One that says where the request comes from.
        ("POST", "/r", &[host, site("cross-site")], 403),
        ("POST", "/r", &[host, site("Cross-Site"), own], 403),
        ("POST", "/r", &[host, site("none"), site("cross-site")], 403),
        ("DELETE", "/r", &[host, other, site("cross-site")], 403),
        ("POST", "/r", &[host, own, site("same-origin")], 200),
        ("POST", "/r", &[host, sibling, site("same-site")], 200),
        // One that does not: an old one, or a page without TLS.
        ("POST", "/r", &[host, other], 403),
        ("PUT", "/r", &[host, origin("null")], 403),
        ("POST", "/r", &[host, sibling], 403),
        ("POST", "/r", &[host, own], 200),
        ("POST", "/r", &[host, origin("https://API.example:443")], 200),
        ("POST", "/r", &[("host", "api.example:443"), own], 200),
        ("POST", "/r", &[("host", "api.example:8443"), own], 403),
        ("POST", "/r", &[host, origin("https://api.example:8443")], 403),
        ("POST", "/r", &[host, origin("https://api.example.evil.example")], 403),
        ("POST", "/r", &[host, origin("chrome-extension://api.example")], 403),
        ("POST", "/r", &[host, own, other], 403),
        ("POST", "/r", &[host, origin("")], 403),
        ("POST", "/r", &[own], 403),
        ("POST", "/r", &[("host", ""), own], 403),
        ("POST", "/r", &[("host", "10.0.0.1:80"), origin("http://10.0.0.1")], 200),
        // The URI comes before `Host`.
        ("POST", "https://api.example/r", &[own], 200),
        ("POST", "http://api.example/r", &[own], 200),
        ("POST", "https://api.example/r", &[("host", "evil.example"), other], 403),
        // An upgrade is a GET, and its answer may be read.
        ("GET", "/r", &[host, UPGRADE], 200),
        ("GET", "/r", &[host, UPGRADE, own], 200),
        ("GET", "/r", &[host, UPGRADE, own, site("same-origin")], 200),
        ("GET", "/r", &[host, UPGRADE, other], 403),
        ("GET", "/r", &[host, UPGRADE, origin("null")], 403),
        ("GET", "/r", &[host, UPGRADE, site("cross-site")], 403),
        ("GET", "/r", &[host, UPGRADE, other, site("none")], 403),
        ("GET", "/r", &[host, UPGRADE, sibling, site("same-site")], 403),
        ("GET", "/r", &[host, ("upgrade", "h2c, websocket"), other], 403),
        ("GET", "/r", &[host, ("upgrade", "h2c"), ("upgrade", "websocket"), other], 403),
        // Over HTTP/2 it is a CONNECT (RFC 8441).
        ("CONNECT", "https://api.example/r", &[other, site("same-site")], 403),
        ("CONNECT", "https://api.example/r", &[own], 200),
    ] {
        let cases = [(&cookie, COOKIE), (&user, BASIC), (&password, password_of_x)];
        for (layer, credential) in cases {
            let headers = [headers, &[credential]].concat();
            let status = browser(layer, method, uri, &headers).await;
            assert_eq!(status, expected, "{method} {uri} {headers:?}");
            let open = layer.clone().dangerous_allow_cross_site_requests();
            assert_eq!(browser(&open, method, uri, &headers).await, 200, "{headers:?}");
        }
        // No browser adds this one by itself.
        let headers = [headers, &[("authorization", "Bearer mF_9.B5f-4.1JqM")]].concat();
        for layer in [&user, &layer()] {
            assert_eq!(browser(layer, method, uri, &headers).await, 200, "{headers:?}");
        }
    }
}

/// What each content type of gRPC may be called with, and what a refusal without gRPC has.
#[tokio::test]
async fn a_refusal_is_200_for_a_post_of_grpc_over_http_2_or_of_grpc_web_and_for_nothing_else() {
    let (http_1, http_2) = ([Version::HTTP_10, Version::HTTP_11], [Version::HTTP_2]);
    let methods = ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "post", "POST"];
    for (content_type, over_http_1, over_http_2) in [
        ("application/grpc", false, true),
        ("Application/gRPC+proto", false, true),
        ("application/grpc;x=y", false, true),
        ("application/grpc-web", true, true),
        ("application/grpc-web+proto", true, true),
        ("application/grpc-web-text", true, true),
        ("application/grpcx", false, false),
        ("application/json", false, false),
    ] {
        let versions = http_1.map(|version| (version, over_http_1));
        for (version, grpc) in versions.into_iter().chain(http_2.map(|it| (it, over_http_2))) {
            for method in methods {
                let case = format!("{method} {content_type} {version:?}");
                let grpc = grpc && method == "POST";
                let request = typed(method, version, content_type);
                let service = layer().layer(service_fn(echo));
                let response = service.oneshot(request).await.unwrap();
                let status = if grpc { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                assert_eq!(response.status(), status, "{case}");
                assert_eq!(response.headers().contains_key("grpc-status"), grpc, "{case}");
                assert!(response.headers().contains_key(header::WWW_AUTHENTICATE), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_layer_without_grpc_refuses_grpc_with_the_status_of_any_other_request() {
    // One verdict is there at once, one is waited for.
    let judge = async |token: AccessToken| {
        tokio::task::yield_now().await;
        Err::<Validated, _>(match token.expose() {
            "down" => Rejection::unavailable(None),
            "bug" => Rejection::internal("relation users"),
            _ => Rejection::unknown(),
        })
    };
    let layer = RequireToken::new("api", judge).unwrap().without_grpc();
    for content_type in ["application/grpc", "application/grpc-web"] {
        for (credentials, status) in [
            ("", StatusCode::UNAUTHORIZED),
            ("Bearer tok-unknown", StatusCode::UNAUTHORIZED),
            ("Bearer", StatusCode::BAD_REQUEST),
            ("Bearer down", StatusCode::SERVICE_UNAVAILABLE),
            ("Bearer bug", StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let mut request = typed("POST", Version::HTTP_2, content_type);
            if !credentials.is_empty() {
                request.headers_mut().insert("authorization", credentials.parse().unwrap());
            }
            let response = layer.layer(service_fn(echo)).oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{content_type} {credentials}");
            assert!(!response.headers().contains_key("grpc-status"));
            assert!(!response.headers().contains_key(header::CONTENT_TYPE));
        }
    }
}
