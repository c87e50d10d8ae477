//! Kinds of token that can be told by their look.

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
    // `eyJ` is `{"`, and every payload is longer than nothing.
    header.starts_with("eyJ")
        && !payload.is_empty()
        && [header, payload, signature].into_iter().all(is_base64url)
}
