//! Requires more than a good token of a route.
//!
//! **In**: a request that [`RequireToken`](crate::server::RequireToken) let through. **Out**: the same request, or a refusal.
//! **Uses** `vocabulary`, `validate`, `answered` and `require_token`.

mod require_policy;
mod require_role;
mod require_scope;
mod step_up;

pub use require_policy::{Policy, RequirePolicy, RequirePolicyService};
#[cfg(feature = "axum")]
pub(super) use require_role::MISSING_ROLE;
pub use require_role::RequireRole;
pub use require_scope::RequireScope;
pub use step_up::StepUp;
