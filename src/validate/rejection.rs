use crate::ScopeSet;
use http::StatusCode;
use std::{borrow::Cow, cmp::Reverse, error::Error, fmt, time::Duration};

/// When to try again, where nobody knows better.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// What callers are told of every outage.
const UNAVAILABLE: &str = "the access token cannot be checked at the moment";

/// Why a request is refused.
///
/// A validator answers with one; the refusal carries it in its extensions, for logs and outer
/// layers. A description must not repeat the token: it is sent to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    description: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// Boxed: few ask for anything, and each is moved through every validator.
    asks: Option<Box<Asks>>,
    /// Whether the caller is told no more than that the token is not good.
    terse: bool,
    /// Whether it is about a token that the validator knows as its own.
    recognised: bool,
    /// Whether it is found out again sooner than a cache would tell.
    transient: bool,
}

/// What the challenge asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asks {
    scopes: ScopeSet,
    /// Further parameters.
    params: Vec<(&'static str, String)>,
}

/// The kinds of [`Rejection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// No token was presented, or a scheme that is not read: 401 without an `error`.
    Missing,
    /// What was presented is not of the grammar, or there twice: 400 `invalid_request`.
    Malformed,
    /// The token is of a kind that this validator does not judge. Where no other does, it is
    /// refused as invalid.
    NotMine,
    /// The token is not good: 401 `invalid_token`.
    Invalid,
    /// The token was good once: 401 `invalid_token`.
    Expired,
    /// The token was taken back: 401 `invalid_token`.
    Revoked,
    /// The token is good, but not for this: 403 `insufficient_scope`.
    InsufficientScope,
    /// The token is good, but its user has to authenticate anew or in another way: 401
    /// `insufficient_user_authentication`
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    InsufficientAuthentication,
    /// Another site made the browser send its cookie or Basic credentials: 403, no challenge.
    CrossSite,
    /// The form that may hold the token is longer than allowed: 413, no challenge.
    TooLarge,
    /// Nobody can tell at the moment: 503 and `Retry-After`, no challenge.
    Unavailable,
    /// The validator failed by its own fault: 500, no challenge.
    Internal,
}

