//! How the crate itself talks to an authorization server.
//!
//! **In**: a request to an endpoint, and the client's credentials. **Out**: a bounded answer, or an error without a secret.
//! **Uses** `vocabulary`, `observe` and `jose`.

#[cfg(feature = "jwt")]
pub(crate) mod assertion;
#[cfg(not(feature = "jwt"))]
#[path = "no_assertion.rs"]
pub(crate) mod assertion;
pub(crate) mod client_authentication;
pub(crate) mod discovered;
pub(crate) mod form_post;
#[cfg(feature = "https")]
pub(crate) mod https;
#[cfg(not(feature = "https"))]
#[path = "no_https.rs"]
pub(crate) mod https;
pub(crate) mod json;
pub(crate) mod metadata;
pub(crate) mod not_connected;
pub(crate) mod retry_after;
pub(crate) mod scrub;
pub(crate) mod secret_source;
pub(crate) mod secrets;
pub(crate) mod transport;
pub(crate) mod well_known;

#[cfg(feature = "jwt")]
pub use assertion::{JwtAssertion, SigningKeySource};
pub use client_authentication::ClientAuthentication;
pub use metadata::{AuthorizationServerMetadata, DiscoveryError, DiscoveryErrorKind};
pub use not_connected::NotConnected;
pub use secret_source::ClientSecretSource;
pub use transport::{Transport, TransportError, TransportErrorKind};
