use super::{Principal, Rejection, Revocation, revocation_watch::RevocationWatch};
use crate::vocabulary::race::before;
use std::{any::Any, future::pending, sync::Arc, time::SystemTime};

/// What a validator finds: whose token it is, or why it is refused.
///
/// The claims are shared, so that a validator which keeps them hands them on without a copy.
pub type Verdict<C> = Result<Arc<Validated<C>>, Rejection>;

/// A good token: its principal, and the validator's own claims beside it.
#[derive(Clone, Debug)]
pub struct Validated<C = ()> {
    principal: Principal,
    claims: C,
    good_until: Option<SystemTime>,
    revocation: Option<Revocation>,
    watch: RevocationWatch,
    /// The verdict that this one was made of, where its claims were mapped.
    origin: Option<Arc<dyn Any + Send + Sync>>,
}

impl<C> Validated<C> {
    /// A good token of `principal` with `claims`.
    #[must_use]
    pub fn new(principal: Principal, claims: C) -> Self {
        let good_until = principal.expires_at();
        let watch = RevocationWatch::default();
        Self { principal, claims, good_until, revocation: None, watch, origin: None }
    }

    /// Sets the instant from which its validator takes the token no longer, where that is not the
    /// expiry itself: with a leeway for clocks that differ, or an age that a token may have. What
    /// waits for the end of the token, such as
    /// [`EndWithToken`](crate::server::EndWithToken), waits for this. Defaults to
    /// [`Principal::expires_at`]; nothing is never.
    #[must_use]
    pub fn with_good_until(mut self, good_until: Option<SystemTime>) -> Self {
        self.good_until = good_until;
        self
    }

    /// Makes the guard of a request with this token end when `revocation` says so.
    #[must_use]
    pub fn with_revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = Some(revocation);
        self
    }

    pub(crate) fn revocation(&self) -> Option<&Revocation> {
        self.revocation.as_ref()
    }

    /// The same of the same token, with other claims.
    pub(super) fn of_origin<D: Send + Sync + 'static>(
        origin: Arc<Validated<D>>,
        claims: C,
    ) -> Self {
        Self {
            principal: origin.principal.clone(),
            claims,
            good_until: origin.good_until,
            revocation: origin.revocation.clone(),
            watch: origin.watch.clone(),
            origin: Some(origin),
        }
    }

    /// What it was made of, where that had claims of this type.
    pub(super) fn origin<D: 'static>(&self) -> Option<&Validated<D>> {
        self.origin.as_deref()?.downcast_ref()
    }

    /// Whether it was made of another.
    pub(super) fn is_mapped(&self) -> bool {
        self.origin.is_some()
    }

    pub(super) fn watch(&self) -> &RevocationWatch {
        &self.watch
    }

    /// Waits until the token is taken back, by its validator or by a list above it.
    pub(crate) async fn revoked(&self) {
        let own = async {
            match &self.revocation {
                Some(revocation) => revocation.revoked().await,
                None => pending().await,
            }
        };
        before(own, self.watch.revoked(&self.principal)).await;
    }

    /// The instant from which its validator takes the token no longer; nothing where there is none.
    #[must_use]
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }

    /// Whose token it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What else the validator knows.
    #[must_use]
    pub fn claims(&self) -> &C {
        &self.claims
    }
}

impl From<Principal> for Validated {
    fn from(principal: Principal) -> Self {
        Self::new(principal, ())
    }
}
