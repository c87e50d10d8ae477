//! Kinds of token that can be told by their look.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Whether a token begins with `prefix`, as many issuers' own tokens do: `sk_`, `ghp_`.
pub fn prefix(prefix: impl Into<Box<str>>) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    let prefix = prefix.into();
    move |token: &str| token.starts_with(&*prefix)
}

/// Whether a token looks like a signed JWT: three base64url segments, of which the first is a JSON
/// object ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)). An encrypted one
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
    // Every payload is longer than nothing.
    begins_an_object(header)
        && !payload.is_empty()
        && [header, payload, signature].into_iter().all(is_base64url)
}

/// Whether the bytes that `text` stands for begin with `{`, white space aside.
fn begins_an_object(text: &str) -> bool {
    // `eyJ` is `{"`, which is what most begin with.
    let mut bytes = [0; 3];
    let first = text.get(..4).map(|four| BASE64_URL_SAFE_NO_PAD.decode_slice(four, &mut bytes));
    text.starts_with("eyJ")
        || (matches!(first, Some(Ok(_))) && bytes.trim_ascii_start().starts_with(b"{"))
}

/// What makes a token the same as another: of one that looks like a signed JWT, what is signed.
///
/// There are two ECDSA signatures of each text, and whoever has the one can work out the other.
pub(super) fn identity(token: &str) -> &str {
    match token.rsplit_once('.') {
        Some((signed, _)) if is_jwt(token) => signed,
        _ => token,
    }
}
