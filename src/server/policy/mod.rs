//! What a route asks for beyond a good token.
//!
//! **In**: a request that [`RequireToken`](crate::server::RequireToken) let pass. **Out**: the same request, or a refusal.
//! **Uses** `vocabulary`, `observe`, `validate` and `require_token`.

mod require_policy;
mod require_scope;
mod step_up;

pub use require_policy::{Policy, RequirePolicy, RequirePolicyService};
pub use require_scope::RequireScope;
pub use step_up::StepUp;
