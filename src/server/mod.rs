//! For servers: [`RequireToken`] lets only requests with a good access token through, and
//! [`RequireScope`] and other policies require more of it on a route.
//!
//! **In**: requests, and a [`ValidateToken`](crate::validate::ValidateToken). **Out**: requests with an [`Authenticated`] in
//! their extensions, or refusals. **Uses** `vocabulary`, `observe`, `back_channel` and `validate`.

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
mod drain;
mod end_with_token;
#[cfg(feature = "axum")]
mod extractors;
mod metadata;
mod policy;
mod render;
mod require_token;
mod revocation_endpoint;
mod uncached;

#[doc(hidden)]
pub use self::{
    answered::AnsweredFuture,
    drain::{DrainRefusedFuture, DrainRefusedService},
    end_with_token::{EndWithTokenBody, EndWithTokenFuture, EndWithTokenService},
    metadata::ResourceMetadataService,
    policy::RequirePolicyService,
    render::{RenderRefusalsFuture, RenderRefusalsService},
    require_token::{BufferFormFuture, BufferFormService, ResponseFuture, TokenEnd},
    revocation_endpoint::{EndpointBody, IntoRevocations, RevocationEndpointFuture},
};
#[cfg(feature = "jwt")]
pub use crate::proof::{DpopNonces, FirstUse, ProofId, ProofReplay, ReplayFuture, SeenProofs};
pub use drain::{DrainRefused, DrainRefusedBody};
pub use end_with_token::EndWithToken;
#[cfg(feature = "axum")]
#[doc(hidden)]
pub use extractors::ExtractorRefusal;
#[cfg(feature = "axum")]
pub use extractors::{Claims, RequiredRole, RequiredScope, Scoped, WithRole};
pub use metadata::ResourceMetadata;
pub use policy::{Policy, RequirePolicy, RequireRole, RequireScope, StepUp};
pub use render::RenderRefusals;
#[cfg(feature = "jwt")]
pub use require_token::Dpop;
pub use require_token::{
    Anonymous, AuditEvent, Authenticated, BufferForm, BufferFormBody, ClientCertificate,
    ClientCertificates, RequireToken, RequireTokenService, TokenId,
};
pub use revocation_endpoint::{
    ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest,
};
