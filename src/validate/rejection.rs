use super::basis::Basis;
use crate::ScopeSet;
use http::StatusCode;
use std::{
    borrow::Cow,
    cmp::Reverse,
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

/// When a caller may try again, if nothing else is known.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// The description of every outage for callers.
const UNAVAILABLE: &str = "the access token cannot be checked at the moment";

/// Says why a request is refused.
///
/// A validator returns one. The refusal carries it in its extensions, for logs and outer layers. The
/// description is sent to the caller, so it must not repeat the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rejection {
    kind: RejectionKind,
    description: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// Boxed: few have any, and each rejection is moved through every validator.
    details: Option<Box<Details>>,
    basis: Basis,
    /// Whether the caller learns no more than that the token is not good.
    terse: bool,
    /// Whether the validator knows the token as its own.
    recognised: bool,
    /// Whether a cache must not keep it.
    transient: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    /// The scopes that the challenge demands.
    scopes: ScopeSet,
    /// Further parameters of the challenge.
    params: Vec<(&'static str, String)>,
    /// The description for the log, in place of the one that the caller may see.
    cause: Option<Cow<'static, str>>,
}

/// The kinds of [`Rejection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The request has no token, or one under a scheme that is not read: 401 without an `error`.
    Missing,
    /// The token breaks the grammar, or is repeated: 400 `invalid_request`.
    Malformed,
    /// The token is of a kind that this validator does not judge. If no other validator does, it
    /// is refused as invalid.
    NotMine,
    /// The token is not good: 401 `invalid_token`.
    Invalid,
    /// The token has expired: 401 `invalid_token`.
    Expired,
    /// The token was revoked: 401 `invalid_token`.
    Revoked,
    /// The token is good, and the proof that the request comes from its holder is not: 401
    /// `invalid_dpop_proof` ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    InvalidProof,
    /// The proof needs the nonce that the refusal brings: 401 `use_dpop_nonce`
    /// ([RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
    NonceNeeded,
    /// The token is good and lacks a scope: 403 `insufficient_scope`.
    InsufficientScope,
    /// The token is good, and its user must authenticate again or in another way: 401
    /// `insufficient_user_authentication`
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
    InsufficientAuthentication,
    /// The token is good, and its holder may not make this request: 403, no challenge.
    Forbidden,
    /// Another site made the browser send a cookie or Basic credentials: 403, no challenge.
    CrossSite,
    /// The form that may hold the token is too long: 413, no challenge.
    TooLarge,
    /// The validator cannot decide at the moment: 503 and `Retry-After`, no challenge.
    Unavailable,
    /// The validator itself failed: 500, no challenge.
    Internal,
}

impl RejectionKind {
    /// Returns the status of the refusal.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Missing | Self::NotMine | Self::Invalid | Self::Expired | Self::Revoked => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientAuthentication | Self::InvalidProof | Self::NonceNeeded => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientScope | Self::Forbidden | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the `error` of the challenge ([RFC 6750 §3.1]), if the refusal has one.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    #[must_use]
    pub fn error_code(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("invalid_request"),
            Self::NotMine | Self::Invalid | Self::Expired | Self::Revoked => Some("invalid_token"),
            Self::InvalidProof => Some("invalid_dpop_proof"),
            Self::NonceNeeded => Some("use_dpop_nonce"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InsufficientAuthentication => Some("insufficient_user_authentication"),
            Self::Missing
            | Self::Forbidden
            | Self::CrossSite
            | Self::TooLarge
            | Self::Unavailable
            | Self::Internal => None,
        }
    }

