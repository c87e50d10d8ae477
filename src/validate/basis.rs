//! What a verdict rests on besides its token and the time.

use super::Revocation;
use std::{sync::Arc, time::SystemTime};

/// What may change under a verdict: an issuer with its keys.
pub(super) trait Ground: Send + Sync {
    /// Returns `true` if nothing has changed since `version`. Called at each hit of a cache.
    fn holds(&self, version: u64, now: SystemTime) -> bool;

    /// Returns what is revoked when no token of the issuer is good any more.
    fn removal(&self) -> &Revocation;
}

/// A ground, and its version when the token was judged, or none, which always holds.
///
/// Equal to any other: what a verdict says does not depend on it.
#[derive(Clone)]
pub(super) struct Basis(Option<(Arc<dyn Ground>, u64)>);

impl Basis {
    pub(super) const NONE: Self = Self(None);

    /// Creates the basis of a verdict that is not made yet: `version` was read before.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JWTs have issuers"))]
    pub(super) fn new(ground: Arc<dyn Ground>, version: u64) -> Self {
        Self(Some((ground, version)))
    }

    #[inline]
    pub(super) fn holds(&self, now: SystemTime) -> bool {
        self.0.as_ref().is_none_or(|(ground, version)| ground.holds(*version, now))
    }

    pub(super) fn removal(&self) -> Option<&Revocation> {
        self.0.as_ref().map(|(ground, _)| ground.removal())
    }
}

impl PartialEq for Basis {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Basis {}

opaque_debug!(Basis { .. });
