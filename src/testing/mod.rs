//! What tests need: a clock that stands still until it is told to go on, and an authorization
//! server in the process.

mod authorization_server;
mod manual_clock;

#[cfg(feature = "server")]
pub use authorization_server::IssuedTokens;
#[cfg(feature = "jwt")]
pub use authorization_server::JwtFormat;
pub use authorization_server::{
    AuthorizationServer, BoundServer, IssuedToken, RegisteredClient, ResponseFuture,
};
pub use manual_clock::ManualClock;
