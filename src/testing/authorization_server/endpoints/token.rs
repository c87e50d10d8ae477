//! Issues tokens for a grant ([RFC 6749 §4] and [§6]).
//!
//! [RFC 6749 §4]: https://www.rfc-editor.org/rfc/rfc6749#section-4
//! [§6]: https://www.rfc-editor.org/rfc/rfc6749#section-6

use super::{assertions, client_auth, device};
use crate::{
    ScopeSet,
    testing::authorization_server::{
        answer::{Answered, Members, Refusal},
        form::Form,
        state::{Grant, Issued, IssuedToken, Quirk, RegisteredClient, State},
    },
};
use bytes::Bytes;
use http::{Request, Response};
use sha2::{Digest, Sha256};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Answered {
    let (form, client) = client_auth::identify(state, request)?;
    let (now, settings) = (state.now(), &state.settings);
    let key = state.proofs.check(request, settings.has(Quirk::DpopNonces), now)?;
    if key.is_none() && (client.needs_proof || settings.has(Quirk::DpopRequired)) {
        return Err(Refusal::invalid_request("the request has no DPoP proof"));
    }
    let issued = TokenRequest { state, form: &form, client: &client, key }.issue()?;
    Ok(describe(state, &issued))
}

/// Answers with the tokens that were issued, as the settings shape the answer.
pub(super) fn describe(state: &State, issued: &Issued) -> Response<Bytes> {
    let settings = &state.settings;
    let mut members = Members::default();
    members.set_text("access_token", &issued.access_token);
    if settings.has(Quirk::BareAnswers) {
        return members.into_response();
    }
    if !settings.has(Quirk::NoTokenType) {
        members.set_text("token_type", issued.kind);
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
    for (name, json) in &settings.extra_members {
        members.set(name, json.clone());
    }
    members.into_response()
}

/// A token request of an authenticated client.
struct TokenRequest<'a> {
    state: &'a mut State,
    form: &'a Form,
    client: &'a RegisteredClient,
    /// The thumbprint of the key that it has proved to have.
    key: Option<Box<str>>,
}

