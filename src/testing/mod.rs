//! A manual clock, an authorization server in the process, and an in-memory token store, for tests
//! that neither wait nor need a network.
//!
//! Everything here is exempt from semantic versioning.
//!
//! | to … | use … |
//! |---|---|
//! | have an authorization server | [`AuthorizationServer::new`] in a [`Transport`](crate::Transport), or over a socket: [`bind`](AuthorizationServer::bind) |
//! | have clients and users | [`register_client`](AuthorizationServer::register_client), [`register_user`](AuthorizationServer::register_user) |
//! | mint an opaque token with any claims | [`mint_opaque`](AuthorizationServer::mint_opaque) |
//! | mint a JWT with any claims | [`mint`](AuthorizationServer::mint) |
//! | issue JWTs, rotate and retire keys | [`issue_jwts`](AuthorizationServer::issue_jwts), [`rotate_key`](AuthorizationServer::rotate_key), [`publish_key`](AuthorizationServer::publish_key), [`retire_key`](AuthorizationServer::retire_key) |
//! | revoke one token or all | [`revoke`](AuthorizationServer::revoke), [`revoke_all`](AuthorizationServer::revoke_all) |
//! | take the server down and up | [`go_down`](AuthorizationServer::go_down), [`come_back`](AuthorizationServer::come_back); the keys alone: [`fail_keys`](AuthorizationServer::fail_keys), [`restore_keys`](AuthorizationServer::restore_keys) |
//! | answer late or never | [`set_latency`](AuthorizationServer::set_latency), [`hang_next`](AuthorizationServer::hang_next), [`hang_all`](AuthorizationServer::hang_all), [`drop_next`](AuthorizationServer::drop_next) |
//! | answer with an error or a wrong value | [`fail_next`](AuthorizationServer::fail_next), [`fail_all`](AuthorizationServer::fail_all), [`set_extra_member`](AuthorizationServer::set_extra_member) |
//! | answer as a real server that departs from the standards | [`enable`](AuthorizationServer::enable) a [`Quirk`] |
//! | count and inspect requests | [`token_requests`](AuthorizationServer::token_requests), [`introspections`](AuthorizationServer::introspections), [`key_requests`](AuthorizationServer::key_requests), [`last_token_request`](AuthorizationServer::last_token_request) |
//! | validate tokens without a request | [`validator`](AuthorizationServer::validator) |
//! | move time | [`ManualClock::advance`], with its clock in the [`Transport`](crate::Transport) and the server; or tokio's paused time, without a clock |
//! | repeat a run exactly | [`ManualClock::seeded`], [`ManualClock::next_timer`] |
//! | have a store that fails | [`InMemoryStore`] |
//!
//! **In**: what a test sets, and HTTP requests. **Out**: HTTP answers, a [`Clock`](crate::Clock), a
//! token store. **Uses** every other room; only tests use it.
//!
//! # Example: a handler behind `RequireToken`
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use http::{Request, StatusCode};
//! use tower::ServiceExt;
//! use tower_oauth2::{
//!     server::{Authenticated, RequireScope, RequireToken},
//!     testing::AuthorizationServer,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = AuthorizationServer::new();
//! let me = async |caller: Authenticated| caller.principal().subject().unwrap().to_owned();
//! let app: Router = Router::new()
//!     .route("/me", get(me))
//!     .route_layer(RequireScope::all_of(["read"])?)
//!     .route_layer(RequireToken::new("api", server.validator())?);
//! let status = async |token: &str| {
//!     let header = format!("Bearer {token}");
//!     let request = Request::get("/me").header("authorization", header).body(Body::empty());
//!     let Ok(response) = app.clone().oneshot(request.unwrap()).await;
//!     response.status()
//! };
//!
//! let token = server.mint_opaque(r#"{"sub":"alice","scope":"read"}"#)?;
//! assert_eq!(status(&token).await, StatusCode::OK);
//! let lesser = server.mint_opaque(r#"{"sub":"alice"}"#)?;
//! assert_eq!(status(&lesser).await, StatusCode::FORBIDDEN);
//! assert_eq!(status("another").await, StatusCode::UNAUTHORIZED);
//!
//! // A revoked token is refused at once.
//! assert!(server.revoke(&token));
//! assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # Example: a client and the life of its token
//!
//! Moves an hour ahead without waiting, and observes the refresh before the token expires.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use std::{convert::Infallible, time::Duration};
//! use tower::{BoxError, Layer, ServiceExt, service_fn};
//! use tower_oauth2::{
//!     ClientAuthentication, Transport,
//!     client::{ClientCredentialsRefresh, RefreshPolicy, TokenEndpoint},
//!     server::RequireToken,
//!     testing::{AuthorizationServer, ManualClock, RegisteredClient},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let clock = ManualClock::new();
//! let server = AuthorizationServer::new().with_clock(clock.clock());
//! server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
//!
//! // The client under test, with the server as its back channel.
//! let client = ClientAuthentication::basic("app", "s3cr3t");
//! let transport = Transport::new(server.clone());
//! let endpoint = TokenEndpoint::new("https://as.example/token", client, transport)?;
//! let layer = ClientCredentialsRefresh::new(endpoint, "https://api.example")?
//!     .with_policy(RefreshPolicy::default().without_jitter())
//!     .with_clock(clock.clock());
//!
//! // The API that it calls.
//! let handler = service_fn(async |_: Request<String>| {
//!     Ok::<_, Infallible>(Response::new(String::new()))
//! });
//! let api = RequireToken::new("api", server.validator())?.layer(handler);
//! let client = layer.layer(api);
//! let call = async || {
//!     let request = Request::get("https://api.example/calls").body(String::new()).unwrap();
//!     Ok::<_, BoxError>(client.clone().oneshot(request).await?.status())
//! };
//!
//! assert_eq!(call().await?, StatusCode::OK);
//! assert_eq!(server.token_requests(), 1);
//!
//! // In the last five minutes of its hour the token is still used, and refreshed in the background.
//! clock.advance(Duration::from_secs(56 * 60));
//! assert_eq!(call().await?, StatusCode::OK);
//! let mut status = layer.cache().status();
//! while status.is_fetching() {
//!     status = layer.cache().changed(&status).await;
//! }
//! assert_eq!(server.token_requests(), 2);
//!
//! // The API refuses a revoked token. The layer fetches another and repeats the call.
//! server.revoke_all();
//! assert_eq!(call().await?, StatusCode::OK);
//! assert_eq!(server.token_requests(), 3);
//!
//! // While the server is down, the layer uses the valid token on.
//! server.go_down();
//! clock.advance(Duration::from_secs(56 * 60));
//! assert_eq!(call().await?, StatusCode::OK);
//! server.come_back();
//! # Ok(())
//! # }
//! ```
//!
//! # Example: late and wrong answers
//!
//! ```
//! use bytes::Bytes;
//! use http::{Response, header::RETRY_AFTER};
//! use std::time::Duration;
//! use tower_oauth2::{
//!     ClientAuthentication, Transport,
//!     client::{ErrorKind, Grant, TokenEndpoint},
//!     testing::{AuthorizationServer, ManualClock, RegisteredClient},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::new();
//! let server = AuthorizationServer::new().with_clock(clock.clock());
//! server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
//! let transport = Transport::new(server.clone()).with_clock(clock.clock());
//! let client = ClientAuthentication::basic("app", "s3cr3t");
//! let endpoint = TokenEndpoint::new("https://as.example/token", client, transport)?;
//! let fetch = async || endpoint.fetch(&Grant::client_credentials()).await;
//!
//! // Two wrong answers, the first with a time to retry at.
//! let busy = Response::builder().status(429).header(RETRY_AFTER, "7").body(Bytes::new())?;
//! server.fail_next(1, busy);
//! server.fail_next(1, Response::new(Bytes::from("<html>")));
//! assert_eq!(fetch().await.unwrap_err().retry_after(), Some(Duration::from_secs(7)));
//! assert_eq!(fetch().await.unwrap_err().kind(), ErrorKind::InvalidResponse);
//!
//! // An answer with a wrong value.
//! server.set_extra_member("expires_in", "\"soon\"")?;
//! assert_eq!(fetch().await?.lifetime(), None);
//!
//! // An answer that is late by one second of the manual clock.
//! server.set_latency(Duration::from_secs(1));
//! let (token, ()) = tokio::join!(fetch(), async { clock.advance(Duration::from_secs(1)) });
//! assert!(server.introspect(token?.access_token().expose()).is_some());
//! # Ok(())
//! # }
//! ```
//!
//! The guide [Testing your own service](crate::guide::testing) has an example with JWTs, their keys
//! and an outage.

mod authorization_server;
#[cfg(feature = "store")]
mod in_memory_store;
mod manual_clock;

#[cfg(feature = "server")]
pub use authorization_server::IssuedTokens;
#[cfg(feature = "jwt")]
pub use authorization_server::JwtFormat;
#[doc(hidden)]
pub use authorization_server::ResponseFuture;
pub use authorization_server::{
    AuthorizationServer, BoundServer, IssuedToken, Quirk, RegisteredClient,
};
#[cfg(feature = "store")]
pub use in_memory_store::InMemoryStore;
pub use manual_clock::ManualClock;
