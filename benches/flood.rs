//! 2,000 bad tokens a second, all of them different, over slow keys and a slow introspection endpoint:
//! how long good tokens take beside them, how much memory that costs, and what it sends. A concurrency
//! limit is below the layer. In real time, about 50 seconds.
//!
//! `cargo bench --bench flood`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod support;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use support::{
    jwt::{AUDIENCE, ISSUER, Subject},
    server::{Body, bearer, request},
    target,
};
use tokio::{task::JoinSet, time};
use tower::{
    ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer, util::BoxCloneSyncService,
};
use tower_oauth2::{
    Algorithm, ClientAuthentication, Transport,
    server::RequireToken,
    validate::{Cached, Introspection, Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

const ROUNDS: usize = 3;
const QUIET: Duration = Duration::from_secs(2);
const FLOOD: Duration = Duration::from_secs(4);
/// Until the last bad token of a flood is refused.
const CALM: Duration = Duration::from_millis(1500);
const TICK: Duration = Duration::from_millis(10);
const BAD_A_TICK: usize = 20;
/// What the inner service takes, and for how many at once.
const WORK: Duration = Duration::from_millis(5);
const PERMITS: usize = 10;
const MAX_REQUESTS: usize = 64;

type Api = BoxCloneSyncService<Request<()>, Response<Body>, Infallible>;

/// Requests to the authorization server.
#[derive(Clone, Default)]
struct Outbound {
    sent: Arc<AtomicUsize>,
    in_flight: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Outbound {
    /// A transport whose every answer takes `latency`.
    fn transport(
        &self,
        latency: Duration,
        answer: impl Fn(&[u8]) -> String + Clone + Send + Sync + 'static,
    ) -> Transport {
        let this = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Full<Bytes>>| {
            let (this, answer) = (this.clone(), answer.clone());
            async move {
                this.sent.fetch_add(1, SeqCst);
                this.most.fetch_max(this.in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
                time::sleep(latency).await;
                this.in_flight.fetch_sub(1, SeqCst);
                let body = request.into_body().collect().await?.to_bytes();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer(&body)))))
            }
        }))
    }
}

/// The layer over an inner service with a limit.
fn api<V: ValidateToken>(validator: V) -> Api {
    let inner = tower::service_fn(|_: Request<()>| async {
        time::sleep(WORK).await;
        Ok(Response::new(Body::default()))
    });
    let layer = RequireToken::new("api", validator).unwrap();
    let limit = GlobalConcurrencyLimitLayer::new(PERMITS);
    BoxCloneSyncService::new(ServiceBuilder::new().layer(layer).layer(limit).service(inner))
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / 1024.0 / 1024.0
}

/// What is sent to one API.
struct Case {
    name: &'static str,
    api: Api,
    good: Vec<HeaderValue>,
    bad: Box<dyn Fn(usize) -> HeaderValue>,
    outbound: Outbound,
}

/// What was measured of a case.
#[derive(Default)]
struct Row {
    quiet: Vec<f64>,
    flooded: Vec<f64>,
    bad: usize,
    unavailable: usize,
    grown: f64,
}

async fn call(api: Api, token: HeaderValue) -> (StatusCode, f64) {
    let start = Instant::now();
    let response = api.oneshot(request(Some(&token))).await.unwrap();
    (response.status(), start.elapsed().as_secs_f64() * 1e3)
}

impl Case {
    /// Sends a good token each tick for `duration`, and bad ones beside it.
    async fn phase(&self, duration: Duration, bad_a_tick: usize, row: &mut Row) -> Vec<f64> {
        let before = resident();
        let (mut good, mut bad) = (JoinSet::new(), JoinSet::new());
        let mut tick = time::interval(TICK);
        let start = Instant::now();
        while start.elapsed() < duration {
            tick.tick().await;
            let token = &self.good[good.len() % self.good.len()];
            good.spawn(call(self.api.clone(), token.clone()));
            for _ in 0..bad_a_tick {
                bad.spawn(call(self.api.clone(), (self.bad)(row.bad)));
                row.bad += 1;
            }
            // Those that were refused are not kept for the sake of this bench.
            while let Some(refused) = bad.try_join_next() {
                row.count(refused.unwrap().0);
            }
            row.grown = row.grown.max(resident() - before);
        }
        let answered = good.join_all().await;
        assert!(answered.iter().all(|(status, _)| *status == StatusCode::OK), "a good token");
        bad.join_all().await.into_iter().for_each(|(status, _)| row.count(status));
        answered.into_iter().map(|(_, took)| took).collect()
    }

