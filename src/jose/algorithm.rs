use crate::ConfigError;
use std::{fmt, str::FromStr};

/// A signature algorithm of JWS
/// ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1),
/// [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)).
///
/// `EdDSA` and `Ed25519` are two names of one algorithm: a key for either checks the signatures of
/// both, and who allows either accepts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// ECDSA with secp256k1 and SHA-256 ([RFC 8812](https://www.rfc-editor.org/rfc/rfc8812)).
    Es256K,
    /// Ed25519 under its old name, `EdDSA`.
    EdDsa,
    /// Ed25519 under its own name ([RFC 9864](https://www.rfc-editor.org/rfc/rfc9864)).
    Ed25519,
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Algorithm {
    /// The algorithms with a public key, each once.
    pub(crate) const ASYMMETRIC: [Self; 11] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Es256K,
        Self::EdDsa,
    ];

    /// Iterates over the algorithms, each once.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ASYMMETRIC.into_iter().chain([Self::Hs256, Self::Hs384, Self::Hs512])
    }

    /// Returns the name in a header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Es256K => "ES256K",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Returns `true` for HMAC, whose signatures are made and checked with one key.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Returns the one of its names under which signatures of the algorithm are checked.
    pub(crate) fn checked_as(self) -> Self {
        if self == Self::Ed25519 { Self::EdDsa } else { self }
    }

    /// Returns the algorithm of this name, whose case counts.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().chain([Self::Ed25519]).find(|algorithm| algorithm.as_str() == name)
    }

    /// Returns the algorithm that the signatures of a header with this name are checked by.
    ///
    /// # Errors
    ///
    /// What it is if it is not supported, for the log.
    pub(super) fn in_header(name: &str) -> Result<Self, &'static str> {
        let of_jwe = ["RSA", "ECDH-ES", "PBES2", "dir", "A"];
        Self::named(name).map(Self::checked_as).ok_or(match name {
            "none" => "none",
            "Ed448" => "Ed448, which is not supported",
            _ if name.starts_with("ML-DSA") => "ML-DSA, which is not supported",
            _ if of_jwe.iter().any(|start| name.starts_with(start)) => {
                "one of encrypted tokens (JWE), which are not supported"
            }
            _ => "another",
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::named(name).ok_or_else(|| {
            ConfigError::new(
                "the name is not that of a signature algorithm, such as ES256, RS256 or HS256",
            )
        })
    }
}
