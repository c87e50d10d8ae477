//! Access tokens that are JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)).

mod claims;
mod future;
mod header;
mod issuer;
mod judge;
mod known_headers;
mod named;
mod rules;

pub use future::JwtFuture;
pub use issuer::TrustedIssuer;
pub use named::issued_by;

use super::{CacheSupport, Principal, Rejection, ValidateToken, Validated, Verdict, times::Leeway};
use crate::{
    Answer, Clock, ConfigError, RequestHead, back_channel::scrub, jose::signature_at,
    vocabulary::flight::Joined,
};
use judge::{Judge, NotAccepted, USUAL_PAYLOAD};
use known_headers::KnownHeaders;
use rules::{Profile, Rules};
use serde_core::de::DeserializeOwned;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Judges access tokens that are JWTs, by the keys of their issuers.
///
/// 1. Whatever can be told without a key comes first: shape, header, `crit`, algorithm, type,
///    issuer, times, audience. What it refuses has the answer of a bad signature, costs no
///    signature check and no request, so an unknown issuer is never asked for keys.
/// 2. The signature is checked with a key of that issuer which is meant for that algorithm. What a
///    token brings along (`jwk`, `jku`, `x5c`, `x5u`) is not looked at. While keys cannot be had
///    the answer is 503, never 401.
/// 3. A token that is bound to a key (`cnf`) is refused: possession of the token alone is not
///    enough for it.
/// 4. The profile is that of RFC 9068: `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`,
///    `client_id`, `iat` and `jti` are there. [`allow_other_profiles`](Self::allow_other_profiles) takes other servers'
///    tokens.
/// 5. In a [`first_of`](super::first_of) the next validator is asked about whatever was refused
///    before one of these issuers was found in it. Of a token that names one, this verdict is
///    final.
///
/// A clone shares the keys. It checks each signature anew: stack it under a
/// [`Cached`](super::Cached).
///
/// # Defaults
///
/// A leeway of 30 s for clocks that differ; scopes from `scope`; any age and lifetime; no claims
/// beyond the [`Principal`](super::Principal).
///
/// # A destroyed token
///
/// A JWT that was revoked at its issuer is taken until it expires: nothing in it says so.
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
/// # Example: claims of one's own
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
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    judge: Judge,
    clock: Clock,
    /// Reads the user's claims from a payload.
    read: fn(&[u8]) -> Result<C, serde_json::Error>,
}

impl JwtValidator {
    /// Takes tokens of `issuer`.
    ///
    /// # Errors
    ///
    /// When the issuer has no audience, and was not told to do without.
    pub fn new(issuer: TrustedIssuer) -> Result<Self, ConfigError> {
        let (rules, headers) = (Rules::default(), KnownHeaders::default());
        let judge = Judge { issuers: Vec::new(), rules, headers };
        let shared = Shared { judge, clock: Clock::system(), read: |_| Ok(()) };
        Self { shared: Arc::new(shared) }.with_issuer(issuer)
    }
}

impl<C> JwtValidator<C> {
    /// Takes tokens of `issuer` as well.
    ///
    /// # Errors
    ///
    /// When it is there already, has no audience and was not told to do without, or shares a secret
    /// while another has public keys.
    pub fn with_issuer(mut self, issuer: TrustedIssuer) -> Result<Self, ConfigError> {
        if !issuer.has_audience() {
            return Err(ConfigError::new(format!(
                "the issuer {:?} has no audience: see with_audience",
                issuer.identifier
            )));
        }
        let Judge { issuers, .. } = self.judge_mut();
        if issuers.iter().any(|own| own.identifier == issuer.identifier) {
            return Err(ConfigError::new(format!(
                "the issuer {:?} is there twice",
                issuer.identifier
            )));
        }
        let symmetric = |issuer: &TrustedIssuer| issuer.keys.is_symmetric();
        if issuers.iter().any(|own| symmetric(own) != symmetric(&issuer)) {
            let text = "an issuer with a shared secret cannot stand beside one with public keys: \
                        give each a validator, and both to first_of";
            return Err(ConfigError::new(text));
        }
        issuers.push(issuer);
        Ok(self)
    }

