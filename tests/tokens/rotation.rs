//! Secrets that become others while a program runs: refresh tokens, of which the newest is never
//! lost and none is sent twice without a word, and the client's own.

use crate::{
    engine::{self, Asked, Reply, World, ask, at_once, exact, impatient, millis, seconds, settle},
    leaks::{assert_absent, own_lines, traced},
};
use http::{Method, Request, Response, header::AUTHORIZATION};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    env,
    error::Error as StdError,
    fmt, fs,
    future::Pending,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::runtime::Handle;
use tower::{Service, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, ClientAuthentication, ClientSecret, ClientSecretSource, NotConnected, RequestHead,
    Transport,
    client::{
        Error, ErrorKind, Grant, RefreshPolicy, SignIn, TokenCache, TokenEndpoint, TokenPool,
        TokenResponse, TokenSource,
    },
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The refresh tokens that the server saw, in order.
type Sent = Arc<Mutex<Vec<String>>>;

fn refresh_token_of(form: &str) -> String {
    let pairs = form_urlencoded::parse(form.as_bytes());
    let mut tokens = pairs.filter(|(name, _)| name == "refresh_token");
    let (_, token) = tokens.next().unwrap();
    assert!(tokens.next().is_none(), "{form}");
    token.to_string()
}

/// A server that answers the refresh token that it is sent.
fn answering(mut answer: impl FnMut(&str, usize) -> Reply + Send + 'static) -> (World, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let world = World::answering(move |asked: &Asked| {
        let token = refresh_token_of(&asked.form);
        log.lock().unwrap().push(token.clone());
        answer(&token, asked.number)
    });
    (world, sent)
}

/// A session with the refresh token `R1`, whose access token has expired.
async fn expired(world: &World, policy: RefreshPolicy) -> TokenCache {
    let cache = world.session(policy);
    world.advance(seconds(60)).await;
    cache
}

/// A session of which there is only its refresh token, `R1`.
fn resumed(world: &World, transport: Transport, policy: RefreshPolicy) -> TokenCache {
    let transport = transport.with_clock(world.clock.clock());
    let client = ClientAuthentication::public("id");
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    TokenCache::from_refresh_token(endpoint, "R1", policy, world.clock.clock())
}

async fn text_of(cache: &TokenCache) -> Result<String, Error> {
    at_once(ask(cache)).await.map(|token| token.expose().to_owned())
}

/// A refresh answer that brings the access token of the same number.
fn next(token: &str) -> Reply {
    let number: u32 = token[1..].parse().unwrap();
    Reply::rotated(&format!("T{number}"), &format!("R{}", number + 1), 60)
}

// case: rot-03
#[tokio::test]
async fn an_answer_without_a_refresh_token_keeps_the_old_and_one_with_it_replaces_it() {
    let (world, sent) = answering(|_, number| match number {
        1 => Reply::token("T1", 60),
        2 => Reply::rotated("T2", "R2", 60),
        _ => Reply::token("T3", 60),
    });
    let cache = expired(&world, exact()).await;
    for token in ["T1", "T2", "T3", "T3"] {
        assert_eq!(text_of(&cache).await.unwrap(), token);
        world.advance(seconds(60)).await;
    }
    assert_eq!(*sent.lock().unwrap(), ["R1", "R1", "R2", "R2"]);
}

// case: rot-04
#[tokio::test]
async fn what_comes_while_every_caller_is_gone_is_kept_and_the_old_is_not_sent_again() {
    let (world, sent) = answering(|token, _| next(token).takes(seconds(1)));
    let cache = expired(&world, exact()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let cache =
        cache.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().to_owned()));
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(ask(&cache))).collect();
    settle().await;
    assert_eq!(*sent.lock().unwrap(), ["R1"]);
    calls.iter().for_each(|call| call.abort());
    drop(calls);
    world.advance(seconds(1)).await;
    assert_eq!(*told.lock().unwrap(), ["R2"]);
    assert_eq!(text_of(&cache).await.unwrap(), "T1");

    world.advance(seconds(60)).await;
    let call = tokio::spawn(ask(&cache));
    world.advance(seconds(1)).await;
    assert_eq!(at_once(call).await.unwrap().unwrap().expose(), "T2");
    assert_eq!(*sent.lock().unwrap(), ["R1", "R2"]);
    assert_eq!(*told.lock().unwrap(), ["R2", "R3"]);
}

