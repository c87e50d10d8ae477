//! The public half of a key pair, as the members of a JWK
//! ([RFC 7518 §6](https://www.rfc-editor.org/rfc/rfc7518#section-6)).

use super::{base64url, key_pair::KeyPair};
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Map, Value};

/// Returns the members, or `None` for a shared secret.
pub(super) fn members(pair: &KeyPair) -> Option<Map<String, Value>> {
    let members = match pair {
        KeyPair::Rsa(pair, _) => {
            let (n, e) = rsa_numbers(pair.public_key().as_ref())?;
            vec![
                ("kty", "RSA".to_owned()),
                ("n", base64url::encode(n)),
                ("e", base64url::encode(e)),
            ]
        }
        KeyPair::Ec(pair) => {
            let (_, coordinates) = pair.public_key().as_ref().split_first()?; // 4: uncompressed
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let curve = if x.len() == 32 { "P-256" } else { "P-384" };
            vec![
                ("kty", "EC".to_owned()),
                ("crv", curve.to_owned()),
                ("x", base64url::encode(x)),
                ("y", base64url::encode(y)),
            ]
        }
        KeyPair::Ed25519(pair) => vec![
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", base64url::encode(pair.public_key().as_ref())),
        ],
        KeyPair::Shared(_) => return None,
    };
    Some(members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// Modulus and exponent of an `RSAPublicKey` ([RFC 8017 A.1.1]), which the library wrote: a
/// sequence of two integers.
///
/// [RFC 8017 A.1.1]: https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = value(0x30, der)?;
    let (n, rest) = value(0x02, sequence)?;
    let (e, _) = value(0x02, rest)?;
    // A zero goes before a number that would be negative without it.
    Some((n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e)))
}

/// Returns the content of the DER value of `tag` at the start of `der`, and the rest.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, len], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match (len, rest) {
        (..=0x7f, _) => (usize::from(len), rest),
        (0x81, [len, rest @ ..]) => (usize::from(*len), rest),
        (0x82, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}
