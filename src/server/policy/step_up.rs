use crate::{
    RequestHead,
    server::{Authenticated, Policy},
    validate::{MAX_LEEWAY, Rejection},
};
use std::time::{Duration, SystemTime};

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

    /// Sets how long ago the user may have authenticated (`auth_time`). A time that lies ahead by more
    /// than 5 min is not recent. Defaults to any age.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}

/// Returns the time since `then`, or `None` if that is ahead by more than clocks may differ.
fn age(then: SystemTime, now: SystemTime) -> Option<Duration> {
    let is_near = |ahead: Duration| (ahead <= MAX_LEEWAY).then_some(Duration::ZERO);
    now.duration_since(then).map_or_else(|error| is_near(error.duration()), Some)
}

impl Policy for StepUp {
    fn check(&self, authenticated: &Authenticated, _: RequestHead<'_>) -> Result<(), Rejection> {
        let principal = authenticated.principal();
        let now = authenticated.clock().wall();
        let strong = self.acr.is_none() || principal.acr() == self.acr.as_deref();
        let recent = self.max_age.is_none_or(|max_age| {
            let age = principal.authenticated_at().and_then(|then| age(then, now));
            age.is_some_and(|age| age <= max_age)
        });
        match strong && recent {
            true => Ok(()),
            false => Err(Rejection::insufficient_authentication(self.acr.as_deref(), self.max_age)),
        }
    }
}
