//! For servers: [`RequireToken`] takes the access token of every request, has it judged, and
//! refuses or hands on; [`RequireScope`] and other policies ask for more on a route.

/// Defines the accessors of a service for its field `inner`.
macro_rules! inner_service_accessors {
    () => {
        /// Returns the inner service.
        pub fn get_ref(&self) -> &S {
            &self.inner
        }

        /// Returns the inner service.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// Consumes the layer's service, and returns the inner one.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}

mod answered;
mod end_with_token;
#[cfg(feature = "axum")]
mod extractors;
mod metadata;
mod policy;
mod render;
mod require_token;
mod revocation_endpoint;
mod uncached;

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
