//! The layers of clients: [`AddBearer`] puts an access token of a [`TokenSource`] on every request,
//! and [`ClientCredentialsRefresh`] does both with the client credentials grant.
//!
//! **In**: requests, and a source of tokens: a static one, a [`TokenCache`], a [`TokenPool`] or a
//! closure. **Out**: requests with tokens, which are refreshed and replaced in time. **Uses**
//! `vocabulary`, `observe`, `jose` and `back_channel`, never `server`.

mod add_bearer;
mod client_credentials;
mod error;
mod error_code;
#[cfg(feature = "reqwest-middleware")]
mod reqwest;
mod sign_in;
mod source;
mod token_cache;
mod token_endpoint;
mod token_pool;

pub use add_bearer::{
    AddBearer, AddBearerService, Buffered, BufferedAs, ByOrigin, ByOriginService, Cloned,
    InsufficientScope, InsufficientUserAuthentication, Known, Never, Origins, ReplayBody,
    ReplayPolicy,
};
#[doc(hidden)]
pub use add_bearer::{ResponseFuture, StaticToken};
pub use client_credentials::ClientCredentialsRefresh;
#[doc(hidden)]
pub use error::Cause;
pub use error::{Error, ErrorKind};
#[cfg(feature = "reqwest-middleware")]
pub use reqwest::ReqwestService;
pub use sign_in::{PendingSignIn, SignIn};
#[doc(hidden)]
pub use source::FnFuture;
pub use source::{BoxTokenFuture, FromRequest, SharedTokenSource, TokenSource};
#[cfg(feature = "store")]
pub use token_cache::{
    Begun, Holder, Lease, SessionStore, SharedSessions, StoreError, StoreFuture, StoreKey,
    StoreKeys, StorePolicy, StoredValue, Swap, TokenStore, Version,
};
pub use token_cache::{RefreshPolicy, TokenCache, TokenState, TokenStatus};
#[doc(hidden)]
pub use token_endpoint::TokenFuture;
pub use token_endpoint::{
    DeviceAuthorization, DeviceSignIn, Grant, ProtectedResource, TokenEndpoint, TokenResponse,
    TokenRevocation, TokenType,
};
pub use token_pool::TokenPool;
