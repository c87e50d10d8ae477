//! What a cache fetches with: a grant that can be repeated, a session that is renewed by its
//! refresh token, or a user's own closure.

use super::{Error, ErrorKind, Grant, TokenEndpoint, TokenResponse};
use crate::{ClientSecret, ScopeSet};
use std::{
    error::Error as StdError,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

pub(super) type Fetch = Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>;

pub(super) trait Fetcher: Send + Sync {
    fn fetch(&self) -> Fetch;

    /// The scopes that it asks for; none where that is not known.
    fn scopes(&self) -> Option<&ScopeSet> {
        None
    }

    /// Looks at a good answer, and says whether another token can be fetched after it.
    fn accept(&self, response: &TokenResponse) -> bool;
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

    fn accept(&self, _: &TokenResponse) -> bool {
        true
    }
}

/// Asks with the newest refresh token.
pub(super) struct Session {
    pub(super) endpoint: TokenEndpoint,
    /// The scopes and targets of the sign-in.
    pub(super) grant: Grant,
    pub(super) refresh_token: Mutex<Option<ClientSecret>>,
}

impl Fetcher for Session {
    fn fetch(&self) -> Fetch {
        let newest = self.refresh_token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(refresh_token) = newest else {
            return Box::pin(async { Err(Error::sign_in_needed()) });
        };
        let grant = self.grant.for_the_same(Grant::refresh_token(&refresh_token));
        let fetch = self.endpoint.fetch(&grant);
        Box::pin(async move {
            fetch.await.map_err(|error| {
                let refused = error.kind() == ErrorKind::Refused && !error.is_transient();
                // RFC 6749 §5.2: a refresh token that is refused stays so.
                if refused { Error::sign_in_needed() } else { error }
            })
        })
    }

    fn scopes(&self) -> Option<&ScopeSet> {
        Some(self.grant.scopes())
    }

    fn accept(&self, response: &TokenResponse) -> bool {
        let mut newest = self.refresh_token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rotated) = response.refresh_token() {
            *newest = Some(rotated.clone());
        }
        newest.is_some()
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
