//! As much of DER as keys need.

/// Returns the content of the DER value of `tag` at the start of `der`, and the rest.
pub(super) fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, len], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match (len, rest) {
        (..=0x7f, _) => (usize::from(len), rest),
        (0x81, [len @ 0x80..=0xff, rest @ ..]) => (usize::from(*len), rest),
        (0x82, [a @ 1..=0xff, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Returns the content of the one DER value that `der` is, if it has this tag.
pub(super) fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    value(tag, der).filter(|(_, rest)| rest.is_empty()).map(|(content, _)| content)
}

/// Modulus and exponent of an `RSAPublicKey` ([RFC 8017 A.1.1]): a sequence of two integers.
///
/// [RFC 8017 A.1.1]: https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1
pub(super) fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (n, rest) = value(0x02, whole(0x30, der)?)?;
    Some((unsigned(n)?, unsigned(whole(0x02, rest)?)?))
}

/// Returns the digits of an integer, or `None` when it is negative.
fn unsigned(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        // A zero goes before a number that would be negative without it.
        [0, digits @ ..] => Some(digits),
        [1..0x80, ..] => Some(integer),
        _ => None,
    }
}
