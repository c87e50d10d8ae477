//! What tests need: a clock that stands still until it is told to go on, and an authorization
//! server in the process.

mod authorization_server;
#[cfg(feature = "client")]
mod in_memory_store;
mod manual_clock;

#[cfg(feature = "server")]
pub use authorization_server::IssuedTokens;
#[cfg(feature = "jwt")]
pub use authorization_server::JwtFormat;
pub use authorization_server::{
    AuthorizationServer, BoundServer, IssuedToken, RegisteredClient, ResponseFuture,
};
#[cfg(feature = "client")]
pub use in_memory_store::InMemoryStore;
pub use manual_clock::ManualClock;
