//! What a cache fetches tokens with.

#[cfg(feature = "store")]
use super::store::{Level, SharedStore, StoreKey};
use super::{machine::Failed, session::Session, step_up::StepUp};
use crate::{
    AccessToken, ScopeSet,
    client::{Error, ErrorKind, Grant, TokenEndpoint, TokenResponse},
    observe::tokens,
};
use std::{future::Future, pin::Pin, sync::Arc};

pub(super) type Fetch = Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>;

/// What a cache fetches tokens with. A clone is the same source.
#[derive(Clone)]
pub(super) enum Source {
    /// A grant that is repeated.
    Grant(Arc<RepeatedGrant>),
    /// The refresh token of a sign-in.
    Session(Arc<Session>),
    /// A closure of the user.
    Closure(Arc<dyn Fn() -> Fetch + Send + Sync>),
}

/// A grant that is repeated, with a store in front of it if there is one.
pub(super) struct RepeatedGrant {
    endpoint: TokenEndpoint,
    grant: Grant,
    step_up: Option<Arc<StepUp>>,
    #[cfg(feature = "store")]
    store: Option<Arc<Level>>,
}

impl Source {
    pub(super) fn grant(endpoint: TokenEndpoint, grant: Grant, ceiling: Option<ScopeSet>) -> Self {
        let step_up = ceiling.map(|ceiling| StepUp::new(grant.scopes().clone(), ceiling).into());
        let (endpoint, grant) = (endpoint.detached(), grant.detached());
        Self::Grant(Arc::new(RepeatedGrant {
            endpoint,
            grant,
            step_up,
            #[cfg(feature = "store")]
            store: None,
        }))
    }

    /// Puts `store` in front of a grant.
    ///
    /// # Errors
    ///
    /// If the tokens of this source are not the same for every replica, or it has a store.
    #[cfg(feature = "store")]
    pub(super) fn with_store(
        &self,
        store: SharedStore,
        refresh: crate::client::RefreshPolicy,
        clock: crate::Clock,
    ) -> Result<Self, crate::ConfigError> {
        // The scopes that a resource asked for are not in the key, nor is what a source holds.
        let Self::Grant(source) = self else { return Err(no_store()) };
        let (_, client) = source.endpoint.identity();
        let is_unknown = client.rotates_its_secret() && client.client_id().is_none();
        if source.step_up.is_some()
            || source.store.is_some()
            || is_unknown
            || source.grant.may_change()
        {
            return Err(no_store());
        }
        let (endpoint, grant) = (source.endpoint.clone(), source.grant.clone());
        let key = StoreKey::of(&endpoint, &grant, store.policy.key_secret());
        let proof = endpoint.key().cloned();
        let store = Some(Level::new(store, key, refresh, clock, proof).into());
        Ok(Self::Grant(Arc::new(RepeatedGrant { endpoint, grant, step_up: None, store })))
    }

    pub(super) fn fetch(&self) -> Fetch {
        match self {
            Self::Grant(source) => source.fetch(),
            Self::Session(session) => Box::pin(session.clone().renew()),
            Self::Closure(fetch) => fetch(),
        }
    }

    /// Takes note of a token that was fetched, and returns `true` if another can be fetched after
    /// it. Called under the lock of the cache.
    pub(super) fn fetched(&self) -> bool {
        self.session().is_none_or(Session::can_renew)
    }

    /// Returns what a fetch that failed with `error` says about the next. Called under the lock of
    /// the cache.
    pub(super) fn failed(&self, error: &Error) -> Failed {
        let lost = self.session().and_then(|session| session.tokens().lost(error));
        match error.is_transient() {
            _ if error.is_sign_in_needed() && self.session().is_some_and(Session::is_shared) => {
                Failed::SignedOut
            }
            _ if error.is_sign_in_needed() => Failed::Gone,
            _ if error.kind() == ErrorKind::Aborted => Failed::Aborted,
            _ if error.kind() == ErrorKind::Paused => Failed::Paused,
            _ if lost.is_some() => lost.unwrap_or(Failed::Transient),
            true => Failed::Transient,
            false if error.is_lasting() => Failed::OfNoUse,
            false => Failed::Permanent,
        }
    }

