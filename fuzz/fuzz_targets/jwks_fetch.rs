//! The answers of a server with a key set, each behind a line of three dashes: how long the first
//! is fresh, what is asked for the next time, and that a server which wants no requests gets none.
#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tower_oauth2::{testing::ManualClock, validate::Jwks};
use tower_oauth2_fuzz::{Peer, answer, clock, parts, retry_after, runtime};

const HOUR: u64 = 60 * 60;
/// The bounds of a refresh.
const BOUNDS: (u64, u64) = (10, 5 * HOUR);

fuzz_target!(|input: &[u8]| {
    let answers: Vec<_> = parts(input).into_iter().take(2).map_while(answer).collect();
    if answers.len() == 2 {
        runtime().block_on(fetch(&answers));
    }
});

async fn fetch(answers: &[Response<Bytes>]) {
    let (time, peer) = (clock(), Peer::answering(answers.iter().cloned()));
    let (min, max) = BOUNDS;
    let keys = Jwks::from_url("https://as.example/k", peer.transport()).expect("a URL");
    let keys = keys.with_clock(time.clock());
    let keys = keys.with_refresh_between(Duration::from_secs(min), Duration::from_secs(max));
    let keys = keys.expect("bounds");
    match keys.warm_up().await {
        Ok(()) => {
            assert!(answers[0].status() == 200 && keys.status().keys() > 0);
            check_freshness(&keys, &time, fresh_for(&answers[0]));
            check_again(&keys, answers, &peer).await;
        }
        Err(_) => {
            assert!(answers[0].status() != 200 || keys.status().keys() == 0);
            check_pause(&keys, &time, &answers[0], &peer).await;
        }
    }
    assert!(peer.asked().iter().all(|request| *request.uri() == "https://as.example/k"));
}

/// How many seconds the answer says that it is fresh, within the bounds.
fn fresh_for(answer: &Response<Bytes>) -> u64 {
    let mut ages: Vec<u64> = Vec::new();
    for line in answer.headers().get_all("cache-control") {
        let line = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
        for directive in
            line.split(',').map(|it| it.trim_matches(|c: char| c.is_ascii_whitespace()))
        {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name {
                "no-store" | "no-cache" => ages.push(0),
                "max-age" => ages.push(seconds(unquoted(value)).unwrap_or(0)),
                _ => {}
            }
        }
    }
    let age = answer.headers().get("age").and_then(|age| seconds(age.to_str().ok()?)).unwrap_or(0);
    let said = ages.into_iter().min().map(|said| said.saturating_sub(age));
    said.unwrap_or(HOUR).clamp(BOUNDS.0, BOUNDS.1)
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn seconds(text: &str) -> Option<u64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// It is fresh for that long, less a tenth at most, so that not all servers refresh at once.
fn check_freshness(keys: &Jwks, time: &ManualClock, seconds: u64) {
    let until = Duration::from_secs(seconds).mul_f64(0.899);
    time.advance(until);
    assert!(!keys.status().is_stale(), "{seconds}");
    time.advance(Duration::from_secs(seconds) - until);
    assert!(keys.status().is_stale(), "{seconds}");
}

/// The next fetch names the version that is there, and nothing else makes "not modified" an answer.
async fn check_again(keys: &Jwks, answers: &[Response<Bytes>], peer: &Peer) {
    let before = keys.status().keys();
    let refreshed = keys.refresh().await;
    let etag = answers[0].headers().get("etag");
    let asked = peer.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].headers().get("if-none-match"), etag);
    match answers[1].status().as_u16() {
        200 => assert!(refreshed.is_err() || !keys.status().is_stale()),
        304 => {
            assert_eq!(refreshed.is_ok(), etag.is_some());
            assert_eq!(keys.status().keys(), before);
            assert_eq!(keys.status().is_stale(), etag.is_none());
        }
        _ => {
            assert!(refreshed.is_err() && keys.status().is_stale());
            assert_eq!(keys.status().keys(), before, "the keys of before stay in use");
        }
    }
}

/// After a failure nobody asks before the server wants it, an hour at most, and then somebody does.
async fn check_pause(keys: &Jwks, time: &ManualClock, answer: &Response<Bytes>, peer: &Peer) {
    let told = retry_after(answer).filter(|_| answer.status() != 200).unwrap_or(0).min(HOUR);
    let asked = || peer.asked().len();
    assert_eq!(asked(), 1);
    let _ = keys.warm_up().await;
    assert_eq!(asked(), 1, "a failure is followed by a pause");
    if told > 1 {
        time.advance(Duration::from_secs(told - 1));
        let _ = keys.warm_up().await;
        assert_eq!(asked(), 1, "{told}");
    }
    let is_date = answer.headers().contains_key("retry-after") && retry_after(answer).is_none();
    time.advance(Duration::from_secs(if is_date { HOUR } else { 1 }));
    let _ = keys.warm_up().await;
    assert_eq!(asked(), 2);
}
