//! For servers: [`RequireToken`] takes the access token of every request, has it judged, and
//! refuses or hands on; [`RequireScope`] asks for more on a route.

mod authenticated;
mod challenges;
mod extract;
mod future;
mod layer;
mod refuse;
mod scope;
mod service;
mod strip;

pub use authenticated::Authenticated;
pub use future::ResponseFuture;
pub use layer::RequireToken;
pub use scope::{RequireScope, RequireScopeFuture, RequireScopeService};
pub use service::RequireTokenService;
