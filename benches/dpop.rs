//! What a DPoP proof costs, on both ends, beside the library's signature and verification alone, in
//! one run.
//!
//! `cargo bench --bench dpop`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]

mod support;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};
use support::{
    Case, answer,
    jwt::Subject,
    run_batches,
    server::{Body, Inner, request},
    target,
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    AccessToken, Algorithm, Answer, ProofKey, SigningKey,
    client::{AddBearer, Never},
    server::{
        Dpop, DpopNonces, FirstUse, ProofId, ProofReplay, ReplayFuture, RequireToken, SeenProofs,
    },
    validate::{Confirmation, Principal, StaticTokens},
};

const ORIGIN: &str = "https://api.example";
/// Few: a signature takes as long as hundreds of other calls.
const BATCH: u32 = 300;
const PROOFS: u32 = 100_000;

fn main() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        client(algorithm);
        server(algorithm);
    }
    replay();
}

/// Signs as many bytes as a proof has with the library alone.
#[derive(Clone)]
struct Signer {
    pair: Arc<Pair>,
    message: Vec<u8>,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn new(algorithm: Algorithm, message: Vec<u8>) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
                Pair::Ec(pair.unwrap())
            }
            _ => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Self { pair: pair.into(), message }
    }
}

impl Service<Request<()>> for Signer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let signature = match &*self.pair {
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), &self.message).unwrap(),
            Pair::Ed(pair) => pair.sign(&self.message),
        };
        assert_eq!(signature.as_ref().len(), 64);
        ready(Ok(Response::new(Body::default())))
    }
}

fn key(algorithm: Algorithm) -> ProofKey {
    ProofKey::new(SigningKey::generate(algorithm).unwrap()).unwrap()
}

fn token(key: &ProofKey) -> AccessToken {
    AccessToken::new("t".repeat(700)).unwrap().bound_to(key).unwrap()
}

fn call(headers: Option<&HeaderMap>) -> Request<()> {
    let mut request = request(None);
    *request.uri_mut() = Uri::from_static("https://api.example/v1/calls");
    if let Some(headers) = headers {
        request.headers_mut().extend(headers.clone());
    }
    request
}

fn client(algorithm: Algorithm) {
    let ok = |response: &Response<Body>| response.status() == StatusCode::OK;
    let bound = token(&key(algorithm));
    let proof = &proved(&bound, Method::GET, "https://api.example/v1/calls")["dpop"];
    let signed = proof.as_bytes().iter().rposition(|byte| *byte == b'.').unwrap();
    let signer = Signer::new(algorithm, proof.as_bytes()[..signed].to_vec());
    let add = AddBearer::from_source(bound, ORIGIN).unwrap();
    let add = add.without_recovery().with_replay(Never);
    let rows = run_batches(
        &format!("dpop/{algorithm}/client, a token of 700 bytes"),
        BATCH,
        vec![
            Case::new("bare service", Inner, || call(None), ok),
            Case::new("raw signature", signer, || call(None), ok),
            Case::new("a proof", add.layer(Inner), || call(None), ok),
        ],
    );
    let delta = |row: usize| rows[row].median - rows[0].median;
    target("a proof, in raw signatures", delta(2) / delta(1), 1.1);
    target("its allocations beyond", rows[2].allocations - rows[1].allocations, 3.0);
}

