//! The layer that attaches a token to each request.
//!
//! **In**: a request, and a [`TokenSource`](crate::client::TokenSource). **Out**: the same request
//! with the token, to an origin that the token is for, and once more with another token if it is
//! rejected. **Uses** `vocabulary`, `observe` and, within the client, its error and token source.

mod attach;
mod buffered;
mod by_origin;
mod future;
mod inner_service;
mod last_token;
mod later;
mod layer;
mod origins;
mod other_origin;
mod outgoing;
mod recover;
mod refusal;
mod replay;
mod reserve;
mod rules;
mod service;
mod static_token;

pub use buffered::{Buffered, BufferedAs, ReplayBody};
pub use by_origin::{ByOrigin, ByOriginService};
pub use future::ResponseFuture;
pub use layer::AddBearer;
pub use origins::Origins;
pub use refusal::{InsufficientScope, InsufficientUserAuthentication};
pub use replay::{Cloned, Known, Never, ReplayPolicy};
pub use service::AddBearerService;
pub use static_token::StaticToken;
