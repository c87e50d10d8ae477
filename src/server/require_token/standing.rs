//! What a layer or an extractor below [`RequireToken`](crate::server::RequireToken) finds of it.

use super::{
    authenticated::{Anonymous, Authenticated},
    settings::Settings,
};
use http::Extensions;
use std::sync::Arc;

/// The extension of a CORS preflight that was let through without a token.
#[derive(Clone)]
pub(super) struct Preflight(Anonymous);

impl Preflight {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self(Anonymous::new(settings))
    }
}

/// The decision of the layer above about a request.
pub(in crate::server) enum Standing<'a> {
    Authenticated(&'a Authenticated),
    Anonymous(&'a Anonymous),
    #[cfg_attr(not(feature = "axum"), allow(dead_code, reason = "read by extractors"))]
    Preflight(&'a Anonymous),
    /// There is no such layer, or it is below.
    Undecided,
}

impl<'a> Standing<'a> {
    pub(in crate::server) fn of(extensions: &'a Extensions) -> Self {
        if let Some(authenticated) = extensions.get() {
            Self::Authenticated(authenticated)
        } else if let Some(anonymous) = extensions.get() {
            Self::Anonymous(anonymous)
        } else if let Some(Preflight(anonymous)) = extensions.get() {
            Self::Preflight(anonymous)
        } else {
            Self::Undecided
        }
    }
}