    /// The same for a token that the user stored.
    pub(super) fn stored(&self, response: &TokenResponse) -> bool {
        if let Some(session) = self.session() {
            session.tokens().replace(response.refresh_token().cloned(), response.resources());
        }
        self.fetched()
    }

    /// Returns the scopes that it asks for, if they are known.
    pub(super) fn scopes(&self) -> Option<ScopeSet> {
        let Self::Grant(source) = self else { return None };
        let wanted = source.step_up.as_ref().map(|step_up| step_up.wanted());
        Some(source.grant.scopes().clone().joined(wanted.unwrap_or_default()))
    }

    /// Returns its name in logs and metrics.
    pub(super) fn labels(&self) -> tokens::Labels {
        let grant_type = match self {
            Self::Grant(source) => source.grant.kind(),
            Self::Session(_) => Some("refresh_token"),
            Self::Closure(_) => None,
        };
        let endpoint = self.endpoint().and_then(TokenEndpoint::label);
        tokens::Labels { endpoint, grant_type: grant_type.map(str::to_owned) }
    }

    /// Returns the session of a sign-in.
    pub(super) fn session(&self) -> Option<&Session> {
        if let Self::Session(session) = self { Some(session) } else { None }
    }

    /// Returns what a resource may make it ask for.
    pub(super) fn step_up(&self) -> Option<&StepUp> {
        if let Self::Grant(source) = self { source.step_up.as_deref() } else { None }
    }

    /// Returns the store in front of it.
    #[cfg(feature = "store")]
    pub(super) fn store(&self) -> Option<&Level> {
        if let Self::Grant(source) = self { source.store.as_deref() } else { None }
    }

    /// Returns in how many fetches that store failed.
    pub(super) fn store_failures(&self) -> u64 {
        #[cfg(feature = "store")]
        return self.store().map_or(0, |store| store.failures());
        #[cfg(not(feature = "store"))]
        0
    }

    /// Returns `true` if `token` came from that store.
    pub(super) fn found(&self, token: &AccessToken) -> bool {
        #[cfg(feature = "store")]
        return self.store().is_some_and(|store| store.found(token));
        #[cfg(not(feature = "store"))]
        (token, false).1
    }

    /// Returns `true` if a secret of its requests may change by itself.
    pub(super) fn rotates_its_secret(&self) -> bool {
        matches!(self, Self::Grant(source) if source.grant.may_change())
            || self.endpoint().is_some_and(TokenEndpoint::rotates_its_secret)
    }

    /// Returns `true` if a secret has changed since it was last sent.
    pub(super) fn has_another_secret(&self) -> bool {
        matches!(self, Self::Grant(source) if source.grant.has_changed())
            || self.endpoint().is_some_and(TokenEndpoint::has_another_secret)
    }

    pub(super) fn endpoint(&self) -> Option<&TokenEndpoint> {
        match self {
            Self::Grant(source) => Some(&source.endpoint),
            Self::Session(session) => Some(session.endpoint()),
            Self::Closure(_) => None,
        }
    }
}

impl RepeatedGrant {
    fn fetch(&self) -> Fetch {
        let Some(step_up) = self.step_up.clone() else {
            let fetch = self.endpoint.fetch(&self.grant);
            #[cfg(feature = "store")]
            if let Some(store) = self.store.clone() {
                return Box::pin(async move { store.fetch(fetch).await });
            }
            return Box::pin(fetch);
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
}

#[cfg(feature = "store")]
fn no_store() -> crate::ConfigError {
    crate::ConfigError::new(
        "a store is for the tokens of an endpoint and a grant, not of a session or a closure",
    )
}
