//! Ten thousand callers and one token endpoint: how often it is asked, who waits how long, who
//! fails. In real time, about half a minute.
//!
//! `cargo bench --bench stampede`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod support;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use support::target;
use tokio::{sync::watch, task::JoinSet};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, RefreshPolicy, TokenEndpoint},
};

const LATENCY: Duration = Duration::from_millis(50);
const CALLERS: u64 = 10_000;

type Api = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, tower::BoxError>;

/// A token endpoint that can go down, and an API that knows how old a token is.
#[derive(Clone)]
struct World {
    start: Instant,
    life: Duration,
    down: Arc<AtomicBool>,
    hits: Arc<AtomicU64>,
    /// When a token was last issued, in milliseconds since the start.
    issued: Arc<AtomicU64>,
    expired: Arc<AtomicU64>,
}

impl World {
    fn new(life: Duration) -> Self {
        Self {
            start: Instant::now(),
            life,
            down: Arc::default(),
            hits: Arc::default(),
            issued: Arc::default(),
            expired: Arc::default(),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    async fn token(self) -> Result<Response<Full<Bytes>>, Infallible> {
        self.hits.fetch_add(1, SeqCst);
        let asked = self.millis();
        tokio::time::sleep(LATENCY).await;
        if self.down.load(SeqCst) {
            let down = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
            return Ok(down.body(Full::default()).unwrap());
        }
        self.issued.store(self.millis(), SeqCst);
        let life = self.life.as_secs();
        let body = format!(r#"{{"access_token":"issued-at.{asked}","expires_in":{life}}}"#);
        Ok(Response::new(Full::from(body)))
    }

    /// The API behind the layer, with `patience`.
    fn api(&self, patience: Duration) -> Api {
        let world = self.clone();
        let service = tower::service_fn(move |_: Request<Full<Bytes>>| world.clone().token());
        let endpoint = TokenEndpoint::new(
            "https://as.example/token",
            ClientAuthentication::basic("id", "secret"),
            Transport::new(service),
        )
        .unwrap();
        let world = self.clone();
        let api = tower::service_fn(move |request: Request<Full<Bytes>>| {
            world.judge(&request);
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
        });
        let policy = RefreshPolicy::default().with_patience(patience);
        let layer = ClientCredentialsRefresh::new(endpoint, "https://api.example").unwrap();
        BoxCloneSyncService::new(layer.with_policy(policy).layer(api))
    }

    /// The same API without a layer: all wait for one answer of the endpoint, as they would have to
    /// in any case, and put what it says on their requests.
    fn floor(&self) -> Api {
        let (world, (token, landed)) = (self.clone(), watch::channel(None));
        tokio::spawn(async move {
            drop(world.clone().token().await);
            let issued = HeaderValue::from_str(&format!("Bearer issued-at.{}", world.millis()));
            token.send_replace(issued.ok());
        });
        let world = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |mut request: Request<Full<Bytes>>| {
            let (world, mut landed) = (world.clone(), landed.clone());
            async move {
                let token = landed.wait_for(Option::is_some).await?.clone();
                request.headers_mut().extend(token.map(|token| (header::AUTHORIZATION, token)));
                world.judge(&request);
                Ok(Response::new(Full::default()))
            }
        }))
    }

    fn judge(&self, request: &Request<Full<Bytes>>) {
        let token = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        let asked: u64 = token.rsplit('.').next().unwrap().parse().unwrap();
        if self.millis() > asked + u64::try_from(self.life.as_millis()).unwrap() {
            self.expired.fetch_add(1, SeqCst);
        }
    }
}

/// What became of a row's calls.
#[derive(Default)]
struct Row {
    calls: u64,
    hits: u64,
    errors: u64,
    expired: u64,
    slowest: Duration,
    took: Duration,
}

impl Row {
    fn print(&self, name: &str) {
        let rate = self.hits as f64 / self.took.as_secs_f64();
        println!(
            "| {name} | {} | {} | {rate:.2} | {} | {} | {} ms |",
            self.calls,
            self.hits,
            self.errors,
            self.expired,
            self.slowest.as_millis()
        );
    }
}

async fn call(api: Api) -> (bool, Duration) {
    let start = Instant::now();
    let request = Request::get("https://api.example/calls").body(Full::default()).unwrap();
    let answer = api.oneshot(request).await;
    (answer.is_ok(), start.elapsed())
}

async fn finish(world: &World, calls: JoinSet<(bool, Duration)>, start: Instant) -> Row {
    let mut row = Row::default();
    for (good, took) in calls.join_all().await {
        row.calls += 1;
        row.errors += u64::from(!good);
        row.slowest = row.slowest.max(took);
    }
    row.took = start.elapsed();
    row.hits = world.hits.swap(0, SeqCst);
    row.expired = world.expired.swap(0, SeqCst);
    row
}

/// All callers at once.
async fn burst(world: &World, api: &Api) -> Row {
    let start = Instant::now();
    let mut calls = JoinSet::new();
    (0..CALLERS).for_each(|_| drop(calls.spawn(call(api.clone()))));
    finish(world, calls, start).await
}

/// 500 calls a second for `duration`.
async fn stream(world: &World, api: &Api, duration: Duration) -> Row {
    let start = Instant::now();
    let mut calls = JoinSet::new();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    while start.elapsed() < duration {
        tick.tick().await;
        calls.spawn(call(api.clone()));
    }
    finish(world, calls, start).await
}

/// Takes the endpoint down for `outage`, `after` from now; how long after its return it issued a
/// token, and how often it was asked meanwhile.
async fn outage(world: World, after: Duration, outage: Duration) -> (Duration, u64) {
    tokio::time::sleep(after).await;
    world.down.store(true, SeqCst);
    let before = world.hits.load(SeqCst);
    tokio::time::sleep(outage).await;
    world.down.store(false, SeqCst);
    let asked = world.hits.load(SeqCst) - before;
    let back = world.millis();
    while world.issued.load(SeqCst) < back {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (Duration::from_millis(world.issued.load(SeqCst) - back), asked)
}

#[tokio::main]
async fn main() {
    let patience = Duration::from_secs(10);
    println!("| case | calls | hits | hits/s | errors | expired tokens | slowest caller |");
    println!("|---|---|---|---|---|---|---|");

    let world = World::new(Duration::from_secs(60));
    let floor = burst(&world, &world.floor()).await;
    floor.print("a bare wait");

    let world = World::new(Duration::from_secs(2));
    let api = world.api(patience);
    let cold = burst(&world, &api).await;
    cold.print("cold");
    tokio::time::sleep(world.life).await;
    let expiry = burst(&world, &api).await;
    expiry.print("at expiry");

    let world = World::new(Duration::from_secs(5));
    let api = world.api(patience);
    let length = Duration::from_secs(10);
    let down = tokio::spawn(outage(world.clone(), Duration::from_secs(2), length));
    let during = stream(&world, &api, Duration::from_secs(18)).await;
    during.print("outage of 10 s");
    let (back, asked) = down.await.unwrap();

    let world = World::new(Duration::from_secs(60));
    world.down.store(true, SeqCst);
    let api = world.api(Duration::from_secs(5));
    let failing = burst(&world, &api).await;
    failing.print("cold while failing");

    let world = World::new(Duration::from_secs(60));
    let api = world.api(patience);
    let down = tokio::spawn(outage(world.clone(), Duration::ZERO, Duration::from_secs(3)));
    tokio::task::yield_now().await;
    let restart = stream(&world, &api, Duration::from_secs(6)).await;
    restart.print("restart while down");
    let (restarted, _) = down.await.unwrap();

    println!();
    let ratio = |row: &Row| row.slowest.as_secs_f64() / LATENCY.as_secs_f64();
    target("cold, hits", cold.hits as f64, 1.0);
    target("cold, slowest caller as a ratio to the endpoint's latency", ratio(&cold), 1.3);
    target("at expiry, hits", expiry.hits as f64, 1.0);
    target("at expiry, slowest caller as a ratio", ratio(&expiry), 1.3);
    println!("a bare wait, slowest caller as a ratio: {:.2}", ratio(&floor));
    target("outage, hits a second", asked as f64 / length.as_secs_f64(), 1.2);
    target("outage, errors and expired tokens", (during.errors + during.expired) as f64, 0.0);
    target("outage, seconds until back", back.as_secs_f64(), 2.0);
    target("restart, errors", restart.errors as f64, 0.0);
    target("restart, seconds until back", restarted.as_secs_f64(), 2.0);
}
