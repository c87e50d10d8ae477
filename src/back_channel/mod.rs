//! How the crate itself talks to an authorization server.
//!
//! **In**: a request to an endpoint, and the client's credentials. **Out**: a bounded answer, or an error without a secret.
//! **Uses** `vocabulary`, `observe` and `jose`.

#[cfg(all(feature = "jwt", any(feature = "client", feature = "introspection")))]
pub(crate) mod assertion;
#[cfg(all(not(feature = "jwt"), any(feature = "client", feature = "introspection")))]
#[path = "no_assertion.rs"]
pub(crate) mod assertion;
#[cfg(any(feature = "client", feature = "introspection"))]
pub(crate) mod client_authentication;
#[cfg(feature = "https")]
pub(crate) mod https;
#[cfg(not(feature = "https"))]
#[path = "no_https.rs"]
pub(crate) mod https;
#[cfg(any(feature = "client", feature = "jwt"))]
pub(crate) mod metadata;
pub(crate) mod not_connected;
#[cfg(any(feature = "client", feature = "introspection", feature = "jwt"))]
pub(crate) mod retry_after;
pub(crate) mod scrub;
#[cfg(any(feature = "client", feature = "introspection"))]
pub(crate) mod secret_source;
#[cfg(any(feature = "client", feature = "introspection"))]
pub(crate) mod secrets;
pub(crate) mod transport;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod well_known;

#[cfg(all(feature = "jwt", any(feature = "client", feature = "introspection")))]
pub use assertion::{JwtAssertion, SigningKeySource};
#[cfg(any(feature = "client", feature = "introspection"))]
pub use client_authentication::ClientAuthentication;
#[cfg(any(feature = "client", feature = "jwt"))]
pub use metadata::{AuthorizationServerMetadata, DiscoveryError, DiscoveryErrorKind};
pub use not_connected::NotConnected;
#[cfg(any(feature = "client", feature = "introspection"))]
pub use secret_source::ClientSecretSource;
pub use transport::{Transport, TransportError, TransportErrorKind};
