//! What grows with the number of cached tokens, waiting callers and users of a pool, written into
//! `docs/performance.md`.

use crate::{
    document,
    plot::{Plot, Series},
    support::{
        answer,
        client::{Inner, ORIGIN, has, request, token},
        judge::{Judge, Judged},
    },
    targets::Targets,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    cell::RefCell,
    convert::Infallible,
    fmt::Write as _,
    fs,
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Answer, ClientAuthentication, RequestHead, Transport,
    client::{
        ClientCredentialsRefresh, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenPool,
        TokenSource,
    },
    validate::Cached,
};

const FIGURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scale.svg");

const HITS: usize = 200_000;
const ROUNDS: usize = 9;

pub fn measure(targets: &mut Targets) {
    let mut text = String::new();
    let tokens: Vec<_> = [1_000, 100_000, 1_000_000].into_iter().map(cached).collect();
    text.push_str("| tokens in the cache | ns a hit | ns, two threads | bytes an entry |\n|---|---|---|---|\n");
    for Cache { tokens, hit, hit_of_two, bytes } in &tokens {
        writeln!(text, "| {tokens} | {hit:.0} | {hit_of_two:.0} | {bytes:.0} |").unwrap();
    }
    text.push_str("\n| callers that wait for one fetch | fetches | ns a caller | bytes a caller | of these its request |\n|---|---|---|---|---|\n");
    let callers: Vec<_> = (0..6).map(|power| often(10_usize.pow(power))).collect();
    let mut sent = None;
    let of_request = allocation_counter::measure(|| sent = Some(request())).bytes_current;
    drop(sent);
    for Waiting { callers, fetches, woken, bytes } in &callers {
        writeln!(text, "| {callers} | {fetches} | {woken:.0} | {bytes:.0} | {of_request} |")
            .unwrap();
    }
    text.push_str(
        "\n| users of one pool | ns a call | ns, two threads | bytes a user |\n|---|---|---|---|\n",
    );
    let pools: Vec<_> = [1, 1_000, 100_000].into_iter().map(pool).collect();
    for Pool { users, call, call_of_two, bytes } in &pools {
        writeln!(text, "| {users} | {call:.0} | {call_of_two:.0} | {bytes:.0} |").unwrap();
    }
    println!("\n{text}");
    let figure = Plot {
        x: "how many",
        y: "ns each",
        series: vec![
            Series::new("a hit of the cache", tokens.iter().map(|at| (at.tokens, at.hit))),
            Series::new("with two threads", tokens.iter().map(|at| (at.tokens, at.hit_of_two))),
            Series::new("a token of a pool", pools.iter().map(|at| (at.users, at.call))),
            Series::new("a caller who waits", callers.iter().map(|at| (at.callers, at.woken))),
        ],
    };
    fs::write(FIGURE, figure.to_string()).unwrap();
    document::write("scale", &format!("{text}\n![Time against number](scale.svg)"));
    let fetches = callers.iter().map(|at| at.fetches).max().unwrap_or_default();
    targets.at_most("fetches, however many wait", fetches as f64, 1.0);
    let (few, many) = (&callers[3], &callers[5]);
    targets.at_most("ns a caller among 1e5 as a ratio to 1e3", many.woken / few.woken, 3.0);
}

/// A token of 800 bytes, its signature as long as that of ES256. It is changed in place, so that
/// what a lookup finds in memory is the cache's alone.
struct Token(String);

impl Token {
    fn new() -> Self {
        Self(format!("good-{:08}.{}.{}", 0, "x".repeat(699), "s".repeat(86)))
    }

    fn numbered(&mut self, number: usize) -> &str {
        // splitmix64's last step: signatures that look like random ones.
        let mixed = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let (len, mixed) = (self.0.len(), format!("{:016x}", mixed ^ (mixed >> 31)));
        self.0.replace_range(5..13, &mixed[..8]);
        self.0.replace_range(len - 16.., &mixed);
        &self.0
    }
}

struct Cache {
    tokens: usize,
    hit: f64,
    hit_of_two: f64,
    bytes: f64,
}

/// The least of some rounds: what the machine takes when nothing else runs on it.
fn least(time: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| time()).fold(f64::MAX, f64::min)
}

/// Fills a cache with `tokens` and looks them up. All have one verdict, so that an entry's bytes
/// are the cache's alone.
fn cached(tokens: usize) -> Cache {
    let cache = Cached::new(Judge::new()).with_ttl(Duration::from_secs(3600));
    let mut cache = Judged(cache.with_capacity(tokens * 5 / 4));
    let filling = allocation_counter::measure(|| {
        let mut token = Token::new();
        for number in 0..tokens {
            assert!(answer(&mut cache, token.numbered(number)).is_ok());
        }
    });
    let asked = cache.0.get_ref().asked.load(Relaxed);
    let of_threads = |threads: usize| {
        let made = least(|| on_threads(threads, tokens, || |token: &str| _ = black_box(token)));
        let looked_up = least(|| {
            on_threads(threads, tokens, || {
                let mut cache = Judged(cache.0.clone());
                move |token: &str| assert!(answer(&mut cache, token).is_ok())
            })
        });
        looked_up - made
    };
    let (hit, hit_of_two) = (of_threads(1), of_threads(2));
    let missed = cache.0.get_ref().asked.load(Relaxed) - asked;
    assert!(missed * 100 < HITS * ROUNDS, "{missed} of the lookups found nothing");
    Cache { tokens, hit, hit_of_two, bytes: filling.bytes_current as f64 / tokens as f64 }
}

