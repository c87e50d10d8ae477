//! The layer that requires a token of each request.
//!
//! **In**: a request, and a [`ValidateToken`](crate::validate::ValidateToken). **Out**: the request with the principal of its
//! token in the extensions, or a refusal. **Uses** `vocabulary`, `observe` and `validate`.

pub(in crate::server) mod audit;
pub(in crate::server) mod authenticated;
pub(in crate::server) mod challenges;
pub(in crate::server) mod decide;
pub(in crate::server) mod extract;
pub(in crate::server) mod form;
pub(in crate::server) mod future;
pub(in crate::server) mod layer;
pub(in crate::server) mod refuse;
pub(in crate::server) mod service;
pub(in crate::server) mod settings;
pub(in crate::server) mod strip;

pub use audit::{AuditEvent, TokenId};
pub use authenticated::{Anonymous, Authenticated, TokenEnd};
pub use form::{BufferForm, BufferFormFuture, BufferFormService};
pub use future::ResponseFuture;
pub use layer::RequireToken;
pub use service::RequireTokenService;
