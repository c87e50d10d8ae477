//! A token in the query, kept out of the handler's URIs and out of the log.
//!
//! `cargo run --example query_token`
//!
//! `RequireToken` stands around the whole router, since axum takes `OriginalUri` before any layer
//! of `Router::layer` runs, and the trace layer stands below it: what stands outside still sees
//! the token.
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use axum::{Router, body::Body, extract::OriginalUri, routing::get};
use http::{Request, Uri};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_http::trace::TraceLayer;
use tower_oauth2::{
    TokenLocation,
    server::RequireToken,
    validate::{Principal, StaticTokens},
};

const TOKEN: &str = "mF_9.B5f-4.1JqM";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice"))?;
    let router = Router::new().route("/calls", get(show)).layer(TraceLayer::new_for_http());
    let app = ServiceBuilder::new()
        .layer(RequireToken::new("api", tokens)?.with_locations([TokenLocation::Query])?)
        .service(router);

    let uri = format!("/calls?page=2&access_token={TOKEN}");
    let response = app.oneshot(Request::get(uri).body(Body::empty())?).await?;
    println!("{}, cache-control: {:?}", response.status(), response.headers()["cache-control"]);
    let body = axum::body::to_bytes(response.into_body(), 1024).await?;
    println!("{}", String::from_utf8_lossy(&body));
    if body.windows(TOKEN.len()).any(|piece| piece == TOKEN.as_bytes()) {
        return Err("the handler saw the token".into());
    }
    Ok(())
}

async fn show(OriginalUri(original): OriginalUri, uri: Uri) -> String {
    format!("the handler sees {uri}, and as the original {original}")
}
