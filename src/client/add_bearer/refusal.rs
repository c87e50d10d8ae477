//! Reads what a resource says about the token that it got.

use crate::{
    Challenge, ScopeSet,
    vocabulary::grpc::{self, GRPC_STATUS},
};
use http::{HeaderMap, Response, StatusCode};

/// The scopes that a resource asked for when it refused a token with 403 `insufficient_scope`
/// ([RFC 6750 §3.1]).
///
/// The layer puts it into the extensions of such a response.
///
/// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsufficientScope {
    scopes: ScopeSet,
}

impl InsufficientScope {
    /// Returns the scopes of the challenge, or an empty set if it names none.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }
}

/// Which answers reject the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectionRule {
    None,
    /// Every 401, and gRPC's `UNAUTHENTICATED`.
    Any,
    /// A 401 whose challenge says `error="invalid_token"`, and gRPC's `UNAUTHENTICATED`.
    InvalidToken,
}

impl RejectionRule {
    /// Returns `true` if `response` rejects the token.
    #[inline]
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

/// Returns `true` for a trailers-only answer of gRPC with `grpc-status: 16`. Trailers after a body
/// come too late.
fn is_grpc_unauthenticated<R>(response: &Response<R>) -> bool {
    response.status() == StatusCode::OK
        && response.headers().get(GRPC_STATUS).is_some_and(|status| status == "16")
        && grpc::content_type(response.headers()).is_some()
}

/// Returns the `Bearer` challenge with this `error`.
fn bearer_error(headers: &HeaderMap, error: &str) -> Option<Challenge> {
    Challenge::from_headers(headers)
        .into_iter()
        .find(|challenge| challenge.is_scheme("Bearer") && challenge.param("error") == Some(error))
}

/// Puts [`InsufficientScope`] into the extensions of a response that says so.
#[inline]
pub(super) fn note_insufficient_scope<R>(response: &mut Response<R>) {
    if let Some(scopes) = missing_scopes(response) {
        response.extensions_mut().insert(InsufficientScope { scopes });
    }
}

/// Returns the scopes that a 403 `insufficient_scope` asks for, or an empty set if it names none.
#[inline]
pub(super) fn missing_scopes<R>(response: &Response<R>) -> Option<ScopeSet> {
    if response.status() != StatusCode::FORBIDDEN {
        return None;
    }
    let challenge = bearer_error(response.headers(), "insufficient_scope");
    challenge.map(|challenge| challenge.scope().unwrap_or_default())
}
