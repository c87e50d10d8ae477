//! The life of a cache: its begin, what may be seen of it, and its end.

use super::{TokenCache, flight::Waiter, machine};
use crate::client::{Error, TokenRevocation, TokenStatus};

impl TokenCache {
    /// Fetches a token where there is none that may be sent, as a caller would: at the start of a
    /// program, before the first call needs it.
    ///
    /// # Errors
    ///
    /// Why there is still none when the patience of [`RefreshPolicy`] ends. The cache is as good
    /// as before: the next call tries again.
    ///
    /// # Panics
    ///
    /// As [a caller](Self#panics).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    ///
    /// [`RefreshPolicy`]: crate::client::RefreshPolicy
    pub async fn warm_up(&self) -> Result<(), Error> {
        let patience = self.shared.patience();
        let give_up = machine::after(self.shared.now().monotonic, patience);
        let waiter = Waiter::new(self.shared.clone(), give_up, patience.is_zero());
        waiter.token().await.map(drop)
    }

    /// How the cache is doing. It holds no secret, and is quick even while a fetch hangs.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        self.shared.status()
    }

    /// Waits until something has happened since `since`: a fetch began or ended, or a token was
    /// stored, rejected, revoked, or the cache shut down. That a token becomes old by time alone
    /// is no such event.
    ///
    /// ```
    /// # use tower_oauth2::client::TokenCache;
    /// async fn watch(cache: TokenCache) {
    ///     let mut status = cache.status();
    ///     loop {
    ///         status = cache.changed(&status).await;
    ///         println!("{:?}", status.state());
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever asks again with the same status misses nothing.
    pub async fn changed(&self, since: &TokenStatus) -> TokenStatus {
        self.shared.news().changed(since.events).await;
        self.status()
    }

    /// Takes the token out of use and has `endpoint` revoke it; the refresh token of a sign-in
    /// too, which ends the session. Where tokens can be fetched without the user, the next call
    /// has another fetched. Without a token nothing is sent. Before that it is
    /// [removed](crate::client::TokenStore::remove) from the [store](Self::with_store), if that can
    /// and is not down, so that no other replica finds it; one that has it already uses it until it
    /// is rejected.
    ///
    /// A renewal of a session that is in flight is not kept, and its refresh token revoked when it
    /// comes: one request, of whose failure nobody is told.
    ///
    /// # Errors
    ///
    /// When the server did not revoke what it was asked to. The cache has forgotten it all the
    /// same; whoever stole it can use it until it expires.
    ///
    /// # Panics
    ///
    /// As [`TokenRevocation::revoke`], where there is a token to revoke.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled the token is out of use; whether the server knows is then unknown.
    pub async fn revoke(&self, endpoint: &TokenRevocation) -> Result<(), Error> {
        let (token, refresh_token) = self.shared.give_up(endpoint);
        if let Some(token) = &token {
            self.shared.fetcher().withdraw(token).await;
        }
        let refresh_revoked = match &refresh_token {
            Some(token) => endpoint.revoke(token.expose(), "refresh_token").await,
            None => Ok(()),
        };
        let revoked = match &token {
            Some(token) => endpoint.revoke(token.expose(), "access_token").await,
            None => Ok(()),
        };
        refresh_revoked.and(revoked)
    }

    /// Ends the cache and all its clones: a fetch in flight is dropped, tokens are forgotten, and
    /// whoever asks or waits for one gets an error of the kind [`ShutDown`]. What is stored from
    /// now on is not kept.
    ///
    /// One request goes on, as after the last clone is dropped: a renewal of a session, of which the
    /// server may have used up the refresh token. No longer than a fetch may take
    /// ([`with_fetch_deadline`]), and for nothing but to tell [`on_rotation`](Self::on_rotation) the
    /// new one; a program that ends should leave its runtime that time.
    ///
    /// [`with_fetch_deadline`]: crate::client::RefreshPolicy::with_fetch_deadline
    /// [`ShutDown`]: crate::client::ErrorKind::ShutDown
    pub fn shutdown(&self) {
        self.shared.shut_down();
    }
}
