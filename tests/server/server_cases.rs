//! The cases of `tests/cases/server.json` that are scenarios in words (`steps`), each a test whose
//! id stands above it or ends its name. Those that are data are run by `tests/conformance.rs`.
//!
//! `static-001` looks at what a set keeps: it is in `src/validate/static_tokens.rs`. Those of
//! introspection are in `introspection.rs`, those of revocation in `revocation.rs`, those of keys in
//! `tests/jwt/jwks.rs`, those of revoked JWTs in `tests/jwt/revoked_jwts.rs`;
//! `tests/crate_wide/case_ids.rs` says whether one is missing.

use http::{Request, Response, StatusCode};
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    server::{Authenticated, RequireToken},
    validate::{Principal, StaticTokens},
};

/// The name of the token that the handler is told, or the status of the refusal.
async fn label(tokens: &StaticTokens, token: &str) -> Result<String, StatusCode> {
    async fn handler(request: Request<()>) -> Result<Response<String>, Infallible> {
        let authenticated = request.extensions().get::<Authenticated>().unwrap();
        let label = authenticated.principal().token_id().unwrap_or_default();
        Ok(Response::new(label.to_owned()))
    }
    let header = format!("Bearer {token}");
    let request = Request::get("/r").header("authorization", header).body(()).unwrap();
    let layer = RequireToken::new("api", tokens.clone()).unwrap();
    let response = layer.layer(service_fn(handler)).oneshot(request).await.unwrap();
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status => Err(status),
    }
}

// case: static-002
#[test]
fn an_empty_token_is_not_taken() {
    let tokens = StaticTokens::new();
    for token in ["", " ", "\t", " \r\n", "tok rw"] {
        assert!(tokens.insert(token, Principal::new("bob")).is_err(), "{token:?}");
    }
    assert!(tokens.is_empty());
}

// case: static-004
#[tokio::test]
async fn the_handler_is_told_which_of_the_tokens_it_was() {
    let tokens = StaticTokens::new();
    for (token, label) in [("tok-old", "2025"), ("tok-new", "2026")] {
        tokens.insert(token, Principal::new("bob").with_token_id(label)).unwrap();
    }
    assert_eq!(label(&tokens, "tok-old").await, Ok("2025".into()));
    assert_eq!(label(&tokens, "tok-new").await, Ok("2026".into()));
}

// case: static-005
#[tokio::test]
async fn the_operator_never_stores_the_token() {
    // printf tok-rw | sha256sum
    let hex = "422f1528a09105319b815781713a4beac6f6eab8e963e5947350656b3a716ddb";
    let hashed = format!("sha256:{hex}");
    let tokens = StaticTokens::new();
    tokens.insert_hashed(&hashed, Principal::new("bob")).unwrap();
    assert_eq!(label(&tokens, "tok-rw").await, Ok(String::new()));
    assert_eq!(label(&tokens, hex).await, Err(StatusCode::UNAUTHORIZED));
    assert_eq!(label(&tokens, &hashed).await, Err(StatusCode::BAD_REQUEST));
    let upper = format!("sha256:{}", hex.to_uppercase());
    tokens.insert_hashed(&upper, Principal::new("bob")).unwrap();
    assert_eq!(tokens.len(), 1);
    for wrong in [hex, "sha256:", &hashed[..70], "sha512:00", &hashed.replace('a', "+")] {
        assert!(tokens.insert_hashed(wrong, Principal::new("bob")).is_err(), "{wrong}");
    }
}
