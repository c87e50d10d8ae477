//! Requests a second over loopback, with a layer and without it.
//!
//! The servers have one thread, whoever asks them another: on two cores the server is the slower
//! end where servers are compared, since those who ask send fixed bytes and read as many as the
//! first answer had. Where clients are compared, they are the slower end.

use crate::{
    server::Peers,
    support::{client::cold, jwt::Subject},
    targets::Targets,
};
use axum::{Router, routing::get};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use std::{
    cell::Cell,
    convert::Infallible,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::LocalSet,
};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_oauth2::{Algorithm, server::RequireToken};

const CONNECTIONS: usize = 32;
/// How long each stack is asked at a time.
const TURN: Duration = Duration::from_millis(250);
const TURNS: usize = 15;

pub fn measure(runtime: &Runtime, targets: &mut Targets) {
    println!(
        "\n| server, a JWT seen before | requests/s | of no layer (min, max) |\n|---|---|---|"
    );
    for (algorithm, times) in [(Algorithm::Rs256, 5.0), (Algorithm::Es256, 9.0)] {
        servers(runtime, algorithm, times, targets);
    }
    println!("\n| client | requests/s | of no layer (min, max) |\n|---|---|---|");
    clients(targets);
}

/// What was measured of one stack: requests a second, and as a ratio to no layer.
struct Rate {
    median: f64,
    ratio: f64,
}

/// Asks each of `stacks` in turn, the first of them without a layer, and prints a line each.
fn turns(stacks: Vec<(String, Box<dyn Fn() -> f64 + '_>)>) -> Vec<Rate> {
    let mut rates = vec![Vec::with_capacity(TURNS); stacks.len()];
    for _ in 0..TURNS {
        for ((_, ask), rates) in stacks.iter().zip(&mut rates) {
            rates.push(ask());
        }
    }
    let bare = rates[0].clone();
    let rates = stacks.iter().zip(rates).map(|((name, _), mut rates)| {
        let mut ratios: Vec<_> = rates.iter().zip(&bare).map(|(rate, bare)| rate / bare).collect();
        rates.sort_by(f64::total_cmp);
        ratios.sort_by(f64::total_cmp);
        let (median, ratio) = (rates[TURNS / 2], ratios[TURNS / 2]);
        let (min, max) = (ratios[0], ratios[TURNS - 1]);
        println!("| {name} | {median:.0} | {ratio:.2} ({min:.2}, {max:.2}) |");
        Rate { median, ratio }
    });
    rates.collect()
}

/// Serves `router` from a thread of its own for as long as the process lives.
fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            axum::serve(TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    address
}

fn servers(runtime: &Runtime, algorithm: Algorithm, times: f64, targets: &mut Targets) {
    let subject = Subject::new(algorithm);
    let peers = Peers { runtime, algorithm, keys: &subject.keys };
    let hello = || Router::new().route("/", get(async || "hello"));
    let ours = RequireToken::new("api", subject.cached()).unwrap();
    let routers = [
        (format!("{algorithm}: no layer"), hello()),
        (format!("**{algorithm}: RequireToken**"), hello().layer(ours)),
        (
            format!("{algorithm}: tower-oauth2-resource-server"),
            hello().layer(peers.resource_server()),
        ),
        (
            format!("{algorithm}: aliri_tower"),
            hello().layer(peers.aliri(peers.aliri_algorithm().unwrap())),
        ),
        (format!("{algorithm}: oauth-resource-server"), hello().layer(peers.http_auth())),
    ];
    let good = &subject.good;
    let stacks = routers.into_iter().map(|(name, router)| {
        let address = serve(router);
        (name, Box::new(move || asked(address, good)) as Box<dyn Fn() -> f64 + '_>)
    });
    let rates = turns(stacks.collect());
    let best = rates[2..].iter().map(|rate| rate.median).fold(0.0, f64::max);
    targets.at_least(format!("server, {algorithm}, requests/s of no layer"), rates[1].ratio, 0.90);
    let ratio = rates[1].median / best;
    targets.at_least(format!("server, {algorithm}, requests/s of the best peer"), ratio, times);
}

/// How many requests a second are answered with 200.
fn asked(address: SocketAddr, authorization: &HeaderValue) -> f64 {
    let authorization = authorization.to_str().unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: {authorization}\r\n\r\n");
    let request: Rc<[u8]> = request.into_bytes().into();
    rate(|answered, until| {
        let request = request.clone();
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&request).await.unwrap();
            let mut answer = vec![0; 4096];
            // Its headers and its five bytes come in one piece.
            let len = stream.read(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer[..len].ends_with(b"hello"));
            while Instant::now() < until {
                stream.write_all(&request).await.unwrap();
                stream.read_exact(&mut answer[..len]).await.unwrap();
                assert!(answer.starts_with(b"HTTP/1.1 200 "));
                answered.set(answered.get() + 1);
            }
        }
    })
}

/// Runs `ask` once for each connection, on one thread; what they count, a second.
fn rate<F: Future<Output = ()> + 'static>(ask: impl Fn(Rc<Cell<u32>>, Instant) -> F) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (answered, start) = (Rc::new(Cell::new(0)), Instant::now());
    let tasks = LocalSet::new();
    for _ in 0..CONNECTIONS {
        tasks.spawn_local(ask(answered.clone(), start + TURN));
    }
    runtime.block_on(tasks);
    f64::from(answered.get()) / start.elapsed().as_secs_f64()
}

type Api = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, tower::BoxError>;

/// Answers 200 at `/bare`, elsewhere to those who have a token.
async fn api(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("hello"));
    if request.uri().path() != "/bare" && !request.headers().contains_key(header::AUTHORIZATION) {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}

/// hyper alone, in a thread of its own.
fn serve_api() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let http = hyper::server::conn::http1::Builder::new();
                let service = hyper::service::service_fn(api);
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    address
}

fn clients(targets: &mut Targets) {
    let origin = format!("http://{}", serve_api());
    let on = cold(&origin);
    let off = on.clone().without_recovery();
    let bare = || BoxCloneSyncService::new(client().map_err(Into::into));
    let stacks: Vec<(_, Box<dyn Fn() -> f64>)> = vec![
        ("no layer".to_owned(), Box::new(|| sent(bare, &format!("{origin}/bare")))),
        (
            "**ClientCredentialsRefresh**".to_owned(),
            Box::new(|| sent(|| BoxCloneSyncService::new(on.layer(client())), &origin)),
        ),
        (
            "**the same, recovery off**".to_owned(),
            Box::new(|| sent(|| BoxCloneSyncService::new(off.layer(client())), &origin)),
        ),
    ];
    let rates = turns(stacks);
    targets.at_least("client, requests/s of no layer", rates[1].ratio, 0.90);
    targets.at_least("client, recovery off, requests/s of no layer", rates[2].ratio, 0.90);
}

fn client() -> Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>> {
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// How many requests a second a client sends whose answer is 200.
fn sent(client: impl Fn() -> Api, url: &str) -> f64 {
    let (client, uri): (_, http::Uri) = (client(), url.parse().unwrap());
    rate(|answered, until| {
        let (mut client, uri) = (client.clone(), uri.clone());
        async move {
            while Instant::now() < until {
                let mut request = Request::new(Full::default());
                *request.uri_mut() = uri.clone();
                let response = client.ready().await.unwrap().call(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                response.into_body().collect().await.unwrap();
                answered.set(answered.get() + 1);
            }
        }
    })
}
