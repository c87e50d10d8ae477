//! What a cache fetches with: a grant that can be repeated, a session that is renewed by its
//! refresh token, or a user's own closure.

use super::{Error, Grant, TokenEndpoint, TokenResponse};
use crate::{ClientSecret, ScopeSet, observe::tokens::Source};
use std::{
    error::Error as StdError,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(super) type Fetch = Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>;

pub(super) trait Fetcher: Send + Sync {
    fn fetch(&self) -> Fetch;

    /// The scopes that it asks for; none where that is not known.
    fn scopes(&self) -> Option<&ScopeSet> {
        None
    }

    /// What it is called in logs and counters.
    fn source(&self) -> Source {
        Source::default()
    }

    /// Looks at a good answer to a fetch, and says whether another token can be fetched after it.
    /// It is called under the lock of the cache.
    fn accept(&self, response: &TokenResponse) -> bool;

    /// The same for an answer that came in from outside: that of another sign-in.
    fn adopt(&self, response: &TokenResponse) -> bool {
        self.accept(response)
    }

    /// Gives up what it fetches with, where that is a refresh token.
    fn forget(&self) -> Option<ClientSecret> {
        None
    }
}

/// Asks for the same again each time.
pub(super) struct Repeat {
    pub(super) endpoint: TokenEndpoint,
    pub(super) grant: Grant,
}

impl Fetcher for Repeat {
    fn fetch(&self) -> Fetch {
        Box::pin(self.endpoint.fetch(&self.grant))
    }

    fn scopes(&self) -> Option<&ScopeSet> {
        Some(self.grant.scopes())
    }

    fn source(&self) -> Source {
        let grant_type = self.grant.kind().map(str::to_owned);
        Source { endpoint: self.endpoint.place(), grant_type }
    }

    fn accept(&self, _: &TokenResponse) -> bool {
        true
    }
}

/// Asks with the newest refresh token.
pub(super) struct Session {
    pub(super) endpoint: TokenEndpoint,
    /// The scopes and targets of the sign-in.
    pub(super) grant: Grant,
    pub(super) refresh_tokens: Mutex<RefreshTokens>,
}

#[derive(Default)]
pub(super) struct RefreshTokens {
    newest: Option<ClientSecret>,
    /// What the last fetch was made with.
    sent: Option<ClientSecret>,
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, RefreshTokens> {
        self.refresh_tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetcher for Session {
    fn fetch(&self) -> Fetch {
        let mut tokens = self.lock();
        tokens.sent = tokens.newest.clone();
        let Some(refresh_token) = tokens.newest.clone() else {
            return Box::pin(async { Err(Error::sign_in_needed()) });
        };
        drop(tokens);
        let grant = self.grant.for_the_same(Grant::refresh_token(&refresh_token));
        let fetch = self.endpoint.fetch(&grant);
        Box::pin(async move {
            fetch.await.map_err(|error| {
                // RFC 6749 §5.2: a refresh token that is refused stays so. A client that is
                // refused may be let in again.
                let gone = error.code() == Some("invalid_grant") && !error.is_transient();
                if gone { Error::sign_in_needed() } else { error }
            })
        })
    }

    fn scopes(&self) -> Option<&ScopeSet> {
        Some(self.grant.scopes())
    }

    fn source(&self) -> Source {
        let grant_type = Some("refresh_token".to_owned());
        Source { endpoint: self.endpoint.place(), grant_type }
    }

    /// A rotated token takes the place of the one that was sent, never that of another sign-in
    /// which came in meanwhile.
    fn accept(&self, response: &TokenResponse) -> bool {
        let mut tokens = self.lock();
        let RefreshTokens { newest, sent } = &*tokens;
        let sent = sent.as_ref().map(ClientSecret::expose);
        let current = sent == newest.as_ref().map(ClientSecret::expose);
        if let Some(rotated) = response.refresh_token().filter(|_| current) {
            tokens.newest = Some(rotated.clone());
        }
        tokens.newest.is_some()
    }

    fn adopt(&self, response: &TokenResponse) -> bool {
        let mut tokens = self.lock();
        tokens.newest = response.refresh_token().cloned();
        tokens.newest.is_some()
    }

    fn forget(&self) -> Option<ClientSecret> {
        let mut tokens = self.lock();
        tokens.sent = None;
        tokens.newest.take()
    }
}

/// Asks a closure.
pub(super) struct FromFn<F>(pub(super) F);

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
