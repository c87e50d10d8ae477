use super::{decide::Whose, extract::Which, settings::Settings};
use crate::{
    Clock, TokenLocation,
    server::TokenId,
    validate::{Principal, Validated},
    vocabulary::race::before,
};
use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

/// What [`RequireToken`](crate::server::RequireToken) hands on in the request's extensions: whose token
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
    which: Which,
    token_id: Option<TokenId>,
    settings: Arc<Settings>,
}

/// [`Validated`] of any claims. One extension of one type serves every validator, so that
/// [`RequireScope`](crate::server::RequireScope) needs to know none.
trait Erased: Any + Send + Sync {
    fn principal(&self) -> &Principal;
    fn good_until(&self) -> Option<SystemTime>;
    fn revoked(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<C: Send + Sync + 'static> Erased for Validated<C> {
    fn principal(&self) -> &Principal {
        Validated::principal(self)
    }

    fn good_until(&self) -> Option<SystemTime> {
        Validated::good_until(self)
    }

    fn revoked(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Validated::revoked(self))
    }
}

impl Authenticated {
    pub(in crate::server) fn new<C: Send + Sync + 'static>(
        validated: Arc<Validated<C>>,
        which: Which,
        token_id: Option<TokenId>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { validated, which, token_id, settings }
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
        self.settings.sources.location(self.which)
    }

    /// Waits until the token is good no longer, a validator's leeway included
    /// ([`Validated::good_until`]): for streams and sockets that outlive the check at their
    /// beginning. A token without expiry that is never revoked keeps it waiting for
    /// ever. The future holds nothing of the request.
    ///
    /// # Panics
    ///
    /// Where the token has an expiry: outside of a tokio runtime, or in one whose timers are off.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub fn ended(&self) -> impl Future<Output = TokenEnd> + Send + use<> {
        let validated = self.validated.clone();
        let clock = self.settings.clock.clone();
        async move {
            let expired = expired(clock, validated.good_until());
            match before(validated.revoked(), expired).await {
                Some(()) => TokenEnd::Revoked,
                None => TokenEnd::Expired,
            }
        }
    }

    pub(in crate::server) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What an audit of a decision about this token says of it.
    pub(in crate::server) fn whose(&self) -> Whose<'_> {
        let (location, principal) = (Some(self.location()), Some(self.principal()));
        Whose { location, token_id: self.token_id, principal }
    }
}

/// Why a token is good no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenEnd {
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// Waits until the wall clock shows `end`, at most an hour at a time: it may be set.
async fn expired(clock: Clock, end: Option<SystemTime>) {
    let Some(end) = end else { return std::future::pending().await };
    while let Ok(left) = end.duration_since(clock.wall()) {
        if left.is_zero() {
            break;
        }
        clock.sleep(left.min(LOOK)).await;
    }
}

const LOOK: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// What an optional [`RequireToken`](crate::server::RequireToken) hands on in the request's extensions in
/// place of an [`Authenticated`], where no token was presented.
#[derive(Clone)]
pub struct Anonymous {
    settings: Arc<Settings>,
}

impl Anonymous {
    pub(in crate::server) fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }

    pub(in crate::server) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl fmt::Debug for Anonymous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anonymous").finish_non_exhaustive()
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("principal", self.principal())
            .field("location", self.location())
            .finish_non_exhaustive()
    }
}
