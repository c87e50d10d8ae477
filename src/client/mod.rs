//! For clients: [`AddBearer`] puts an access token on every request, and a [`TokenSource`] says
//! where the token comes from.

mod attach;
mod error;
mod future;
mod layer;
mod origins;
mod service;
mod source;

pub use error::{Error, ErrorKind};
pub use future::ResponseFuture;
pub use layer::{AddBearer, StaticToken};
pub use origins::Origins;
pub use service::AddBearerService;
pub use source::{BoxTokenFuture, FnFuture, FromRequest, SharedTokenSource, TokenSource};
