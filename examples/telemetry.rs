//! What the layers tell: a client's token is fetched, used, rejected and fetched anew, and a server
//! decides, with a subscriber and a recorder that print it. The names are those of the crate's
//! documentation.
//!
//! `cargo run --example telemetry`
#![allow(clippy::print_stdout, reason = "its output is what the example shows")]

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, TokenEndpoint},
    server::RequireToken,
    testing::{AuthorizationServer, RegisteredClient},
};
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt::format::FmtSpan, layer::SubscriberExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_ansi(false)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
    let only = Targets::new().with_target("tower_oauth2", Level::DEBUG);
    let subscriber = tracing_subscriber::registry().with(lines).with(only);
    tracing::subscriber::set_global_default(subscriber)?;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::set_global_recorder(recorder)?;

    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
    let authorization = server.bind().await?;
    let app = Router::new()
        .route("/calls", get(async || "the calls"))
        .route_layer(RequireToken::new("api", server.validator())?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let endpoint = TokenEndpoint::new(
        &authorization.url("/token"),
        ClientAuthentication::basic("app", "s3cr3t"),
        Transport::https(),
    )?;
    let mut client = ServiceBuilder::new()
        .layer(ClientCredentialsRefresh::new(endpoint, api.as_str())?)
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
    for call in 1..=3 {
        if call == 3 {
            server.revoke_all();
        }
        let request = Request::get(format!("{api}/calls")).body(Full::default())?;
        client.ready().await?.call(request).await?;
    }

    println!("\nmetrics:");
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<_> =
            key.key().labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        match value {
            DebugValue::Counter(count) => println!("{} {labels:?} {count}", key.key().name()),
            DebugValue::Gauge(value) => println!("{} {labels:?} {value:.0}", key.key().name()),
            DebugValue::Histogram(_) => {}
        }
    }
    Ok(())
}
