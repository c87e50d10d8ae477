//! A hundred thousand users: what one costs in memory, how often each is fetched for, and what a
//! call takes among so many.
//!
//! `cargo bench --bench pool`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

mod support;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    cell::Cell,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};
use support::{
    Case,
    client::{Inner, ORIGIN, has, request, token},
    target,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, ClientAuthentication, Clock, RequestHead, Transport,
    client::{
        AddBearer, Grant, RefreshPolicy, TokenCache, TokenEndpoint, TokenPool, TokenResponse,
        TokenSource,
    },
};

const USERS: u32 = 100_000;

type Body = Full<Bytes>;

#[derive(Clone, Copy)]
struct User(u32);

fn of_user(user: u32) -> Request<Body> {
    let mut request = request();
    request.extensions_mut().insert(User(user));
    request
}

/// A token endpoint that counts how often it is asked.
fn endpoint(asked: Arc<AtomicU32>) -> TokenEndpoint {
    let service = service_fn(move |_: Request<Body>| {
        let number = asked.fetch_add(1, Relaxed);
        let body = format!(r#"{{"access_token":"{}{number:06}","expires_in":3600}}"#, token());
        async { Ok::<_, Infallible>(Response::new(Body::from(body))) }
    });
    let client = ClientAuthentication::basic("a-client-of-some-name", "a-secret-of-some-length");
    TokenEndpoint::new("https://as.example/oauth2/token", client, Transport::new(service)).unwrap()
}

fn pool() -> TokenPool<u32> {
    let pool = TokenPool::new(|head: RequestHead<'_>| head.extensions().get().map(|User(id)| *id));
    pool.with_capacity(USERS as usize)
}

/// Every user once; the bytes that one costs.
fn filled(title: &str, pool: &TokenPool<u32>, add: impl Fn(u32)) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = Cell::new(0.0);
    let start = Instant::now();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for user in 0..USERS {
                add(user);
                let request = of_user(user);
                let given = pool.token(RequestHead::from_request(&request)).wait().await;
                assert!(given.is_ok(), "{given:?}");
            }
        });
        taken.set(start.elapsed().as_secs_f64());
    });
    assert_eq!(pool.len(), USERS as usize);
    let bytes = counted.bytes_current as f64 / f64::from(USERS);
    let micros = taken.get() * 1e6 / f64::from(USERS);
    println!("| {title} | {bytes:.0} | {micros:.1} |");
    bytes
}

fn main() {
    println!("| {USERS} users | bytes each | µs to the first token |");
    println!("|---|---|---|");

    let asked = Arc::new(AtomicU32::new(0));
    let (endpoint, policy) = (endpoint(asked.clone()), RefreshPolicy::default());
    let made = {
        let (endpoint, policy) = (endpoint.clone(), policy.clone());
        pool().with_caches(move |_| {
            let grant = Grant::client_credentials();
            Some(TokenCache::new(endpoint.clone(), grant, policy.clone()))
        })
    };
    let fetched = filled("pool/fetched", &made, |_| {});
    assert_eq!(asked.load(Relaxed), USERS, "one fetch each");

    let sessions = pool();
    let session = filled("pool/signed_in", &sessions, |user| {
        let token = AccessToken::new(format!("{}{user:06}", token())).unwrap();
        let response = TokenResponse::new(token).with_refresh_token(format!("refresh-{user:032}"));
        let (endpoint, policy) = (endpoint.clone(), policy.clone());
        sessions
            .insert(user, TokenCache::from_sign_in(endpoint, &response, policy, Clock::system()));
    });
    drop(sessions);

    let layer = AddBearer::from_source(made, ORIGIN).unwrap();
    let one = AddBearer::from_source(one_cache(endpoint), ORIGIN).unwrap();
    let next = Cell::new(0_u32);
    let spread = || {
        next.set((next.get() + 7_919) % USERS);
        of_user(next.get())
    };
    let cases = vec![
        Case::new("bare", Inner, || of_user(1), |_| true),
        Case::new("add_bearer/cache", one.without_recovery().layer(Inner), request, has),
        Case::new(
            "add_bearer/pool/one_user",
            layer.clone().without_recovery().layer(Inner),
            || of_user(1),
            has,
        ),
        Case::new(
            "add_bearer/pool/all_users",
            layer.clone().without_recovery().layer(Inner),
            spread,
            has,
        ),
        Case::new("add_bearer/pool/recovering", layer.layer(Inner), || of_user(1), has),
    ];
    support::run("a call among 100,000 users", cases);
    assert_eq!(asked.load(Relaxed), USERS + 1, "no call fetched another");

    println!();
    target("bytes a user beyond the token, fetched", fetched - token().len() as f64, 1_200.0);
    target("bytes a user beyond the token, signed in", session - token().len() as f64, 1_200.0);
    let service = || layer.clone().without_recovery().layer(Inner);
    let two = support::sharing(service, service, || of_user(1));
    println!("two threads, one user: {two:.2} of the time of two services");
}

fn one_cache(endpoint: TokenEndpoint) -> TokenCache {
    let cache = TokenCache::new(endpoint, Grant::client_credentials(), RefreshPolicy::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let layer = AddBearer::from_source(cache.clone(), ORIGIN).unwrap();
    let response = runtime.block_on(layer.layer(Inner).oneshot(request())).unwrap();
    assert!(has(&response));
    cache
}
