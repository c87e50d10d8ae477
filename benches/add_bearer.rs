//! What `AddBearer` and `ClientCredentialsRefresh` cost a request: the bare service, tower-http's
//! layer, ours, in one run.
//!
//! `cargo bench --bench add_bearer`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]

mod support;

use http::HeaderValue;
use support::{
    Case,
    client::{CloneHead, Inner, ORIGIN, has, request, token, warm},
    run, sharing, target,
};
use tower::Layer;
use tower_http::auth::AddAuthorizationLayer;
use tower_oauth2::{AccessToken, TokenLocation, client::AddBearer};

fn main() {
    let token = token();
    let theirs = AddAuthorizationLayer::bearer(&token);
    let ours = AddBearer::bearer(token.as_str(), ORIGIN).unwrap();
    let query = ours.clone().with_location(TokenLocation::Query).unwrap();
    let source = AddBearer::from_source(AccessToken::new(token.as_str()).unwrap(), ORIGIN).unwrap();
    let on = warm();
    let off = on.clone().without_recovery();
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let by_hand = CloneHead { value, inner: Inner };
    let rows = run(
        "add_bearer",
        vec![
            Case::new("bare service", Inner, request, |response| !has(response)),
            Case::new("tower-http AddAuthorization::bearer", theirs.layer(Inner), request, has),
            Case::new("add_bearer/static", ours.layer(Inner), request, has),
            Case::new("client_credentials/warm/recovery_off", off.layer(Inner), request, has),
            Case::new("by hand: clone the head, box it, insert", by_hand, request, has),
            Case::new("client_credentials/warm/recovery_on", on.layer(Inner), request, has),
            Case::new("add_bearer/source", source.layer(Inner), request, has),
            Case::new("add_bearer/static/query", query.layer(Inner), request, has),
        ],
    );
    let (bare, theirs_row) = (&rows[0], &rows[1]);
    let delta = |index: usize| rows[index].median - bare.median;
    let allocations = |index: usize| rows[index].allocations - bare.allocations;
    println!();
    target("static, Δ time as a ratio to tower-http", delta(2) / delta(1), 1.01);
    target("static, allocations", allocations(2), 0.0);
    target("warm, recovery off, Δ time as a ratio to tower-http", delta(3) / delta(1), 1.12);
    target("warm, recovery off, allocations", allocations(3), 0.0);
    target("warm, recovery on, allocations", allocations(5), 3.0);
    target("warm, recovery on, Δ time as a ratio to by hand", delta(5) / delta(4), 1.1);
    let grown = (rows[5].future_size - theirs_row.future_size) as f64;
    target("bytes that the future grows by", grown, 16.0);
    let shared = off.layer(Inner);
    let ratio = sharing(|| warm().without_recovery().layer(Inner), || shared.clone(), request);
    target("two threads on one token, time as a ratio to a token each", ratio, 1.1);
    let shared = ours.layer(Inner);
    let ratio = sharing(
        || AddBearer::bearer(token.as_str(), ORIGIN).unwrap().layer(Inner),
        || shared.clone(),
        request,
    );
    target("two threads on one static token, the same", ratio, 1.1);
}