/// The headers of a request with a proof by `key`.
fn proved(token: &AccessToken, method: Method, uri: &'static str) -> HeaderMap {
    let add = AddBearer::from_source(token.clone(), ORIGIN).unwrap();
    let echo = service_fn(async |request: Request<Body>| {
        let mut response = Response::new(Body::default());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::new(Body::default());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(uri);
    answer(&mut add.layer(echo), request).into_parts().0.headers
}

fn server(algorithm: Algorithm) {
    let (key, other) = (key(algorithm), key(algorithm));
    let bound = token(&key);
    let tokens = StaticTokens::new();
    let alice = |key: &ProofKey| {
        Principal::new("alice").with_confirmation(Confirmation::from_key(key.thumbprint()))
    };
    tokens.insert(bound.expose(), alice(&key)).unwrap();
    let dpop = || Dpop::new(ORIGIN).unwrap().dangerous_allow_replay();
    let layer = |dpop| RequireToken::new("api", tokens.clone()).unwrap().with_dpop(dpop);
    let (plain, nonces) = (layer(dpop()), layer(dpop().with_nonces(DpopNonces::random().unwrap())));
    let old = layer(dpop().with_window(Duration::from_nanos(1), Duration::ZERO).unwrap());
    let uri = "https://api.example/v1/calls";
    let good = proved(&bound, Method::GET, uri);
    let method = proved(&bound, Method::PUT, uri);
    let target_of_other = proved(&bound, Method::GET, "https://api.example/v1/call");
    let foreign_key = proved(&token(&other), Method::GET, uri);
    let longer = AccessToken::new("u".repeat(700)).unwrap().bound_to(&key).unwrap();
    let mut foreign_token = proved(&longer, Method::GET, uri);
    foreign_token.insert("authorization", bound.authorization().clone());
    let status = |status: StatusCode| move |response: &Response<Body>| response.status() == status;
    let (ok, unauthorized) = (status(StatusCode::OK), status(StatusCode::UNAUTHORIZED));
    let subject = Subject::new(algorithm);
    let raw_token: &HeaderValue = &subject.good;
    let rows = run_batches(
        &format!("dpop/{algorithm}/server, the verdict known"),
        BATCH,
        vec![
            Case::new("bare service", Inner, || call(None), ok),
            Case::new("raw verification", subject.raw.clone(), || request(Some(raw_token)), ok),
            Case::new("a good proof", plain.layer(Inner), || call(Some(&good)), ok),
            Case::new("another method", plain.layer(Inner), || call(Some(&method)), unauthorized),
            Case::new(
                "another URL",
                plain.layer(Inner),
                || call(Some(&target_of_other)),
                unauthorized,
            ),
            Case::new(
                "another token",
                plain.layer(Inner),
                || call(Some(&foreign_token)),
                unauthorized,
            ),
            Case::new("another key", plain.layer(Inner), || call(Some(&foreign_key)), unauthorized),
            Case::new("too old", old.layer(Inner), || call(Some(&good)), unauthorized),
            Case::new("no nonce", nonces.layer(Inner), || call(Some(&good)), unauthorized),
        ],
    );
    let delta = |row: usize| rows[row].median - rows[0].median;
    target("a good proof, in raw verifications", delta(2) / delta(1), 1.15);
    target("its allocations", rows[2].allocations - rows[0].allocations, 12.0);
    for row in &rows[3..] {
        let name = format!("{}, in raw verifications", row.name);
        target(&name, (row.median - rows[0].median) / delta(1), 0.15);
    }
}

/// Keeps the names that a layer asks about.
struct Asked(Arc<Mutex<Option<ProofId>>>);

impl ProofReplay for Asked {
    fn first_use(&self, proof: ProofId, _: SystemTime) -> Answer<ReplayFuture> {
        *self.0.lock().unwrap() = Some(proof);
        Answer::Ready(Ok(FirstUse::First))
    }
}

/// What a proof that is remembered takes, in bytes and time.
fn replay() {
    let names = Arc::new(Mutex::new(None));
    let key = key(Algorithm::EdDsa);
    let bound = token(&key);
    let tokens = StaticTokens::new();
    let confirmation = Confirmation::from_key(key.thumbprint());
    tokens.insert(bound.expose(), Principal::new("alice").with_confirmation(confirmation)).unwrap();
    let dpop = Dpop::new(ORIGIN).unwrap().with_replay(Asked(names.clone()));
    let layer = RequireToken::new("api", tokens).unwrap().with_dpop(dpop);
    let seen = SeenProofs::new(PROOFS as usize * 2);
    let name = || {
        let headers = proved(&bound, Method::GET, "https://api.example/v1/calls");
        answer(&mut layer.layer(Inner), call(Some(&headers)));
        names.lock().unwrap().take().unwrap()
    };
    let proofs: Vec<_> = (0..PROOFS).map(|_| name()).collect();
    let start = SystemTime::now();
    let mut took = Duration::ZERO;
    let mut inserted = 0_u32;
    let counted = allocation_counter::measure(|| {
        let begun = Instant::now();
        // As they come in the default window of 90 s.
        for (second, proof) in (0..90).cycle().zip(&proofs) {
            let until = start + Duration::from_secs(second);
            if matches!(seen.first_use(*proof, until), Answer::Ready(Ok(FirstUse::First))) {
                inserted += 1;
            }
        }
        took = begun.elapsed();
    });
    assert_eq!(inserted, PROOFS);
    println!("\n{PROOFS} proofs: {:.0} ns each", took.as_secs_f64() * 1e9 / f64::from(PROOFS));
    #[expect(clippy::cast_precision_loss, reason = "a figure to print")]
    let bytes = counted.bytes_current as f64 / f64::from(PROOFS);
    target("bytes of a proof that is remembered", bytes, 40.0);
}
