//! Judges access tokens that are JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)).
//!
//! **In**: a token, and the keys of its issuer. **Out**: the principal that its claims name. **Uses** `jwks`.

mod future;
mod header;
mod issuer;
mod issuers;
mod judge;
mod known_headers;
mod named;
mod rules;
mod template;

pub use future::JwtFuture;
pub use issuer::TrustedIssuer;
pub use issuers::Issuers;
pub use named::issued_by;

use super::{
    CacheSupport, Rejection, ValidateToken, Validated, Verdict,
    claims::unreadable,
    jwks::{Seen, Wait},
    times::Leeway,
};
use crate::{Answer, Clock, ConfigError, RequestHead, back_channel::json, jose::signature_at};
use judge::{Judge, Judged, NotAccepted, USUAL_PAYLOAD};
use rules::Rules;
use serde_core::de::DeserializeOwned;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Judges access tokens that are JWTs, by the keys of their issuers.
///
/// 1. The checks without a key come first: shape, header, `crit`, algorithm, issuer, type, times,
///    audience. A token that fails them gets the answer of a wrong signature and costs neither a
///    verification nor a request: no keys of an unknown issuer are fetched.
/// 2. The signature is verified with a key of the issuer for that algorithm. Keys in the token
///    (`jwk`, `jku`, `x5c`, `x5u`) are ignored. While the keys cannot be fetched the answer is 503,
///    never 401.
/// 3. A token that is bound to a key (`cnf`) is refused: it needs a proof.
/// 4. The profile is RFC 9068: `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`, `client_id`, `iat`
///    and `jti` are required. Settings of the [`TrustedIssuer`] accept the tokens of other servers.
/// 5. In a [`first_of`](super::first_of) the verdict on a token that names one of these issuers is
///    final. The next validator judges the others.
///
/// Issuers that come and go at run time are in [`Issuers`].
///
/// A clone shares the keys. Each validation verifies the signature: stack the validator under a
/// [`Cached`](super::Cached).
///
/// # Defaults
///
/// A leeway of 30 s for clocks that differ; scopes from `scope`; any age and lifetime; no claims
/// beyond the [`Principal`](super::Principal).
///
/// # Revoked tokens
///
/// A JWT that was revoked at its issuer is accepted until it expires: nothing in it shows the
/// revocation.
///
/// # Example
///
/// ```
/// use tower_oauth2::{
///     Transport,
///     server::RequireToken,
///     validate::{Jwks, JwtValidator, TrustedIssuer},
/// };
///
/// let keys = Jwks::from_issuer("https://as.example", Transport::https())?;
/// let issuer = TrustedIssuer::new("https://as.example", keys)
///     .with_audience(["https://api.example"]);
/// let layer = RequireToken::new("api", JwtValidator::new(issuer)?)?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// # Example: your own claims
///
/// ```
/// # use tower_oauth2::{Transport, validate::{Jwks, JwtValidator, TrustedIssuer}};
/// #[derive(serde::Deserialize)]
/// struct Claims {
///     tenant: String,
/// }
///
/// # let keys = Jwks::from_issuer("https://as.example", Transport::https())?;
/// # let issuer = TrustedIssuer::new("https://as.example", keys).with_audience(["x"]);
/// let validator = JwtValidator::new(issuer)?.with_claims::<Claims>();
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4),
/// [RFC 8725](https://www.rfc-editor.org/rfc/rfc8725)
#[must_use]
pub struct JwtValidator<C = ()> {
    shared: Arc<Shared>,
    /// Reads the user's claims from a payload.
    read: fn(&[u8]) -> Result<C, serde_json::Error>,
}

#[derive(Clone)]
struct Shared {
    judge: Judge,
    /// The issuers are those of the user's handle.
    is_open: bool,
    clock: Clock,
}

impl JwtValidator {
    /// Creates a validator of the tokens of `issuer`.
    ///
    /// # Errors
    ///
    /// When the issuer has no audience and does not allow tokens without one, and when its settings
    /// contradict each other.
    pub fn new(issuer: TrustedIssuer) -> Result<Self, ConfigError> {
        let clock = issuer.keys.clock().clone();
        Self::of(Issuers::new(), false, clock).with_issuer(issuer)
    }

    /// Creates a validator of the tokens of `issuers`, which may change at run time. Its clock defaults
    /// to the system's.
    pub fn from_issuers(issuers: Issuers) -> Self {
        Self::of(issuers, true, Clock::system())
    }

    fn of(issuers: Issuers, is_open: bool, clock: Clock) -> Self {
        let rules = Rules { scope_claims: vec!["scope".into()], ..Rules::default() };
        let judge = Judge { issuers, rules };
        Self { shared: Arc::new(Shared { judge, is_open, clock }), read: |_| Ok(()) }
    }
}

