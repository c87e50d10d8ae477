use super::Algorithm;

/// A key that checks signatures: a public key of a JWK, or a shared secret.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<Box<str>>,
}

impl VerifyingKey {
    /// Parses one JWK.
    ///
    /// # Errors
    ///
    /// Why it cannot be used here: its type, its size, its use, a member that is wrong.
    pub(crate) fn from_jwk(json: &[u8]) -> Result<Self, &'static str> {
        let _ = json;
        unimplemented!()
    }

    /// A shared secret for `algorithm`, which is symmetric.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than the hash ([RFC 7518 §3.2]).
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    pub(crate) fn symmetric(algorithm: Algorithm, secret: &[u8]) -> Result<Self, &'static str> {
        let _ = (algorithm, secret);
        unimplemented!()
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the key may be used with `algorithm`.
    pub(crate) fn supports(&self, algorithm: Algorithm) -> bool {
        let _ = algorithm;
        unimplemented!()
    }

    /// Whether `signature` is one of `message`, by this key and `algorithm`.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let _ = (algorithm, message, signature);
        unimplemented!()
    }
}
