//! Refresh tokens that outlive the program.

use super::{TokenCache, session::Session};
use crate::{
    ClientSecret, Clock, ConfigError,
    client::{
        RefreshPolicy, TokenEndpoint,
        token_endpoint::grant::{RESOURCE, absolute},
    },
};
use std::sync::Arc;

impl TokenCache {
    /// Goes on with a session of which only the refresh token was kept: the newest, as
    /// [`on_rotation`](Self::on_rotation) told it. The first call has an access token fetched.
    /// Resources that the sign-in named have to be [named again](Self::with_resources).
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
        let session = Session::new(endpoint, &policy, &clock);
        session.resume(refresh_token.into());
        Self::build(Box::new(session), policy, clock, true)
    }

    /// Tells `told` of each new refresh token that a renewal brings, once and before it is used:
    /// to be kept where a restart finds it. It takes the place of what was told before. That of a
    /// sign-in is not told, since the caller has it; a cache without a session tells nothing.
    ///
    /// It runs on the task that renews, even after the cache was shut down or dropped meanwhile:
    /// callers wait for it, and it should do no more than a short write. One that panics fails the
    /// renewal; the new refresh token is kept here all the same.
    #[must_use]
    pub fn on_rotation(self, told: impl Fn(&ClientSecret) + Send + Sync + 'static) -> Self {
        self.shared.fetcher().on_rotation(Arc::new(told));
        self
    }

    /// Names `resources`, and no others, in each renewal of the session from now on
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). Name none for a server
    /// that takes them at a sign-in alone. Defaults to those of the
    /// [sign-in](crate::client::SignIn::with_resource) whose token is held.
    ///
    /// ```
    /// # use tower_oauth2::{ConfigError, client::TokenCache};
    /// fn resumed(cache: TokenCache) -> Result<TokenCache, ConfigError> {
    ///     cache.with_resources(&["https://api.example/v1"])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When one is no absolute URI without a fragment, or the cache has no session.
    pub fn with_resources(self, resources: &[&str]) -> Result<Self, ConfigError> {
        let resources = resources.iter().map(|it| absolute("a resource", RESOURCE, (*it).into()));
        let resources = resources.collect::<Result<Vec<_>, _>>()?;
        match self.shared.fetcher().renew_for(&resources) {
            true => Ok(self),
            false => Err(ConfigError::new(
                "the token cache has no session to renew: Grant::with_resource is for other grants",
            )),
        }
    }
}
