//! The crate's own requests to authorization servers.
//!
//! **In**: a request to an endpoint, and the credentials of the client. **Out**: a bounded answer,
//! or an error without a secret. **Uses** `vocabulary` and `jose`.

pub(crate) mod assertion;
pub(crate) mod client_authentication;
pub(crate) mod discovered;
pub(crate) mod form_post;
#[cfg(feature = "https")]
mod https;
pub(crate) mod json;
#[cfg(feature = "jwt")]
mod jwt_assertion;
pub(crate) mod jwt_expiry;
pub(crate) mod metadata;
pub(crate) mod not_connected;
#[cfg(feature = "https")]
mod proxy;
pub(crate) mod retry_after;
pub(crate) mod scrub;
pub(crate) mod secret_source;
pub(crate) mod secrets;
#[cfg(feature = "jwt")]
mod signing_key_source;
#[cfg(feature = "https")]
mod tls;
pub(crate) mod transport;
pub(crate) mod well_known;

pub use client_authentication::ClientAuthentication;
#[cfg(feature = "jwt")]
pub use jwt_assertion::JwtAssertion;
pub use metadata::{AuthorizationServerMetadata, DiscoveryError, DiscoveryErrorKind};
pub use not_connected::NotConnected;
pub use secret_source::ClientSecretSource;
#[cfg(feature = "jwt")]
pub use signing_key_source::SigningKeySource;
pub use transport::{Transport, TransportError, TransportErrorKind};
