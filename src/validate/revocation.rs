use std::fmt;
use tokio::sync::watch;

/// Revokes one token, and ends the requests in flight with it.
///
/// A clone concerns the same token.
#[derive(Clone)]
pub struct Revocation {
    revoked: watch::Sender<bool>,
}

impl Revocation {
    /// Creates the handle of a token that is good.
    #[must_use]
    pub fn new() -> Self {
        Self { revoked: watch::Sender::new(false) }
    }

    /// Revokes the token, for good.
    pub fn revoke(&self) {
        self.revoked.send_replace(true);
    }

    /// Returns `true` if the token was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Waits until the token is revoked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses nothing.
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
