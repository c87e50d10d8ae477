//! What a verdict rests on besides its token and the time.

use super::Revocation;
use std::{fmt, sync::Arc, time::SystemTime};

/// What may change under a verdict: an issuer with its keys.
pub(super) trait Ground: Send + Sync {
    /// Returns `true` if nothing has changed since `version`. Called at each hit of a cache.
    fn holds(&self, version: u64, now: SystemTime) -> bool;

    /// Returns what is revoked when no token of the issuer is good any more.
    fn removal(&self) -> &Revocation;
}

/// A ground, and its version when the token was judged.
#[derive(Clone)]
pub(super) struct Basis {
    ground: Arc<dyn Ground>,
    version: u64,
}

impl Basis {
    /// Creates the basis of a verdict that is not made yet: `version` was read before.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JWTs have issuers"))]
    pub(super) fn new(ground: Arc<dyn Ground>, version: u64) -> Self {
        Self { ground, version }
    }

    pub(super) fn holds(&self, now: SystemTime) -> bool {
        self.ground.holds(self.version, now)
    }

    pub(super) fn removal(&self) -> &Revocation {
        self.ground.removal()
    }
}

/// Equal to any other: what a verdict says does not depend on it.
impl PartialEq for Basis {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Basis {}

impl fmt::Debug for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basis").field("version", &self.version).finish_non_exhaustive()
    }
}
