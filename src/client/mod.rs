//! For clients: [`AddBearer`] puts an access token on every request, and a [`TokenSource`] says
//! where the token comes from; [`ClientCredentialsRefresh`] is both for the usual case.

mod add_bearer;
mod client_credentials;
mod error;
mod sign_in;
mod source;
mod token_cache;
mod token_endpoint;
mod token_pool;

pub use add_bearer::{
    AddBearer, AddBearerService, Buffered, Cloned, InsufficientScope, Known, Never, Origins,
    ReplayBody, ReplayPolicy, ResponseFuture, StaticToken,
};
pub use client_credentials::ClientCredentialsRefresh;
pub use error::{Cause, Error, ErrorKind};
pub use sign_in::{PendingSignIn, SignIn};
pub use source::{BoxTokenFuture, FnFuture, FromRequest, SharedTokenSource, TokenSource};
pub use token_cache::{
    Acquired, RefreshPolicy, StoreError, StoreFuture, StoreKey, StorePolicy, StoredToken,
    TokenCache, TokenState, TokenStatus, TokenStore,
};
pub use token_endpoint::{
    Grant, ProtectedResource, TokenEndpoint, TokenFuture, TokenResponse, TokenRevocation, TokenType,
};
pub use token_pool::TokenPool;
