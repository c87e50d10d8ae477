use super::{
    Algorithm,
    jwk::Jwk,
    key_id::KeyId,
    pem,
    public_der::{certificate, public_key as key_info, rsa_public_key},
    public_key::{self, OTHER_ALGORITHM, other_type},
};
use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey, RsaParameters},
};
use std::sync::Arc;

/// A key that checks signatures: a public key of a JWK, or a shared secret.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<Box<str>>,
    /// Of its certificate.
    thumbprints: Vec<Box<str>>,
    /// The issuer that the JWK names.
    pub(super) issuer: Option<Box<str>>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    /// Parsed once for each algorithm that it may be used with.
    Public(Arc<[(Algorithm, ParsedPublicKey)]>),
    Shared(Algorithm, Arc<hmac::Key>),
}

impl VerifyingKey {
    /// Parses one JWK.
    ///
    /// # Errors
    ///
    /// When it cannot be used: its type, its size, its use, or a wrong member.
    #[cfg_attr(not(feature = "test-util"), allow(dead_code, reason = "for clients that sign"))]
    pub(crate) fn from_jwk(json: &[u8]) -> Result<Self, &'static str> {
        Self::new(&Jwk::read(json)?)
    }

    /// Returns the key of a published `jwk`.
    pub(super) fn new(jwk: &Jwk<'_>) -> Result<Self, &'static str> {
        jwk.check("verify")?;
        match jwk.kty.as_deref() {
            // Every reader of the set could sign.
            Some("oct") => return Err("it is a shared secret"),
            // The same holds for the readers of this entry.
            _ if jwk.is_private() => return Err("it holds a private key"),
            _ => {}
        }
        let keys = match jwk.kty.as_deref() {
            Some("RSA") => rsa(jwk)?,
            Some("EC") => vec![ec(jwk)?],
            Some("OKP") => vec![okp(jwk)?],
            other => return Err(other_type(other)),
        };
        let kid = jwk.kid().map(Into::into);
        let material = Material::Public(keys.into());
        let issuer = jwk.issuer.as_deref().map(Into::into);
        Ok(Self { kid, thumbprints: jwk.thumbprints(), issuer, material })
    }

    /// Returns the key of a shared secret for the symmetric `algorithm`.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than the hash ([RFC 7518 §3.2]), or no secret at all.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    pub(crate) fn symmetric(algorithm: Algorithm, secret: &[u8]) -> Result<Self, &'static str> {
        let key = shared(algorithm, secret)?;
        Ok(Self::of_shared(algorithm, Arc::new(key)))
    }

    pub(super) fn of_shared(algorithm: Algorithm, key: Arc<hmac::Key>) -> Self {
        let material = Material::Shared(algorithm, key);
        Self { kid: None, thumbprints: Vec::new(), issuer: None, material }
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns `true` if `id` is its name, or a thumbprint of its certificate.
    pub(super) fn is_named(&self, id: &KeyId<'_>) -> bool {
        match id {
            KeyId::Kid(kid) => self.kid() == Some(kid),
            KeyId::Thumbprint(text) => self.thumbprints.iter().any(|own| **own == **text),
        }
    }

    /// Returns `true` if the key may be used with `algorithm`.
    pub(crate) fn supports(&self, algorithm: Algorithm) -> bool {
        let algorithm = algorithm.checked_as();
        match &self.material {
            Material::Public(keys) => keys.iter().any(|(bound, _)| *bound == algorithm),
            Material::Shared(bound, _) => *bound == algorithm,
        }
    }

    /// Returns `true` if `signature` is one of `message`, by this key and `algorithm`.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = algorithm.checked_as();
        match &self.material {
            Material::Public(keys) => keys.iter().any(|(bound, key)| {
                *bound == algorithm && key.verify_sig(message, signature).is_ok()
            }),
            Material::Shared(bound, key) => {
                *bound == algorithm && hmac::verify(key, message, signature).is_ok()
            }
        }
    }

    /// Returns `true` if `other` is the same key with the same names and algorithms. A shared secret
    /// equals only its clones, since its bytes are not kept.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        if self.kid != other.kid
            || self.issuer != other.issuer
            || self.thumbprints != other.thumbprints
        {
            return false;
        }
        match (&self.material, &other.material) {
            (Material::Public(keys), Material::Public(others)) => {
                // The bytes of a parsed key are its encoding.
                keys.len() == others.len()
                    && keys
                        .iter()
                        .zip(others.iter())
                        .all(|(key, other)| key.0 == other.0 && key.1.as_ref() == other.1.as_ref())
            }
            (Material::Shared(algorithm, key), Material::Shared(other_algorithm, other_key)) => {
                algorithm == other_algorithm && Arc::ptr_eq(key, other_key)
            }
            _ => false,
        }
    }
}

