//! The grammar of presented tokens, `b64token` of
//! [RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1).

/// How many bytes are checked together. Without a branch between them the compiler emits vector
/// instructions, a ninth as many.
const CHUNK: usize = 32;

/// Returns `true` if `token` is `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn is_valid(token: &[u8]) -> bool {
    let mut body = token;
    while let [start @ .., b'='] = body {
        body = start;
    }
    let (chunks, rest) = body.as_chunks::<CHUNK>();
    match body.last_chunk::<CHUNK>() {
        // The last chunk overlaps the one before rather than leave a rest.
        Some(last) => chunks.iter().all(are_body) && are_body(last),
        None => {
            // Most bytes are letters, which take one comparison.
            let is_body = |byte: &u8| byte.is_ascii_alphabetic() || is_body(*byte);
            !rest.is_empty() && rest.iter().all(is_body)
        }
    }
}

fn are_body(bytes: &[u8; CHUNK]) -> bool {
    let are = |is: fn(u8) -> bool| bytes.iter().fold(true, |all, byte| all & is(*byte));
    are(is_usual) || are(is_body)
}

/// The bytes of JWTs and of most other tokens, and `/`: fewer comparisons.
fn is_usual(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a';
    // `-`, `.`, `/` and then the digits.
    let is_digit_or_sign = byte.wrapping_sub(b'-') <= b'9' - b'-';
    is_letter | is_digit_or_sign | (byte == b'_')
}

fn is_body(byte: u8) -> bool {
    is_usual(byte) | (byte == b'~') | (byte == b'+')
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

    #[test]
    fn every_byte_is_judged_at_every_place() {
        for byte in 0..=u8::MAX {
            let good = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            for len in [1, 31, 32, 33, 64, 70] {
                for place in 0..len {
                    let mut token = vec![b'a'; len];
                    token[place] = byte;
                    let good = good || (byte == b'=' && place > 0 && place == len - 1);
                    assert_eq!(is_valid(&token), good, "{byte} at {place} of {len}");
                }
            }
        }
    }
}
