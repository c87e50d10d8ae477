use super::JwtValidator;
use crate::validate::{Verdict, jwks::Wait};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use zeroize::Zeroizing;

/// The future of a [`JwtValidator`](super::JwtValidator), which waits for keys.
#[must_use = "futures do nothing unless polled"]
pub struct JwtFuture<C> {
    // Boxed: only a token that arrives before its key gets here.
    verdict: Pin<Box<dyn Future<Output = Verdict<C>> + Send>>,
}

impl<C: Send + Sync + 'static> JwtFuture<C> {
    pub(super) fn new(validator: JwtValidator<C>, token: &str, wait: Wait) -> Self {
        let token = Zeroizing::new(token.to_owned());
        let verdict = async move {
            let mut wait = wait;
            loop {
                // A look-up waits twice at most for the keys of one issuer.
                match validator.judge(&token, Some(wait.over().await)) {
                    Ok(verdict) => return verdict,
                    Err(next) => wait = next,
                }
            }
        };
        Self { verdict: Box::pin(verdict) }
    }
}

impl<C> Future for JwtFuture<C> {
    type Output = Verdict<C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.verdict.as_mut().poll(cx)
    }
}

opaque_debug!(JwtFuture<C> { .. });
