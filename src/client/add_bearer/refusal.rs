//! Reads what a resource says about the token that it got.

use crate::{
    Challenge, ScopeSet, TokenLocation,
    vocabulary::grpc::{self, GRPC_STATUS},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE};
use std::time::Duration;

/// RFC 9470 §3.
const INSUFFICIENT_USER_AUTHENTICATION: &str = "insufficient_user_authentication";

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

/// The authentication that a resource asked for when it refused a token with 401
/// `insufficient_user_authentication` ([RFC 9470 §3]): the token is valid, but its user has to sign
/// in again, as the challenge says.
///
/// The layer puts it into the extensions of such a response. It neither rejects the token nor
/// repeats the call.
///
/// [RFC 9470 §3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsufficientUserAuthentication {
    acr_values: Vec<String>,
    max_age: Option<Duration>,
}

impl InsufficientUserAuthentication {
    /// Iterates over the authentication context classes that the resource accepts, in its order of
    /// preference; over none if it names none.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.acr_values.iter().map(String::as_str)
    }

    /// Returns how long ago the user may have signed in, in whole seconds, or `None` if the resource
    /// names no such number.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    fn from_challenge(challenge: &Challenge) -> Option<Self> {
        if challenge.param("error") != Some(INSUFFICIENT_USER_AUTHENTICATION) {
            return None;
        }
        let acr_values = challenge.param("acr_values").unwrap_or_default();
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let max_age = challenge.param("max_age").filter(is_number);
        Some(Self {
            acr_values: acr_values.split_ascii_whitespace().map(str::to_owned).collect(),
            max_age: max_age.and_then(|text| text.parse().ok()).map(Duration::from_secs),
        })
    }
}

/// Which answers reject the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectionRule {
    None,
    /// A 401 that concerns the token, and gRPC's `UNAUTHENTICATED`.
    Any,
    /// A 401 whose challenge says `error="invalid_token"`, and gRPC's `UNAUTHENTICATED`.
    InvalidToken,
}

impl RejectionRule {
    /// Returns `true` if `response` rejects the token, which went to `location`.
    #[inline]
    pub(super) fn applies_to<R>(self, response: &Response<R>, location: &TokenLocation) -> bool {
        match self {
            Self::None => false,
            _ if is_grpc_unauthenticated(response) => {
                !challenges(response.headers()).iter().any(is_of_proof)
            }
            _ if response.status() != StatusCode::UNAUTHORIZED => false,
            Self::Any => concerns_token(response.headers(), location),
            Self::InvalidToken => challenges(response.headers()).iter().any(rejects(location)),
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

/// Returns `true` if a 401 with these challenges is about the token: it says `invalid_token`, has no
/// challenge, or has one of the scheme by which the token went, unless it asks for another
/// authentication of the user (RFC 9470).
fn concerns_token(headers: &HeaderMap, location: &TokenLocation) -> bool {
    let challenges = challenges(headers);
    let is_of_scheme = |challenge: &Challenge| match location {
        TokenLocation::BasicUserName => challenge.is_scheme("Basic"),
        TokenLocation::Header(header) => challenge.is_scheme(header.scheme().unwrap_or("Bearer")),
        TokenLocation::Dpop => is_of_token(challenge),
        _ => challenge.is_scheme("Bearer"),
    };
    challenges.is_empty()
        || challenges.iter().any(rejects(location))
        || challenges.iter().any(is_of_scheme)
            && !challenges
                .iter()
                .any(|challenge| asks_for_user(challenge) || is_of_proof(challenge))
}

/// Returns `true` for a refusal of a proof: its token is good.
fn is_of_proof(challenge: &Challenge) -> bool {
    matches!(challenge.param("error"), Some("use_dpop_nonce" | "invalid_dpop_proof"))
}

/// Returns `true` if `response` refuses a proof for the lack of a nonce
/// ([RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
pub(super) fn asks_for_nonce<R>(response: &Response<R>) -> bool {
    let is_refusal =
        response.status() == StatusCode::UNAUTHORIZED || is_grpc_unauthenticated(response);
    let asks = |challenge: &Challenge| has_error(challenge, "use_dpop_nonce");
    is_refusal && challenges(response.headers()).iter().any(asks)
}

/// Says whether a challenge rejects a token that went to `location`. `DPoP` speaks of bound ones.
fn rejects(location: &TokenLocation) -> impl Fn(&Challenge) -> bool {
    let is_bound = *location == TokenLocation::Dpop;
    move |challenge| {
        has_error(challenge, "invalid_token") && (is_bound || !challenge.is_scheme("DPoP"))
    }
}

fn has_error(challenge: &Challenge, error: &str) -> bool {
    is_of_token(challenge) && challenge.param("error") == Some(error)
}

fn is_of_token(challenge: &Challenge) -> bool {
    challenge.is_scheme("Bearer") || challenge.is_scheme("DPoP")
}

fn asks_for_user(challenge: &Challenge) -> bool {
    challenge.param("error") == Some(INSUFFICIENT_USER_AUTHENTICATION)
}

/// Returns every challenge. Of a line that cannot be parsed, the scheme at its start is one.
fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    lines
        .flat_map(|line| Challenge::parse(line.as_bytes()).unwrap_or_else(|_| scheme_alone(line)))
        .collect()
}

fn scheme_alone(line: &HeaderValue) -> Vec<Challenge> {
    let words = line.as_bytes().split(|byte| matches!(byte, b' ' | b'\t' | b','));
    let first = words.into_iter().find(|word| !word.is_empty());
    let scheme = first.and_then(|word| std::str::from_utf8(word).ok());
    scheme.and_then(|scheme| Challenge::new(scheme).ok()).into_iter().collect()
}

/// Puts what a 401 or 403 asks for into its extensions: [`InsufficientUserAuthentication`] or
/// [`InsufficientScope`].
#[inline]
pub(super) fn note_what_is_insufficient<R>(response: &mut Response<R>) {
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        note(response);
    }
}

#[cold]
fn note<R>(response: &mut Response<R>) {
    if let Some(scopes) = missing_scopes(response) {
        response.extensions_mut().insert(InsufficientScope { scopes });
    } else if response.status() == StatusCode::UNAUTHORIZED
        && let challenges = Challenge::from_headers(response.headers())
        && let Some(wanted) =
            challenges.iter().find_map(InsufficientUserAuthentication::from_challenge)
    {
        response.extensions_mut().insert(wanted);
    }
}

/// Returns the scopes that a 403 `insufficient_scope` asks for, or an empty set if it names none.
#[inline]
pub(super) fn missing_scopes<R>(response: &Response<R>) -> Option<ScopeSet> {
    match response.status() {
        StatusCode::FORBIDDEN => demanded_scopes(response.headers()),
        _ => None,
    }
}

fn demanded_scopes(headers: &HeaderMap) -> Option<ScopeSet> {
    let lacks_scope = |challenge: &Challenge| has_error(challenge, "insufficient_scope");
    let challenge = Challenge::from_headers(headers).into_iter().find(lacks_scope)?;
    Some(challenge.scope().unwrap_or_default())
}