// case: rot-04
#[tokio::test]
async fn after_a_lost_answer_it_is_sent_once_more_with_a_warning_and_its_refusal_is_the_end() {
    let (world, sent) = answering(|_, number| match number {
        1 => Reply::broken(),
        _ => Reply::refusal(400, "invalid_grant"),
    });
    let cache = expired(&world, impatient()).await;
    let (first, log) = traced(async {
        let calls: Vec<_> = (0..100).map(|_| tokio::spawn(ask(&cache))).collect();
        settle().await;
        let mut kinds = Vec::new();
        for call in calls {
            kinds.push(at_once(call).await.unwrap().unwrap_err().kind());
        }
        kinds
    })
    .await;
    assert!(first.iter().all(|kind| *kind == ErrorKind::Transport));
    assert!(!own_lines(&log).contains("possible reuse"), "{log}");
    assert_eq!(sent.lock().unwrap().len(), 1);

    world.advance(seconds(2)).await;
    let (second, log) = traced(text_of(&cache)).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::SignInNeeded);
    let own = own_lines(&log);
    assert!(own.contains("WARN") && own.contains("possible reuse"), "{log}");
    assert_absent(&["R1"], &own);
    for _ in 0..100 {
        world.advance(seconds(60)).await;
        assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::SignInNeeded);
    }
    assert_eq!(*sent.lock().unwrap(), ["R1", "R1"]);
}

#[tokio::test]
async fn lost_answers_end_no_session_until_the_server_refuses_its_refresh_token() {
    for lost in [Reply::broken, || Reply::broken().hangs(), || Reply::token("", 60)] {
        for rotates in [false, true] {
            let (world, sent) = answering(move |token, number| match number {
                1 if rotates => next(token),
                ..=20 => lost(),
                _ => Reply::refusal(400, "invalid_grant"),
            });
            let cache = expired(&world, impatient()).await;
            for _ in 0..20 {
                let call = tokio::spawn(ask(&cache));
                world.advance(seconds(60)).await;
                let kind = at_once(call).await.unwrap().err().map(|error| error.kind());
                assert_ne!(kind, Some(ErrorKind::SignInNeeded));
            }
            let mut asked = sent.lock().unwrap().len();
            while asked < 21 {
                drop(tokio::spawn(ask(&cache)));
                world.advance(seconds(60)).await;
                asked = sent.lock().unwrap().len();
            }
            assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::SignInNeeded);
            assert_eq!(sent.lock().unwrap().len(), 21);

            // Another sign-in is another story.
            let token = AccessToken::new("T9").unwrap();
            cache.store(&TokenResponse::new(token).with_refresh_token("R9"));
            assert_eq!(text_of(&cache).await.unwrap(), "T9");
        }
    }
}

/// A used refresh token that is sent again may revoke its family (RFC 9700 §4.14.2), and with it the
/// access token.
#[tokio::test]
async fn a_rotating_server_that_loses_two_answers_is_not_asked_while_the_access_token_is_good() {
    let (world, sent) = answering(|token, number| match number {
        1 => Reply::rotated("T1", "R2", 100),
        2 | 3 => Reply::refusal(504, ""),
        _ => next(token),
    });
    let cache = expired(&world, exact()).await;
    assert_eq!(text_of(&cache).await.unwrap(), "T1");
    for _ in 0..90 {
        world.advance(seconds(1)).await;
        assert_eq!(text_of(&cache).await.unwrap(), "T1");
    }
    assert_eq!(*sent.lock().unwrap(), ["R1", "R2", "R2"]);
    world.advance(seconds(10)).await;
    assert_eq!(text_of(&cache).await.unwrap(), "T2");
    assert_eq!(*sent.lock().unwrap(), ["R1", "R2", "R2", "R2"]);
}

#[tokio::test]
async fn a_server_that_never_rotated_is_asked_on_by_back_off_after_lost_answers() {
    let (world, sent) = answering(|_, number| match number {
        ..=4 => Reply::broken(),
        _ => Reply::token("T1", 60),
    });
    let cache = expired(&world, impatient()).await;
    for _ in 0..4 {
        assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::Transport);
        world.advance(seconds(3)).await;
    }
    assert_eq!(text_of(&cache).await.unwrap(), "T1");
    assert_eq!(*sent.lock().unwrap(), ["R1"; 5]);
}

