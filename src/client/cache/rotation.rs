//! Refresh tokens that outlive the program.

use super::TokenCache;
use crate::{
    ClientSecret, Clock,
    client::{RefreshPolicy, TokenEndpoint, session::Session},
};
use std::sync::Arc;

impl TokenCache {
    /// Goes on with a session of which only the refresh token was kept: the newest, as
    /// [`on_rotation`](Self::on_rotation) told it. The first call has an access token fetched.
    ///
    /// ```
    /// use tower_oauth2::{
    ///     ClientAuthentication, Clock, Transport,
    ///     client::{RefreshPolicy, TokenCache, TokenEndpoint},
    /// };
    ///
    /// # fn keep(_: &str) {}
    /// # let kept = "8xLOxBtZp8";
    /// let endpoint = TokenEndpoint::new(
    ///     "https://as.example/token",
    ///     ClientAuthentication::public("id"),
    ///     Transport::https(),
    /// )?;
    /// let cache = TokenCache::resumed(endpoint, kept, RefreshPolicy::default(), Clock::system())
    ///     .on_rotation(|newest| keep(newest.expose()));
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    #[must_use]
    pub fn resumed(
        endpoint: TokenEndpoint,
        refresh_token: impl Into<ClientSecret>,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let session = Session::resumed(endpoint, refresh_token.into());
        Self::build(Box::new(session), policy, clock, true)
    }

    /// Tells `told` of each new refresh token that a renewal brings, once and before it is used:
    /// to be kept where a restart finds it. It takes the place of what was told before. That of a
    /// sign-in is not told, since the caller has it; a cache without a session tells nothing.
    ///
    /// It runs on the task that fetches: callers wait for it, and it should do no more than a
    /// short write. One that panics fails the renewal; the new refresh token is kept here all the
    /// same.
    #[must_use]
    pub fn on_rotation(self, told: impl Fn(&ClientSecret) + Send + Sync + 'static) -> Self {
        self.shared.fetcher().on_rotation(Arc::new(told));
        self
    }
}
