//! Token requests to an authorization server.
//!
//! **In**: a [`Grant`] and the client's credentials. **Out**: a [`TokenResponse`] or the reason why
//! there is none. **Uses** `vocabulary`, `observe`, `jose`, `back_channel` and the client's error.

pub(in crate::client) mod address;
mod answer_body;
mod device;
pub(in crate::client) mod digest;
pub(in crate::client) mod endpoint;
pub(in crate::client) mod grant;
pub(in crate::client) mod parameters;
#[cfg(feature = "jwt")]
mod proof;
mod protected_resource;
mod refusal;
mod revocation;
#[cfg(feature = "jwt")]
mod signed_grant;
mod token_exchange;
pub(in crate::client) mod token_response;

pub use device::{DeviceAuthorization, DeviceSignIn};
pub use endpoint::{TokenEndpoint, TokenFuture};
pub use grant::Grant;
pub use protected_resource::ProtectedResource;
pub use revocation::TokenRevocation;
pub use token_exchange::TokenType;
pub use token_response::TokenResponse;
