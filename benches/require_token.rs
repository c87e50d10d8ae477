//! What `RequireToken` costs a request: the bare service, tower-http's layer, ours, in one run.
//!
//! `cargo bench --bench require_token`
#![allow(missing_docs, reason = "a bench is no library")]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]
#![allow(deprecated, reason = "tower-http deprecates its own bearer check; it is the counterpart")]

mod support;

use http::{Response, StatusCode};
use support::{
    Case, run,
    server::{Body, Inner, bearer, request},
};
use tower::Layer;
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tower_oauth2::{
    server::RequireToken,
    validate::{Principal, StaticTokens},
};

fn main() {
    let token = "t".repeat(43);
    let (good, unknown, malformed) = (bearer(&token), bearer("unknown"), bearer("two words"));
    let tokens = StaticTokens::new();
    tokens.insert(&token, Principal::new("alice")).unwrap();
    let ours = RequireToken::new("api", tokens).unwrap();
    let theirs = ValidateRequestHeaderLayer::bearer(&token);
    let status = |status: StatusCode| move |response: &Response<Body>| response.status() == status;
    let ok = status(StatusCode::OK);
    let unauthorized = status(StatusCode::UNAUTHORIZED);
    let rows = run(
        "require_token",
        vec![
            Case::new("bare service", Inner, || request(Some(&good)), ok),
            Case::new(
                "tower-http ValidateRequestHeader::bearer",
                theirs.layer(Inner),
                || request(Some(&good)),
                ok,
            ),
            Case::new("require_token/static", ours.layer(Inner), || request(Some(&good)), ok),
            Case::new("bare service, no token", Inner, || request(None), ok),
            Case::new("tower-http, no token", theirs.layer(Inner), || request(None), unauthorized),
            Case::new("require_token/none", ours.layer(Inner), || request(None), unauthorized),
            Case::new(
                "require_token/malformed",
                ours.layer(Inner),
                || request(Some(&malformed)),
                status(StatusCode::BAD_REQUEST),
            ),
            Case::new(
                "require_token/unknown",
                ours.layer(Inner),
                || request(Some(&unknown)),
                unauthorized,
            ),
        ],
    );
    // RFC 6750 asks for a challenge with a realm, which tower-http's refusal does not carry.
    let ratio = (rows[5].median - rows[3].median) / (rows[4].median - rows[3].median);
    println!("\nrefusing without a token, Δ time as a ratio to tower-http's bare 401: {ratio:.2}");
}
