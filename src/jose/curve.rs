use super::Algorithm;
use aws_lc_rs::signature::{self, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm};

/// A curve of ECDSA, which stands for one algorithm
/// ([RFC 7518 §3.4](https://www.rfc-editor.org/rfc/rfc7518#section-3.4),
/// [RFC 8812 §3](https://www.rfc-editor.org/rfc/rfc8812#section-3)).
pub(super) struct Curve {
    /// In a JWK.
    pub(super) name: &'static str,
    pub(super) algorithm: Algorithm,
    /// The size of a coordinate, in bytes.
    pub(super) len: usize,
    /// Its object identifier, in DER ([RFC 5480 §2.1.1.1](https://www.rfc-editor.org/rfc/rfc5480#section-2.1.1.1)).
    pub(super) identifier: &'static [u8],
    pub(super) verifying: &'static EcdsaVerificationAlgorithm,
    pub(super) signing: &'static EcdsaSigningAlgorithm,
}

pub(super) static CURVES: [Curve; 4] = [
    Curve {
        name: "P-256",
        algorithm: Algorithm::Es256,
        len: 32,
        identifier: &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        verifying: &signature::ECDSA_P256_SHA256_FIXED,
        signing: &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    },
    Curve {
        name: "P-384",
        algorithm: Algorithm::Es384,
        len: 48,
        identifier: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
        verifying: &signature::ECDSA_P384_SHA384_FIXED,
        signing: &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    },
    Curve {
        name: "P-521",
        algorithm: Algorithm::Es512,
        len: 66,
        identifier: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
        verifying: &signature::ECDSA_P521_SHA512_FIXED,
        signing: &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    },
    Curve {
        name: "secp256k1",
        algorithm: Algorithm::Es256K,
        len: 32,
        identifier: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
        verifying: &signature::ECDSA_P256K1_SHA256_FIXED,
        signing: &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
    },
];
