//! Validators behind a shared pointer.

use super::{CacheSupport, ValidateToken};
use crate::{Answer, RequestHead, validate::Verdict};
use std::{pin::Pin, sync::Arc};

/// The boxed future of a verdict.
pub type BoxVerdictFuture<C> = Pin<Box<dyn Future<Output = Verdict<C>> + Send>>;

/// A validator of any type, made by [`ValidateToken::into_shared`].
pub type SharedValidator<C = ()> = Arc<dyn ValidateToken<Claims = C, Future = BoxVerdictFuture<C>>>;

impl<V: ValidateToken + ?Sized> ValidateToken for Arc<V> {
    type Claims = V::Claims;
    type Future = V::Future;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        (**self).validate(token, request)
    }

    fn cache_support(&self) -> &dyn CacheSupport<V::Claims> {
        (**self).cache_support()
    }
}

/// A validator whose future is boxed.
#[derive(Clone, Debug)]
pub(super) struct Boxed<V>(pub(super) V);

impl<V: ValidateToken> ValidateToken for Boxed<V> {
    type Claims = V::Claims;
    type Future = BoxVerdictFuture<V::Claims>;

    fn validate(&self, token: &str, request: RequestHead<'_>) -> Answer<Self::Future> {
        let boxed = |future| Box::pin(future) as BoxVerdictFuture<V::Claims>;
        self.0.validate(token, request).map_pending(boxed)
    }

    fn cache_support(&self) -> &dyn CacheSupport<V::Claims> {
        self.0.cache_support()
    }
}