#[tokio::test]
async fn an_outage_that_is_told_of_spends_no_refresh_token() {
    for status in [400, 429, 500, 502, 503] {
        let (world, sent) = answering(move |token, number| match number {
            ..=10 => Reply::refusal(status, "temporarily_unavailable"),
            _ => next(token),
        });
        let cache = expired(&world, impatient()).await;
        let (_, log) = traced(async {
            for _ in 0..10 {
                assert!(text_of(&cache).await.is_err());
                world.advance(seconds(60)).await;
            }
            assert_eq!(text_of(&cache).await.unwrap(), "T1");
        })
        .await;
        assert_eq!(sent.lock().unwrap().len(), 11);
        assert!(!own_lines(&log).contains("possible reuse"), "{status}: {log}");
    }
}

/// What a client says of a connection that never came about.
fn unconnected() -> Vec<Box<dyn Fn() -> BoxError + Send + Sync>> {
    vec![
        Box::new(|| {
            let below = io::Error::from(io::ErrorKind::ConnectionRefused);
            io::Error::other(below).into()
        }),
        Box::new(|| NotConnected::new("the name has no address").into()),
        Box::new(|| io::Error::other(NotConnected::new("the certificate is another's")).into()),
        Box::new(|| Box::new(Transparent(Arc::new(NotConnected::new("no route")))) as BoxError),
        Box::new(|| Box::new(Arc::new(io::Error::other(NotConnected::new("no route"))))),
    ]
}

/// Shows the text and the source of another error, and not that error itself.
#[derive(Debug)]
struct Transparent(Arc<NotConnected>);

impl fmt::Display for Transparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Transparent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Is never ready.
#[derive(Clone)]
struct Closed;

impl Service<Request<engine::Body>> for Closed {
    type Response = Response<engine::Body>;
    type Error = BoxError;
    type Future = Pending<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("the circuit is open".into()))
    }

    fn call(&mut self, _: Request<engine::Body>) -> Self::Future {
        panic!("it was not ready")
    }
}

/// Each of ten tries fails, and none counts as one that the server may have seen.
async fn is_never_sent(world: &World, transport: Transport) {
    let cache = resumed(world, transport, impatient());
    let tries = async {
        for _ in 0..10 {
            assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::Transport);
            world.advance(seconds(60)).await;
        }
    };
    let ((), log) = traced(tries).await;
    assert!(!own_lines(&log).contains("possible reuse"), "{log}");
}

#[tokio::test]
async fn a_service_that_does_not_become_ready_has_not_sent_the_refresh_token() {
    let world = World::new();
    is_never_sent(&world, Transport::new(Closed)).await;
}

#[tokio::test]
async fn a_transport_within_a_service_of_the_users_own_has_not_sent_the_refresh_token() {
    let world = World::new();
    let refused = service_fn(async |_: Request<engine::Body>| {
        Err::<Response<engine::Body>, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    });
    let inner = Transport::new(refused).with_clock(world.clock.clock());
    let outer = service_fn(move |mut request: Request<engine::Body>| {
        request.headers_mut().insert("x-tenant", "one".parse().unwrap());
        let sent = inner.send(request);
        async move { sent.await.map(|answer| answer.map(engine::Body::from)) }
    });
    is_never_sent(&world, Transport::new(outer)).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_has_not_seen_the_refresh_token() {
    for fails in unconnected() {
        let tries = Arc::new(Mutex::new(0));
        let (world, sent) = answering(|token, _| next(token));
        let (server, count) = (world.service(), tries.clone());
        let fails = Arc::new(fails);
        let unreachable = service_fn(move |request: Request<engine::Body>| {
            *count.lock().unwrap() += 1;
            let (is_up, fails) = (*count.lock().unwrap() > 10, fails.clone());
            let server = server.clone();
            async move {
                match is_up {
                    true => server.oneshot(request).await.map_err(BoxError::from),
                    false => Err(fails()),
                }
            }
        });
        let cache = resumed(&world, Transport::new(unreachable), impatient());
        for _ in 0..10 {
            assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::Transport);
            world.advance(seconds(60)).await;
        }
        assert_eq!(*tries.lock().unwrap(), 10);
        let (token, log) = traced(text_of(&cache)).await;
        assert_eq!(token.unwrap(), "T1");
        assert!(!own_lines(&log).contains("possible reuse"), "{log}");
        assert_eq!(*sent.lock().unwrap(), ["R1"]);
    }
}

