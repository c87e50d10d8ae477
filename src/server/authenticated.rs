use super::layer::Settings;
use crate::{
    TokenLocation,
    validate::{Principal, Validated},
};
use std::{any::Any, fmt, sync::Arc};

/// What [`RequireToken`](super::RequireToken) hands on in the request's extensions: whose token
/// it is, what the validator knows beyond that, and where the token was.
///
/// A clone shares the contents.
///
/// ```
/// use http::Request;
/// use tower_oauth2::server::Authenticated;
///
/// fn who<B>(request: &Request<B>) -> Option<&str> {
///     request.extensions().get::<Authenticated>()?.principal().subject()
/// }
/// ```
#[derive(Clone)]
pub struct Authenticated {
    validated: Arc<dyn Erased>,
    location: TokenLocation,
    settings: Arc<Settings>,
}

/// [`Validated`] of any claims. One extension of one type serves every validator, so that
/// [`RequireScope`](super::RequireScope) needs to know none.
trait Erased: Any + Send + Sync {
    fn principal(&self) -> &Principal;
}

impl<C: Send + Sync + 'static> Erased for Validated<C> {
    fn principal(&self) -> &Principal {
        Validated::principal(self)
    }
}

impl Authenticated {
    pub(super) fn new<C: Send + Sync + 'static>(
        validated: Arc<Validated<C>>,
        location: TokenLocation,
        settings: Arc<Settings>,
    ) -> Self {
        Self { validated, location, settings }
    }

    /// Whose token it is, and what it allows.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.validated.principal()
    }

    /// The claims of a validator whose [`Claims`](crate::validate::ValidateToken::Claims) are
    /// `C`; nothing where they are of another type.
    #[must_use]
    pub fn claims<C: Send + Sync + 'static>(&self) -> Option<&C> {
        let any: &dyn Any = &*self.validated;
        any.downcast_ref::<Validated<C>>().map(Validated::claims)
    }

    /// Where the token was.
    #[must_use]
    pub fn location(&self) -> &TokenLocation {
        &self.location
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("principal", self.principal())
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
