//! Requests that a client sends.
//!
//! `middle` and `aliri_tokens` have no tower layer: each is driven as its documentation has it, by
//! a service of a few lines that asks for the token and inserts the header.

use crate::{
    support::{
        Case,
        client::{CloneHead, Inner, ORIGIN, has, request, token, warm},
        sharing,
    },
    table::{self, Stack},
    targets::Targets,
};
use aliri_clock::DurationSecs;
use aliri_tokens::{
    TokenWatcher, backoff::ErrorBackoffConfig, jitter::NullJitter, sources::ConstTokenSource,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use middle::{Authorizer, BasicClientCredentialAuthorizer, BearerTokenAuthorizer};
use std::{
    cell::Cell,
    convert::Infallible,
    future::Ready,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime};
use tower::{Layer, Service};
use tower_http::auth::AddAuthorizationLayer;
use tower_oauth2::client::AddBearer;

type Body = Full<Bytes>;

/// Inserts the header that a function makes anew for each request.
#[derive(Clone)]
struct Insert<F>(F);

impl<F: FnMut() -> HeaderValue> Service<Request<Body>> for Insert<F> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(header::AUTHORIZATION, (self.0)());
        Inner.call(request)
    }
}

fn middle<A: Authorizer + Clone>(
    authorizer: &A,
) -> Insert<impl FnMut() -> HeaderValue + Clone + use<A>> {
    let authorizer = authorizer.clone();
    Insert(move || Arc::unwrap_or_clone(authorizer.authorization_header().unwrap()))
}

fn aliri(watcher: &TokenWatcher) -> Insert<impl FnMut() -> HeaderValue + Clone + use<>> {
    let watcher = watcher.clone();
    Insert(move || {
        let token = watcher.token();
        HeaderValue::try_from(format!("Bearer {}", token.access_token().as_str())).unwrap()
    })
}

/// `middle` wants a token endpoint that speaks HTTP.
async fn authorizer() -> BasicClientCredentialAuthorizer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|_| async {
                let token = token();
                let answer = format!(
                    r#"{{"access_token":"{token}","token_type":"bearer","expires_in":3600}}"#
                );
                let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
                Ok::<_, http::Error>(response.body(Body::from(answer))?)
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    BasicClientCredentialAuthorizer::basic_builder("id", "secret", url.parse().unwrap())
        .build()
        .await
        .unwrap()
}

async fn watcher() -> TokenWatcher {
    let source = ConstTokenSource::new(token()).with_token_valid_for(DurationSecs(3600));
    let backoff = ErrorBackoffConfig::new(Duration::from_secs(1), Duration::from_secs(60), 2);
    TokenWatcher::spawn_from_token_source(source, NullJitter, backoff).await.unwrap()
}

pub fn measure(runtime: &Runtime, targets: &mut Targets) {
    table::head();
    fixed(targets);
    refreshing(runtime, targets);
    two_threads(runtime, targets);
}

fn fixed(targets: &mut Targets) {
    let theirs = AddAuthorizationLayer::bearer(&token()).layer(Inner);
    let middle = middle(&BearerTokenAuthorizer::new(&token()).unwrap());
    let ours = AddBearer::bearer(token(), ORIGIN).unwrap().layer(Inner);
    let answers = table::measure(
        "client, static token",
        vec![
            (Stack::Bare, Case::new("no layer", Inner, request, |response| !has(response))),
            (Stack::Peer, Case::new("tower-http AddAuthorization", theirs, request, has)),
            (Stack::Peer, Case::new("middle", middle, request, has)),
            (Stack::Ours, Case::new("AddBearer", ours, request, has)),
        ],
    );
    targets.at_most("static token, allocations", answers.allocations("AddBearer"), 0.0);
    targets.at_most(
        "static token, bytes that the future grows by",
        answers.grown("AddBearer"),
        16.0,
    );
}

fn refreshing(runtime: &Runtime, targets: &mut Targets) {
    let middle = middle(&runtime.block_on(authorizer()));
    let aliri = aliri(&runtime.block_on(watcher()));
    let value = HeaderValue::try_from(format!("Bearer {}", token())).unwrap();
    let by_hand = CloneHead { value, inner: Inner };
    let (on, by_hand_name) = (warm(), "by hand: clone the head, box it, insert");
    let off = on.clone().without_recovery();
    let (on_name, off_name) = ("ClientCredentialsRefresh", "the same, recovery off");
    let answers = table::measure(
        "client, refreshing, warm",
        vec![
            (Stack::Bare, Case::new("no layer", Inner, request, |response| !has(response))),
            (Stack::Peer, Case::new("middle", middle, request, has)),
            (Stack::Peer, Case::new("aliri_tokens", aliri, request, has)),
            (Stack::Ours, Case::new(off_name, off.layer(Inner), request, has)),
            (Stack::Floor, Case::new(by_hand_name, by_hand, request, has)),
            (Stack::Ours, Case::new(on_name, on.layer(Inner), request, has)),
        ],
    );
    let ratio = answers.of_best_peer(off_name);
    targets.at_most("warm, recovery off, Δ time of the best refreshing peer", ratio, 1.0);
    targets.at_most("warm, recovery off, allocations", answers.allocations(off_name), 0.0);
    targets.at_most("warm, recovery on, allocations", answers.allocations(on_name), 3.0);
    let ratio = answers.of_case(on_name, by_hand_name);
    targets.at_most("warm, recovery on, Δ time of that by hand", ratio, 1.1);
    targets.at_most("warm, bytes that the future grows by", answers.grown(on_name), 16.0);
}

/// What sharing one token costs two threads.
fn two_threads(runtime: &Runtime, targets: &mut Targets) {
    println!("\n| two threads on one token | time as a ratio to a token each |\n|---|---|");
    let print = |name: &str, ratio: f64| println!("| {name} | {ratio:.2} |");
    let theirs = || AddAuthorizationLayer::bearer(&token()).layer(Inner);
    let shared = theirs();
    print("tower-http AddAuthorization", sharing(theirs, || shared.clone(), request));
    let pair = [runtime.block_on(authorizer()), runtime.block_on(authorizer())];
    let own = alternating(pair.each_ref().map(middle));
    print("middle", sharing(own, || middle(&pair[0]), request));
    let pair = [runtime.block_on(watcher()), runtime.block_on(watcher())];
    let own = alternating(pair.each_ref().map(aliri));
    print("aliri_tokens", sharing(own, || aliri(&pair[0]), request));
    let ours = || AddBearer::bearer(token(), ORIGIN).unwrap().layer(Inner);
    let shared = ours();
    let ratio = sharing(ours, || shared.clone(), request);
    print("**AddBearer**", ratio);
    targets.at_most("static token, two threads as a ratio to a token each", ratio, 1.1);
    for (name, recovery) in [("ClientCredentialsRefresh", true), ("the same, recovery off", false)]
    {
        let ours = || match recovery {
            true => warm().layer(Inner),
            false => warm().without_recovery().layer(Inner),
        };
        let shared = ours();
        let ratio = sharing(ours, || shared.clone(), request);
        print(&format!("**{name}**"), ratio);
        if !recovery {
            targets.at_most("warm, two threads as a ratio to a token each", ratio, 1.1);
        }
    }
}

/// A clone of one, then of the other, in turn.
fn alternating<S: Clone>(pair: [S; 2]) -> impl Fn() -> S {
    let turn = Cell::new(0);
    move || pair[turn.replace(1 - turn.get())].clone()
}