impl TokenRequest<'_> {
    fn issue(mut self) -> Result<Issued, Refusal> {
        match self.form.require("grant_type")? {
            "client_credentials" => self.client_credentials(),
            "authorization_code" => self.authorization_code(),
            "refresh_token" => self.refresh_token(),
            "password" => self.password(),
            JWT_BEARER => self.jwt_bearer(),
            device::GRANT => self.device(),
            TOKEN_EXCHANGE => self.token_exchange(),
            _ => Err(Refusal::new("unsupported_grant_type", "the grant type is not known")),
        }
    }

    fn client_credentials(&mut self) -> Result<Issued, Refusal> {
        if self.client.is_public() {
            let description = "a client without a secret gets no token of its own";
            return Err(Refusal::new("unauthorized_client", description));
        }
        let scopes = self.client.own_scopes(&self.form.scopes()?)?;
        let grant = self.state.grant(None, Some(self.client.id()), scopes);
        self.issue_bound(grant)
    }

    fn authorization_code(&mut self) -> Result<Issued, Refusal> {
        let redirect_uri = self.form.get("redirect_uri")?;
        let verifier = self.form.get("code_verifier")?;
        // The code is used up from here on, whatever else is wrong.
        let code = self.state.use_code(self.form.require("code")?, self.client.id());
        let code = code.ok_or(Refusal::invalid_grant("the code is not known"))?;
        if code.used {
            self.state.revoke_grant(&code.grant);
            return Err(Refusal::invalid_grant("the code was used before"));
        }
        if code.expires_at.is_some_and(|expiry| self.state.now() >= expiry) {
            return Err(Refusal::invalid_grant("the code has expired"));
        }
        if code.redirect_uri.as_deref() != redirect_uri {
            return Err(Refusal::invalid_grant("the code was issued for another redirect URI"));
        }
        let proven = match (code.challenge, verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) => {
                is_verifier(verifier) && Sha256::digest(verifier.as_bytes()).as_slice() == challenge
            }
            // A verifier without a challenge: an attacker removed the challenge (RFC 9700 §4.8.2).
            _ => false,
        };
        match proven {
            true if !self.has_key_of(&code.grant) => {
                Err(Refusal::invalid_grant("the code is for another proof key (dpop_jkt)"))
            }
            true => self.issue_to_user(code.grant),
            false => Err(Refusal::invalid_grant("the code verifier does not fit the challenge")),
        }
    }

    fn password(&mut self) -> Result<Issued, Refusal> {
        let name = self.form.require("username")?;
        let user = self.state.log_in(name, self.form.require("password")?);
        user.ok_or(Refusal::invalid_grant("the user name or the password is wrong"))?;
        let grant = self.grant_of_user(name, &self.form.scopes()?)?;
        self.issue_to_user(grant)
    }

    /// RFC 8628 §3.4.
    fn device(&mut self) -> Result<Issued, Refusal> {
        let code = self.form.require("device_code")?;
        let (name, requested) = device::approved(self.state, code, self.client.id())?;
        let grant = self.grant_of_user(&name, &requested)?;
        self.issue_to_user(grant)
    }

    /// RFC 7523 §2.1.
    fn jwt_bearer(&mut self) -> Result<Issued, Refusal> {
        let name = assertions::subject(self.state, self.form.require("assertion")?)?;
        let grant = self.grant_of_user(&name, &self.form.scopes()?)?;
        self.issue_bound(grant)
    }

    /// RFC 8693 §2: exchanges an access token of this server for another, with no more scopes.
    fn token_exchange(&mut self) -> Result<Issued, Refusal> {
        if self.client.is_public() {
            let description = "a client without a secret cannot exchange tokens";
            return Err(Refusal::new("unauthorized_client", description));
        }
        let subject = self.presented_token("subject_token", "subject_token_type")?;
        let subject = subject.ok_or(Refusal::invalid_request("subject_token is missing"))?;
        self.presented_token("actor_token", "actor_token_type")?;
        let requested = self.form.get("requested_token_type")?;
        if requested.is_some_and(|requested| requested != ACCESS_TOKEN) {
            return Err(Refusal::invalid_request("only access tokens are issued"));
        }
        let scopes = narrowed(self.form.scopes()?, subject.scopes())?;
        let grant = self.state.grant(subject.subject(), Some(self.client.id()), scopes);
        let issued = self.issue_bound(grant)?;
        Ok(Issued { token_type: Some(ACCESS_TOKEN), ..issued })
    }

    /// Returns the contents of a token in a token exchange, or `None` if the form has neither the
    /// token nor its type.
    fn presented_token(
        &self,
        token: &str,
        token_type: &str,
    ) -> Result<Option<IssuedToken>, Refusal> {
        match (self.form.get(token)?, self.form.get(token_type)?) {
            (None, None) => Ok(None),
            (Some(token), Some(ACCESS_TOKEN)) => match self.state.active(token) {
                Ok(issued) => Ok(Some(issued.clone())),
                // RFC 8693 §2.2.2: not `invalid_grant`.
                Err(_) => Err(Refusal::invalid_request("the token is unknown or not active")),
            },
            _ => Err(Refusal::invalid_request("a token and its type come together")),
        }
    }

    fn refresh_token(&mut self) -> Result<Issued, Refusal> {
        let token = self.form.require("refresh_token")?;
        let refresh = self.state.refresh_token(token).cloned();
        let own = refresh.filter(|it| it.grant.client_id.as_deref() == Some(self.client.id()));
        let refresh = own.ok_or(Refusal::invalid_grant("the refresh token is not known"))?;
        if refresh.used {
            self.state.revoke_grant(&refresh.grant);
            return Err(Refusal::invalid_grant("the refresh token was used before or revoked"));
        }
        // RFC 9449 §5: the refresh token of a client with a secret is bound to the client alone.
        if self.client.is_public() && !self.has_key_of(&refresh.grant) {
            return Err(Refusal::invalid_grant("the refresh token is bound to another proof key"));
        }
        let scopes = narrowed(self.form.scopes()?, &refresh.grant.scopes)?;
        let grant = Grant { key: self.key.take(), ..refresh.grant };
        let mut issued = self.state.issue_narrowed(&grant, scopes)?;
        let settings = &self.state.settings;
        if !settings.has(Quirk::NoRotation) && !settings.has(Quirk::BareAnswers) {
            self.state.use_refresh_token(token);
            issued.refresh_token = Some(self.state.issue_refresh_token(grant)?);
        }
        Ok(issued)
    }

    fn grant_of_user(&mut self, name: &str, requested: &ScopeSet) -> Result<Grant, Refusal> {
        let rights = self.state.users.get(name).map(|user| user.scopes.clone());
        let scopes = self.client.user_scopes(requested, &rights.unwrap_or_default())?;
        Ok(self.state.grant(Some(name), Some(self.client.id()), scopes))
    }

    /// Returns `true` if the request proves the key that `grant` is bound to, or it is bound to none.
    fn has_key_of(&self, grant: &Grant) -> bool {
        grant.key.is_none() || grant.key == self.key
    }

    fn issue_bound(&mut self, grant: Grant) -> Result<Issued, Refusal> {
        self.state.issue(&Grant { key: self.key.take(), ..grant })
    }

    fn issue_to_user(&mut self, grant: Grant) -> Result<Issued, Refusal> {
        let grant = Grant { key: self.key.take(), ..grant };
        let mut issued = self.state.issue(&grant)?;
        let settings = &self.state.settings;
        if !settings.has(Quirk::NoRefreshTokens) && !settings.has(Quirk::BareAnswers) {
            issued.refresh_token = Some(self.state.issue_refresh_token(grant)?);
        }
        Ok(issued)
    }
}

/// Returns `true` if `text` is `43*128unreserved` ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// RFC 6749 §6: no more scopes than were granted before.
fn narrowed(requested: ScopeSet, granted: &ScopeSet) -> Result<ScopeSet, Refusal> {
    match (requested.is_empty(), granted.contains_all(&requested)) {
        (true, _) => Ok(granted.clone()),
        (false, true) => Ok(requested),
        (false, false) => Err(Refusal::invalid_scope()),
    }
}
