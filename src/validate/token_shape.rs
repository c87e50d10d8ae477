//! Kinds of token that can be recognized by their shape.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Returns a predicate for tokens that begin with `prefix`, as those of many issuers do: `sk_`,
/// `ghp_`.
pub fn prefix(prefix: impl Into<Box<str>>) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    let prefix = prefix.into();
    move |token: &str| token.starts_with(&*prefix)
}

/// Returns `true` if a token looks like a signed JWT: three base64url segments, the first a JSON
/// object ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)). An encrypted JWT
/// has five. Nothing is verified.
#[must_use]
pub fn is_jwt(token: &str) -> bool {
    let is_base64url =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let mut segments = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return false;
    };
    // A payload is never empty.
    begins_an_object(header)
        && !payload.is_empty()
        && [header, payload, signature].into_iter().all(is_base64url)
}

/// Returns `true` if `text` decodes to bytes that begin with `{`, white space aside.
fn begins_an_object(text: &str) -> bool {
    // `eyJ` is `{"`, with which most headers begin.
    let mut bytes = [0; 3];
    let first = text.get(..4).map(|four| BASE64_URL_SAFE_NO_PAD.decode_slice(four, &mut bytes));
    text.starts_with("eyJ")
        || (matches!(first, Some(Ok(_))) && bytes.trim_ascii_start().starts_with(b"{"))
}

/// Returns the part of a token that identifies it: the signed part of what looks like a signed JWT.
///
/// Each text has two ECDSA signatures, and the one can be computed from the other.
pub(super) fn identity(token: &str) -> &str {
    match token.rsplit_once('.') {
        Some((signed, _)) if is_jwt(token) => signed,
        _ => token,
    }
}
