//! For clients: [`AddBearer`] puts an access token on every request, and a [`TokenSource`] says
//! where the token comes from; [`ClientCredentialsRefresh`] is both for the usual case.

mod address;
mod attach;
mod buffered;
mod cache;
mod elsewhere;
mod endpoint;
mod error;
mod fetcher;
mod flight;
mod future;
mod grant;
mod layer;
mod machine;
mod origins;
mod parts;
mod policy;
mod pool;
mod protected_resource;
mod recover;
mod refresh;
mod replay;
mod revocation;
mod service;
mod session;
mod sign_in;
#[cfg(feature = "jwt")]
mod signed_grant;
mod source;
mod status;
mod step_up;
mod store;
mod token_exchange;
mod token_response;

pub use buffered::{Buffered, ReplayBody};
pub use cache::TokenCache;
pub use endpoint::{TokenEndpoint, TokenFuture};
pub use error::{Cause, Error, ErrorKind};
pub use future::ResponseFuture;
pub use grant::Grant;
pub use layer::{AddBearer, StaticToken};
pub use origins::Origins;
pub use policy::RefreshPolicy;
pub use pool::TokenPool;
pub use protected_resource::ProtectedResource;
pub use recover::InsufficientScope;
pub use refresh::ClientCredentialsRefresh;
pub use replay::{Cloned, Known, Never, ReplayPolicy};
pub use revocation::TokenRevocation;
pub use service::AddBearerService;
pub use sign_in::{PendingSignIn, SignIn};
pub use source::{BoxTokenFuture, FnFuture, FromRequest, SharedTokenSource, TokenSource};
pub use status::{TokenState, TokenStatus};
pub use store::{
    Acquired, StoreError, StoreFuture, StoreKey, StorePolicy, StoredToken, TokenStore,
};
pub use token_exchange::TokenType;
pub use token_response::TokenResponse;
