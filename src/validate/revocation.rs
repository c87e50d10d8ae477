use std::fmt;
use tokio::sync::watch;

/// Says of one token that it was taken back, to the requests that are under way with it.
///
/// A clone is about the same token.
#[derive(Clone)]
pub struct Revocation {
    revoked: watch::Sender<bool>,
}

impl Revocation {
    /// Of a token that is good.
    #[must_use]
    pub fn new() -> Self {
        Self { revoked: watch::Sender::new(false) }
    }

    /// The token is taken back, from now on and for ever.
    pub fn revoke(&self) {
        self.revoked.send_replace(true);
    }

    /// Whether it was taken back.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Waits until it is taken back.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub async fn revoked(&self) {
        // The sender is in `self`, so the channel does not close.
        let _ = self.revoked.subscribe().wait_for(|revoked| *revoked).await;
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").field("revoked", &self.is_revoked()).finish()
    }
}
