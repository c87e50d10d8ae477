use crate::ScopeSet;
use http::StatusCode;
use std::{borrow::Cow, error::Error, fmt, time::Duration};

/// Why a request is refused.
///
/// A validator answers with one; the refusal carries it in its extensions, for logs and outer
/// layers. A description must not repeat the token: it is sent to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    description: Cow<'static, str>,
    retry_after: Option<Duration>,
    scopes: ScopeSet,
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
            Self::InsufficientScope => StatusCode::FORBIDDEN,
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
            Self::Missing | Self::Unavailable | Self::Internal => None,
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
            scopes: ScopeSet::empty(),
        }
    }

    pub(crate) const fn missing() -> Self {
        Self::of(RejectionKind::Missing, "no access token was presented")
    }

    pub(crate) const fn malformed(description: &'static str) -> Self {
        Self::of(RejectionKind::Malformed, description)
    }

    pub(crate) fn insufficient_scope(scopes: ScopeSet) -> Self {
        let description = "the access token does not grant what this request needs";
        Self { scopes, ..Self::of(RejectionKind::InsufficientScope, description) }
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

    /// The token is not known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self::of(RejectionKind::Invalid, "the access token is not known")
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
        let description = "the access token cannot be checked at the moment";
        let mut rejection = Self::of(RejectionKind::Unavailable, description);
        rejection.retry_after = retry_after;
        rejection
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

    /// The scopes that the request needs, where they are what is missing.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Error for Rejection {}