#[tokio::test]
async fn a_client_of_hyper_util_that_cannot_connect_has_not_sent_the_refresh_token() {
    let world = World::new();
    // It knows no https: each connection fails, without a network.
    let client =
        Client::builder(TokioExecutor::new()).build::<_, engine::Body>(HttpConnector::new());
    is_never_sent(&world, Transport::new(client)).await;
}

#[tokio::test]
async fn metadata_that_do_not_come_spend_no_refresh_token() {
    let (world, sent) = answering(|token, _| next(token));
    let (server, clock) = (world.service(), world.clock.clock());
    let hangs = Arc::new(Mutex::new(true));
    let hanging = hangs.clone();
    let service = service_fn(move |request: Request<engine::Body>| {
        let (server, clock, hangs) = (server.clone(), clock.clone(), *hanging.lock().unwrap());
        async move {
            if request.method() == Method::POST {
                return server.oneshot(request).await;
            }
            if hangs {
                clock.sleep(Duration::MAX).await;
            }
            let metadata = r#"{"issuer":"https://as.example",
                "token_endpoint":"https://as.example/token"}"#;
            Ok(Response::new(engine::Body::from(metadata)))
        }
    });
    let client = ClientAuthentication::public("id");
    let transport = Transport::new(service).with_clock(world.clock.clock());
    let endpoint = TokenEndpoint::from_issuer("https://as.example", client, transport).unwrap();
    let policy = impatient().with_fetch_deadline(seconds(7));
    let cache = TokenCache::from_refresh_token(endpoint, "R1", policy, world.clock.clock());
    for _ in 0..3 {
        let call = tokio::spawn(ask(&cache));
        world.advance(seconds(7)).await;
        let error = at_once(call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        world.advance(seconds(60)).await;
    }
    *hangs.lock().unwrap() = false;
    assert_eq!(text_of(&cache).await.unwrap(), "T1");
    assert_eq!(*sent.lock().unwrap(), ["R1"]);
}

#[tokio::test]
async fn what_a_server_leaves_as_it_is_may_be_lost_as_often_as_it_likes() {
    let (world, sent) = answering(|_, number| match number {
        1 => Reply::token("T1", 60),
        2 => Reply::rotated("T2", "R1", 60),
        3..=9 => Reply::broken(),
        10 => Reply::rotated("T3", "R2", 60),
        _ => Reply::broken(),
    });
    let cache = expired(&world, impatient()).await;
    for token in ["T1", "T2"] {
        assert_eq!(text_of(&cache).await.unwrap(), token);
        world.advance(seconds(60)).await;
    }
    for _ in 0..7 {
        assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::Transport);
        world.advance(seconds(60)).await;
    }
    assert_eq!(text_of(&cache).await.unwrap(), "T3");
    // It has begun to rotate them.
    for _ in 0..5 {
        world.advance(seconds(60)).await;
        assert!(text_of(&cache).await.is_err());
    }
    let sent = sent.lock().unwrap();
    assert_eq!(sent.iter().filter(|token| *token == "R1").count(), 10);
    assert_eq!(sent.iter().filter(|token| *token == "R2").count(), 5);
}

#[tokio::test]
async fn a_session_that_is_resumed_starts_with_what_was_kept() {
    let (world, sent) = answering(|token, _| next(token));
    let clock = world.clock.clock();
    let cache = TokenCache::from_refresh_token(world.endpoint(), "R7", exact(), clock);
    assert_eq!(text_of(&cache).await.unwrap(), "T7");
    world.advance(seconds(60)).await;
    assert_eq!(text_of(&cache).await.unwrap(), "T8");
    assert_eq!(*sent.lock().unwrap(), ["R7", "R8"]);
}

