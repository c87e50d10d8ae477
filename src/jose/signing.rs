use super::{
    Algorithm, base64url, embedded::thumbprint, jwk::Jwk, key_pair::KeyPair, public_jwk,
    public_key, verifying,
};
use crate::ConfigError;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Signs assertions of clients: `private_key_jwt` and `client_secret_jwt`
/// ([OpenID Connect Core §9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).
///
/// It is bound to one [`Algorithm`]. Its `Debug` shows no key, it cannot be exported, and it is
/// wiped when the last clone is dropped. The caller wipes the text that it was read from.
///
/// ```
/// use tower_oauth2::{Algorithm, SigningKey};
///
/// // The example key of RFC 8037.
/// let key = SigningKey::from_jwk(r#"{
///     "kty": "OKP", "crv": "Ed25519", "kid": "2026-01",
///     "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }"#)?;
/// assert_eq!(key.algorithm(), Algorithm::EdDsa);
/// assert_eq!(key.key_id(), Some("2026-01"));
///
/// // What to register with the authorization server.
/// assert!(!key.public_jwk().unwrap().contains("nWGxne"));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    pub(super) pair: Arc<KeyPair>,
    kid: Option<Box<str>>,
    algorithm: Algorithm,
}

impl SigningKey {
    /// Parses a private JWK ([RFC 7517]): RSA with all its members (`n`, `e`, `d`, `p`, `q`, `dp`,
    /// `dq`, `qi`), EC on P-256, P-384, P-521 or secp256k1, OKP with Ed25519, or a shared secret
    /// (`oct`).
    ///
    /// Its `alg` is the algorithm. Without one, RSA signs RS256, and a curve its own algorithm, Ed25519
    /// under the name `EdDSA`; a shared secret needs one. A `kid` names the key.
    ///
    /// # Errors
    ///
    /// When it has another type, lacks a member, is shorter than [RFC 7518] allows (RSA: 2048 bits;
    /// a shared secret: the hash), or is not for signing by its `use` or `key_ops`.
    ///
    /// [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
    /// [RFC 7518]: https://www.rfc-editor.org/rfc/rfc7518
    pub fn from_jwk(json: &str) -> Result<Self, ConfigError> {
        Self::of_jwk(json).map_err(|reason| unusable("the JWK cannot sign", reason))
    }

