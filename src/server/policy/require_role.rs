use super::require_policy::RequirePolicyService;
use crate::{
    ConfigError, RequestHead,
    server::{Authenticated, Policy},
    validate::Rejection,
};
use std::sync::Arc;
use tower_layer::Layer;

/// What a caller without a role learns.
pub(in crate::server) const MISSING_ROLE: &str = "a role is missing";

/// Lets only requests through whose token says that its holder has the required roles
/// ([`Principal::roles`](crate::validate::Principal::roles)), compared byte for byte.
///
/// The layer refuses other tokens with 403, without a challenge: a client cannot ask for a role. The
/// validator has to be told which claims hold roles. It is a
/// [`RequirePolicy`](crate::server::RequirePolicy): its docs apply here too.
///
/// ```
/// use tower_oauth2::{
///     server::{RequireRole, RequireToken},
///     validate::{Jwks, JwtValidator, TrustedIssuer},
/// };
/// # use tower_oauth2::Transport;
///
/// # let keys = Jwks::from_issuer("https://sso.example/realms/acme", Transport::https())?;
/// let issuer = TrustedIssuer::new("https://sso.example/realms/acme", keys)
///     .with_audience(["my-api"])
///     .with_role_claims(["/realm_access/roles"])?;
/// let layer = RequireToken::new("api", JwtValidator::new(issuer)?)?;
/// let below = RequireRole::any_of(["admin", "operator"])?;
/// # let _ = (layer, below);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireRole {
    roles: Vec<Box<str>>,
    all: bool,
}

impl RequireRole {
    /// Requires one of `roles`.
    ///
    /// # Errors
    ///
    /// When `roles` is empty.
    pub fn any_of<I: IntoIterator<Item: Into<Box<str>>>>(roles: I) -> Result<Self, ConfigError> {
        let roles: Vec<_> = roles.into_iter().map(Into::into).collect();
        match roles.is_empty() {
            true => Err(ConfigError::new("RequireRole needs a role: none is named")),
            false => Ok(Self { roles, all: false }),
        }
    }

    /// Requires all of `roles`.
    ///
    /// # Errors
    ///
    /// When `roles` is empty.
    pub fn all_of<I: IntoIterator<Item: Into<Box<str>>>>(roles: I) -> Result<Self, ConfigError> {
        Ok(Self { all: true, ..Self::any_of(roles)? })
    }
}

impl Policy for RequireRole {
    fn check(&self, authenticated: &Authenticated, _: RequestHead<'_>) -> Result<(), Rejection> {
        let (principal, mut roles) = (authenticated.principal(), self.roles.iter());
        let is_enough = match self.all {
            true => roles.all(|role| principal.has_role(role)),
            false => roles.any(|role| principal.has_role(role)),
        };
        match is_enough {
            true => Ok(()),
            false => Err(Rejection::forbidden(MISSING_ROLE)),
        }
    }
}

impl<S> Layer<S> for RequireRole {
    type Service = RequirePolicyService<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        RequirePolicyService { inner, policy: Arc::new(self.clone()) }
    }
}
