//! The codes by which authorization servers refuse: the registered ones, and those that servers use
//! in their place.

use http::StatusCode;

/// Registered codes that are in no other list here (RFC 6749 §5.2 and its extensions).
const REGISTERED: &[&str] = &[
    "access_denied",
    "insufficient_scope",
    "insufficient_user_authentication",
    "invalid_authorization_details",
    "invalid_client",
    "invalid_dpop_proof",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_target",
    "request_not_supported",
    "request_uri_not_supported",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "use_dpop_nonce",
];

/// A refresh token is not good any more, or the user has to be there.
const ENDS_SESSION: &[&str] = &[
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "expired_refresh_token",
    "revoked_refresh_token",
    "refresh_token_expired",
    "refresh_token_invalid",
    "refresh_token_revoked",
    "refresh_token_not_found",
    "invalid_token",
    "expired_token",
    "token_expired",
    "token_revoked",
    "invalid_code",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
];

/// The same request may succeed later.
const TRANSIENT: &[&str] = &[
    "authorization_pending",
    "internal_error",
    "internal_failure",
    "internal_server_error",
    "rate_limited",
    "rate_limit_exceeded",
    "server_error",
    "service_unavailable",
    "slow_down",
    "temporarily_unavailable",
    "throttling",
    "too_many_requests",
];

/// Returns `true` for a public word, which is never a secret.
pub(super) fn is_known(code: &str) -> bool {
    [REGISTERED, ENDS_SESSION, TRANSIENT].iter().any(|codes| is_in(codes, code))
}

/// Returns `true` if a refresh that is refused with `code` will be refused for ever.
pub(super) fn ends_session(code: &str) -> bool {
    is_in(ENDS_SESSION, code)
}

/// Returns `true` for a text that says it of the refresh token by name.
pub(super) fn is_dead_refresh_token(text: &str) -> bool {
    ends_session(text) && text.to_ascii_lowercase().contains("refresh")
}

/// Returns `true` if the server asks to come again.
pub(super) fn is_transient(code: &str) -> bool {
    is_in(TRANSIENT, code)
}

/// Returns `true` for the statuses of a server in trouble or in demand.
pub(super) fn is_transient_status(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// Compares letters and digits alone: servers write `BAD_REFRESH_TOKEN`, `Invalid refresh token` and
/// `InvalidGrantException` for the same words.
fn is_in(codes: &[&str], code: &str) -> bool {
    let letters = |text: &str| {
        let text: Vec<_> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
        text.to_ascii_lowercase()
    };
    let code = letters(code.strip_suffix("Exception").unwrap_or(code));
    codes.iter().any(|known| letters(known) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_in_the_spelling_of_any_server() {
        for dead in [
            "invalid_grant",
            "BAD_REFRESH_TOKEN",
            "Invalid refresh token",
            "InvalidGrantException",
            "invalid-refresh-token",
        ] {
            assert!(ends_session(dead) && is_known(dead) && !is_transient(dead), "{dead}");
        }
        for other in ["invalid_client", "invalid_request", "invalid_grants", "Exception", ""] {
            assert!(!ends_session(other) && !is_transient(other), "{other}");
        }
        assert!(is_transient("ThrottlingException") && is_transient("ratelimited"));
    }
}
