//! Clients that sign who they are ([RFC 7523 §3], feature `jwt`).
//!
//! [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use super::{AuthorizationServer, RegisteredClient, answer::Refusal, form::Form, state::State};
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
        let key = VerifyingKey::from_jwk(public_jwk.as_bytes()).map_err(unusable)?;
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
    let parsed = Parsed::of(assertion)?;
    let issuer = parsed.text("iss")?;
    let client = state.clients.get(issuer)?.clone();
    let good = parsed.text("sub") == Some(issuer)
        && client.signed(parsed.algorithm, parsed.signing_input, &parsed.signature)
        && parsed.is_good(state, now)?;
    good.then_some(client)
}

/// An assertion, before anything of it is believed.
struct Parsed<'a> {
    signing_input: &'a str,
    algorithm: Algorithm,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl<'a> Parsed<'a> {
    fn of(assertion: &'a str) -> Option<Self> {
        let compact = Compact::parse(assertion)?;
        let header = base64url::decode(compact.header)?;
        let claims = base64url::decode(compact.payload)?;
        Some(Self {
            signing_input: compact.signing_input,
            algorithm: Header::parse(&header)?.algorithm?,
            signature: base64url::decode(compact.signature)?,
            claims: serde_json::from_slice(&claims).ok()?,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// Whether it is for a server, in time, and used for the first time, which this is.
    fn is_good(&self, state: &mut State, now: SystemTime) -> Option<bool> {
        let (issuer, jti) = (self.text("iss")?, self.text("jti")?);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let expiry = Duration::from_secs(self.claims.get("exp")?.as_u64()?);
        let good = now < expiry
            && expiry <= now + MAX_LIFETIME
            // Where the server is reached is not known to it; that it is some address is.
            && self.text("aud").is_some_and(|audience| audience.contains("://"))
            && state.assertions.insert((issuer.into(), jti.into()));
        Some(good)
    }
}

/// The user whom an assertion of a trusted issuer is about.
///
/// # Errors
///
/// `invalid_grant`, whatever is wrong with the assertion, its second use included.
pub(super) fn subject(
    state: &mut State,
    now: SystemTime,
    assertion: &str,
) -> Result<String, Refusal> {
    let mut subject = || {
        let parsed = Parsed::of(assertion)?;
        let keys = state.issuers.get(parsed.text("iss")?)?.clone();
        let verifies = |key: &VerifyingKey| {
            key.verify(parsed.algorithm, parsed.signing_input.as_bytes(), &parsed.signature)
        };
        let good = !parsed.algorithm.is_symmetric()
            && keys.0.candidates(None, parsed.algorithm).any(verifies)
            && parsed.is_good(state, now)?;
        let subject = parsed.text("sub")?;
        (good && state.users.contains_key(subject)).then(|| subject.to_owned())
    };
    subject().ok_or(Refusal::invalid_grant(
        "the assertion is none of a trusted issuer, or was used before",
    ))
}

fn unusable(why: &str) -> ConfigError {
    ConfigError::new(format!("the public JWK cannot be used: {why}"))
}

impl AuthorizationServer {
    /// Trusts what `issuer` says of users, signed by the private half of this JWK: the grant
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` ([RFC 7523 §2.1], feature `jwt`). Its `sub`
    /// has to be a user. Defaults to nobody.
    ///
    /// # Errors
    ///
    /// When the JWK cannot be used.
    ///
    /// [RFC 7523 §2.1]: https://www.rfc-editor.org/rfc/rfc7523#section-2.1
    pub fn trust_issuer(
        &self,
        issuer: impl Into<Box<str>>,
        public_jwk: &str,
    ) -> Result<(), ConfigError> {
        let key = VerifyingKey::from_jwk(public_jwk.as_bytes()).map_err(unusable)?;
        self.lock().issuers.insert(issuer.into(), ClientKeys(KeySet::of(key)));
        Ok(())
    }
}
