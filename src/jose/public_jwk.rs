//! The public half of a key pair, as the members of a JWK
//! ([RFC 7518 §6](https://www.rfc-editor.org/rfc/rfc7518#section-6)).

use super::{base64url, der::rsa_numbers, key_pair::KeyPair};
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
        KeyPair::Ec(pair, curve) => {
            let (_, coordinates) = pair.public_key().as_ref().split_first()?; // 4: uncompressed
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            vec![
                ("kty", "EC".to_owned()),
                ("crv", curve.name.to_owned()),
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
