use super::{
    audit::{TokenDetails, TokenId},
    extract::LocationIndex,
    refuse::Refusal,
    settings::Settings,
};
use crate::{
    Clock, RequestHead, TokenLocation,
    validate::{Principal, Rejection, Validated},
    vocabulary::race::before,
};
use http::Response;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The good token of a request: its principal, the validator's claims, and where it was.
/// [`RequireToken`](crate::server::RequireToken) puts it into the request's extensions.
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
    validated: Arc<dyn AnyValidated>,
    index: LocationIndex,
    token_id: Option<TokenId>,
    settings: Arc<Settings>,
}

/// [`Validated`] of any claims. All validators share one extension type, so that
/// [`RequireScope`](crate::server::RequireScope) works with each of them.
trait AnyValidated: Any + Send + Sync {
    fn principal(&self) -> &Principal;
    fn good_until(&self) -> Option<SystemTime>;
    fn revoked(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<C: Send + Sync + 'static> AnyValidated for Validated<C> {
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
    pub(super) fn new<C: Send + Sync + 'static>(
        validated: Arc<Validated<C>>,
        index: LocationIndex,
        token_id: Option<TokenId>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { validated, index, token_id, settings }
    }

    /// Returns the principal of the token.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.validated.principal()
    }

    /// Returns the validator's claims, if its [`Claims`](crate::validate::ValidateToken::Claims) are
    /// of type `C`.
    #[must_use]
    pub fn claims<C: Send + Sync + 'static>(&self) -> Option<&C> {
        let any: &dyn Any = &*self.validated;
        any.downcast_ref::<Validated<C>>().map(Validated::claims)
    }

    /// Returns where the token was.
    #[must_use]
    pub fn location(&self) -> &TokenLocation {
        self.settings.sources.location(self.index)
    }

    /// Waits until the token expires ([`Validated::good_until`], which includes the validator's
    /// leeway) or is revoked, by itself or because its issuer was removed: `TokenEnd::Expired` or
    /// `TokenEnd::Revoked`. For streams and sockets, which outlive the check of their request.
    ///
    /// The future never resolves for a token that neither expires nor is revoked. It borrows nothing
    /// of the request.
    ///
    /// Resolves to [`Expired`](TokenEnd::Expired) at once if the token expires and there is no tokio
    /// runtime with timers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
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

    pub(in crate::server) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Refuses the request of `head`, which presented this token.
    pub(in crate::server) fn refuse<R: Default>(
        &self,
        rejection: Rejection,
        head: RequestHead<'_>,
    ) -> Response<R> {
        let (location, principal) = (Some(self.location()), Some(self.principal()));
        let token = TokenDetails { location, id: self.token_id, principal };
        Refusal { rejection, token }.into_response(&self.settings, head)
    }
}

/// Why a token is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenEnd {
    /// It expired.
    Expired,
    /// It was revoked, or its issuer was removed.
    Revoked,
}

/// Waits until the wall clock shows `end`.
async fn expired(clock: Clock, end: Option<SystemTime>) {
    let Some(end) = end else { return std::future::pending().await };
    while let Ok(left) = end.duration_since(clock.wall()) {
        // Without timers nothing would tell when the token expires.
        if left.is_zero() || !clock.has_timers() {
            break;
        }
        clock.sleep(left.min(MAX_SLEEP)).await;
    }
}

/// The wall clock is read again this often, since it may be set.
const MAX_SLEEP: Duration = Duration::from_secs(60 * 60);

/// The extension of a request that [`RequireToken`](crate::server::RequireToken) let through without a
/// good token, in place of an [`Authenticated`].
#[derive(Clone)]
pub struct Anonymous {
    settings: Arc<Settings>,
}

impl Anonymous {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }

    /// Refuses the request of `head`, which needs a token.
    pub(in crate::server) fn refuse<R: Default>(&self, head: RequestHead<'_>) -> Response<R> {
        Refusal::missing().into_response(&self.settings, head)
    }
}

opaque_debug!(Anonymous { .. });

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("principal", self.principal())
            .field("location", self.location())
            .finish_non_exhaustive()
    }
}
