//! `b64token` of [RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1): what a
//! presented token may be.

use crate::token::MAX_TOKEN_LEN;

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn is_valid(token: &[u8]) -> bool {
    let body = token.iter().position(|byte| !is_body(*byte)).unwrap_or(token.len());
    body > 0 && token.iter().skip(body).all(|byte| *byte == b'=')
}

pub(crate) fn is_too_long(token: &str) -> bool {
    token.len() > MAX_TOKEN_LEN
}

fn is_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_at_the_end_and_never_alone() {
        for good in ["a", "mF_9.B5f-4.1JqM", "a+/~==", "a="] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in ["", "=", "===", "a=b", "a b", "a,b", "a\"", "a\t", "caf\u{e9}"] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
