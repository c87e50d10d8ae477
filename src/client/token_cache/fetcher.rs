//! What a cache fetches with: a grant that can be repeated, a [session](crate::client::token_cache::session), or a
//! user's own closure.

use super::{session::OnRotation, step_up::StepUp};
use crate::{
    AccessToken, ClientSecret, ScopeSet,
    client::{Error, Grant, StoreKey, TokenEndpoint, TokenResponse, TokenRevocation},
    observe::tokens::Labels,
};
use std::{
    error::Error as StdError,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

pub(in crate::client) type Fetch =
    Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>;

pub(in crate::client) type Withdrawal<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub(in crate::client) trait Fetcher: Send + Sync {
    fn fetch(&self) -> Fetch;

    /// The scopes that it asks for; none where that is not known.
    fn scopes(&self) -> Option<ScopeSet> {
        None
    }

    /// What it is called in logs and counters.
    fn source(&self) -> Labels {
        Labels::default()
    }

    /// What a resource may make it ask for; none where it asks for the same whatever one says.
    fn step_up(&self) -> Option<&StepUp> {
        None
    }

    /// Looks at a good answer to a fetch, and says whether another token can be fetched after it.
    /// It is called under the lock of the cache.
    fn accept(&self, response: &TokenResponse) -> bool;

    /// The same for an answer that came in from outside: that of another sign-in.
    fn adopt(&self, response: &TokenResponse) -> bool {
        self.accept(response)
    }

    /// Gives up what it fetches with, where that is a refresh token. One that is on its way to take
    /// its place is revoked at `endpoint`, or told of where there is none.
    fn forget(&self, endpoint: Option<&TokenRevocation>) -> Option<ClientSecret> {
        let _ = endpoint;
        None
    }

    /// Tells `told` of each new refresh token, where there are any.
    fn on_rotation(&self, told: OnRotation) {
        drop(told);
    }

    /// Names `resources` in each renewal; whether there are any.
    fn renew_for(&self, resources: &[String]) -> bool {
        let _ = resources;
        false
    }

    /// Whether the client's secret may become another by itself.
    fn rotates_its_secret(&self) -> bool {
        false
    }

    /// Whether the client's secret is another than at the last fetch.
    fn has_another_secret(&self) -> bool {
        false
    }

    /// Under which key its tokens may be shared; none where everybody has their own.
    fn store_key(&self, key_secret: Option<&ClientSecret>) -> Option<StoreKey> {
        let _ = key_secret;
        None
    }

    /// Takes `token` from others that could find it.
    fn withdraw<'a>(&'a self, token: &'a AccessToken) -> Withdrawal<'a> {
        let _ = token;
        Box::pin(ready(()))
    }

    /// How often its store failed.
    fn store_failures(&self) -> u64 {
        0
    }
}

/// Asks for the same again each time.
pub(in crate::client) struct Repeat {
    pub(in crate::client) endpoint: TokenEndpoint,
    pub(in crate::client) grant: Grant,
    pub(in crate::client) step_up: Option<Arc<StepUp>>,
}

impl Fetcher for Repeat {
    fn fetch(&self) -> Fetch {
        let Some(step_up) = self.step_up.clone() else {
            return Box::pin(self.endpoint.fetch(&self.grant));
        };
        let wanted = step_up.wanted();
        let scopes = self.grant.scopes().clone().joined(wanted.clone());
        let fetch = self.endpoint.fetch(&self.grant.clone().with_scopes(scopes));
        Box::pin(async move {
            let answer = fetch.await;
            match &answer {
                Ok(_) => step_up.fetched(&wanted),
                Err(error) => step_up.failed(&wanted, error),
            }
            answer
        })
    }

    fn scopes(&self) -> Option<ScopeSet> {
        let wanted = self.step_up.as_ref().map(|step_up| step_up.wanted());
        Some(self.grant.scopes().clone().joined(wanted.unwrap_or_default()))
    }

    fn step_up(&self) -> Option<&StepUp> {
        self.step_up.as_deref()
    }

    fn source(&self) -> Labels {
        let grant_type = self.grant.kind().map(str::to_owned);
        Labels { endpoint: self.endpoint.place(), grant_type }
    }

    fn accept(&self, _: &TokenResponse) -> bool {
        true
    }

    fn store_key(&self, key_secret: Option<&ClientSecret>) -> Option<StoreKey> {
        // What a resource made it ask for is not in the key.
        let stays = self.step_up.is_none();
        stays.then(|| StoreKey::of(&self.endpoint, &self.grant, key_secret))
    }

    fn rotates_its_secret(&self) -> bool {
        self.endpoint.rotates_its_secret()
    }

    fn has_another_secret(&self) -> bool {
        self.endpoint.has_another_secret()
    }
}

/// Asks a closure.
pub(in crate::client) struct FromFn<F>(pub(in crate::client) F);

impl<F, Fut, E> Fetcher for FromFn<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<TokenResponse, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn fetch(&self) -> Fetch {
        let fetch = (self.0)();
        Box::pin(async move { fetch.await.map_err(Error::from_source) })
    }

    fn accept(&self, _: &TokenResponse) -> bool {
        true
    }
}
