use super::require_policy::RequirePolicyService;
use crate::{
    ConfigError, RequestHead, ScopeSet,
    server::{Authenticated, Policy},
    validate::Rejection,
};
use std::sync::Arc;
use tower_layer::Layer;

/// Lets only requests through that have a token with the required scopes.
///
/// The layer refuses other tokens with 403 `insufficient_scope`, and one challenge that names all the
/// scopes ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). It is a
/// [`RequirePolicy`](crate::server::RequirePolicy): its docs apply here too.
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
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireScope {
    /// A token must grant all scopes of one of these.
    alternatives: Vec<ScopeSet>,
}

impl RequireScope {
    /// Requires all of `scopes`.
    ///
    /// # Errors
    ///
    /// When `scopes` is empty, or one is not a [`Scope`](crate::Scope).
    pub fn all_of<I: IntoIterator<Item: AsRef<str>>>(scopes: I) -> Result<Self, ConfigError> {
        Ok(Self { alternatives: vec![at_least_one(scopes, "all_of")?] })
    }

    /// Also accepts tokens that have all of `scopes`. A refusal names the scopes of the first
    /// alternative.
    ///
    /// # Errors
    ///
    /// As [`all_of`](Self::all_of).
    pub fn or_all_of<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.alternatives.push(at_least_one(scopes, "or_all_of")?);
        Ok(self)
    }
}

fn at_least_one<I>(scopes: I, setter: &str) -> Result<ScopeSet, ConfigError>
where
    I: IntoIterator<Item: AsRef<str>>,
{
    let scopes = ScopeSet::new(scopes)?;
    match scopes.is_empty() {
        true => Err(ConfigError::new(format!("RequireScope needs a scope: {setter} names none"))),
        false => Ok(scopes),
    }
}

impl Policy for RequireScope {
    fn check(&self, authenticated: &Authenticated, _: RequestHead<'_>) -> Result<(), Rejection> {
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
        RequirePolicyService { inner, policy: Arc::new(self.clone()) }
    }
}
