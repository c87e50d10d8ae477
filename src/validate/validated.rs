use super::{Principal, Rejection, Revocation, basis::Basis, revocation_watch::RevocationWatch};
use crate::vocabulary::race::before;
use std::{any::Any, future::pending, sync::Arc, time::SystemTime};

/// The answer of a validator: a good token, or why it is refused.
///
/// Shared, so that a validator may keep it and return it without a copy.
pub type Verdict<C> = Result<Arc<Validated<C>>, Rejection>;

/// A good token: its principal, and the validator's own claims beside it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Validated<C = ()> {
    principal: Principal,
    claims: C,
    good_until: Option<SystemTime>,
    revocation: Option<Revocation>,
    watch: RevocationWatch,
    basis: Basis,
    /// The verdict before its claims were mapped.
    origin: Option<Arc<dyn Any + Send + Sync>>,
}

impl<C> Validated<C> {
    /// Creates a verdict: a good token of `principal` with `claims`.
    pub fn new(principal: Principal, claims: C) -> Self {
        let good_until = principal.expires_at();
        let watch = RevocationWatch::default();
        Self {
            principal,
            claims,
            good_until,
            revocation: None,
            watch,
            basis: Basis::NONE,
            origin: None,
        }
    }

    /// Sets the instant from which the validator refuses the token, if that is not its expiry:
    /// because of a leeway for clocks that differ, or a highest age. `None` is never.
    /// [`EndWithToken`](crate::server::EndWithToken) waits for this instant. Defaults to
    /// [`Principal::expires_at`].
    pub fn with_good_until(mut self, good_until: Option<SystemTime>) -> Self {
        self.good_until = good_until;
        self
    }

    /// Makes [`Authenticated::ended`](crate::server::Authenticated::ended) resolve when the token is
    /// revoked by `revocation`.
    pub fn with_revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = Some(revocation);
        self
    }

    pub(crate) fn revocation(&self) -> Option<&Revocation> {
        self.revocation.as_ref()
    }

    /// Sets what the verdict rests on.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JWTs have issuers"))]
    pub(super) fn with_basis(mut self, basis: Basis) -> Self {
        self.basis = basis;
        self
    }

    /// Checks that what the verdict rests on has not changed: otherwise the token must be judged again.
    pub(crate) fn check_basis(&self, now: SystemTime) -> Result<(), Rejection> {
        match self.basis.holds(now) {
            true => Ok(()),
            false => {
                let text = "the issuer of the access token, or its keys, changed";
                Err(Rejection::invalid(text).without_caching())
            }
        }
    }

    /// Creates the verdict on the same token with other claims.
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
            basis: origin.basis.clone(),
            origin: Some(origin),
        }
    }

    /// Returns the verdict before its claims were mapped, if those are of this type.
    pub(super) fn origin<D: 'static>(&self) -> Option<&Validated<D>> {
        self.origin.as_deref()?.downcast_ref()
    }

    /// Returns `true` if its claims were mapped.
    pub(super) fn is_mapped(&self) -> bool {
        self.origin.is_some()
    }

    pub(super) fn watch(&self) -> &RevocationWatch {
        &self.watch
    }

    /// Checks that the token was not revoked, by its validator or by a list above it or with all
    /// tokens of its issuer, and is good at `now`.
    pub(crate) fn check_end(&self, now: SystemTime) -> Result<(), Rejection> {
        if self.revocations().any(Revocation::is_revoked) || self.watch.is_revoked(&self.principal)
        {
            return Err(Rejection::revoked());
        }
        match self.good_until.is_some_and(|end| now >= end) {
            true => Err(Rejection::expired()),
            false => Ok(()),
        }
    }

    /// Returns the token's own revocation, and that of all tokens of its issuer.
    fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.revocation.iter().chain(self.basis.removal())
    }

    /// Waits until the token is revoked, by its validator or by a list above it or with all tokens of
    /// its issuer.
    pub(crate) async fn revoked(&self) {
        let mut revocations = self.revocations();
        let [one, other] =
            [revocations.next(), revocations.next()].map(async |revocation| match revocation {
                Some(revocation) => revocation.revoked().await,
                None => pending().await,
            });
        before(before(one, other), self.watch.revoked(&self.principal)).await;
    }

    /// Returns the instant from which the validator refuses the token; `None` is never.
    #[must_use]
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }

    /// Returns the principal of the token.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the validator's own claims.
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