    /// Takes access tokens of servers without RFC 9068 as well: `typ` may be `JWT` or absent, `sub`,
    /// `client_id`, `iat` and `jti` may be missing, `azp` stands in for `client_id`, `scope` may be
    /// a list. ID tokens and refresh tokens are refused as far as they can be told (`typ` or
    /// `token_use` says so, `at_hash` or `c_hash` is there): an issuer whose ID tokens look like
    /// access tokens needs an audience that they do not have. Defaults to what RFC 9068 asks for.
    pub fn allow_other_profiles(mut self) -> Self {
        self.judge_mut().rules.profile = Profile::Lenient;
        self
    }

    /// How far clocks may differ. Defaults to 30 s.
    ///
    /// # Errors
    ///
    /// When it is more than 5 min.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, ConfigError> {
        self.judge_mut().rules.leeway = Leeway::new(leeway)?;
        Ok(self)
    }

    /// Reads scopes from these claims, each a text or a list, and takes them together. Defaults to
    /// `scope`.
    pub fn with_scope_claims<I>(mut self, claims: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.judge_mut().rules.scope_claims = claims.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses tokens that were issued longer ago, leeway aside, or do not say when. Defaults to
    /// any age.
    pub fn with_max_token_age(mut self, age: Duration) -> Self {
        self.judge_mut().rules.max_token_age = Some(age);
        self
    }

    /// Refuses tokens that live longer from their issue to their expiry, or do not say when they
    /// were issued. Defaults to any lifetime.
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.judge_mut().rules.max_lifetime = Some(lifetime);
        self
    }

    /// The clock of whose wall the times of a token are judged. Defaults to the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.shared).clock = clock;
        self
    }

    /// Hands the claims on as `D` ([`Authenticated::claims`](crate::server::Authenticated::claims)),
    /// read from the payload of each token that is good. One that is no `D` is refused.
    pub fn with_claims<D: DeserializeOwned>(self) -> JwtValidator<D> {
        let Shared { judge, clock, .. } = (*self.shared).clone();
        let read = |payload: &[u8]| serde_json::from_slice(payload);
        JwtValidator { shared: Arc::new(Shared { judge, clock, read }) }
    }

    fn judge_mut(&mut self) -> &mut Judge {
        let judge = &mut Arc::make_mut(&mut self.shared).judge;
        // The known headers were checked by what is changed now.
        judge.headers = KnownHeaders::default();
        judge
    }
}

impl<C> Shared<C> {
    /// Returns the verdict, or the fetch of keys to wait for before there can be one.
    fn judge(&self, token: &str, waited: bool) -> Result<Verdict<C>, Joined<()>> {
        let mut buffer = [0; USUAL_PAYLOAD];
        match self.judge.judge(token, &mut buffer, self.clock.wall(), waited) {
            Ok((principal, payload)) => Ok(self.validated(principal, &payload)),
            Err(NotAccepted::Refused(rejection)) => Ok(Err(rejection)),
            Err(NotAccepted::Fetching(joined)) => Err(joined),
        }
    }

    fn validated(&self, principal: Principal, payload: &[u8]) -> Verdict<C> {
        let claims = (self.read)(payload).map_err(|error| {
            let error = scrub::redacted(&error.to_string(), str::to_owned);
            let text = format!("the claims are not those that are expected: {error}");
            // For the log: values of claims may stand in it.
            Rejection::invalid(text).untold()
        })?;
        let good_until = self.judge.rules.good_until(&principal);
        Ok(Arc::new(Validated::new(principal, claims).with_good_until(good_until)))
    }
}

impl<C: Send + Sync + 'static> ValidateToken for JwtValidator<C> {
    type Claims = C;
    type Future = JwtFuture<C>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        match self.shared.judge(token, false) {
            Ok(verdict) => Answer::Ready(verdict),
            Err(joined) => Answer::Pending(JwtFuture::new(self.shared.clone(), token, joined)),
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
        self.shared.judge.rules.recheck(validated.principal(), now)
    }

    fn generation(&self) -> u64 {
        // Each of them only grows, so their sum changes whenever one does.
        let generations = self.shared.judge.issuers.iter().map(|issuer| issuer.keys.generation());
        generations.fold(0, u64::wrapping_add)
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self { judge: self.judge.clone(), clock: self.clock.clone(), read: self.read }
    }
}

impl<C> Clone for JwtValidator<C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
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
