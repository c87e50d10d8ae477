//! Requires a good token of each request.
//!
//! **In**: a request, and a [`ValidateToken`](crate::validate::ValidateToken). **Out**: the request with the principal of its
//! token in the extensions, or a refusal. **Uses** `vocabulary`, `observe`, `back_channel`, `validate`, `answered`, `metadata`
//! and `uncached`.

mod audit;
mod authenticated;
mod buffer_form;
mod cache_control;
mod certificate;
mod challenges;
mod decide;
#[cfg(feature = "jwt")]
mod dpop;
#[cfg(not(feature = "jwt"))]
#[path = "dpop/absent.rs"]
mod dpop;
pub(super) mod extract;
mod future;
pub(super) mod grpc;
mod layer;
mod possession;
mod proved;
pub(super) mod refuse;
mod service;
mod settings;
pub(super) mod standing;
mod strip;
#[cfg(feature = "jwt")]
mod with_dpop;

pub use audit::{AuditEvent, TokenId};
pub use authenticated::{Anonymous, Authenticated, TokenEnd};
pub use buffer_form::{BufferForm, BufferFormBody, BufferFormFuture, BufferFormService};
pub use certificate::{ClientCertificate, ClientCertificates};
#[cfg(feature = "jwt")]
pub use dpop::Dpop;
pub use future::ResponseFuture;
pub use layer::RequireToken;
pub use service::RequireTokenService;
