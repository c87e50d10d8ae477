//! The settings of one layer, and which answers reject a token.

use super::Origins;
use crate::{Challenge, Clock, TokenLocation};
use http::{HeaderMap, HeaderName, Response, StatusCode};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The settings of one layer.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) origins: Origins,
    pub(super) location: TokenLocation,
    pub(super) overwrite: bool,
    pub(super) allow_other_origins: bool,
    pub(super) allow_anonymous: bool,
    pub(super) rejection: RejectionRule,
    pub(super) clock: Clock,
}

/// Which answers reject the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectionRule {
    None,
    /// Every 401, and gRPC's `UNAUTHENTICATED`.
    Any,
    /// A 401 whose challenge has `error="invalid_token"`, and gRPC's `UNAUTHENTICATED`.
    InvalidToken,
}

impl RejectionRule {
    /// Returns `true` if `response` rejects the token.
    pub(super) fn applies_to<R>(self, response: &Response<R>) -> bool {
        match self {
            Self::None => false,
            _ if is_grpc_unauthenticated(response) => true,
            _ if response.status() != StatusCode::UNAUTHORIZED => false,
            Self::Any => true,
            Self::InvalidToken => bearer_error(response.headers(), "invalid_token").is_some(),
        }
    }
}

/// Returns `true` for a trailers-only answer with `grpc-status: 16`. Trailers after a body come too
/// late.
fn is_grpc_unauthenticated<R>(response: &Response<R>) -> bool {
    response.status() == StatusCode::OK
        && response.headers().get(GRPC_STATUS).is_some_and(|status| status == "16")
}

/// Returns the `Bearer` challenge with this `error`.
pub(super) fn bearer_error(headers: &HeaderMap, error: &str) -> Option<Challenge> {
    Challenge::from_headers(headers)
        .into_iter()
        .find(|one| one.is_scheme("Bearer") && one.param("error") == Some(error))
}
