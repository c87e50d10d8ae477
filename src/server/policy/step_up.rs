use crate::{
    RequestHead,
    server::{Authenticated, Policy},
    validate::Rejection,
};
use std::time::Duration;

/// A [`Policy`] that requires a recent or strong authentication of the user
/// ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)).
///
/// A token without the claims for it is not enough.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::server::{RequirePolicy, StepUp};
///
/// let layer = RequirePolicy::new(
///     StepUp::default().with_acr("urn:mfa").with_max_age(Duration::from_secs(300)),
/// );
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StepUp {
    acr: Option<Box<str>>,
    max_age: Option<Duration>,
}

impl StepUp {
    /// Sets the required authentication context (`acr`). Defaults to any.
    pub fn with_acr(mut self, acr: impl Into<Box<str>>) -> Self {
        self.acr = Some(acr.into());
        self
    }

    /// Sets how long ago the user may have authenticated (`auth_time`). Defaults to any age.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}

impl Policy for StepUp {
    fn check(&self, authenticated: &Authenticated, _: RequestHead<'_>) -> Result<(), Rejection> {
        let principal = authenticated.principal();
        let now = authenticated.clock().wall();
        let strong = self.acr.is_none() || principal.acr() == self.acr.as_deref();
        let recent = self.max_age.is_none_or(|max_age| {
            let since = principal.authenticated_at().map(|then| now.duration_since(then));
            since.is_some_and(|since| since.unwrap_or_default() <= max_age)
        });
        match strong && recent {
            true => Ok(()),
            false => Err(Rejection::insufficient_authentication(self.acr.as_deref(), self.max_age)),
        }
    }
}
