//! An API in axum: the layer, the extractors, scopes by route and by type, and a route for
//! everybody.
//!
//! `cargo run --example axum_server`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use axum::{Json, Router, body::Body, routing::get};
use http::Request;
use serde_json::{Value, json};
use tower::{BoxError, ServiceExt};
use tower_oauth2::{
    server::{Authenticated, RequireScope, RequireToken, RequiredScope, Scoped},
    validate::{Principal, StaticTokens},
};

/// The scope that a handler asks for by its type.
struct Admin;

impl RequiredScope for Admin {
    const SCOPE: &'static str = "admin";
}

fn app() -> Result<Router, BoxError> {
    let tokens = StaticTokens::new();
    tokens.insert("reader", Principal::new("alice").with_scopes("calls:read".parse()?))?;
    tokens.insert("admin", Principal::new("bob").with_scopes("calls:read admin".parse()?))?;
    Ok(Router::new()
        .route("/calls", get(async || "the calls"))
        .route_layer(RequireScope::all_of(["calls:read"])?)
        .route("/users", get(async |admin: Scoped<Admin>| format!("{} may", subject(&admin))))
        .route("/me", get(me))
        // Guards the routes above, and none below.
        .route_layer(RequireToken::new("api", tokens)?)
        .route("/health", get(async || "well")))
}

async fn me(who: Authenticated) -> Json<Value> {
    let principal = who.principal();
    Json(json!({ "sub": principal.subject(), "scope": principal.scopes().as_str() }))
}

fn subject(who: &Authenticated) -> &str {
    who.principal().subject().unwrap_or("nobody")
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let app = app()?;
    for (path, token) in [
        ("/health", None),
        ("/me", None),
        ("/me", Some("reader")),
        ("/calls", Some("reader")),
        ("/users", Some("reader")),
        ("/users", Some("admin")),
    ] {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = app.clone().oneshot(request.body(Body::empty())?).await?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1024).await?;
        let token = token.unwrap_or("no token");
        println!("{path} with {token}: {status} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
