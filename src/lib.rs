//! OAuth 2.0 access tokens as [`tower`] layers, for both ends of a call.
//!
//! [`tower`]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "client", feature = "server"))]
mod answer;
#[cfg(feature = "server")]
mod b64token;
mod challenge;
#[cfg(any(feature = "client", feature = "server", feature = "https"))]
mod clock;
mod error;
#[cfg(any(feature = "client", feature = "server"))]
mod head;
#[cfg(feature = "https")]
mod https;
mod location;
mod origin;
#[cfg(any(feature = "client", feature = "server"))]
mod query;
mod scope;
#[cfg(any(feature = "client", feature = "server", feature = "https"))]
mod scrub;
mod secret;
mod token;
#[cfg(any(feature = "client", feature = "server", feature = "https"))]
mod transport;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
#[cfg(all(feature = "test-util", any(feature = "client", feature = "server", feature = "https")))]
pub mod testing;
#[cfg(feature = "server")]
pub mod validate;

#[cfg(any(feature = "client", feature = "server"))]
pub use answer::Answer;
pub use challenge::{Challenge, ChallengeError};
#[cfg(any(feature = "client", feature = "server", feature = "https"))]
pub use clock::{Clock, Sleep};
pub use error::ConfigError;
#[cfg(any(feature = "client", feature = "server"))]
pub use head::RequestHead;
pub use location::{HeaderLocation, TokenLocation};
pub use origin::Origin;
pub use scope::{Scope, ScopeSet};
pub use secret::ClientSecret;
pub use token::AccessToken;
#[cfg(any(feature = "client", feature = "server", feature = "https"))]
pub use transport::{Transport, TransportError, TransportErrorKind};
