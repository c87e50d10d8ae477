//! One clock for a whole stack: the system's under tokio's paused time, and a `ManualClock` that is
//! named once.

use crate::engine::seconds;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::pending,
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, ClientAuthentication, Clock, RequestHead, Transport,
    client::{
        ClientCredentialsRefresh, ErrorKind, Grant, RefreshPolicy, SignIn, TokenCache,
        TokenEndpoint, TokenSource,
    },
    server::RequireToken,
    testing::{AuthorizationServer, ManualClock, RegisteredClient},
    validate::{Cached, Principal, StaticTokens, ValidateToken},
};

/// What an API with this layer answers to the token `T`.
async fn status<V: ValidateToken>(layer: &RequireToken<V>) -> StatusCode {
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let request = Request::get("/").header("authorization", "Bearer T").body(()).unwrap();
    service.oneshot(request).await.unwrap().status()
}

fn server() -> AuthorizationServer {
    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::confidential("app", "secret"));
    server
}

fn endpoint(transport: Transport) -> TokenEndpoint {
    let client = ClientAuthentication::basic("app", "secret");
    TokenEndpoint::new("https://as.example/token", client, transport).unwrap()
}

fn cache(transport: Transport) -> TokenCache {
    TokenCache::new(endpoint(transport), Grant::client_credentials(), RefreshPolicy::default())
}

async fn token(cache: &TokenCache) -> Result<AccessToken, ErrorKind> {
    let request = Request::new(());
    cache.token(RequestHead::from_request(&request)).wait().await.map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_when_tokios_paused_time_is_advanced_and_a_cold_call_then_succeeds() {
    let server = server();
    let seen = service_fn(|request: Request<Full<Bytes>>| async move {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        Ok::<_, Infallible>(Response::new(token))
    });
    let endpoint = endpoint(Transport::new(server.clone()));
    let layer = ClientCredentialsRefresh::new(endpoint, "https://api.example").unwrap();
    let service = layer.layer(seen);
    let call = async || {
        let request = Request::get("https://api.example/").body(Full::default()).unwrap();
        service.clone().oneshot(request).await.unwrap().into_body()
    };
    let first = call().await;
    assert_eq!(call().await, first);
    tokio::time::advance(seconds(24 * 3600)).await;
    let second = call().await;
    assert_ne!(second, first);
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_in_paused_time_and_not_before() {
    let silent = service_fn(|_: Request<Full<Bytes>>| {
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let cache = cache(Transport::new(silent));
    tokio::time::advance(seconds(3600)).await;
    let begun = tokio::time::Instant::now();
    assert!(token(&cache).await.is_err());
    assert!(begun.elapsed() >= seconds(1), "the deadline was over before it began");
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_stands_still_and_is_advanced_with_tokios_paused_time() {
    let clock = Clock::system();
    let (wall, monotonic) = (clock.wall(), clock.monotonic());
    tokio::time::advance(seconds(90)).await;
    assert_eq!(clock.monotonic() - monotonic, seconds(90));
    let walked = clock.wall().duration_since(wall).unwrap();
    assert!(walked.abs_diff(seconds(90)) < Duration::from_millis(50), "{walked:?}");

    let tokens = StaticTokens::new();
    tokens.insert("T", Principal::new("alice").with_expiry(clock.wall() + seconds(60))).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap();
    assert_eq!(status(&layer).await, StatusCode::OK);
    tokio::time::advance(seconds(61)).await;
    assert_eq!(status(&layer).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cache_goes_by_the_clock_of_the_transport_below_it() {
    let manual = ManualClock::new();
    let server = server().with_clock(manual.clock());
    let cache = cache(Transport::new(server.clone()).with_clock(manual.clock()));
    let first = token(&cache).await.unwrap();
    assert!(token(&cache).await.unwrap().is_same(&first));
    manual.advance(seconds(24 * 3600));
    assert!(!token(&cache).await.unwrap().is_same(&first));
    assert_eq!(shown(cache.clock()), shown(Some(manual.clock())));
}

#[tokio::test]
async fn a_verdict_cache_and_a_layer_go_by_the_clock_of_the_validator() {
    let manual = ManualClock::from_wall(SystemTime::UNIX_EPOCH + seconds(1000));
    let tokens = StaticTokens::new().with_clock(manual.clock());
    tokens
        .insert("T", Principal::new("alice").with_expiry(SystemTime::UNIX_EPOCH + seconds(1060)))
        .unwrap();
    let cached = Cached::new(tokens.into_shared());
    assert_eq!(shown(cached.cache_support().clock()), shown(Some(manual.clock())));
    let layer = RequireToken::new("api", cached).unwrap();
    // By the system's clock the token expired decades ago.
    assert_eq!(status(&layer).await, StatusCode::OK);
    manual.advance(seconds(60));
    assert_eq!(status(&layer).await, StatusCode::UNAUTHORIZED);
}

fn shown(clock: Option<Clock>) -> Option<(std::time::Instant, SystemTime)> {
    clock.map(|clock| (clock.monotonic(), clock.wall()))
}

/// What a client and a server did by a clock of this seed: the address of a sign-in, and the tokens
/// of half an hour with the times at which they were fetched.
async fn run(seed: u64) -> (String, Vec<(Duration, String)>) {
    let manual = ManualClock::seeded(seed);
    let (clock, start) = (manual.clock(), manual.clock().monotonic());
    let server = server().with_clock(clock.clone());
    server.set_access_token_lifetime(Some(seconds(300)));
    let transport = Transport::new(server.clone()).with_clock(clock.clone());
    let endpoint = endpoint(transport.clone());
    let sign_in = SignIn::new(
        endpoint.clone(),
        "app",
        "https://as.example/authorize",
        "https://app.example/callback",
    )
    .unwrap();
    let (url, _) = sign_in.begin().unwrap();
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    let mut seen: Vec<(Duration, String)> = Vec::new();
    while clock.monotonic() - start < seconds(1800) {
        let text = token(&cache).await.unwrap().expose().to_owned();
        if seen.last().is_none_or(|(_, last)| *last != text) {
            seen.push((clock.monotonic() - start, text));
        }
        manual.advance(Duration::from_millis(500));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    (url.to_string(), seen)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let (one, again, other) = (run(7).await, run(7).await, run(8).await);
    assert!(one.1.len() > 5);
    assert_eq!(one, again);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
}