/// Returns the HMAC key for `algorithm`, at least as long as the hash (RFC 7518 §3.2). What is
/// public is refused: everyone could sign with it.
pub(super) fn shared(algorithm: Algorithm, secret: &[u8]) -> Result<hmac::Key, &'static str> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return Err("a shared secret is for HS256, HS384 or HS512"),
    };
    if is_no_secret(secret) {
        return Err("the shared secret is the text of a key or a certificate, which is no secret");
    }
    if secret.len() < hash.tag_len() {
        return Err(
            "the shared secret is shorter than the 32, 48 or 64 bytes of HS256, HS384 or HS512",
        );
    }
    Ok(hmac::Key::new(hash, secret))
}

/// Returns `true` for a key in PEM, with or without its lines around it, DER, a JWK, a JWK set or the
/// form of SSH.
fn is_no_secret(secret: &[u8]) -> bool {
    const PEM: &[u8] = b"-----BEGIN ";
    let text = secret.trim_ascii();
    let of_ssh = [&b"ssh-"[..], b"ecdsa-sha2-"].iter().any(|start| text.starts_with(start));
    let is_object = text.starts_with(b"{") && Jwk::read(text).is_ok();
    let is_der =
        |der: &[u8]| [key_info, rsa_public_key, certificate].iter().any(|read| read(der).is_ok());
    let bare = str::from_utf8(secret).ok().and_then(|text| pem::decoded(text).ok());
    let is_key = is_der(secret) || bare.is_some_and(|der| is_der(&der));
    of_ssh || is_object || is_key || text.windows(PEM.len()).any(|part| part == PEM)
}

/// Parses an RSA key, once for each algorithm that it may be used with.
fn rsa(jwk: &Jwk<'_>) -> Result<Vec<(Algorithm, ParsedPublicKey)>, &'static str> {
    let public = public_key::rsa(jwk)?;
    let mut keys = Vec::new();
    for algorithm in Algorithm::ASYMMETRIC {
        let is_other = jwk.alg.as_deref().is_some_and(|alg| alg != algorithm.as_str());
        if let (false, Some(parameters)) = (is_other, rsa_parameters(algorithm)) {
            let key = public.to_parsed_public_key(parameters);
            keys.push((algorithm, key.map_err(|_| "its members are not an RSA key")?));
        }
    }
    if keys.is_empty() { Err(OTHER_ALGORITHM) } else { Ok(keys) }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ec(jwk: &Jwk<'_>) -> Result<(Algorithm, ParsedPublicKey), &'static str> {
    let (curve, point) = public_key::ec(jwk)?;
    let key = ParsedPublicKey::new(curve.verifying, point);
    Ok((curve.algorithm, key.map_err(|_| "its point is not on its curve")?))
}

fn okp(jwk: &Jwk<'_>) -> Result<(Algorithm, ParsedPublicKey), &'static str> {
    let key = ParsedPublicKey::new(&signature::ED25519, public_key::ed25519(jwk)?);
    Ok((Algorithm::EdDsa, key.map_err(|_| "its members are not an Ed25519 key")?))
}
