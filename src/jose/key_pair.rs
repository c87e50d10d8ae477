use super::{
    Algorithm,
    curve::{CURVES, Curve},
    jwk::{self, Jwk},
    pem, public_key, verifying,
};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeyPairComponents,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaEncoding, RsaKeyPair},
};
use std::sync::Arc;

/// A private key or a shared secret, parsed by the library.
pub(super) enum KeyPair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair, &'static Curve),
    Ed25519(Ed25519KeyPair),
    Shared(Arc<hmac::Key>),
}

impl KeyPair {
    /// Returns the key of `jwk`, and the algorithm that it signs with, `alg` if the JWK has one.
    pub(super) fn from_jwk(
        jwk: &Jwk<'_>,
        alg: Result<Option<Algorithm>, &'static str>,
    ) -> Result<(Algorithm, Self), &'static str> {
        match jwk.kty.as_deref() {
            Some("RSA") => rsa(jwk, alg?.unwrap_or(Algorithm::Rs256)),
            Some("EC") => ec(jwk),
            Some("OKP") => ed25519(jwk, alg?.unwrap_or(Algorithm::EdDsa)),
            Some("oct") => {
                let algorithm = alg?.ok_or("a shared secret needs its algorithm (alg)")?;
                let key = verifying::shared(algorithm, &jwk::bytes(&jwk.k)?)?;
                Ok((algorithm, Self::Shared(Arc::new(key))))
            }
            other => Err(public_key::other_type(other)),
        }
    }

    pub(super) fn from_pkcs8(algorithm: Algorithm, pem: &str) -> Result<Self, &'static str> {
        let der = pem::private_key(pem)?;
        if let Some(encoding) = rsa_encoding(algorithm) {
            RsaKeyPair::from_pkcs8(&der).map(|pair| Self::Rsa(pair, encoding))
        } else if let Some(curve) = CURVES.iter().find(|curve| curve.algorithm == algorithm) {
            EcdsaKeyPair::from_pkcs8(curve.signing, &der).map(|pair| Self::Ec(pair, curve))
        } else if algorithm.checked_as() == Algorithm::EdDsa {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self::Ed25519)
        } else {
            return Err("PKCS#8 has no shared secrets: use SigningKey::from_secret");
        }
        .map_err(|_| "it is not a key for this algorithm, or not of 2048 to 8192 bits")
    }

    /// Returns the signature of `message`, or `None` when the library cannot sign.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).ok().map(|()| signature)
            }
            Self::Ec(pair, _) => {
                pair.sign(&random, message).ok().map(|made| made.as_ref().to_vec())
            }
            Self::Ed25519(pair) => pair.try_sign(message).ok().map(|made| made.as_ref().to_vec()),
            Self::Shared(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

pub(super) fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn rsa(jwk: &Jwk<'_>, algorithm: Algorithm) -> Result<(Algorithm, KeyPair), &'static str> {
    let encoding = rsa_encoding(algorithm).ok_or(public_key::OTHER_ALGORITHM)?;
    let pair = RsaKeyPair::from_components(&KeyPairComponents {
        public_key: public_key::rsa(jwk)?,
        d: jwk::bytes(&jwk.d)?,
        p: jwk::bytes(&jwk.p)?,
        q: jwk::bytes(&jwk.q)?,
        dP: jwk::bytes(&jwk.dp)?,
        dQ: jwk::bytes(&jwk.dq)?,
        qInv: jwk::bytes(&jwk.qi)?,
    });
    let pair = pair.map_err(|_| "its members are not an RSA key, or not of the same one")?;
    Ok((algorithm, KeyPair::Rsa(pair, encoding)))
}

fn ec(jwk: &Jwk<'_>) -> Result<(Algorithm, KeyPair), &'static str> {
    let (curve, point) = public_key::ec(jwk)?;
    let private = jwk::bytes(&jwk.d)?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.signing, &private, &point);
    let pair =
        pair.map_err(|_| "its members are not a key of its curve, or not of the same one")?;
    Ok((curve.algorithm, KeyPair::Ec(pair, curve)))
}

fn ed25519(jwk: &Jwk<'_>, algorithm: Algorithm) -> Result<(Algorithm, KeyPair), &'static str> {
    let (seed, public) = (jwk::bytes(&jwk.d)?, public_key::ed25519(jwk)?);
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
    let pair = pair.map_err(|_| "its members are not an Ed25519 key, or not of the same one")?;
    Ok((algorithm, KeyPair::Ed25519(pair)))
}
