//! Proofs over sockets, limits and queues: many calls at once, one connection, gRPC.

use super::{Api, HOME, Text, answer, bound, clock, get, guarded, nonce_needed};
use crate::resource::{ends, poll_once, settle};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Barrier,
};
use tower::{Layer, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit, service_fn};
use tower_oauth2::{
    ProofKey,
    client::AddBearer,
    server::{Dpop, DpopNonces},
};
use tower_test::mock;

/// A server of this crate that demands nonces.
fn nonces() -> Dpop {
    Dpop::new(HOME).unwrap().with_nonces(DpopNonces::random().unwrap())
}

#[tokio::test]
async fn of_twenty_first_calls_at_once_none_is_refused_and_each_is_sent_twice() {
    let (key, requests) = (ProofKey::generate().unwrap(), Arc::new(AtomicUsize::new(0)));
    let together = Arc::new(Barrier::new(20));
    let served = guarded(&key, nonces(), clock().clock(), Api::new(|_| answer(200, &[])));
    let counted = {
        let requests = requests.clone();
        service_fn(move |request: Request<Text>| {
            let (number, together) = (requests.fetch_add(1, SeqCst), together.clone());
            let served = served.clone();
            async move {
                // The first twenty are there before the first is answered.
                if number < 20 {
                    together.wait().await;
                }
                served.oneshot(request).await
            }
        })
    };
    let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(counted);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.clone().oneshot(get(HOME)))).collect();
    for call in calls {
        assert_eq!(ends(call).await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(requests.load(SeqCst), 40);
    client.oneshot(get(HOME)).await.unwrap();
    assert_eq!(requests.load(SeqCst), 41);
}

#[tokio::test]
async fn a_limit_of_one_and_a_queue_below_do_not_hold_the_repeated_call_up() {
    let (key, clock) = (ProofKey::generate().unwrap(), clock());
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap().with_clock(clock.clock());
    for round in 0..2 {
        let served = guarded(&key, nonces(), clock.clock(), Api::new(|_| answer(200, &[])));
        let limited = ConcurrencyLimit::new(served, 1);
        let status = match round {
            0 => ends(layer.layer(limited).oneshot(get(HOME))).await.unwrap().status(),
            _ => {
                let client = layer.layer(Buffer::new(limited, 1));
                ends(client.oneshot(get(HOME))).await.unwrap().status()
            }
        };
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn the_repeated_call_waits_until_the_inner_service_is_ready_and_its_proof_is_of_then() {
    let (key, manual) = (ProofKey::generate().unwrap(), clock());
    let (mock, mut handle) = mock::pair::<Request<Text>, Response<Text>>();
    let layer = AddBearer::from_source(bound(&key), HOME).unwrap().with_clock(manual.clock());
    handle.allow(1);
    let mut call = pin!(layer.layer(mock).oneshot(get(HOME)));
    assert!(poll_once(call.as_mut()).await.is_pending());
    let (_, first) = handle.next_request().await.unwrap();
    first.send_response(nonce_needed("n"));
    handle.allow(0);
    for _ in 0..4 {
        assert!(poll_once(call.as_mut()).await.is_pending());
        settle().await;
    }
    manual.advance(std::time::Duration::from_secs(90));
    handle.allow(1);
    assert!(poll_once(call.as_mut()).await.is_pending());
    let (request, second) = handle.next_request().await.unwrap();
    let sent = super::Sent::new(request.into_parts().0);
    assert_eq!((sent.nonce(), &sent.claims["iat"]), (Some("n"), &1_800_000_090_u64.into()));
    second.send_response(answer(200, &[]));
    assert_eq!(ends(call).await.unwrap().status(), 200);
}

#[tokio::test]
async fn over_the_one_connection_of_http_1_the_call_is_repeated() {
    let key = ProofKey::generate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let dpop = Dpop::new(&origin).unwrap().with_nonces(DpopNonces::random().unwrap());
    let welcome = service_fn(|request: Request<hyper::body::Incoming>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    let server = guarded(&key, dpop, tower_oauth2::Clock::system(), welcome);
    tokio::spawn(async move {
        // One connection is all there is.
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(server);
        let builder = auto::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    });
    let address = origin.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    let over_it = service_fn(move |request: Request<Full<Bytes>>| {
        let sender = sender.clone();
        async move {
            let sent = sender.lock().await.send_request(request);
            sent.await
        }
    });
    let client = AddBearer::from_source(bound(&key), origin.as_str()).unwrap().layer(over_it);
    for path in ["/{a}\"?q", "/b"] {
        let uri = format!("{origin}{path}");
        let host = address.to_owned();
        let request = Request::post(uri).header("host", host).body(Text::from("body")).unwrap();
        let response = ends(client.clone().oneshot(request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(ends(response.into_body().collect()).await.unwrap().to_bytes(), "body");
    }
}

#[tokio::test]
async fn a_refusal_of_grpc_that_has_trailers_only_is_repeated() {
    let key = ProofKey::generate().unwrap();
    let api =
        Api::new(|_| answer(200, &[("content-type", "application/grpc"), ("grpc-status", "0")]));
    let server = guarded(&key, nonces(), clock().clock(), api.clone());
    let client = AddBearer::from_source(bound(&key), HOME).unwrap().layer(server);
    let request = Request::post("/pkg.Service/Method").header("content-type", "application/grpc");
    let response = client.oneshot(request.body(Text::from("m")).unwrap()).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "0");
    let [sent] = <[_; 1]>::try_from(api.seen()).unwrap();
    assert_eq!(sent.claim("htu"), Some("https://api.example/pkg.Service/Method"));
    assert!(sent.nonce().is_some());
}
