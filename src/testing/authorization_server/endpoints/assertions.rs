//! Checks assertions of clients and about users ([RFC 7523 §2.1] and [§2.2]).
//!
//! [RFC 7523 §2.1]: https://www.rfc-editor.org/rfc/rfc7523#section-2.1
//! [§2.2]: https://www.rfc-editor.org/rfc/rfc7523#section-2.2

use crate::testing::authorization_server::{
    answer::Refusal,
    form::Form,
    state::{RegisteredClient, State},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest time from now until the expiry of an assertion.
const MAX_LIFETIME: Duration = Duration::from_secs(600);

/// Returns the client that the assertion in `form` authenticates, or `None` without an assertion.
///
/// # Errors
///
/// `invalid_client` when anything is wrong with the assertion, which may be used once.
pub(super) fn authenticate(
    state: &mut State,
    form: &Form,
) -> Result<Option<RegisteredClient>, Refusal> {
    let Some(assertion) = form.get("client_assertion")? else { return Ok(None) };
    if form.get("client_assertion_type")? != Some(JWT_BEARER) {
        return Err(Refusal::invalid_request("the type of the assertion is not known"));
    }
    let client = client(state, assertion).ok_or_else(Refusal::invalid_client)?;
    match form.get("client_id")? {
        Some(named) if named != client.id() => Err(Refusal::invalid_client()),
        _ => Ok(Some(client)),
    }
}

fn client(state: &mut State, assertion: &str) -> Option<RegisteredClient> {
    let claims = Claims::read(assertion)?;
    let client = state.clients.get(claims.text("iss")?)?.clone();
    let is_good = claims.text("sub") == Some(client.id())
        && client.keys.verify(assertion, client.secret())
        && claims.accept(state)?;
    is_good.then_some(client)
}

/// Returns the user that an assertion of a trusted issuer is about.
///
/// # Errors
///
/// `invalid_grant` when anything is wrong with the assertion, which may be used once.
pub(super) fn subject(state: &mut State, assertion: &str) -> Result<String, Refusal> {
    user(state, assertion).ok_or(Refusal::invalid_grant(
        "the assertion is not of a trusted issuer, or was used before",
    ))
}

fn user(state: &mut State, assertion: &str) -> Option<String> {
    let claims = Claims::read(assertion)?;
    let keys = state.trusted_issuers.get(claims.text("iss")?)?;
    let is_good = keys.verify(assertion, None) && claims.accept(state)?;
    let subject = claims.text("sub")?;
    (is_good && state.users.contains_key(subject)).then(|| subject.to_owned())
}

/// The claims of an assertion, before its signature is verified.
struct Claims(Map<String, Value>);

impl Claims {
    fn read(assertion: &str) -> Option<Self> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok().map(Self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns `true` if the assertion is for a server, in time, and used for the first time, and
    /// marks it as used.
    fn accept(&self, state: &mut State) -> Option<bool> {
        let (issuer, jti) = (self.text("iss")?, self.text("jti")?);
        let now = state.now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let expiry = Duration::from_secs(self.0.get("exp")?.as_u64()?);
        let is_good = now < expiry
            && expiry <= now + MAX_LIFETIME
            // The server does not know the address at which the client reaches it.
            && self.text("aud").is_some_and(|audience| audience.contains("://"))
            && state.used_assertions.insert((issuer.into(), jti.into()));
        Some(is_good)
    }
}