impl RejectionKind {
    /// The status of the refusal.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Missing | Self::NotMine | Self::Invalid | Self::Expired | Self::Revoked => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientAuthentication => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `error` of the challenge ([RFC 6750 §3.1]), where the refusal has one.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    #[must_use]
    pub fn error_code(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("invalid_request"),
            Self::NotMine | Self::Invalid | Self::Expired | Self::Revoked => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InsufficientAuthentication => Some("insufficient_user_authentication"),
            Self::Missing
            | Self::CrossSite
            | Self::TooLarge
            | Self::Unavailable
            | Self::Internal => None,
        }
    }

    /// A word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::NotMine => "not_mine",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientAuthentication => "insufficient_authentication",
            Self::CrossSite => "cross_site",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl Rejection {
    const fn of(kind: RejectionKind, description: &'static str) -> Self {
        Self {
            kind,
            description: Cow::Borrowed(description),
            retry_after: None,
            asks: None,
            terse: false,
            recognised: !matches!(
                kind,
                RejectionKind::NotMine | RejectionKind::Unavailable | RejectionKind::Internal
            ),
            transient: false,
        }
    }

    /// The token is not good, and its signature was not looked at, or is wrong: the caller is told
    /// the same in either case, so that a forger learns nothing of what would fit. `description`
    /// is for the log.
    pub(crate) const fn unverified(description: &'static str) -> Self {
        let mut rejection = Self::of(RejectionKind::Invalid, description);
        rejection.terse = true;
        rejection
    }

    /// Tells the caller no more than that the token is not good.
    #[cfg(feature = "jwt")]
    pub(crate) fn untold(mut self) -> Self {
        self.set_terse(true);
        self
    }

    /// Keeps it out of caches: what refuses is cheap to find out, or may be otherwise at once.
    #[must_use]
    pub const fn without_caching(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Whether a cache may keep it: a verdict on the token, and not marked
    /// [`without_caching`](Self::without_caching).
    #[must_use]
    pub const fn is_cacheable(&self) -> bool {
        let verdict = matches!(
            self.kind,
            RejectionKind::NotMine
                | RejectionKind::Invalid
                | RejectionKind::Expired
                | RejectionKind::Revoked
        );
        verdict && !self.transient
    }

    pub(crate) const fn missing() -> Self {
        Self::of(RejectionKind::Missing, "no access token was presented")
    }

    pub(crate) const fn malformed(description: &'static str) -> Self {
        Self::of(RejectionKind::Malformed, description)
    }

    pub(crate) const fn cross_site() -> Self {
        Self::of(RejectionKind::CrossSite, "another site sent this request")
    }

    pub(crate) const fn too_large() -> Self {
        Self::of(RejectionKind::TooLarge, "the form is longer than allowed")
    }

    /// The token's user has to authenticate anew: with one of `acr_values` where there is one, and
    /// not longer than `max_age` ago.
    #[must_use]
    pub fn insufficient_authentication(
        acr_values: Option<&str>,
        max_age: Option<Duration>,
    ) -> Self {
        let description = "the access token's user has to authenticate anew";
        let mut params = Vec::new();
        params.extend(acr_values.map(|values| ("acr_values", values.to_owned())));
        params.extend(max_age.map(|age| ("max_age", age.as_secs().to_string())));
        let asks = Some(Box::new(Asks { params, ..Asks::default() }));
        Self { asks, ..Self::of(RejectionKind::InsufficientAuthentication, description) }
    }

    /// The token does not grant `scopes`, all of which this request needs.
    #[must_use]
    pub fn insufficient_scope(scopes: ScopeSet) -> Self {
        let description = "the access token does not grant what this request needs";
        let asks = Some(Box::new(Asks { scopes, ..Asks::default() }));
        Self { asks, ..Self::of(RejectionKind::InsufficientScope, description) }
    }

    /// The token is of a kind that this validator does not judge.
    #[must_use]
    pub const fn not_mine() -> Self {
        Self::of(RejectionKind::NotMine, "the access token is not known")
    }

    /// The token is not good.
    #[must_use]
    pub fn invalid(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { description, ..Self::of(RejectionKind::Invalid, "") }
    }

    /// The token is not known: not good, unless [another validator](crate::validate::FirstOf) knows
    /// it.
    #[must_use]
    pub const fn unknown() -> Self {
        let mut rejection = Self::of(RejectionKind::Invalid, "the access token is not known");
        rejection.recognised = false;
        rejection
    }

    /// Lets another validator be asked: this one does not know the token as its own.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "for tokens that name an issuer"))]
    pub(crate) const fn foreign(mut self) -> Self {
        self.recognised = false;
        self
    }

    /// Whether no other validator need be asked: this one knows the token as its own.
    pub(super) fn is_final(&self) -> bool {
        self.recognised
    }

    /// What two validators say together, of which neither finds the token good.
    pub(super) fn or(self, other: Self) -> Self {
        let recognised = self.recognised || other.recognised;
        let transient = self.transient || other.transient;
        let said = if other.weight() > self.weight() { other } else { self };
        Self { recognised, transient, ..said }
    }

    /// What of several is said: that nobody can tell comes before any verdict, and an outage that
    /// is over soon before one that takes longer.
    fn weight(&self) -> (u8, Reverse<Duration>) {
        let (weight, retry_after) = match self.kind {
            RejectionKind::NotMine => (0, None),
            RejectionKind::Invalid if !self.recognised && !self.terse => (1, None),
            // It saw more than that it is unknown, and tells the caller less.
            RejectionKind::Invalid if !self.recognised => (2, None),
            RejectionKind::Internal => (4, None),
            RejectionKind::Unavailable => (5, self.retry_after.or(Some(RETRY_AFTER_DEFAULT))),
            _ => (3, None),
        };
        (weight, Reverse(retry_after.unwrap_or_default()))
    }

    /// The token has expired.
    #[must_use]
    pub const fn expired() -> Self {
        Self::of(RejectionKind::Expired, "the access token expired")
    }

    /// The token was revoked.
    #[must_use]
    pub const fn revoked() -> Self {
        Self::of(RejectionKind::Revoked, "the access token was revoked")
    }

    /// Nobody can tell at the moment; the caller may try again after `retry_after`, by default
    /// 5 s.
    #[must_use]
    pub const fn unavailable(retry_after: Option<Duration>) -> Self {
        let mut rejection = Self::of(RejectionKind::Unavailable, UNAVAILABLE);
        rejection.retry_after = retry_after;
        rejection
    }

    /// Says to the log, and not to the caller, why nobody can tell.
    pub(crate) fn because(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.description = cause.into();
        self
    }

    /// The validator failed by its own fault. `description` is for the log; the caller is told
    /// nothing.
    #[must_use]
    pub fn internal(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { description, ..Self::of(RejectionKind::Internal, "") }
    }

    /// What kind of refusal it is.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The reason in words, as it was given.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// When to try again, where it is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What the caller may be told: nothing of an internal error or of an outage, and in terse
    /// mode nothing of why a token is not good.
    #[must_use]
    pub fn public_description(&self) -> &str {
        match self.kind {
            RejectionKind::Internal => "the access token could not be checked",
            RejectionKind::Unavailable => UNAVAILABLE,
            RejectionKind::NotMine
            | RejectionKind::Invalid
            | RejectionKind::Expired
            | RejectionKind::Revoked
                if self.terse =>
            {
                "the access token is not good"
            }
            _ => &self.description,
        }
    }

    pub(crate) fn set_terse(&mut self, terse: bool) {
        self.terse |= terse;
    }

    pub(crate) fn params(&self) -> &[(&'static str, String)] {
        self.asks.as_ref().map_or(&[], |asks| &asks.params)
    }

    /// The scopes that the request needs, where they are what is missing.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        static NONE: ScopeSet = ScopeSet::empty();
        self.asks.as_ref().map_or(&NONE, |asks| &asks.scopes)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Error for Rejection {}
