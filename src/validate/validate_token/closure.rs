//! A closure as a validator.

use super::ValidateToken;
use crate::{
    AccessToken, Answer, RequestHead,
    validate::{Rejection, Validated, Verdict},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

impl<F, Fut, C> ValidateToken for F
where
    F: Fn(AccessToken) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Validated<C>, Rejection>> + Send + 'static,
    C: Send + Sync + 'static,
{
    type Claims = C;
    type Future = FnFuture<Fut>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<FnFuture<Fut>> {
        match AccessToken::new(token) {
            Ok(token) => Answer::Pending(FnFuture { future: self(token) }),
            Err(error) => Answer::Ready(Err(Rejection::invalid(error.to_string()))),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a closure as a [`ValidateToken`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FnFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = Result<Validated<C>, Rejection>>, C> Future for FnFuture<F> {
    type Output = Verdict<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).map(Arc::new))
    }
}

opaque_debug!(FnFuture<F> { .. });