    /// Returns the word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::NotMine => "not_mine",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::InvalidProof => "invalid_proof",
            Self::NonceNeeded => "nonce_needed",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientAuthentication => "insufficient_authentication",
            Self::Forbidden => "forbidden",
            Self::CrossSite => "cross_site",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl Rejection {
    pub(crate) const fn of(kind: RejectionKind, description: &'static str) -> Self {
        Self {
            kind,
            description: Cow::Borrowed(description),
            retry_after: None,
            details: None,
            basis: Basis::NONE,
            terse: false,
            recognised: !matches!(
                kind,
                RejectionKind::NotMine | RejectionKind::Unavailable | RejectionKind::Internal
            ),
            transient: false,
        }
    }

    /// The token is not good, and its signature is wrong or was not verified. The caller gets the
    /// same answer in either case, so that a forger learns nothing. `description` is for the log.
    pub(crate) fn unverified(description: impl Into<Cow<'static, str>>) -> Self {
        Self { terse: true, ..Self::invalid(description) }
    }

    /// Keeps this rejection out of caches: finding it again is cheap, or it may change at once.
    pub const fn without_caching(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Returns `true` if a cache may keep this rejection: it is a verdict on the token, and not made
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

    /// Sets what the rejection rests on, if a cache may keep it.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "JWTs have issuers"))]
    pub(super) fn with_basis(mut self, basis: Basis) -> Self {
        if self.is_cacheable() {
            self.basis = basis;
        }
        self
    }

    /// Returns `true` if what the rejection rests on has not changed.
    pub(super) fn holds(&self, now: SystemTime) -> bool {
        self.basis.holds(now)
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

    /// The user of the token must authenticate again: by one of `acr_values`, and at most `max_age`
    /// before the request, as far as either is given.
    pub fn insufficient_authentication(
        acr_values: Option<&str>,
        max_age: Option<Duration>,
    ) -> Self {
        let description = "the access token's user has to authenticate anew";
        let mut params = Vec::new();
        params.extend(acr_values.map(|values| ("acr_values", values.to_owned())));
        params.extend(max_age.map(|age| ("max_age", age.as_secs().to_string())));
        let details = Some(Box::new(Details { params, ..Details::default() }));
        Self { details, ..Self::of(RejectionKind::InsufficientAuthentication, description) }
    }

    /// The request needs all of `scopes`, and the token does not grant them.
    pub fn insufficient_scope(scopes: ScopeSet) -> Self {
        let description = "the access token does not grant what this request needs";
        let details = Some(Box::new(Details { scopes, ..Details::default() }));
        Self { details, ..Self::of(RejectionKind::InsufficientScope, description) }
    }

    /// The token is good, and its holder may not make this request, for lack of a role for example.
    pub fn forbidden(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { description, ..Self::of(RejectionKind::Forbidden, "") }
    }

    /// The token is of a kind that this validator does not judge.
    pub const fn not_mine() -> Self {
        Self::of(RejectionKind::NotMine, "the access token is not known")
    }

    /// The token is not good.
    pub fn invalid(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { description, ..Self::of(RejectionKind::Invalid, "") }
    }

    /// The token is unknown: not good, unless [another validator](crate::validate::FirstOf) knows
    /// it.
    pub const fn unknown() -> Self {
        let mut rejection = Self::of(RejectionKind::Invalid, "the access token is not known");
        rejection.recognised = false;
        rejection
    }

    /// Lets a chain ask its next validator: this one does not know the token as its own.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "for tokens that name an issuer"))]
    pub(crate) const fn foreign(mut self) -> Self {
        self.recognised = false;
        self
    }

    /// Returns `true` if a chain stops here: the validator knows the token as its own.
    pub(super) fn is_final(&self) -> bool {
        self.recognised
    }

    /// Joins the rejections of two validators.
    pub(super) fn or(self, other: Self) -> Self {
        let recognised = self.recognised || other.recognised;
        let transient = self.transient || other.transient;
        let heavier = if other.weight() > self.weight() { other } else { self };
        Self { recognised, transient, ..heavier }
    }

    /// Orders rejections: the heaviest is the answer. An outage outweighs any verdict, and a short
    /// outage a longer one.
    fn weight(&self) -> (u8, Reverse<Duration>) {
        let (weight, retry_after) = match self.kind {
            RejectionKind::NotMine => (0, None),
            RejectionKind::Invalid if !self.recognised && !self.terse => (1, None),
            // More is known than that it is unknown, and the caller learns less.
            RejectionKind::Invalid if !self.recognised => (2, None),
            RejectionKind::Internal => (4, None),
            RejectionKind::Unavailable => (5, self.retry_after.or(Some(RETRY_AFTER_DEFAULT))),
            _ => (3, None),
        };
        (weight, Reverse(retry_after.unwrap_or_default()))
    }

    /// The token has expired.
    pub const fn expired() -> Self {
        Self::of(RejectionKind::Expired, "the access token expired")
    }

    /// The token was revoked.
    pub const fn revoked() -> Self {
        Self::of(RejectionKind::Revoked, "the access token was revoked")
    }

    /// The validator cannot decide at the moment. The caller may try again after `retry_after`,
    /// which defaults to 5 s.
    pub const fn unavailable(retry_after: Option<Duration>) -> Self {
        let mut rejection = Self::of(RejectionKind::Unavailable, UNAVAILABLE);
        rejection.retry_after = retry_after;
        rejection
    }

    /// The validator did not decide in time.
    pub(crate) fn out_of_time() -> Self {
        Self::unavailable(None).with_cause("the validator took longer than allowed")
    }

    /// Adds the cause, for the log alone.
    pub(crate) fn with_cause(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.details.get_or_insert_default().cause = Some(cause.into());
        self
    }

    /// The validator itself failed. `description` is for the log; the caller does not see it.
    pub fn internal(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { description, ..Self::of(RejectionKind::Internal, "") }
    }

    /// Returns the kind of refusal.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Returns the reason in words, for the log.
    #[must_use]
    pub fn description(&self) -> &str {
        let cause = self.details.as_ref().and_then(|details| details.cause.as_deref());
        cause.unwrap_or(&self.description)
    }

    /// Returns when to try again, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the reason as the caller may see it: without the causes of internal errors and
    /// outages, without the claim of a token that is not good, and for terse refusals without why.
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
        self.details.as_ref().map_or(&[], |details| &details.params)
    }

    /// Returns the scopes that the request needs, if the token lacks one.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        static NONE: ScopeSet = ScopeSet::empty();
        self.details.as_ref().map_or(&NONE, |details| &details.scopes)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl Error for Rejection {}
