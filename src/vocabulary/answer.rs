use std::{fmt, future::Future};

/// The first answer of a [`TokenSource`](crate::client::TokenSource) or a
/// [`ValidateToken`](crate::validate::ValidateToken): known at once, or by a future.
///
/// A token in the cache, a verdict that needs no network: the common answers are there without
/// waiting, and a future that nobody polls need not be built, stored or boxed for them.
pub enum Answer<F: Future> {
    /// The answer itself.
    Ready(F::Output),
    /// The answer comes when this future ends.
    Pending(F),
}

impl<F: Future> Answer<F> {
    /// Changes the type of the pending future, by `pending`, and keeps a ready answer.
    pub fn map_pending<G>(self, pending: impl FnOnce(F) -> G) -> Answer<G>
    where
        G: Future<Output = F::Output>,
    {
        match self {
            Self::Ready(output) => Answer::Ready(output),
            Self::Pending(future) => Answer::Pending(pending(future)),
        }
    }

    /// Waits for the answer where it is not there yet.
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

/// Shows whether the answer is there, never the answer: it may be a token.
impl<F: Future> fmt::Debug for Answer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready(..)",
            Self::Pending(_) => "Pending(..)",
        })
    }
}
