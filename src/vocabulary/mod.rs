//! The types that both ends name, and the small tools under them.
//!
//! **In**: texts and bytes of a peer or of a configuration. **Out**: checked tokens, scopes,
//! origins, challenges and instants. **Uses** no other room.

#[macro_use]
mod opaque_debug;

mod answer;
#[cfg(feature = "server")]
pub(crate) mod b64token;
pub(crate) mod bond;
pub(crate) mod challenge;
pub(crate) mod clock;
pub(crate) mod config_error;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod deadline;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod flight;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod grpc;
#[cfg(any(feature = "client", feature = "server"))]
mod health;
#[cfg(feature = "server")]
pub(crate) mod keyed;
pub(crate) mod location;
#[cfg(feature = "jwt")]
pub(crate) mod member_values;
#[cfg(any(feature = "server", feature = "jwt"))]
pub(crate) mod members;
pub(crate) mod origin;
mod pausable;
pub(crate) mod query;
pub(crate) mod race;
mod random;
mod request_head;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod token;
#[cfg(any(feature = "client", feature = "server"))]
mod token_digest;

pub use answer::Answer;
pub use challenge::{Challenge, ChallengeError};
pub use clock::{Clock, Sleep};
pub use config_error::ConfigError;
#[cfg(any(feature = "client", feature = "server"))]
pub use health::{Health, HealthPart};
pub use location::{HeaderLocation, LocationName, TokenLocation};
pub use origin::Origin;
pub use request_head::RequestHead;
pub use scope::{Scope, ScopeSet};
pub use secret::ClientSecret;
pub use token::AccessToken;
