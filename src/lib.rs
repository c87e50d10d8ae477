//! Attaches OAuth 2.0 access tokens to the requests of a client, and requires them of the requests to
//! a server, as [`tower`] layers.
//!
//! The layers work with any HTTP client or server that is a [`tower`] service over [`http`] types:
//! hyper, axum, tonic, reqwest through a small adapter, or your own.
//!
//! | layer | end | what it does |
//! |---|---|---|
//! | [`AddBearer`](client::AddBearer) | clients | attaches an access token to every request |
//! | [`ClientCredentialsRefresh`](client::ClientCredentialsRefresh) | clients | attaches a token that it fetches and keeps fresh |
//! | [`RequireToken`](server::RequireToken) | servers | accepts only requests with a valid token |
//! | [`RequirePolicy`](server::RequirePolicy), [`RequireScope`](server::RequireScope) | servers | require more, on a route or a subtree |
//!
//! A layer does not know where a token comes from or how it is validated: the client layer asks a
//! [`TokenSource`](client::TokenSource), the server layer a
//! [`ValidateToken`](validate::ValidateToken). Both are small traits that closures implement.
//! Requests of the crate itself go through a [`Transport`], which is any HTTP `Service`.
//!
//! Recipes for five real systems, and guides (token locations, outages, the order of layers, testing,
//! security): [`guide`].
//!
//! # let http_client = ();
//! let endpoint = TokenEndpoint::new(
//!     "https://as.example/token",
//!     ClientAuthentication::basic("id", "secret"),
//!     Transport::https(),
//! )?;
//! let client = ServiceBuilder::new()
//!     .layer(ClientCredentialsRefresh::new(endpoint, "https://api.example")?)
//!     .service(http_client);
//! # let _ = client;
//! # Ok::<(), tower_oauth2::ConfigError>(())
//! ```
//!
//! # Example: a server
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_oauth2::{
//!     server::{Authenticated, RequireToken},
//!     validate::{Principal, StaticTokens},
//! };
//!
//! let tokens = StaticTokens::new();
//! tokens.insert("mF_9.B5f-4.1JqM", Principal::new("alice"))?;
//! let me = async |caller: Authenticated| format!("{:?}", caller.principal().subject());
//! let app: Router = Router::new()
//!     .route("/me", get(me))
//!     .route_layer(RequireToken::new("api", tokens)?);
//! # let _ = app;
//! # Ok::<(), tower_oauth2::ConfigError>(())
//! ```
//!
//! # How the layers fit together
//!
//! ```text
//!         client                                               server
//!  request                                                                    response
//!    │                                                                           ▲
//!    ▼                                                                           │
//!  AddBearer ── asks ─▶ TokenSource            RequireToken ── asks ─▶ ValidateToken
//!    │                    │                        │ 1 extract              │
//!    │                    ├ static token           │ 2 validate             ├ StaticTokens
//!    │                    ├ TokenCache             │ 3 attach claims        ├ JwtValidator + Jwks
//!    │                    │   └ TokenEndpoint      │ 4 call, or refuse      ├ Introspection
//!    │                    │       └ any HTTP       │                        ├ Cached, Revocable
//!    │                    │         Service        │                        ├ first_of, Route
//!    ▼                    ├ TokenPool, by user     ▼                        └ any closure
//!  inner HTTP client      └ any closure        inner service
//! ```
//!
//! A client layer gets its token from a [`TokenSource`](client::TokenSource). The server layer passes
//! a token to a [`ValidateToken`](validate::ValidateToken). Both are small traits, which closures
//! implement. Requests to an authorization server go through a [`Transport`], which is made of any
//! HTTP service.
//!
//! # Where to read on
//!
//! | to … | read … |
//! |---|---|
//! | find the type or the method for a task | the table in [`guide`] |
//! | send a token elsewhere than in `Authorization` | [where a token is sent](guide::placement) |
//! | put the layers in order with retries, limits, CORS or a proxy | [the order of layers](guide::layer_order) |
//! | know what happens while the authorization server is down | [outages](guide::outages) |
//! | test your own service without waiting | [testing](guide::testing), [`testing`](mod@testing) |
//! | monitor tokens and decisions | [metrics and tracing](guide::telemetry) |
//! | assess the security | [what is protected](guide::threat_model) |
//! | replace layers of tower-http or jwt-authorizer | [migrating](guide::migrating) |
//! | call or offer a system like Relatel, Firmafon, Relatics or a platform with a log-in endpoint | the recipes in [`guide`] |
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `client` | [`client`] | yes |
//! | `server` | [`server`] and [`validate`] | yes |
//! | `https` | [`Transport::https`] | yes |
//! | `jwt` | [`validate::JwtValidator`], [`validate::Jwks`], [`SigningKey`] | |
//! | `axum` | extractors | |
//! | `metrics` | counters and a gauge: see below | |
//! | `tracing` | spans and events: see below | |
//! | `test-util` | [`testing`]: a manual clock, an authorization server | |
//! | `full` | all but `test-util` | |
//!
//! # Telemetry
//!
//! No name, label, field or message has a token, a secret of a client, or a query string.
//!
//! With the feature `metrics`:
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `tower_oauth2_client_tokens_total` | counter | `event`: `used`, `fetched`, `failed`, `retried`, `rejected` | tokens on requests, fetches that succeeded, failed, and were retried, and tokens that a resource rejected |
//! | `tower_oauth2_client_token_expires_in_seconds` | gauge | `endpoint`: URL, issuer or resource that it is found by, without the query | remaining lifetime of the token, as of its last use; 0 once it is retired. Caches of one endpoint share it |
//! | `tower_oauth2_decisions_total` | counter | `outcome`, `reason`, `source`: see below | decisions of the server layers |
//!
//! Of decisions, the `outcome` is `accepted`, `anonymous` or `rejected`. The `reason` of a refusal is
//! its [kind](validate::RejectionKind::as_str): `missing`, `malformed`, `not_mine`, `invalid`,
//! `expired`, `revoked`, `insufficient_scope`, `insufficient_authentication`, `cross_site`,
//! `too_large`, `unavailable` or `internal`; else it is `none`. The `source` is the location of the
//! token: `header`, `query`, `basic`, `form`, `cookie`, `websocket`, or `none`. The events below use
//! the same words.
//!
//! A token of [`AddBearer::bearer`](client::AddBearer::bearer) is not counted. A recorder that is
//! installed later counts from the next second on.
//!
//! With the feature `tracing`:
//!
//! | name | target | level | fields |
//! |---|---|---|---|
//! | span `tower_oauth2.fetch`: one fetch, for all its waiters | `tower_oauth2::client` | info | `endpoint`: URL, issuer or resource that it is found by, without the query, `grant_type`, `attempt`: from 1, since the last success |
//! | `access token fetched` | `tower_oauth2::client` | debug | |
//! | `access token fetch retried` | `tower_oauth2::client` | debug | `attempt` |
//! | `access token not fetched` | `tower_oauth2::client` | warn | `kind`, `error` |
//! | `access token rejected` | `tower_oauth2::client` | info | `endpoint` |
//! | `the token store failed` | `tower_oauth2::client` | warn | `operation`, `late` |
//! | `the answer to a refresh was lost, …` | `tower_oauth2::client` | warn | |
//! | `access token checked` | `tower_oauth2::server` | debug | `outcome`, `reason`, `source`, `description` |
//! | `keys fetched` | `tower_oauth2::server` | debug | `keys` |
//! | `keys not fetched` | `tower_oauth2::server` | warn | `error` |
//! | `key skipped` | `tower_oauth2::server` | warn | `entry` |
//!
//! [`tower`]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "client", feature = "server")),
    allow(dead_code, reason = "the shared files serve both ends; with one of them a part is idle")
)]

#[cfg(any(feature = "client", feature = "server"))]
mod back_channel;
#[cfg(feature = "jwt")]
mod jose;
#[cfg(any(feature = "client", feature = "server"))]
mod observe;
mod vocabulary;

#[cfg(feature = "client")]
pub mod client;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "test-util")]
pub mod testing;
#[cfg(feature = "server")]
pub mod validate;

#[cfg(any(feature = "client", feature = "server"))]
pub use back_channel::{
    AuthorizationServerMetadata, ClientAuthentication, ClientSecretSource, DiscoveryError,
    DiscoveryErrorKind, NotConnected, Transport, TransportError, TransportErrorKind,
};
#[cfg(all(feature = "jwt", any(feature = "client", feature = "server")))]
pub use back_channel::{JwtAssertion, SigningKeySource};
#[cfg(feature = "jwt")]
pub use jose::{Algorithm, SigningKey};
pub use vocabulary::{
    AccessToken, Answer, Challenge, ChallengeError, ClientSecret, Clock, ConfigError,
    HeaderLocation, LocationName, Origin, RequestHead, Scope, ScopeSet, Sleep, TokenLocation,
};
