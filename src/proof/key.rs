use super::kept_nonces::KeptNonces;
use crate::{
    Algorithm, Clock, ConfigError, SigningKey,
    jose::base64url,
    vocabulary::{
        bond::{Prove, Proved, Server},
        token::sensitive_value,
    },
};
use http::{HeaderMap, HeaderValue};
use std::{
    fmt::{self, Write},
    sync::Arc,
    time::SystemTime,
};
use zeroize::Zeroizing;

/// The key that access tokens are bound to ([RFC 9449]): a token is of no use to who steals it without
/// the key.
///
/// Give it to a [`TokenEndpoint`](crate::client::TokenEndpoint::with_proof); the tokens of the endpoint
/// then carry it, through caches, pools, sessions and stores, and
/// [`AddBearer`](crate::client::AddBearer) proves its possession on every request. A clone is the same
/// key, and knows the same nonces. Its `Debug` shows the thumbprint alone.
///
/// | key of | lives | after a restart |
/// |---|---|---|
/// | a client with a secret | with the endpoint | a new one |
/// | a session of a public client | with the session | the same one, kept beside the refresh token, which is bound to it (RFC 9449 §5) |
/// | a [`TokenPool`](crate::client::TokenPool) | with each user's cache | as the row above |
/// | replicas that share a store | at each replica, the same one | the same one |
///
/// A proof by ES256 takes about 20 µs, by EdDSA 12 µs, and is made in `call`.
///
/// ```
/// use tower_oauth2::{
///     ClientAuthentication, ProofKey, Transport,
///     client::{ClientCredentialsRefresh, TokenEndpoint},
/// };
///
/// let client = ClientAuthentication::basic("id", "secret");
/// let endpoint = TokenEndpoint::new("https://as.example/token", client, Transport::https())?
///     .with_proof(ProofKey::generate()?);
/// let layer = ClientCredentialsRefresh::new(endpoint, "https://api.example")?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// # Example: a key that is kept
///
/// ```
/// use tower_oauth2::{Algorithm, ProofKey, SigningKey};
///
/// // At the sign-in. The PEM is as secret as the refresh token beside it.
/// let (key, pem) = SigningKey::generate_pem(Algorithm::Es256)?;
/// let of_sign_in = ProofKey::new(key)?;
///
/// // At the next start, for the endpoint of `TokenCache::from_refresh_token`.
/// let kept = SigningKey::from_pkcs8_pem(Algorithm::Es256, pem.expose())?;
/// assert_eq!(ProofKey::new(kept)?.thumbprint(), of_sign_in.thumbprint());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449
#[derive(Clone)]
pub struct ProofKey {
    shared: Arc<Shared>,
    allow_bearer: bool,
}

struct Shared {
    key: SigningKey,
    /// The header of every proof, encoded, and a dot.
    header: Box<str>,
    thumbprint: Box<str>,
    nonces: KeptNonces,
}

impl ProofKey {
    /// Generates a key for ES256, which ends with the process.
    ///
    /// # Errors
    ///
    /// When the random number generator of the system fails.
    pub fn generate() -> Result<Self, ConfigError> {
        Self::new(SigningKey::generate(Algorithm::Es256)?)
    }

    /// Proves with `key`, for ES256, ES384 or EdDSA.
    ///
    /// # Errors
    ///
    /// When it is for another algorithm: an RSA signature would stall its thread.
    pub fn new(key: SigningKey) -> Result<Self, ConfigError> {
        let algorithm = key.algorithm();
        if !matches!(
            algorithm,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa | Algorithm::Ed25519
        ) {
            return Err(ConfigError::new(format!(
                "proofs are signed by ES256, ES384 or EdDSA, not by {algorithm}"
            )));
        }
        let (header, thumbprint) = key.proof_header()?;
        let shared = Shared { key, header, thumbprint, nonces: KeptNonces::default() };
        Ok(Self { shared: Arc::new(shared), allow_bearer: false })
    }

    /// Takes a token that the authorization server did not bind, and sends it as Bearer. Defaults to an
    /// error, since otherwise whoever stands between could take the protection away.
    #[must_use]
    pub fn allow_bearer(mut self) -> Self {
        self.allow_bearer = true;
        self
    }

