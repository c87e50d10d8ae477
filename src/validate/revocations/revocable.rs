use crate::{
    Answer, Clock, RequestHead,
    validate::{
        CacheSupport, Rejection, RevocationList, TokenFingerprint, ValidateToken, Validated,
        Verdict,
    },
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

/// Refuses the tokens in a list of [`Revocations`](super::Revocations), whatever the validator below
/// finds.
///
/// 1. The list is looked up after each verdict of the validator, also one that waited for the network
///    or was cached. **A revoked token is good for no request beyond those that were let through
///    already.**
/// 2. For requests in flight, [`Authenticated::ended`](crate::server::Authenticated::ended) resolves
///    and the streams of [`EndWithToken`](crate::server::EndWithToken) end.
/// 3. Put it **above** a cache. Below a cache it is correct too, but each revocation then makes the
///    cache forget all verdicts.
///
/// The `Arc` of a [`Verdict`] must be for one token: if a validator returns the same `Arc` for
/// several tokens, requests in flight watch the first of them.
///
/// A clone shares what the validator and the list share in their clones.
#[derive(Clone)]
#[must_use]
pub struct Revocable<V> {
    validator: V,
    list: Arc<dyn RevocationList>,
}

impl<V: ValidateToken> Revocable<V> {
    /// Creates a validator that refuses the tokens of `list`.
    pub fn new(validator: V, list: impl RevocationList) -> Self {
        Self { validator, list: Arc::new(list) }
    }
}

/// Lets requests in flight with the token watch the list.
fn watched<C>(
    list: &Arc<dyn RevocationList>,
    validated: Arc<Validated<C>>,
    token: impl Fn() -> TokenFingerprint,
) -> Arc<Validated<C>> {
    validated.watch().add(list, token);
    validated
}

impl<V: ValidateToken> ValidateToken for Revocable<V> {
    type Claims = V::Claims;
    type Future = RevocableFuture<V::Future>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        let list = &self.list;
        match self.validator.validate(token, request) {
            Answer::Ready(Ok(validated)) if list.is_revoked(token, validated.principal()) => {
                Answer::Ready(Err(Rejection::revoked()))
            }
            Answer::Ready(Ok(validated)) => {
                Answer::Ready(Ok(watched(list, validated, || list.fingerprint(token))))
            }
            Answer::Ready(Err(rejection)) => Answer::Ready(Err(rejection)),
            Answer::Pending(verdict) => {
                let (list, token) = (list.clone(), list.fingerprint(token));
                Answer::Pending(RevocableFuture { verdict, list, token })
            }
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<V::Claims> {
        self
    }
}

impl<V: ValidateToken> CacheSupport<V::Claims> for Revocable<V> {
    fn split_at(&self, token: &[u8]) -> usize {
        self.validator.cache_support().split_at(token)
    }

    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<V::Claims>>> {
        let validated = self.validator.cache_support().recall(presented)?;
        let (list, token) = (&self.list, str::from_utf8(presented).ok()?);
        let revoked = list.is_revoked(token, validated.principal());
        (!revoked).then(|| watched(list, validated, || list.fingerprint(token)))
    }

    fn recheck(&self, validated: &Validated<V::Claims>, now: SystemTime) -> Result<(), Rejection> {
        self.validator.cache_support().recheck(validated, now)
    }

    fn clock(&self) -> Option<Clock> {
        self.validator.cache_support().clock().or_else(|| self.list.clock())
    }

    fn generation(&self) -> u64 {
        self.validator.cache_support().generation().wrapping_add(self.list.changes().count())
    }
}

opaque_debug!(Revocable<V: fmt::Debug> { validator, .. });

pin_project_lite::pin_project! {
    /// The future of a [`Revocable`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RevocableFuture<F> {
        #[pin]
        verdict: F,
        list: Arc<dyn RevocationList>,
        token: TokenFingerprint,
    }
}

impl<F: Future<Output = Verdict<C>>, C> Future for RevocableFuture<F> {
    type Output = Verdict<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict<C>> {
        let this = self.project();
        let validated = ready!(this.verdict.poll(cx))?;
        Poll::Ready(match this.list.is_fingerprint_revoked(this.token, validated.principal()) {
            true => Err(Rejection::revoked()),
            false => Ok(watched(this.list, validated, || *this.token)),
        })
    }
}

opaque_debug!(RevocableFuture<F> { .. });
