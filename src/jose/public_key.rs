//! Checks of public keys, for both ends.

use super::{
    Algorithm,
    curve::{CURVES, Curve},
    jwk::{self, Jwk},
};
use aws_lc_rs::signature::RsaPublicKeyComponents;

/// The minimum of RFC 7518 §3.3.
const MIN_MODULUS_BITS: usize = 2048;
/// The check of a longer one costs too much for a request.
const MAX_MODULUS_BITS: usize = 8192;

pub(super) const OTHER_ALGORITHM: &str = "its algorithm is not one for this key (alg)";

/// Returns why a key of another type than those of this crate cannot be used.
pub(super) fn other_type(kty: Option<&str>) -> &'static str {
    match kty {
        Some("AKP") => "it is an ML-DSA key, which is not supported (kty)",
        Some(_) => "its type is not supported (kty)",
        None => "it has no type (kty)",
    }
}

/// Returns the checked members of an RSA key ([RFC 7518 §6.3.1]). The library would check them only
/// at the first signature.
///
/// [RFC 7518 §6.3.1]: https://www.rfc-editor.org/rfc/rfc7518#section-6.3.1
pub(super) fn rsa(jwk: &Jwk<'_>) -> Result<RsaPublicKeyComponents<Vec<u8>>, &'static str> {
    let (n, e) = (number(&jwk.n)?, number(&jwk.e)?);
    let (Some(first), Some(_)) = (n.first(), e.first()) else {
        return Err("a number is empty or zero");
    };
    match n.len() * 8 - first.leading_zeros() as usize {
        ..MIN_MODULUS_BITS => return Err("its modulus is shorter than 2048 bits"),
        MIN_MODULUS_BITS..=MAX_MODULUS_BITS => {}
        _ => return Err("its modulus is longer than 8192 bits"),
    }
    // The library takes at most 33 bits.
    let exponent = e.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if !(3..1 << 33).contains(&exponent) || exponent % 2 == 0 {
        return Err("its exponent is even, too small or too large");
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err("its modulus is even");
    }
    Ok(RsaPublicKeyComponents { n, e })
}

/// Decodes a number. Zeros before it, which [RFC 7518 §2] does not allow, are dropped: Azure Key Vault
/// and Jenkins write one.
///
/// [RFC 7518 §2]: https://www.rfc-editor.org/rfc/rfc7518#section-2
fn number(member: &jwk::Member<'_>) -> Result<Vec<u8>, &'static str> {
    let bytes = jwk::bytes(member)?;
    Ok(bytes.iter().copied().skip_while(|byte| *byte == 0).collect())
}

/// Returns the curve of an EC key, and its point
/// ([RFC 7518 §6.2.1](https://www.rfc-editor.org/rfc/rfc7518#section-6.2.1)).
pub(super) fn ec(jwk: &Jwk<'_>) -> Result<(&'static Curve, Vec<u8>), &'static str> {
    let curve = CURVES.iter().find(|curve| jwk.crv.as_deref() == Some(curve.name));
    let curve = curve.ok_or("its curve is not supported (crv)")?;
    if jwk.alg.as_deref().is_some_and(|alg| alg != curve.algorithm.as_str()) {
        return Err(OTHER_ALGORITHM);
    }
    let mut point = vec![4]; // uncompressed
    for coordinate in [&jwk.x, &jwk.y] {
        let coordinate = jwk::bytes(coordinate)?;
        if coordinate.len() != curve.len {
            return Err("a coordinate has not the size of its curve");
        }
        point.extend_from_slice(&coordinate);
    }
    Ok((curve, point))
}

/// Returns the point of an Ed25519 key
/// ([RFC 8037 §2](https://www.rfc-editor.org/rfc/rfc8037#section-2)).
pub(super) fn ed25519(jwk: &Jwk<'_>) -> Result<[u8; 32], &'static str> {
    match jwk.crv.as_deref() {
        Some("Ed25519") => {}
        Some("Ed448") => return Err("it is an Ed448 key, which is not supported (crv)"),
        Some("X25519" | "X448") => return Err("its curve is for encryption alone (crv)"),
        _ => return Err("its curve is not supported (crv)"),
    }
    let other = |alg| Algorithm::named(alg).map(Algorithm::checked_as) != Some(Algorithm::EdDsa);
    if jwk.alg.as_deref().is_some_and(other) {
        return Err(OTHER_ALGORITHM);
    }
    let point = jwk::bytes(&jwk.x)?;
    let point = point.as_slice().try_into();
    let point: [u8; 32] = point.map_err(|_| "a coordinate has not the size of its curve")?;
    if is_weak(&point) {
        return Err("its point has a small order, so that signatures can be forged");
    }
    Ok(point)
}

/// The second coordinates of the points of order 8, of either sign. Those of order 1, 2 and 4 are
/// 1, -1 and 0.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Returns `true` for a point of edwards25519 of small order, under which every message can be
/// signed without a private key, and for a second spelling of a point.
fn is_weak(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f; // the sign of the first coordinate
    let [low, middle @ .., high] = y;
    let is_small = low <= 1 && middle == [0; 30] && high == 0;
    // The prime is 2²⁵⁵ - 19. One less is the point of order 2, from there on nothing is reduced.
    let is_large = low >= 0xec && middle == [0xff; 30] && high == 0x7f;
    is_small || is_large || ORDER_8.contains(&y)
}
