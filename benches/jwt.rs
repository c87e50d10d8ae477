//! What a JWT costs a request: first sight and seen before, good and bad, beside the library's
//! verification alone, in one run.
//!
//! `cargo bench --bench jwt`; instructions: `cargo bench --bench instructions`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]

mod support;

use http::{Response, StatusCode};
use support::{
    Case,
    jwt::Subject,
    run_batches,
    server::{Body, Inner, request},
    target,
};
use tower::Layer;
use tower_oauth2::{Algorithm, server::RequireToken};

/// Few: a signature takes as long as hundreds of other calls.
const BATCH: u32 = 300;

fn main() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
        measure(algorithm);
    }
}

fn measure(algorithm: Algorithm) {
    let subject = Subject::new(algorithm);
    let status = |status: StatusCode| move |response: &Response<Body>| response.status() == status;
    let (ok, unauthorized) = (status(StatusCode::OK), status(StatusCode::UNAUTHORIZED));
    let first = RequireToken::new("api", subject.validator()).unwrap();
    let seen = RequireToken::new("api", subject.cached()).unwrap();
    let many = RequireToken::new("api", subject.cached_among_many()).unwrap();
    let Subject { good, expired, forged, raw, .. } = &subject;
    let rows = run_batches(
        &format!("jwt/{algorithm}, a token of {} bytes", good.len() - "Bearer ".len()),
        BATCH,
        vec![
            Case::new("bare service", Inner, || request(Some(good)), ok),
            Case::new("raw verification", raw.clone(), || request(Some(good)), ok),
            Case::new("first sight", first.layer(Inner), || request(Some(good)), ok),
            Case::new("seen before", seen.layer(Inner), || request(Some(good)), ok),
            Case::new("raw, bad signature", raw.clone(), || request(Some(forged)), unauthorized),
            Case::new("bad signature", first.layer(Inner), || request(Some(forged)), unauthorized),
            Case::new("seen, 1,000 issuers", many.layer(Inner), || request(Some(good)), ok),
            Case::new("expired", first.layer(Inner), || request(Some(expired)), unauthorized),
        ],
    );
    let delta = |row: usize| rows[row].median - rows[0].median;
    println!(
        "\nΔ time: first sight {:.2} of the raw verification, seen before 1/{:.0}, bad signature \
         {:.2} of the raw one, expired 1/{:.0}",
        delta(2) / delta(1),
        delta(1) / delta(3),
        delta(5) / delta(4),
        delta(1) / delta(7),
    );
    let ratio = delta(6) / delta(3);
    target("time of a hit with 1,000 issuers, in those of a hit with 1", ratio, 1.1);
}
