use std::fmt;

/// The answer of a [`TokenSource`](crate::client::TokenSource) or a
/// [`ValidateToken`](crate::validate::ValidateToken): ready, or a future.
///
/// The common answers, a cached token or a verdict that needs no network, are ready: no future is
/// built, stored or boxed for them.
pub enum Answer<F: Future> {
    /// The answer itself.
    Ready(F::Output),
    /// The future that returns the answer.
    Pending(F),
}

impl<F: Future> Answer<F> {
    /// Maps the pending future with `pending`, and keeps a ready answer.
    pub fn map_pending<G>(self, pending: impl FnOnce(F) -> G) -> Answer<G>
    where
        G: Future<Output = F::Output>,
    {
        match self {
            Self::Ready(output) => Answer::Ready(output),
            Self::Pending(future) => Answer::Pending(pending(future)),
        }
    }

    /// Returns the answer, after waiting for it if it is pending.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as the pending future.
    pub async fn wait(self) -> F::Output {
        match self {
            Self::Ready(output) => output,
            Self::Pending(future) => future.await,
        }
    }
}

/// Shows `Ready` or `Pending`, never the answer, which may be a token.
impl<F: Future> fmt::Debug for Answer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready(..)",
            Self::Pending(_) => "Pending(..)",
        })
    }
}