/// Nanoseconds that each of `threads` takes for one of `tokens`, the slowest of them.
fn on_threads<W: FnMut(&str)>(threads: usize, tokens: usize, work: impl Fn() -> W + Sync) -> f64 {
    numbers_on_threads(threads, tokens, || {
        let (mut work, mut token) = (work(), Token::new());
        move |number| work(token.numbered(number))
    })
}

/// As [`on_threads`], for one of as many numbers.
fn numbers_on_threads<W: FnMut(usize)>(
    threads: usize,
    numbers: usize,
    work: impl Fn() -> W + Sync,
) -> f64 {
    let barrier = Barrier::new(threads);
    let time = |thread: usize| {
        let mut work = work();
        barrier.wait();
        let start = Instant::now();
        for turn in 0..HITS {
            // A stride that leaves no pattern to guess.
            work((turn * 7_919 + thread * 104_729) % numbers);
        }
        start.elapsed().as_secs_f64() * 1e9 / HITS as f64
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || time(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(0.0, f64::max)
    })
}

struct Waiting {
    callers: usize,
    fetches: u64,
    woken: f64,
    bytes: f64,
}

/// The quickest of some, since few callers are through in no time.
fn often(callers: usize) -> Waiting {
    let all = (0..(10_000 / callers).clamp(3, 101)).map(|_| waiting(callers));
    let quicker = |one: Waiting, other: Waiting| {
        let fetches = one.fetches.max(other.fetches);
        let quicker = if one.woken < other.woken { one } else { other };
        Waiting { fetches, ..quicker }
    };
    all.reduce(quicker).expect("some")
}

/// Has `callers` wait for the first token, each in a task of its own, and then lets it come.
fn waiting(callers: usize) -> Waiting {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (come, fetches) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let service = layer(come.clone(), fetches.clone()).layer(Inner);
    let tasks = RefCell::new(JoinSet::new());
    let parked = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..callers {
                tasks.borrow_mut().spawn(service.clone().oneshot(request()));
            }
            // Until each has been polled, and the fetch has begun.
            for _ in 0..callers / 16 + 100 {
                tokio::task::yield_now().await;
            }
        });
    });
    let start = Instant::now();
    come.notify_one();
    let answers = runtime.block_on(tasks.into_inner().join_all());
    let woken = start.elapsed().as_secs_f64() * 1e9 / callers as f64;
    assert!(answers.len() == callers);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(has)));
    let bytes = parked.bytes_current as f64 / callers as f64;
    Waiting { callers, fetches: fetches.load(Relaxed), woken, bytes }
}

/// Whose token a request wants, to be changed in place.
#[derive(Clone)]
struct User(Arc<AtomicU32>);

impl User {
    fn request() -> (Self, Request<()>) {
        let (user, mut request) = (Self(Arc::default()), Request::new(()));
        request.extensions_mut().insert(user.clone());
        (user, request)
    }

    fn set(&self, user: usize) {
        self.0.store(u32::try_from(user).unwrap(), Relaxed);
    }
}

struct Pool {
    users: usize,
    call: f64,
    call_of_two: f64,
    bytes: f64,
}

/// Fetches a token for each of `users`, then asks for them again.
fn pool(users: usize) -> Pool {
    let come = Arc::new(Notify::new());
    let fetches = Arc::new(AtomicU64::new(0));
    let endpoint = endpoint(come.clone(), fetches.clone());
    let key = |head: RequestHead<'_>| head.extensions().get().map(|User(id)| id.load(Relaxed));
    let pool = TokenPool::new(key).with_capacity(users * 5 / 4 + 64).with_caches(move |_| {
        let grant = Grant::client_credentials();
        Some(TokenCache::new(endpoint.clone(), grant, RefreshPolicy::default()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let filling = allocation_counter::measure(|| {
        runtime.block_on(async {
            let (user, request) = User::request();
            for number in 0..users {
                user.set(number);
                come.notify_one();
                assert!(pool.token(RequestHead::from_request(&request)).wait().await.is_ok());
            }
        });
    });
    let of_threads = |threads: usize| {
        least(|| {
            numbers_on_threads(threads, users, || {
                let (pool, (user, request)) = (pool.clone(), User::request());
                move |number| {
                    user.set(number);
                    let given = pool.token(RequestHead::from_request(&request));
                    assert!(matches!(given, Answer::Ready(Ok(_))));
                }
            })
        })
    };
    let (call, call_of_two) = (of_threads(1), of_threads(2));
    assert_eq!(fetches.load(Relaxed), users as u64, "one fetch for each");
    Pool { users, call, call_of_two, bytes: filling.bytes_current as f64 / users as f64 }
}

/// A layer whose token endpoint answers when `come` says so.
fn layer(come: Arc<Notify>, fetches: Arc<AtomicU64>) -> ClientCredentialsRefresh {
    ClientCredentialsRefresh::new(endpoint(come, fetches), ORIGIN).unwrap()
}

fn endpoint(come: Arc<Notify>, fetches: Arc<AtomicU64>) -> TokenEndpoint {
    let endpoint = service_fn(move |_: Request<Full<Bytes>>| {
        let (come, fetches) = (come.clone(), fetches.clone());
        async move {
            fetches.fetch_add(1, Relaxed);
            come.notified().await;
            let answer = format!(r#"{{"access_token":"{}","expires_in":3600}}"#, token());
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(answer)))
        }
    });
    let client = ClientAuthentication::basic("id", "secret");
    let url = "https://as.example/token";
    TokenEndpoint::new(url, client, Transport::new(endpoint)).unwrap()
}