    async fn run(self) -> (Row, Outbound) {
        for token in &self.good {
            assert_eq!(call(self.api.clone(), token.clone()).await.0, StatusCode::OK);
        }
        let mut row = Row::default();
        for _ in 0..ROUNDS {
            let quiet = self.phase(QUIET, 0, &mut row).await;
            let flooded = self.phase(FLOOD, BAD_A_TICK, &mut row).await;
            row.quiet.extend(quiet);
            row.flooded.extend(flooded);
            time::sleep(CALM).await;
        }
        row.print(self.name, &self.outbound);
        (row, self.outbound)
    }
}

impl Row {
    fn count(&mut self, refusal: StatusCode) {
        assert_ne!(refusal, StatusCode::OK, "a bad token");
        self.unavailable += usize::from(refusal == StatusCode::SERVICE_UNAVAILABLE);
    }

    /// How much longer good tokens took during the flood, at this percentile.
    fn ratio(&self, part: usize) -> f64 {
        percentile(&self.flooded, part) / percentile(&self.quiet, part)
    }

    fn print(&self, name: &str, outbound: &Outbound) {
        println!(
            "| {name} | {} | {} | {} | {:.1}, {:.1} | {:.1}, {:.1} | {:.1} | {}, {} |",
            self.flooded.len(),
            self.bad,
            self.unavailable,
            percentile(&self.quiet, 50),
            percentile(&self.quiet, 99),
            percentile(&self.flooded, 50),
            percentile(&self.flooded, 99),
            self.grown,
            outbound.sent.load(SeqCst),
            outbound.most.load(SeqCst),
        );
    }
}

fn percentile(times: &[f64], part: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[(times.len() - 1) * part / 100]
}

/// JWTs, half of them by keys that nobody knows, and half with a signature of another token.
fn keys() -> Case {
    let subject = Subject::new(Algorithm::Es256);
    let (outbound, set) = (Outbound::default(), subject.keys);
    let transport = outbound.transport(Duration::from_secs(1), move |_| set.clone());
    let keys = Jwks::from_url("https://as.example/keys", transport).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
    let good = subject.good;
    let parts: Vec<_> = good.to_str().unwrap()[7..].split('.').map(str::to_owned).collect();
    let bad = move |number: usize| {
        let kid =
            if number.is_multiple_of(2) { format!("key-of-{number}") } else { "key-1".to_owned() };
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}","x":{number}}}"#);
        let header = BASE64_URL_SAFE_NO_PAD.encode(header);
        bearer(&format!("{header}.{}.{}", parts[1], parts[2]))
    };
    Case {
        name: "slow keys",
        api: api(Cached::new(JwtValidator::new(issuer).unwrap())),
        good: vec![good],
        bad: Box::new(bad),
        outbound,
    }
}

/// Opaque tokens: the good ones were asked about before the flood.
fn introspection() -> Case {
    let outbound = Outbound::default();
    let transport = outbound.transport(Duration::from_millis(200), |form| {
        let is_good = form.windows(5).any(|part| part == b"good-");
        format!(r#"{{"active":{is_good},"sub":"alice"}}"#)
    });
    let client = ClientAuthentication::basic("api", "secret");
    let introspection = Introspection::new("https://as.example/introspect", client, transport);
    let introspection = introspection.unwrap().with_max_requests(MAX_REQUESTS);
    Case {
        name: "slow introspection",
        api: api(Cached::new(introspection)),
        good: (0..20).map(|number| bearer(&format!("good-{number}"))).collect(),
        bad: Box::new(|number| bearer(&format!("bad-{number}"))),
        outbound,
    }
}

#[tokio::main]
async fn main() {
    println!("Times of good tokens in ms, median and 99th of 100; memory in MiB.\n");
    println!("| case | good | bad | of these 503 | quiet | flooded | memory | sent, at once |");
    println!("|---|---|---|---|---|---|---|---|");
    let start = Instant::now();
    let (keys, to_keys) = keys().run().await;
    let lookups = start.elapsed().as_secs_f64() / 10.0;
    let (introspection, to_introspection) = introspection().run().await;
    println!();
    for (name, row) in [("keys", &keys), ("introspection", &introspection)] {
        target(&format!("{name}, median of good tokens as a ratio to quiet"), row.ratio(50), 1.2);
        println!("{name}, 99th of 100 as a ratio to quiet: {:.2}", row.ratio(99));
        target(&format!("{name}, MiB that the flood took"), row.grown, 32.0);
    }
    // The first fetch, and two budgets of three at once and one in 10 s.
    let bound = 1.0 + 2.0 * (3.0 + lookups.ceil());
    target("keys, requests", to_keys.sent.load(SeqCst) as f64, bound);
    let most = to_introspection.most.load(SeqCst) as f64;
    target("introspection, requests at once", most, MAX_REQUESTS as f64);
}
