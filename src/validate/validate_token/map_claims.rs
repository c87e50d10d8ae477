use super::{CacheSupport, ValidateToken};
use crate::{
    Answer, Clock, RequestHead,
    validate::{Rejection, Validated, Verdict},
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

/// A validator whose claims are mapped to others, made by [`ValidateToken::map_claims`].
///
/// Each good verdict is copied with its principal; below a cache once for each token.
pub struct MapClaims<V, F> {
    validator: V,
    map: Arc<F>,
}

impl<V, F> MapClaims<V, F> {
    pub(super) fn new(validator: V, map: F) -> Self {
        Self { validator, map: Arc::new(map) }
    }
}

impl<V, F, D> ValidateToken for MapClaims<V, F>
where
    V: ValidateToken,
    F: Fn(&V::Claims) -> D + Send + Sync + 'static,
    D: Send + Sync + 'static,
{
    type Claims = D;
    type Future = MapClaimsFuture<V::Future, F>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        match self.validator.validate(token, request) {
            Answer::Ready(verdict) => Answer::Ready(mapped(verdict, &*self.map)),
            Answer::Pending(verdict) => {
                Answer::Pending(MapClaimsFuture { verdict, map: self.map.clone() })
            }
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<D> {
        self
    }
}

impl<V, F, D> CacheSupport<D> for MapClaims<V, F>
where
    V: ValidateToken,
    F: Fn(&V::Claims) -> D + Send + Sync + 'static,
    D: Send + Sync + 'static,
{
    fn split_at(&self, token: &[u8]) -> usize {
        self.validator.cache_support().split_at(token)
    }

    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<D>>> {
        mapped(Ok(self.validator.cache_support().recall(presented)?), &*self.map).ok()
    }

    fn recheck(&self, validated: &Validated<D>, now: SystemTime) -> Result<(), Rejection> {
        match validated.origin() {
            Some(origin) => self.validator.cache_support().recheck(origin, now),
            // Of another mapping beside this one in a chain, which rechecks it itself.
            None if validated.is_mapped() => Ok(()),
            // Made by the caller, without the claims that the validator would check.
            None => validated.principal().check_expiry(now),
        }
    }

    fn clock(&self) -> Option<Clock> {
        self.validator.cache_support().clock()
    }

    fn generation(&self) -> u64 {
        self.validator.cache_support().generation()
    }
}

fn mapped<C: Send + Sync + 'static, D>(verdict: Verdict<C>, map: impl Fn(&C) -> D) -> Verdict<D> {
    let validated = verdict?;
    let claims = map(validated.claims());
    Ok(Arc::new(Validated::of_origin(validated, claims)))
}

pin_project_lite::pin_project! {
    /// The future of a [`MapClaims`].
    #[must_use = "futures do nothing unless polled"]
    pub struct MapClaimsFuture<F, M> {
        #[pin]
        verdict: F,
        map: Arc<M>,
    }
}

impl<F, M, C, D> Future for MapClaimsFuture<F, M>
where
    F: Future<Output = Verdict<C>>,
    M: Fn(&C) -> D,
    C: Send + Sync + 'static,
{
    type Output = Verdict<D>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(mapped(ready!(this.verdict.poll(cx)), &**this.map))
    }
}

impl<V: Clone, F> Clone for MapClaims<V, F> {
    fn clone(&self) -> Self {
        Self { validator: self.validator.clone(), map: self.map.clone() }
    }
}

opaque_debug!(MapClaims<V: fmt::Debug, F> { validator, .. });

opaque_debug!(MapClaimsFuture < F, M > { .. });