#[tokio::test]
async fn a_renewal_outlives_its_cache_and_is_written_back_unless_it_was_shut_down() {
    for is_dropped in [false, true] {
        let (world, sent) = answering(|token, _| next(token).takes(seconds(1)));
        let told = Sent::default();
        let log = told.clone();
        let cache = expired(&world, exact()).await;
        let cache =
            cache.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().to_owned()));
        assert!(engine::at_hand(&cache).is_none());
        world.advance(millis(500)).await;
        assert_eq!(*sent.lock().unwrap(), ["R1"], "no renewal is in flight");
        let kept = (!is_dropped).then(|| cache.clone());
        if let Some(cache) = &kept {
            cache.shutdown();
        }
        drop(cache);
        world.advance(millis(500)).await;
        let expected: &[&str] = if is_dropped { &["R2"] } else { &[] };
        assert_eq!(*told.lock().unwrap(), expected, "after sign-out nothing is written back");
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);

        let clock = world.clock.clock();
        let cache = TokenCache::from_refresh_token(world.endpoint(), "R2", exact(), clock);
        let call = tokio::spawn(ask(&cache));
        world.advance(seconds(1)).await;
        assert_eq!(at_once(call).await.unwrap().unwrap().expose(), "T2");
    }
}

#[tokio::test]
async fn a_user_who_signs_out_of_a_pool_during_a_renewal_is_not_signed_in_again() {
    let (world, sent) = answering(|token, _| next(token).takes(seconds(1)));
    let kept = Sent::default();
    let log = kept.clone();
    let cache = expired(&world, exact()).await;
    let cache = cache.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().into()));
    let pool = TokenPool::new(|_| Some("alice"));
    pool.insert("alice", cache);
    let waiting = tokio::spawn(pool.token(RequestHead::from_request(&Request::new(()))).wait());
    world.advance(millis(500)).await;
    assert_eq!(*sent.lock().unwrap(), ["R1"]);
    drop(pool.remove(&"alice"));
    world.advance(millis(500)).await;
    assert!(at_once(waiting).await.unwrap().is_ok());
    assert!(kept.lock().unwrap().is_empty(), "written back after the sign-out");
}

#[tokio::test]
async fn a_sign_in_that_replaces_another_in_a_pool_is_not_overwritten_by_its_renewal() {
    for is_same in [false, true] {
        let (world, _) = answering(|token, _| next(token).takes(seconds(1)));
        let kept = Sent::default();
        let log = kept.clone();
        let old = expired(&world, exact()).await;
        let old = old.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().into()));
        let pool = TokenPool::new(|_| Some("alice"));
        pool.insert("alice", old.clone());
        let waiting = tokio::spawn(ask(&old));
        world.advance(millis(500)).await;
        let clock = world.clock.clock();
        let new = TokenCache::from_refresh_token(world.endpoint(), "N1", exact(), clock);
        let replaced = pool.insert("alice", if is_same { old.clone() } else { new });
        assert!(replaced.is_some());
        world.advance(millis(500)).await;
        assert!(at_once(waiting).await.unwrap().is_ok());
        let expected: &[&str] = if is_same { &["R2"] } else { &[] };
        assert_eq!(*kept.lock().unwrap(), expected, "the one that is kept is the new one");
    }
}

