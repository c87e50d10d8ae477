//! Attaches OAuth 2.0 access tokens to the requests of a client, and requires them of the requests to
//! a server, as [`tower`] layers.
//!
//! The layers work with any HTTP client or server that is a [`tower`] service over [`http`] types:
//! hyper, axum, tonic, reqwest (feature `reqwest-middleware`), or your own.
//!
//! | layer | end | what it does |
//! |---|---|---|
//! | [`AddBearer`](client::AddBearer) | client | attaches an access token to every request |
//! | [`ClientCredentialsRefresh`](client::ClientCredentialsRefresh) | client | attaches a token that it fetches, caches and refreshes |
//! | [`RequireToken`](server::RequireToken) | server | rejects requests without a valid access token |
//! | [`RequirePolicy`](server::RequirePolicy), [`RequireScope`](server::RequireScope) | server | check what a token permits, on a route or a subtree |
//!
//! # Example: a client
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_oauth2::{
//!     ClientAuthentication, Transport,
//!     client::{ClientCredentialsRefresh, TokenEndpoint},
//! };
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
//! | share tokens and sessions among replicas | [fleet](guide::fleet) |
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
//! | `jwt` | [`validate::JwtValidator`], [`validate::Jwks`], [`SigningKey`], [`ProofKey`], [`server::Dpop`] | |
//! | `store` | [`TokenStore`](client::TokenStore), [`SharedSessions`](client::SharedSessions): [replicas that share tokens and sessions](guide::fleet) | |
//! | `axum` | extractors, such as [`server::Claims`] | |
//! | `metrics` | counters and a gauge: [metrics and tracing](guide::telemetry) | |
//! | `tracing` | a span and events: [metrics and tracing](guide::telemetry) | |
//! | `test-util` | [`testing`](mod@testing): a manual clock, an authorization server, with `store` a token store | |
//! | `reqwest-middleware` | the layers as middleware of reqwest, and [`ReqwestService`](client::ReqwestService) | |
//! | `full` | all but `reqwest-middleware` and `test-util` | |
//!
//! [`http`]: https://docs.rs/http
//! [`tower`]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "client", feature = "server", feature = "store")),
    allow(dead_code, reason = "the shared files serve both ends and the store")
)]

#[macro_use]
mod vocabulary;

#[cfg(any(feature = "client", feature = "server"))]
mod back_channel;
#[cfg(feature = "jwt")]
mod jose;
#[cfg(any(feature = "client", feature = "server"))]
mod observe;
#[cfg(all(feature = "jwt", any(feature = "client", feature = "server", feature = "test-util")))]
#[cfg_attr(not(feature = "server"), allow(unreachable_pub, reason = "servers export it"))]
mod proof;

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
#[cfg(all(feature = "jwt", feature = "client"))]
pub use proof::ProofKey;
pub use vocabulary::{
    AccessToken, Answer, Challenge, ChallengeError, ClientSecret, Clock, ConfigError, Origin,
    RequestHead, Scope, ScopeSet, TokenLocation,
};
#[doc(hidden)]
pub use vocabulary::{HeaderLocation, LocationName, Sleep};
#[cfg(any(feature = "client", feature = "server"))]
pub use vocabulary::{Health, HealthPart};
