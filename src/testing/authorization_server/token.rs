//! The token endpoint: who asks, what for, and what is issued ([RFC 6749 §4] and [§6]).
//!
//! [RFC 6749 §4]: https://www.rfc-editor.org/rfc/rfc6749#section-4
//! [§6]: https://www.rfc-editor.org/rfc/rfc6749#section-6

use super::{
    IssuedToken, RegisteredClient,
    answer::{Members, Refusal},
    assertions, client_auth,
    form::Form,
    state::{Grant, Issued, State},
};
use crate::ScopeSet;
use bytes::Bytes;
use http::{Response, request::Parts};
use sha2::{Digest, Sha256};
use std::time::SystemTime;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(super) fn answer(
    state: &mut State,
    now: SystemTime,
    head: &Parts,
    body: &Bytes,
) -> Response<Bytes> {
    match exchange(state, now, head, body) {
        Ok(issued) => tell(state, &issued),
        Err(refusal) => refusal.into_response(),
    }
}

/// The answer that tells what was issued, shaped by the settings.
pub(super) fn tell(state: &State, issued: &Issued) -> Response<Bytes> {
    let settings = &state.settings;
    let mut members = Members::default();
    members.set_text("access_token", &issued.access_token);
    if settings.bare {
        return members.into_response();
    }
    if settings.token_type {
        members.set_text("token_type", "Bearer");
    }
    if let Some(lifetime) = settings.lifetime {
        members.set("expires_in", lifetime.as_secs().to_string());
    }
    if let Some(refresh_token) = &issued.refresh_token {
        members.set_text("refresh_token", refresh_token);
    }
    if let Some(token_type) = issued.token_type {
        members.set_text("issued_token_type", token_type);
    }
    if !issued.scopes.is_empty() {
        members.set_text("scope", &issued.scopes.to_string());
    }
    for (name, json) in &settings.extra {
        members.set(name, json.clone());
    }
    members.into_response()
}

fn exchange(
    state: &mut State,
    now: SystemTime,
    head: &Parts,
    body: &Bytes,
) -> Result<Issued, Refusal> {
    let form = Form::of_request(head, body)?;
    let client = client_auth::authenticate(state, now, &head.headers, &form)?;
    match form.require("grant_type")? {
        "client_credentials" => client_credentials(state, now, &form, &client),
        "authorization_code" => authorization_code(state, now, &form, &client),
        "refresh_token" => refresh_token(state, now, &form, &client),
        "password" => password(state, now, &form, &client),
        JWT_BEARER => jwt_bearer(state, now, &form, &client),
        TOKEN_EXCHANGE => token_exchange(state, now, &form, &client),
        _ => Err(Refusal::new("unsupported_grant_type", "the grant type is not known")),
    }
}

fn client_credentials(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    if client.is_public() {
        let description = "a client without a secret gets no token of its own";
        return Err(Refusal::new("unauthorized_client", description));
    }
    let scopes = client.own_scopes(&form.scopes()?)?;
    let grant = state.grant(None, Some(client.id()), scopes);
    state.issue(&grant, grant.scopes.clone(), now)
}

fn authorization_code(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    let redirect_uri = form.get("redirect_uri")?;
    let verifier = form.get("code_verifier")?;
    let unknown = || Refusal::invalid_grant("the code is not known");
    // Whatever is wrong from here on, the code was used.
    let code = state.spend_code(form.require("code")?, client.id()).ok_or_else(unknown)?;
    if code.spent {
        state.revoke_grant(&code.grant);
        return Err(Refusal::invalid_grant("the code was used before"));
    }
    if code.expires_at.is_some_and(|expiry| now >= expiry) {
        return Err(Refusal::invalid_grant("the code expired"));
    }
    if code.redirect_uri.as_deref() != redirect_uri {
        return Err(Refusal::invalid_grant("the code went to another redirect URI"));
    }
    let proven = match (code.challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            is_verifier(verifier) && Sha256::digest(verifier.as_bytes()).as_slice() == challenge
        }
        // A verifier without a challenge: somebody took the challenge away (RFC 9700 §4.8.2).
        _ => false,
    };
    match proven {
        true => issue_to_user(state, now, code.grant),
        false => Err(Refusal::invalid_grant("the code verifier does not fit the challenge")),
    }
}

/// `43*128unreserved` ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

