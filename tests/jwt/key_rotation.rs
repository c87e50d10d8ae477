//! Keys that rotate, and that cannot be had for a while, over sockets, with 2,000 requests for each
//! second of the validator's clock: it goes on with the requests, so nothing depends on how fast the
//! machine is.

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, task::JoinSet};
use tower_oauth2::{
    Algorithm, SigningKey, Transport,
    server::RequireToken,
    testing::{AuthorizationServer, BoundServer, JwtFormat, ManualClock},
    validate::{Cached, Jwks, JwtValidator, TrustedIssuer},
};

const AUDIENCE: &str = "https://api.example";
/// Requests that are under way together, and what the clock goes on by with each lot of them.
const LOT: u32 = 50;
const STEP: Duration = Duration::from_millis(25);

struct System {
    server: AuthorizationServer,
    bound: BoundServer,
    clock: ManualClock,
    client: Client<HttpConnector, Empty<Bytes>>,
    api: String,
    minted: u64,
}

impl System {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::new().with_clock(clock.clock());
        let bound = server.bind().await.unwrap();
        server.issue_jwts(JwtFormat::rfc9068(bound.origin(), [AUDIENCE]), key(0));
        server.set_keys_max_age(Duration::from_secs(2));

        let second = Duration::from_secs(1);
        let keys = Jwks::from_url(&bound.url("/jwks"), Transport::https())
            .unwrap()
            .with_clock(clock.clock())
            .with_refresh_between(second, 2 * second)
            .unwrap()
            .with_cool_down(second);
        let issuer = TrustedIssuer::new(bound.origin(), keys).with_audience([AUDIENCE]);
        let validator = JwtValidator::new(issuer).unwrap().with_clock(clock.clock());
        let validator = Cached::new(validator).with_clock(clock.clock());
        let app = Router::new()
            .route("/r", get(|| async { "yes" }))
            .route_layer(RequireToken::new("api", validator).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/r", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { server, bound, clock, client, api, minted: 0 }
    }

    /// A token by the key that signs at the moment.
    fn token(&mut self) -> String {
        self.minted += 1;
        let now = self.clock.clock().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let claims = json!({
            "iss": self.bound.origin(),
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "app",
            "jti": self.minted.to_string(),
            "iat": now.as_secs(),
            "exp": now.as_secs() + 600,
        });
        self.server.mint("at+jwt", &claims.to_string()).unwrap()
    }

    /// Sends a lot of requests with these tokens in turn; how often each status came.
    async fn lot(&self, tokens: &[String]) -> HashMap<StatusCode, u32> {
        let mut calls = JoinSet::new();
        for token in tokens.iter().cycle().take(LOT as usize) {
            let request = Request::get(&self.api)
                .header("authorization", format!("Bearer {token}"))
                .body(Empty::new())
                .unwrap();
            let call = self.client.request(request);
            calls.spawn(async move {
                let response: Response<_> = call.await.unwrap();
                let status = response.status();
                response.into_body().collect().await.unwrap();
                status
            });
        }
        let mut statuses = HashMap::new();
        while let Some(status) = calls.join_next().await {
            *statuses.entry(status.unwrap()).or_default() += 1;
        }
        self.clock.advance(STEP);
        statuses
    }

    /// Sends the requests of so many seconds with these tokens.
    async fn load(&self, seconds: u32, tokens: &[String]) -> HashMap<StatusCode, u32> {
        let mut statuses = HashMap::new();
        for _ in 0..seconds * 1000 / u32::try_from(STEP.as_millis()).unwrap() {
            for (status, times) in self.lot(tokens).await {
                *statuses.entry(status).or_default() += times;
            }
        }
        statuses
    }
}

fn key(number: u32) -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap().with_key_id(format!("key-{number}"))
}

/// How often 200 came, where nothing else did.
fn all_good(statuses: &HashMap<StatusCode, u32>) -> u32 {
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&StatusCode::OK], "{statuses:?}");
    statuses[&StatusCode::OK]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_2000_requests_a_second_without_one_wrong_refusal() {
    let mut system = System::new().await;
    let mut answered = 0;
    let mut tokens = vec![system.token()];
    for number in 1..=4 {
        answered += all_good(&system.load(1, &tokens).await);
        // The new key signs as soon as it is published; the one before is still in use.
        system.server.rotate_key(key(number));
        let next = system.token();
        answered += all_good(&system.load(1, &[tokens[0].clone(), next.clone()]).await);
        system.server.retire_key(&format!("key-{}", number - 1));
        tokens = vec![next, system.token()];
        // Searches for new keys are bounded: one in ten seconds in the long run.
        system.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(answered, 4 * 2 * 2000);
    let requests = system.server.key_requests();
    assert!((4..=16).contains(&requests), "{requests}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_had_for_a_while_are_never_a_401() {
    let mut system = System::new().await;
    let known = system.token();
    all_good(&system.load(1, std::slice::from_ref(&known)).await);
    let down = Response::builder().status(503).body(Bytes::new()).unwrap();
    system.server.fail_keys(down);
    // Longer than the keys may be kept.
    let other = system.token();
    all_good(&system.load(3, &[known.clone(), other]).await);
    // A key that was made meanwhile: nobody can tell whether it is the server's.
    system.server.rotate_key(key(1));
    let unknown = system.token();
    let statuses = system.lot(std::slice::from_ref(&unknown)).await;
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&StatusCode::SERVICE_UNAVAILABLE]);
    let statuses = system.load(1, &[known.clone(), unknown.clone()]).await;
    assert_eq!(statuses.get(&StatusCode::UNAUTHORIZED), None, "{statuses:?}");
    assert_eq!(statuses[&StatusCode::OK], 1000);

    system.server.restore_keys();
    let mut seconds = 0;
    loop {
        let statuses = system.load(1, &[known.clone(), unknown.clone()]).await;
        assert_eq!(statuses.get(&StatusCode::UNAUTHORIZED), None, "{statuses:?}");
        if statuses.len() == 1 {
            all_good(&statuses);
            break;
        }
        seconds += 1;
        assert!(seconds < 10, "it does not come back: {statuses:?}");
    }
}