    /// Returns the thumbprint of the public key, which servers bind tokens to
    /// ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.shared.thumbprint
    }
}

impl Prove for ProofKey {
    fn prove(&self, request: Proved<'_>) -> Result<HeaderValue, &'static str> {
        let Shared { key, header, nonces, .. } = &*self.shared;
        let claims = claims(&request, nonces.get(request.server).as_deref())?;
        let proof = key.sign_after(header, claims.as_bytes()).map_err(|_| "the key cannot sign")?;
        let value = sensitive_value(Zeroizing::new(proof.into_bytes()));
        value.map_err(|_| "the proof does not fit into a header")
    }

    fn learn(&self, server: &Server, headers: &HeaderMap) -> bool {
        self.shared.nonces.learn(server, headers)
    }

    fn thumbprint(&self) -> &str {
        &self.shared.thumbprint
    }

    fn allows_bearer(&self) -> bool {
        self.allow_bearer
    }
}

/// Writes the claims of a proof.
fn claims(request: &Proved<'_>, nonce: Option<&str>) -> Result<String, &'static str> {
    let jti = Clock::system().secret().ok_or("the system gives no random numbers")?;
    let iat = request.now.duration_since(SystemTime::UNIX_EPOCH);
    let iat = iat.map_err(|_| "the clock shows a time before 1970")?.as_secs();
    // RFC 9112 §3.3: `OPTIONS *` has no path.
    let path = if matches!(request.path, "" | "*") { "/" } else { request.path };
    let mut claims = String::with_capacity(320 + path.len());
    claims.push_str(r#"{"jti":""#);
    base64url::encode_to(jti.get(..16).unwrap_or_default(), &mut claims);
    // Methods are tokens, and thumbprints and nonces are checked. A path may have any octet.
    let (method, origin) = (request.method, &request.server.origin);
    let start = write!(claims, r#"","htm":"{method}","iat":{iat},"htu":"{origin}"#);
    start.map_err(|_| "no memory")?;
    for part in path.split_inclusive(['"', '\\']) {
        let last = part.len().saturating_sub(1);
        match part.split_at_checked(last) {
            Some((start, escaped @ ("\"" | "\\"))) => claims.extend([start, "\\", escaped]),
            _ => claims.push_str(part),
        }
    }
    claims.push('"');
    for (name, value) in [("ath", request.ath), ("nonce", nonce)] {
        if let Some(value) = value {
            claims.extend([",\"", name, "\":\"", value, "\""]);
        }
    }
    claims.push('}');
    Ok(claims)
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKey")
            .field("thumbprint", &self.shared.thumbprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_slow_shared_or_rarely_accepted_are_refused_with_the_reason() {
        for algorithm in [
            Algorithm::Hs256,
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::Es512,
            Algorithm::Es256K,
        ] {
            let key = SigningKey::generate(algorithm).unwrap();
            let error = ProofKey::new(key).unwrap_err().to_string();
            assert!(error.contains("ES256, ES384 or EdDSA"), "{error}");
            assert!(error.ends_with(&algorithm.to_string()), "{error}");
        }
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ed25519]
        {
            let key = SigningKey::generate(algorithm).unwrap();
            assert_eq!(ProofKey::new(key).unwrap().thumbprint().len(), 43);
        }
    }

    #[test]
    fn a_path_cannot_add_a_claim() {
        let uri = http::Uri::from_static(r#"https://api.example/","nonce":"own","x":"\"#);
        let server = Server {
            kind: crate::vocabulary::bond::ServerKind::Resource,
            origin: crate::Origin::from_uri(&uri).unwrap(),
        };
        let (method, path) = (&http::Method::GET, uri.path());
        let now = SystemTime::UNIX_EPOCH;
        let request = Proved { method, server: &server, path, ath: Some("A"), now };
        let json = claims(&request, Some("N")).unwrap();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["htu"], uri.to_string());
        assert_eq!((&read["nonce"], &read["ath"]), (&"N".into(), &"A".into()));
        assert_eq!(read.as_object().unwrap().len(), 6);
    }
}
