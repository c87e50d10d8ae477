//! For servers: [`RequireToken`] takes the access token of every request, has it judged, and
//! refuses or hands on; [`RequireScope`] and other policies ask for more on a route.

mod answered;
mod end_with_token;
#[cfg(feature = "axum")]
mod extractors;
mod metadata;
mod policy;
mod render;
mod require_token;
mod revocation_endpoint;

pub use answered::AnsweredFuture;
pub use end_with_token::{EndWithToken, EndWithTokenBody, EndWithTokenFuture, EndWithTokenService};
#[cfg(feature = "axum")]
pub use extractors::{Claims, ExtractorRefusal, RequiredScope, Scoped};
pub use metadata::{ResourceMetadata, ResourceMetadataService};
pub use policy::{Policy, RequirePolicy, RequirePolicyService, RequireScope, StepUp};
pub use render::{RenderRefusals, RenderRefusalsFuture, RenderRefusalsService};
pub use require_token::{
    Anonymous, AuditEvent, Authenticated, BufferForm, BufferFormFuture, BufferFormService,
    RequireToken, RequireTokenService, ResponseFuture, TokenEnd, TokenId,
};
pub use revocation_endpoint::{
    ClientCredentials, EndpointBody, IntoRevocations, RevocationEndpoint, RevocationEndpointFuture,
    RevocationError, RevokeRequest,
};
