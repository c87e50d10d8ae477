use super::require_policy::RequirePolicyService;
use crate::{
    ConfigError, ScopeSet,
    server::{Authenticated, Policy},
    validate::Rejection,
};
use std::sync::Arc;
use tower_layer::Layer;

/// Lets only requests through whose token grants certain scopes.
///
/// It stands below a [`RequireToken`](crate::server::RequireToken), on a route or on a subtree; without
/// one above it, every request is answered with 500. A token that grants too little is refused
/// with 403 `insufficient_scope` and one challenge that names all the scopes
/// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use tower_oauth2::{server::{RequireScope, RequireToken}, validate::StaticTokens};
///
/// let app: Router = Router::new()
///     .route("/calls", post(|| async { "called" }))
///     .route_layer(RequireScope::all_of(["write"])?)
///     .route("/calls", get(|| async { "the calls" }))
///     .route_layer(RequireToken::new("api", StaticTokens::new())?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// It is a [`RequirePolicy`](crate::server::RequirePolicy): see there for what holds for all of them.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireScope {
    /// Any of these, each of which is all of its scopes.
    alternatives: Arc<Vec<ScopeSet>>,
}

impl RequireScope {
    /// Asks for every one of `scopes`.
    ///
    /// # Errors
    ///
    /// When there is none, or one is no [`Scope`](crate::Scope).
    pub fn all_of<I>(scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self { alternatives: Arc::new(vec![some(scopes)?]) })
    }

    /// Or for every one of `scopes`. A refusal names the scopes of the first alternative.
    ///
    /// # Errors
    ///
    /// As [`all_of`](Self::all_of).
    pub fn or_all_of<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Arc::make_mut(&mut self.alternatives).push(some(scopes)?);
        Ok(self)
    }
}

fn some<I>(scopes: I) -> Result<ScopeSet, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let scopes = ScopeSet::new(scopes)?;
    match scopes.is_empty() {
        true => Err(ConfigError::new("RequireScope needs at least one scope")),
        false => Ok(scopes),
    }
}

impl Policy for RequireScope {
    fn check(&self, authenticated: &Authenticated) -> Result<(), Rejection> {
        let granted = authenticated.principal().scopes();
        if self.alternatives.iter().any(|scopes| granted.contains_all(scopes)) {
            return Ok(());
        }
        let first = self.alternatives.first().cloned().unwrap_or_default();
        Err(Rejection::insufficient_scope(first))
    }
}

impl<S> Layer<S> for RequireScope {
    type Service = RequirePolicyService<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        RequirePolicyService { inner, policy: self.clone() }
    }
}
