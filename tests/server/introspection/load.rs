//! How many requests the server gets, while it hangs and after its connections were cut.

use super::{API, TOKEN, call, guarded, hanging, outage, seconds};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::{convert::Infallible, sync::atomic::Ordering};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    ClientAuthentication, Transport, server::RequireToken, testing::ManualClock,
    validate::Introspection,
};

#[tokio::test]
async fn requests_beyond_the_bound_wait_for_a_second_and_are_then_refused() {
    let clock = ManualClock::new();
    for bound in [64, 3] {
        let (introspection, asked) = hanging(&clock);
        let introspection = match bound {
            64 => introspection,
            bound => introspection.with_max_requests(bound),
        };
        let service = guarded(introspection);
        let tokens: Vec<_> = (0..bound + 3).map(|number| format!("t{number}")).collect();
        let mut calls: Vec<_> =
            tokens.iter().map(|token| tokio_test::task::spawn(call(&service, token))).collect();
        calls.iter_mut().for_each(|call| assert!(call.poll().is_pending()));
        assert_eq!(asked.load(Ordering::Relaxed), bound);
        clock.advance(seconds(1));
        for waiting in &mut calls[bound..] {
            assert_eq!(outage(&tokio_test::assert_ready!(waiting.poll())), 1);
        }
        // The request of a caller that goes away leaves its place to another.
        drop(calls.swap_remove(0));
        let mut next = tokio_test::task::spawn(call(&service, "next"));
        assert!(next.poll().is_pending());
        assert_eq!(asked.load(Ordering::Relaxed), bound + 1);
    }
}

#[tokio::test]
async fn a_server_that_times_out_again_and_again_is_left_alone_until_it_answers() {
    let clock = ManualClock::new();
    let (introspection, asked) = hanging(&clock);
    let service = guarded(introspection);
    let time_out = || {
        let mut waiting = tokio_test::task::spawn(call(&service, TOKEN));
        assert!(waiting.poll().is_pending());
        clock.advance(seconds(5));
        outage(&tokio_test::assert_ready!(waiting.poll()));
    };
    (0..5).for_each(|_| time_out());
    // The first of them is 20 seconds ago.
    assert_eq!(outage(&call(&service, "another").await), 4);
    assert_eq!(asked.load(Ordering::Relaxed), 5);
    clock.advance(seconds(4));
    let mut trial = tokio_test::task::spawn(call(&service, TOKEN));
    assert!(trial.poll().is_pending());
    assert_eq!(outage(&call(&service, "another").await), 5, "one at a time");
    assert_eq!(asked.load(Ordering::Relaxed), 6);
}

/// Answers the first request of each connection, and cuts the connection when the second one comes.
async fn cutting_server(answer: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut head, mut buffer) = (String::new(), [0; 4096]);
                // The form ends with the hint.
                while !head.contains("access_token") {
                    let read = stream.read(&mut buffer).await.unwrap();
                    head.push_str(&String::from_utf8_lossy(&buffer[..read]));
                }
                let length = answer.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}");
                stream.write_all(head.as_bytes()).await.unwrap();
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_pooled_connection_that_is_cut_before_the_answer_costs_no_good_token() {
    let url = cutting_server(r#"{"active":true,"sub":"alice","aud":"https://api.example"}"#).await;
    let client = ClientAuthentication::basic("api", "secret");
    let introspection = Introspection::new(&url, client, Transport::https()).unwrap();
    let layer = RequireToken::new("api", introspection.with_audience([API])).unwrap();
    for number in 0..6 {
        let inner = service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let request = Request::get("/r").header("authorization", format!("Bearer t{number}"));
        let request = request.body(Full::default()).unwrap();
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{number}");
    }
}