fn password(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    let name = form.require("username")?;
    let rights = state.log_in(name, form.require("password")?);
    let rights = rights.ok_or(Refusal::invalid_grant("the user name or the password is wrong"))?;
    let scopes = client.users_scopes(&form.scopes()?, &rights)?;
    let grant = state.grant(Some(name), Some(client.id()), scopes);
    issue_to_user(state, now, grant)
}

/// RFC 7523 §2.1.
fn jwt_bearer(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    let name = assertions::subject(state, now, form.require("assertion")?)?;
    let rights = state.users.get(&name).map(|user| user.scopes.clone()).unwrap_or_default();
    let scopes = client.users_scopes(&form.scopes()?, &rights)?;
    let grant = state.grant(Some(&name), Some(client.id()), scopes);
    state.issue(&grant, grant.scopes.clone(), now)
}

/// RFC 8693 §2: an access token of this server for another, with no more scopes.
fn token_exchange(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    if client.is_public() {
        let description = "a client without a secret exchanges nothing";
        return Err(Refusal::new("unauthorized_client", description));
    }
    let subject = presented(state, now, form, "subject_token", "subject_token_type")?;
    let subject = subject.ok_or(Refusal::invalid_request("subject_token is missing"))?;
    presented(state, now, form, "actor_token", "actor_token_type")?;
    if form.get("requested_token_type")?.is_some_and(|requested| requested != ACCESS_TOKEN) {
        return Err(Refusal::invalid_request("only access tokens are issued"));
    }
    let scopes = refreshed(form.scopes()?, subject.scopes())?;
    let grant = state.grant(subject.subject(), Some(client.id()), scopes);
    let issued = state.issue(&grant, grant.scopes.clone(), now)?;
    Ok(Issued { token_type: Some(ACCESS_TOKEN), ..issued })
}

/// What a token of an exchange stands for; nothing where neither it nor its type is there.
fn presented(
    state: &State,
    now: SystemTime,
    form: &Form,
    token: &str,
    token_type: &str,
) -> Result<Option<IssuedToken>, Refusal> {
    match (form.get(token)?, form.get(token_type)?) {
        (None, None) => Ok(None),
        (Some(token), Some(ACCESS_TOKEN)) => match state.standing(token, now) {
            Ok(issued) => Ok(Some(issued.clone())),
            // RFC 8693 §2.2.2 has it so, not `invalid_grant`.
            Err(_) => Err(Refusal::invalid_request("the token is not known, or good no longer")),
        },
        _ => Err(Refusal::invalid_request("a token and its type come together")),
    }
}

fn issue_to_user(state: &mut State, now: SystemTime, grant: Grant) -> Result<Issued, Refusal> {
    let mut issued = state.issue(&grant, grant.scopes.clone(), now)?;
    if state.settings.refresh_tokens && !state.settings.bare {
        issued.refresh_token = Some(state.issue_refresh_token(grant)?);
    }
    Ok(issued)
}

fn refresh_token(
    state: &mut State,
    now: SystemTime,
    form: &Form,
    client: &RegisteredClient,
) -> Result<Issued, Refusal> {
    let token = form.require("refresh_token")?;
    let refresh = state.refresh_token(token).cloned();
    let refresh = refresh.filter(|own| own.grant.client_id.as_deref() == Some(client.id()));
    let refresh = refresh.ok_or(Refusal::invalid_grant("the refresh token is not known"))?;
    if refresh.spent {
        state.revoke_grant(&refresh.grant);
        return Err(Refusal::invalid_grant("the refresh token is good no longer"));
    }
    let scopes = refreshed(form.scopes()?, &refresh.grant.scopes)?;
    let mut issued = state.issue(&refresh.grant, scopes, now)?;
    if state.settings.rotation && !state.settings.bare {
        state.spend_refresh_token(token);
        issued.refresh_token = Some(state.issue_refresh_token(refresh.grant)?);
    }
    Ok(issued)
}

/// RFC 6749 §6: no more than was granted before.
fn refreshed(asked: ScopeSet, granted: &ScopeSet) -> Result<ScopeSet, Refusal> {
    match (asked.is_empty(), granted.contains_all(&asked)) {
        (true, _) => Ok(granted.clone()),
        (false, true) => Ok(asked),
        (false, false) => Err(Refusal::invalid_scope()),
    }
}