impl<C> JwtValidator<C> {
    /// Adds an issuer. For issuers that come and go, see [`Issuers`].
    ///
    /// # Errors
    ///
    /// When the validator is [of `Issuers`](Self::from_issuers): insert it there. When the issuer was
    /// added before, when it has no audience and does not allow tokens without one, when its settings
    /// contradict each other, when it shares a secret while another has public keys, and when another
    /// allows a missing issuer too.
    pub fn with_issuer(mut self, issuer: TrustedIssuer) -> Result<Self, ConfigError> {
        let wrong = |why| ConfigError::new(format!("the issuer {:?} {why}", issuer.identifier));
        if self.shared.is_open {
            return Err(wrong("is for a validator of Issuers: insert it there"));
        }
        let issuers = self.shared.judge.issuers.fork();
        if issuers.has(&issuer.identifier) {
            return Err(wrong("was added before"));
        }
        issuers.insert(issuer)?;
        self.judge_mut().issuers = issuers;
        Ok(self)
    }

    /// Sets how far clocks may differ. Defaults to 30 s.
    ///
    /// # Errors
    ///
    /// When `leeway` is more than 5 minutes.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, ConfigError> {
        self.judge_mut().rules.leeway = Leeway::new(leeway)?;
        Ok(self)
    }

    /// Sets the claims that hold scopes, each a text or a list. The scopes of all are joined.
    /// Defaults to `scope`.
    pub fn with_scope_claims<I: IntoIterator<Item: Into<Box<str>>>>(mut self, claims: I) -> Self {
        self.judge_mut().rules.scope_claims = claims.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the highest age of a token, leeway aside. A token without `iat` is then refused. Defaults
    /// to any age.
    pub fn with_max_token_age(mut self, age: Duration) -> Self {
        self.judge_mut().rules.max_token_age = Some(age);
        self
    }

    /// Sets the longest lifetime of a token, from `iat` to `exp`. A token without `iat` is then
    /// refused. Defaults to any lifetime.
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.judge_mut().rules.max_lifetime = Some(lifetime);
        self
    }

    /// Sets the clock that the times of a token are compared with, not that of the keys. Defaults to
    /// the clock of the keys of the first issuer.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.shared).clock = clock;
        self
    }

    /// Deserializes the payload of each good token into a `D`, for
    /// [`Authenticated::claims`](crate::server::Authenticated::claims). A token that does not fit is
    /// refused.
    pub fn with_claims<D: DeserializeOwned>(self) -> JwtValidator<D> {
        let read = |payload: &[u8]| serde_json::from_slice(json::without_bom(payload));
        JwtValidator { shared: self.shared, read }
    }

    fn judge_mut(&mut self) -> &mut Judge {
        &mut Arc::make_mut(&mut self.shared).judge
    }

    /// Returns the verdict, or the fetch of keys to wait for before there can be one.
    fn judge(&self, token: &str, waited: Option<Seen>) -> Result<Verdict<C>, Wait> {
        let mut buffer = [0; USUAL_PAYLOAD];
        match self.shared.judge.judge(token, &mut buffer, self.shared.clock.wall(), waited) {
            Ok(judged) => Ok(self.validated(judged)),
            Err(NotAccepted::Refused(rejection)) => Ok(Err(rejection)),
            Err(NotAccepted::Fetching(wait)) => Err(wait),
        }
    }

    fn validated(&self, Judged { principal, payload, basis }: Judged<'_>) -> Verdict<C> {
        let claims = match (self.read)(&payload) {
            Ok(claims) => claims,
            Err(error) => return Err(unreadable(&error).with_basis(basis)),
        };
        let good_until = self.shared.judge.rules.good_until(&principal);
        let validated = Validated::new(principal, claims).with_basis(basis);
        Ok(Arc::new(validated.with_good_until(good_until)))
    }
}

impl<C: Send + Sync + 'static> ValidateToken for JwtValidator<C> {
    type Claims = C;
    type Future = JwtFuture<C>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        match self.judge(token, None) {
            Ok(verdict) => Answer::Ready(verdict),
            Err(wait) => Answer::Pending(JwtFuture::new(self.clone(), token, wait)),
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<C> {
        self
    }
}

impl<C: Send + Sync + 'static> CacheSupport<C> for JwtValidator<C> {
    /// After the last dot, where the signature is.
    fn split_at(&self, token: &[u8]) -> usize {
        signature_at(token).unwrap_or(0)
    }

    fn recheck(&self, validated: &Validated<C>, now: SystemTime) -> Result<(), Rejection> {
        validated.check_basis(now)?;
        self.shared.judge.rules.recheck(validated.principal(), now)
    }

    fn clock(&self) -> Option<Clock> {
        Some(self.shared.clock.clone())
    }
}

impl<C> Clone for JwtValidator<C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), read: self.read }
    }
}

impl<C> fmt::Debug for JwtValidator<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtValidator")
            .field("issuers", &self.shared.judge.issuers)
            .field("rules", &self.shared.judge.rules)
            .finish_non_exhaustive()
    }
}
