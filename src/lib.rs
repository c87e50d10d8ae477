//! OAuth 2.0 access tokens as [`tower`] layers, for both ends of a call.
//!
//! | layer | for | does |
//! |---|---|---|
//! | [`AddBearer`](client::AddBearer) | clients | puts an access token on every request |
//! | [`ClientCredentialsRefresh`](client::ClientCredentialsRefresh) | clients | the same with a token that it fetches and keeps fresh |
//! | [`RequireToken`](server::RequireToken) | servers | lets only requests with a good token through |
//! | [`RequirePolicy`](server::RequirePolicy), [`RequireScope`](server::RequireScope) | servers | asks for more, on a route or a subtree |
//!
//! A layer never knows where a token comes from or who judges it: the client layer asks a
//! [`TokenSource`](client::TokenSource), the server layer a
//! [`ValidateToken`](validate::ValidateToken). Both are small traits that closures implement.
//! What needs the network goes through a [`Transport`], which is any HTTP `Service`.
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `client` | [`client`] | yes |
//! | `server` | [`server`] and [`validate`] | yes |
//! | `https` | [`Transport::https`] | yes |
//! | `test-util` | [`testing`]: a clock that stands still, an authorization server | |
//! | `introspection` | [`validate::Introspection`] | |
//! | `full` | all but `test-util` | |
//!
//! [`tower`]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "client", feature = "server")),
    allow(dead_code, reason = "the shared files serve both ends; with one of them a part is idle")
)]

mod answer;
#[cfg(all(feature = "jwt", any(feature = "client", feature = "introspection")))]
mod assertion;
#[cfg(all(not(feature = "jwt"), any(feature = "client", feature = "introspection")))]
#[path = "no_assertion.rs"]
mod assertion;
#[cfg(feature = "server")]
mod b64token;
mod challenge;
#[cfg(any(feature = "client", feature = "introspection"))]
mod client_auth;
mod clock;
mod error;
#[cfg(all(feature = "server", any(feature = "cache", feature = "jwt")))]
mod flight;
mod head;
#[cfg(feature = "https")]
mod https;
#[cfg(feature = "jwt")]
mod jose;
#[cfg(feature = "server")]
mod keyed;
mod location;
#[cfg(any(feature = "introspection", feature = "jwt"))]
#[cfg_attr(
    not(feature = "jwt"),
    allow(dead_code, reason = "tokens are read with more of it than answers are")
)]
mod members;
#[cfg(any(feature = "client", feature = "jwt"))]
mod metadata;
#[cfg(feature = "server")]
mod observe;
mod origin;
mod query;
mod race;
#[cfg(any(feature = "client", feature = "jwt"))]
mod random;
#[cfg(any(feature = "client", feature = "introspection", feature = "jwt"))]
mod retry_after;
mod scope;
mod scrub;
mod secret;
#[cfg(any(feature = "client", feature = "introspection"))]
mod secret_source;
#[cfg(any(feature = "client", feature = "introspection"))]
mod secrets;
mod token;
mod transport;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "test-util")]
pub mod testing;
#[cfg(feature = "server")]
pub mod validate;

pub use answer::Answer;
#[cfg(all(feature = "jwt", any(feature = "client", feature = "introspection")))]
pub use assertion::{JwtAssertion, SigningKeySource};
pub use challenge::{Challenge, ChallengeError};
#[cfg(any(feature = "client", feature = "introspection"))]
pub use client_auth::ClientAuthentication;
pub use clock::{Clock, Sleep};
pub use error::ConfigError;
pub use head::RequestHead;
#[cfg(feature = "jwt")]
pub use jose::{Algorithm, SigningKey};
pub use location::{HeaderLocation, TokenLocation};
#[cfg(any(feature = "client", feature = "jwt"))]
pub use metadata::{AuthorizationServerMetadata, DiscoveryError, DiscoveryErrorKind};
pub use origin::Origin;
pub use scope::{Scope, ScopeSet};
pub use secret::ClientSecret;
#[cfg(any(feature = "client", feature = "introspection"))]
pub use secret_source::ClientSecretSource;
pub use token::AccessToken;
pub use transport::{Transport, TransportError, TransportErrorKind};