#[tokio::test]
async fn a_renewal_that_hangs_outlives_its_cache_no_longer_than_a_fetch_may_take() {
    let (world, sent) = answering(|token, _| next(token).hangs());
    let cache = expired(&world, exact().with_fetch_deadline(seconds(10))).await;
    assert!(engine::at_hand(&cache).is_none());
    settle().await;
    assert_eq!(sent.lock().unwrap().len(), 1);
    cache.shutdown();
    world.advance(seconds(9)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    world.advance(seconds(1)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn an_answer_that_can_never_do_is_not_lost_and_its_refresh_token_is_kept() {
    let (world, sent) = answering(|token, number| match number {
        1 => Reply::json(r#"{"access_token":"T","token_type":"DPoP"}"#),
        2 => Reply::json(r#"{"access_token":"T","token_type":"DPoP","refresh_token":"R2"}"#),
        3 => Reply::json(r#"{"refresh_token":"R3"}"#),
        _ => next(token),
    });
    let cache = expired(&world, exact()).await;
    let told = Sent::default();
    let log = told.clone();
    let cache =
        cache.on_rotation(move |newest| log.lock().unwrap().push(newest.expose().to_owned()));
    let (_, log) = traced(async {
        for _ in 0..2 {
            let error = text_of(&cache).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        }
        assert_eq!(*sent.lock().unwrap(), ["R1"]);
        for _ in 0..2 {
            world.advance(seconds(60)).await;
            assert!(engine::at_hand(&cache).is_none_or(|answer| answer.is_err()));
            settle().await;
        }
        world.advance(seconds(60)).await;
        assert_eq!(text_of(&cache).await.unwrap(), "T3");
    })
    .await;
    assert!(!own_lines(&log).contains("possible reuse"), "{log}");
    assert_eq!(*sent.lock().unwrap(), ["R1", "R1", "R2", "R3"]);
    assert_eq!(*told.lock().unwrap(), ["R2", "R3", "R4"]);
}

/// What a sign-in for two resources brings, at a server that takes any code.
async fn signed_in_for_two(world: &World) -> TokenResponse {
    let callback = "https://app.example/callback";
    let sign_in = SignIn::new(world.endpoint(), "id", "https://as.example/authorize", callback)
        .and_then(|sign_in| sign_in.with_resource("https://a.example"))
        .and_then(|sign_in| sign_in.with_resource("https://b.example"))
        .unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    let query = url.query().unwrap().as_bytes();
    let (_, state) = form_urlencoded::parse(query).find(|(name, _)| name == "state").unwrap();
    let back = format!("{callback}?code=c&state={state}").parse().unwrap();
    sign_in.finish(pending, &back).await.unwrap()
}

#[tokio::test]
async fn a_renewal_is_for_the_resources_of_the_sign_in_or_those_that_were_named() {
    let named = Arc::new(Mutex::new(Vec::new()));
    let log = named.clone();
    let world = World::answering(move |asked| {
        let pairs = form_urlencoded::parse(asked.form.as_bytes());
        let resources = pairs.filter(|(name, _)| name == "resource");
        log.lock().unwrap().push(resources.map(|(_, uri)| uri.to_string()).collect::<Vec<_>>());
        Reply::rotated("T", "R", 60)
    });
    let renewal = async |cache: &TokenCache| {
        world.advance(seconds(60)).await;
        text_of(cache).await.unwrap();
        named.lock().unwrap().pop().unwrap()
    };
    let both = ["https://a.example", "https://b.example"];
    let response = signed_in_for_two(&world).await;
    let clock = world.clock.clock();
    let cache = TokenCache::from_sign_in(world.endpoint(), &response, exact(), clock.clone());
    assert_eq!(renewal(&cache).await, both);
    assert_eq!(renewal(&cache).await, both, "the next one too");
    cache.store(&TokenResponse::new(AccessToken::new("T").unwrap()).with_refresh_token("R"));
    world.advance(seconds(300)).await;
    assert!(renewal(&cache).await.is_empty(), "another sign-in named none");

    let cache = cache.with_resources(&[]).unwrap();
    cache.store(&response);
    assert!(renewal(&cache).await.is_empty());
    let cache = cache.with_resources(&both[1..]).unwrap();
    assert_eq!(renewal(&cache).await, both[1..]);

    let cache = TokenCache::from_refresh_token(world.endpoint(), "R", exact(), clock);
    assert_eq!(renewal(&cache.with_resources(&both).unwrap()).await, both);
}

#[tokio::test]
async fn whoever_keeps_refresh_tokens_hears_of_new_ones_alone_and_may_fail() {
    let (world, sent) = answering(|token, number| match number {
        1 => Reply::rotated("T1", "R1", 60),
        _ => next(token),
    });
    let cache = expired(&world, impatient()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let cache = cache.on_rotation(move |newest| {
        log.lock().unwrap().push(newest.expose().to_owned());
        assert!(newest.expose() != "R2", "the disk is full");
    });
    assert_eq!(text_of(&cache).await.unwrap(), "T1");
    assert!(told.lock().unwrap().is_empty(), "the same is not new");
    world.advance(seconds(60)).await;
    assert_eq!(text_of(&cache).await.unwrap_err().kind(), ErrorKind::Aborted);
    world.advance(seconds(60)).await;
    assert_eq!(text_of(&cache).await.unwrap(), "T2");
    assert_eq!(*sent.lock().unwrap(), ["R1", "R1", "R2"]);
    assert_eq!(*told.lock().unwrap(), ["R2", "R3"]);
}

/// A file of this test's own, which is gone with it.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str, text: &[u8]) -> Self {
        let path = env::temp_dir().join(format!("tower-oauth2-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A server that takes one secret, in the body, and what it was sent.
fn server_of(good: &'static str) -> (Transport, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let service = service_fn(move |request: Request<engine::Body>| {
        let log = log.clone();
        async move {
            assert!(!request.headers().contains_key(AUTHORIZATION));
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
            let body = body.to_bytes();
            let mut pairs = form_urlencoded::parse(&body);
            let secret = pairs.find(|(name, _)| name == "client_secret").unwrap().1.to_string();
            let (status, body) = match secret == good {
                true => (200, r#"{"access_token":"T","expires_in":60}"#),
                false => (401, r#"{"error":"invalid_client"}"#),
            };
            log.lock().unwrap().push(secret);
            let response = Response::builder().status(status).body(body.to_owned().into());
            Ok::<Response<engine::Body>, io::Error>(response.unwrap())
        }
    });
    (Transport::new(service), sent)
}

fn endpoint(transport: Transport, secret: ClientSecretSource) -> TokenEndpoint {
    let client = ClientAuthentication::post("id", secret);
    TokenEndpoint::new("https://as.example/token", client, transport).unwrap()
}

// case: rot-02
#[tokio::test]
async fn the_line_end_after_a_secret_in_a_file_is_not_sent_and_a_new_one_is_read() {
    let (transport, sent) = server_of("b c");
    let file = Kept::new("rot-02", b"a \n");
    let endpoint = endpoint(transport, ClientSecretSource::from_file(&file.0));
    let grant = Grant::client_credentials();
    assert!(endpoint.fetch(&grant).await.is_err());
    fs::write(&file.0, "b c\r\n").unwrap();
    endpoint.fetch(&grant).await.unwrap();
    fs::write(&file.0, "b c").unwrap();
    endpoint.fetch(&grant).await.unwrap();
    assert_eq!(*sent.lock().unwrap(), ["a ", "b c", "b c"]);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_sends_nothing_and_says_which() {
    let long = Kept::new("long", &[b'x'; 64 * 1024 + 1]);
    let (empty, binary) = (Kept::new("empty", b"\n"), Kept::new("binary", b"s3cr3t\xff"));
    let (transport, sent) = server_of("x");
    for (source, why) in [
        (ClientSecretSource::from_file("/nonexistent/secret"), "/nonexistent/secret"),
        (ClientSecretSource::from_file(env::temp_dir()), "no regular file"),
        (ClientSecretSource::from_file(&long.0), "64 KiB"),
        (ClientSecretSource::from_file(&empty.0), "empty"),
        (ClientSecretSource::from_file(&binary.0), "binary"),
        (ClientSecretSource::from_env("TOWER_OAUTH2_NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (ClientSecretSource::from_fn(|| Err("the vault is sealed")), "the vault is sealed"),
    ] {
        let endpoint = endpoint(transport.clone(), source);
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Source, true), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert_absent(&["s3cr3t"], &format!("{error:?}"));
    }
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_secret_of_the_environment_is_sent_as_it_is() {
    // Set by cargo for every test.
    let (transport, sent) = server_of("tower-oauth2");
    let endpoint = endpoint(transport, ClientSecretSource::from_env("CARGO_PKG_NAME"));
    endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    assert_eq!(*sent.lock().unwrap(), ["tower-oauth2"]);
}

#[tokio::test]
async fn another_secret_than_the_one_that_was_refused_is_tried_at_once_and_the_same_is_not() {
    let secret = Arc::new(Mutex::new("old"));
    let source = secret.clone();
    let source = ClientSecretSource::from_fn(move || {
        Ok::<_, io::Error>(ClientSecret::new(*source.lock().unwrap()))
    });
    let (transport, sent) = server_of("new");
    let world = World::new();
    let endpoint = endpoint(transport, source).with_clock(world.clock.clock());
    // What others do with the endpoint says nothing of what was refused here.
    let other = endpoint.clone();
    let clock = world.clock.clock();
    let grant = Grant::client_credentials();
    let cache =
        TokenCache::new_with_clock(endpoint, grant.clone(), RefreshPolicy::default(), clock);
    for _ in 0..5 {
        let error = text_of(&cache).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_client"));
        assert!(error.retry_after() > Some(Duration::ZERO), "the next try is told");
    }
    assert_eq!(sent.lock().unwrap().len(), 1, "the same secret is no reason to ask again");

    *secret.lock().unwrap() = "new";
    other.fetch(&grant).await.unwrap();
    assert_eq!(text_of(&cache).await.unwrap(), "T");
    assert_eq!(*sent.lock().unwrap(), ["old", "new", "new"]);
}
