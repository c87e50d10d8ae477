//! Clients that sign who they are ([RFC 7523 §3], feature `jwt`).
//!
//! [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use super::{RegisteredClient, answer::Refusal, form::Form, state::State};
use crate::{
    Algorithm, ClientSecret, ConfigError,
    jose::{Compact, Header, KeySet, VerifyingKey, base64url},
};
use serde_json::{Map, Value};
use std::{
    fmt,
    time::{Duration, SystemTime},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How much later than now an assertion may end.
const MAX_LIFETIME: Duration = Duration::from_secs(600);

/// The public key of a client.
#[derive(Clone, Default)]
pub(super) struct ClientKeys(KeySet);

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKeys({})", self.0.len())
    }
}

impl RegisteredClient {
    /// A client that authenticates with assertions signed by the private half of this JWK
    /// (`private_key_jwt`, feature `jwt`).
    ///
    /// # Errors
    ///
    /// When the JWK cannot be used.
    pub fn private_key_jwt(id: impl Into<Box<str>>, public_jwk: &str) -> Result<Self, ConfigError> {
        let key = VerifyingKey::from_jwk(public_jwk.as_bytes()).map_err(ConfigError::new)?;
        let mut client = Self::public(id);
        client.keys = ClientKeys(KeySet::of(key));
        Ok(client)
    }

    /// Whether it signs who it is.
    pub(super) fn is_asserting(&self) -> bool {
        self.keys.0.len() > 0
    }

    /// Whether this is its signature: by its key, or by its secret (`client_secret_jwt`).
    fn signed(&self, algorithm: Algorithm, message: &str, signature: &[u8]) -> bool {
        let verifies = |key: &VerifyingKey| key.verify(algorithm, message.as_bytes(), signature);
        match (algorithm.is_symmetric(), self.secret().map(ClientSecret::expose)) {
            (false, _) => self.keys.0.candidates(None, algorithm).any(verifies),
            (true, Some(secret)) => VerifyingKey::symmetric(algorithm, secret.as_bytes())
                .is_ok_and(|key| verifies(&key)),
            (true, None) => false,
        }
    }
}

/// The client that an assertion in `form` is of; nothing where there is no assertion.
///
/// # Errors
///
/// `invalid_client`, whatever is wrong with the assertion, its second use included.
pub(super) fn authenticate(
    state: &mut State,
    now: SystemTime,
    form: &Form,
) -> Result<Option<RegisteredClient>, Refusal> {
    let Some(assertion) = form.get("client_assertion")? else { return Ok(None) };
    if form.get("client_assertion_type")? != Some(JWT_BEARER) {
        return Err(Refusal::invalid_request("the assertion is of a type that is not known"));
    }
    let client = verified(state, now, assertion).ok_or_else(Refusal::invalid_client)?;
    match form.get("client_id")? {
        Some(named) if named != client.id() => Err(Refusal::invalid_client()),
        _ => Ok(Some(client)),
    }
}

fn verified(state: &mut State, now: SystemTime, assertion: &str) -> Option<RegisteredClient> {
    let compact = Compact::parse(assertion)?;
    let header = base64url::decode(compact.header)?;
    let algorithm = Header::parse(&header)?.algorithm?;
    let claims = base64url::decode(compact.payload)?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    let text = |name: &str| claims.get(name)?.as_str();
    let (issuer, jti) = (text("iss")?, text("jti")?);
    let client = state.clients.get(issuer)?.clone();
    let signature = base64url::decode(compact.signature)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let expiry = Duration::from_secs(claims.get("exp")?.as_u64()?);
    let good = text("sub") == Some(issuer)
        && client.signed(algorithm, compact.signing_input, &signature)
        && now < expiry
        && expiry <= now + MAX_LIFETIME
        // Where the server is reached is not known to it; that it is some address is.
        && text("aud").is_some_and(|audience| audience.contains("://"))
        && state.assertions.insert((issuer.into(), jti.into()));
    good.then_some(client)
}
