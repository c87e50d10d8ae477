//! Public keys in DER, as the members of a JWK, so that they pass the same checks.

use super::{
    base64url,
    curve::CURVES,
    der::{rsa_numbers, value, whole},
    jwk::{Jwk, thumbprint},
};
use std::borrow::Cow;

const NO_KEY: &str = "it is not a public key in DER";

/// Algorithms of keys ([RFC 3279 §2.3], [RFC 8410 §3]): the object identifier, and the parameters
/// where there is one choice.
///
/// [RFC 3279 §2.3]: https://www.rfc-editor.org/rfc/rfc3279#section-2.3
/// [RFC 8410 §3]: https://www.rfc-editor.org/rfc/rfc8410#section-3
const RSA: [u8; 13] =
    [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const RSA_PSS: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
const ED448: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x71];
/// The last byte is the set of parameters, 0x11 to 0x13.
const ML_DSA: [u8; 10] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];

/// Reads a `SubjectPublicKeyInfo` ([RFC 5280 §4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1)).
pub(super) fn public_key(der: &[u8]) -> Result<Jwk<'static>, &'static str> {
    key_info(whole(0x30, der).ok_or(NO_KEY)?)
}

/// Reads an `RSAPublicKey` ([RFC 8017 A.1.1]).
///
/// [RFC 8017 A.1.1]: https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1
pub(super) fn rsa_public_key(der: &[u8]) -> Result<Jwk<'static>, &'static str> {
    let (n, e) = rsa_numbers(der).ok_or("it is not an RSA public key in DER")?;
    Ok(Jwk { kty: Some("RSA".into()), n: encoded(n), e: encoded(e), ..Jwk::default() })
}

/// Reads the key of an X.509 certificate. Nothing else in it counts.
pub(super) fn certificate(der: &[u8]) -> Result<Jwk<'static>, &'static str> {
    let info = certified(der).ok_or("it is not an X.509 certificate in DER")?;
    Ok(Jwk { x5t_s256: Some(thumbprint(der).into()), ..key_info(info)? })
}

/// Returns the content of the `SubjectPublicKeyInfo`.
fn certified(der: &[u8]) -> Option<&[u8]> {
    let (fields, _) = value(0x30, whole(0x30, der)?)?;
    let fields = value(0xa0, fields).map_or(fields, |(_version, rest)| rest);
    let (_serial_number, mut fields) = value(0x02, fields)?;
    for _before_the_key in ["signature", "issuer", "validity", "subject"] {
        (_, fields) = value(0x30, fields)?;
    }
    value(0x30, fields).map(|(info, _)| info)
}

fn key_info(info: &[u8]) -> Result<Jwk<'static>, &'static str> {
    let parts = value(0x30, info).and_then(|(algorithm, bits)| {
        // No bit of the last byte is unused.
        Some((algorithm, whole(0x03, bits)?.strip_prefix(&[0])?))
    });
    let (algorithm, key) = parts.ok_or(NO_KEY)?;
    if let Some(parameters) = algorithm.strip_prefix(&EC) {
        return ec(parameters, key);
    }
    if algorithm == RSA {
        return rsa_public_key(key);
    }
    if algorithm == ED25519 {
        let crv = Some("Ed25519".into());
        return Ok(Jwk { kty: Some("OKP".into()), crv, x: encoded(key), ..Jwk::default() });
    }
    Err(match algorithm {
        _ if algorithm.starts_with(&RSA_PSS) => {
            "it is an RSA key for RSASSA-PSS alone: give it as a JWK, with its alg"
        }
        _ if algorithm.starts_with(&ED448) => "it is an Ed448 key, which is not supported",
        _ if matches!(algorithm.strip_prefix(&ML_DSA), Some([0x11..=0x13])) => {
            "it is an ML-DSA key, which is not supported"
        }
        _ => "its type is not supported: RSA, EC and Ed25519 are",
    })
}

fn ec(parameters: &[u8], key: &[u8]) -> Result<Jwk<'static>, &'static str> {
    let curve = CURVES.iter().find(|curve| curve.identifier == parameters);
    let curve = curve.ok_or(match parameters {
        [0x06, ..] => "its curve is not supported",
        _ => "its curve is given by parameters, not by name",
    })?;
    // The first byte says that both coordinates follow.
    let Some(point) = key.strip_prefix(&[4]) else {
        return Err("its point is compressed: convert it, with `openssl ec -pubin` for example");
    };
    let (x, y) = point.split_at(point.len() / 2);
    let (kty, crv) = (Some("EC".into()), Some(curve.name.into()));
    Ok(Jwk { kty, crv, x: encoded(x), y: encoded(y), ..Jwk::default() })
}

fn encoded(bytes: &[u8]) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(base64url::encode(bytes)))
}
