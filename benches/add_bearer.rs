//! What `AddBearer` costs a request: the bare service, tower-http's layer, ours, in one run.
//!
//! `cargo bench --bench add_bearer`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]

mod support;

use http::Response;
use support::{
    Case,
    client::{Inner, ORIGIN, request, token},
    run, target,
};
use tower::Layer;
use tower_http::auth::AddAuthorizationLayer;
use tower_oauth2::{AccessToken, TokenLocation, client::AddBearer};

fn main() {
    let token = token();
    let ours = AddBearer::bearer(token.as_str(), ORIGIN).unwrap();
    let query = ours.clone().at(TokenLocation::Query).unwrap();
    let source = AddBearer::from_source(AccessToken::new(token.as_str()).unwrap(), ORIGIN).unwrap();
    let has = |response: &Response<bool>| *response.body();
    let rows = run(
        "add_bearer",
        vec![
            Case::new("bare service", Inner, request, |response| !response.body()),
            Case::new(
                "tower-http AddAuthorization::bearer",
                AddAuthorizationLayer::bearer(&token).layer(Inner),
                request,
                has,
            ),
            Case::new("add_bearer/static", ours.layer(Inner), request, has),
            Case::new("add_bearer/source", source.layer(Inner), request, has),
            Case::new("add_bearer/static/query", query.layer(Inner), request, has),
        ],
    );
    let delta = |index: usize| rows[index].median - rows[0].median;
    println!();
    target("add_bearer/static, Δ time as a ratio to tower-http", delta(2) / delta(1), 1.01);
    target("add_bearer/static, allocations", rows[2].allocations - rows[0].allocations, 0.0);
    let grown = rows[2].future_size as f64 - rows[0].future_size as f64;
    target("add_bearer/static, bytes that the future grows by", grown, 16.0);
}