    fn of_jwk(json: &str) -> Result<Self, &'static str> {
        let jwk = Jwk::read(json.as_bytes())?;
        jwk.check("sign")?;
        let named = |alg| Algorithm::named(alg).ok_or(public_key::OTHER_ALGORITHM);
        let alg = jwk.alg.as_deref().map(named).transpose();
        let (algorithm, pair) = KeyPair::from_jwk(&jwk, alg)?;
        let kid = jwk.kid().map(Into::into);
        Ok(Self { pair: Arc::new(pair), kid, algorithm })
    }

    /// Parses a private key in PKCS#8, as PEM (`-----BEGIN PRIVATE KEY-----`, [RFC 7468 §10]), for
    /// `algorithm`. It has no name: see [`with_key_id`](Self::with_key_id).
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, SigningKey};
    ///
    /// // The example key of RFC 8410.
    /// let key = SigningKey::from_pkcs8_pem(
    ///     Algorithm::EdDsa,
    ///     "-----BEGIN PRIVATE KEY-----
    /// MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
    /// -----END PRIVATE KEY-----",
    /// )?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it is anything else (the error tells how to convert it), or not a key for `algorithm`.
    ///
    /// [RFC 7468 §10]: https://www.rfc-editor.org/rfc/rfc7468#section-10
    pub fn from_pkcs8_pem(algorithm: Algorithm, pem: &str) -> Result<Self, ConfigError> {
        let pair = KeyPair::from_pkcs8(algorithm, pem)
            .map_err(|reason| unusable("the PEM cannot sign", reason))?;
        Ok(Self::new(algorithm, pair))
    }

    /// Creates a key for HMAC from a shared secret, byte for byte; nothing is decoded. The caller wipes
    /// the secret.
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, SigningKey};
    ///
    /// let secret = "a client secret of 32 characters";
    /// let key = SigningKey::from_secret(Algorithm::Hs256, secret)?;
    /// assert!(SigningKey::from_secret(Algorithm::Hs512, secret).is_err(), "too short for that");
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `algorithm` is not symmetric, when the secret is shorter than its hash: 32, 48 or 64
    /// bytes ([RFC 7518 §3.2]), and when it is the text of a key or a certificate.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    pub fn from_secret(
        algorithm: Algorithm,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let key = verifying::shared(algorithm, secret.as_ref());
        let key = key.map_err(|reason| unusable("the secret cannot sign", reason))?;
        Ok(Self::new(algorithm, KeyPair::Shared(Arc::new(key))))
    }

    pub(super) fn new(algorithm: Algorithm, pair: KeyPair) -> Self {
        Self { pair: Arc::new(pair), kid: None, algorithm }
    }

    /// Names the key (`kid`) in the header of what it signs and in its
    /// [public half](Self::public_jwk). Defaults to the name in its JWK, or none.
    #[must_use]
    pub fn with_key_id(mut self, kid: impl Into<Box<str>>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Returns the algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns its name, if it has one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the public half as a JWK, with its `alg`, its `kid` and `"use": "sig"`, or `None`
    /// for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<String> {
        let mut jwk = public_jwk::members(&self.pair)?;
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm.as_str().into());
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), (**kid).into());
        }
        Some(Value::Object(jwk).to_string())
    }

    /// Returns the compact JWS of `payload`, with `typ` in its header.
    ///
    /// # Errors
    ///
    /// When the library cannot sign.
    pub(crate) fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, ConfigError> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.algorithm.as_str().into());
        header.insert("typ".to_owned(), typ.into());
        if let Some(kid) = &self.kid {
            header.insert("kid".to_owned(), (**kid).into());
        }
        self.sign_with_header(&header, payload)
    }

    /// Returns the compact JWS of `payload` under `header`, which is used as it is.
    ///
    /// # Errors
    ///
    /// As for [`sign`](Self::sign).
    pub(crate) fn sign_with_header(
        &self,
        header: &Map<String, Value>,
        payload: &[u8],
    ) -> Result<String, ConfigError> {
        self.sign_after(&start(header)?, payload)
    }

    /// Returns the compact JWS of `payload` after `start`, an encoded header and a dot.
    ///
    /// # Errors
    ///
    /// As for [`sign`](Self::sign).
    pub(crate) fn sign_after(&self, start: &str, payload: &[u8]) -> Result<String, ConfigError> {
        // Signatures have 64 to 1,024 bytes; most fit.
        let mut token = String::with_capacity(start.len() + payload.len() * 4 / 3 + 100);
        token.push_str(start);
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Returns the start of every proof by this key ([RFC 9449 §4.2]), and the key's thumbprint.
    ///
    /// # Errors
    ///
    /// When it is a shared secret.
    ///
    /// [RFC 9449 §4.2]: https://www.rfc-editor.org/rfc/rfc9449#section-4.2
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "clients prove"))]
    pub(crate) fn proof_header(&self) -> Result<(Box<str>, Box<str>), ConfigError> {
        let jwk = public_jwk::members(&self.pair)
            .ok_or_else(|| ConfigError::new("a shared secret proves nothing"))?;
        let text = Value::Object(jwk.clone()).to_string();
        let thumbprint = Jwk::read(text.as_bytes()).ok().and_then(|jwk| thumbprint(&jwk));
        let thumbprint = thumbprint.ok_or_else(|| ConfigError::new("the key has no thumbprint"))?;
        let mut header = Map::new();
        header.insert("typ".to_owned(), "dpop+jwt".into());
        header.insert("alg".to_owned(), self.algorithm.as_str().into());
        header.insert("jwk".to_owned(), Value::Object(jwk));
        Ok((start(&header)?.into(), thumbprint.into()))
    }

    /// Returns the signature of `message` in the form of JWS.
    ///
    /// # Errors
    ///
    /// As for [`sign`](Self::sign).
    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, ConfigError> {
        let signature = self.pair.sign(message);
        signature.ok_or_else(|| ConfigError::new("the key cannot sign"))
    }
}

/// Returns `header`, encoded, and a dot.
fn start(header: &Map<String, Value>) -> Result<String, ConfigError> {
    let header = serde_json::to_vec(header);
    let header = header.map_err(|_| ConfigError::new("the header is no JSON"))?;
    Ok(base64url::encode(&header) + ".")
}

/// Returns the error of a key that cannot be used. It repeats nothing of the key.
fn unusable(what: &str, reason: &str) -> ConfigError {
    ConfigError::new(format!("{what}: {reason}"))
}

opaque_debug!(SigningKey { algorithm, kid, .. });
