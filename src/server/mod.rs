//! For servers: [`RequireToken`] takes the access token of every request, has it judged, and
//! refuses or hands on; [`RequireScope`] and other policies ask for more on a route.

mod answered;
mod audit;
mod authenticated;
mod challenges;
mod decide;
mod extract;
#[cfg(feature = "axum")]
mod extractors;
mod form;
mod future;
mod layer;
mod metadata;
mod policy;
mod refuse;
mod render;
mod revocation_endpoint;
mod scope;
mod service;
mod settings;
mod step_up;
mod strip;
mod until;

pub use answered::AnsweredFuture;
pub use audit::{AuditEvent, TokenId};
pub use authenticated::{Anonymous, Authenticated, TokenEnd};
#[cfg(feature = "axum")]
pub use extractors::{Claims, ExtractorRefusal, RequiredScope, Scoped};
pub use form::{BufferForm, BufferFormFuture, BufferFormService};
pub use future::ResponseFuture;
pub use layer::RequireToken;
pub use metadata::{ResourceMetadata, ResourceMetadataService};
pub use policy::{Policy, RequirePolicy, RequirePolicyService};
pub use render::{RenderRefusals, RenderRefusalsFuture, RenderRefusalsService};
pub use revocation_endpoint::{
    ClientCredentials, EndpointBody, IntoRevocations, RevocationEndpoint, RevocationEndpointFuture,
    RevocationError, RevokeRequest,
};
pub use scope::RequireScope;
pub use service::RequireTokenService;
pub use step_up::StepUp;
pub use until::{EndWithToken, EndWithTokenBody, EndWithTokenFuture, EndWithTokenService};
