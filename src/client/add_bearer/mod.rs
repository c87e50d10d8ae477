//! The layer that attaches a token to each request.
//!
//! **In**: a request, and a [`TokenSource`](crate::client::TokenSource). **Out**: the same request with the token, to an
//! origin that the token is for, and once more with another token where it is rejected. **Uses** `vocabulary`, `observe`
//! and, within the client, its error and source of tokens.

pub(in crate::client) mod attach;
mod buffered;
pub(in crate::client) mod future;
pub(in crate::client) mod layer;
pub(in crate::client) mod origins;
pub(in crate::client) mod recover;
pub(in crate::client) mod replay;
pub(in crate::client) mod service;

pub use buffered::{Buffered, ReplayBody};
pub use future::ResponseFuture;
pub use layer::{AddBearer, StaticToken};
pub use origins::Origins;
pub use recover::InsufficientScope;
pub use replay::{Cloned, Known, Never, ReplayPolicy};
pub use service::AddBearerService;
