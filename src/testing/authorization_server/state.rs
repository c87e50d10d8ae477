//! What the server knows: who there is, what was issued, and whether it still stands.

use super::{
    IssuedToken, RegisteredClient, answer::Refusal, assertions::ClientKeys, faults::Faults,
    jwts::Jwts, knobs::Settings, seen::Seen,
};
use crate::ScopeSet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};
use zeroize::Zeroizing;

/// The longest that RFC 6749 §4.1.2 recommends.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct State {
    pub(super) clients: HashMap<Box<str>, RegisteredClient>,
    pub(super) users: HashMap<String, User>,
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) seen: Seen,
    pub(super) jwts: Jwts,
    /// The assertions that were used, by their client and `jti`.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "only assertions are signed"))]
    pub(super) assertions: HashSet<(Box<str>, Box<str>)>,
    /// Whose assertions about users are believed.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "only assertions are signed"))]
    pub(super) issuers: HashMap<Box<str>, ClientKeys>,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, Access>,
    refresh_tokens: HashMap<String, Refresh>,
    grants: u64,
}

pub(super) struct User {
    password: Zeroizing<String>,
    pub(super) scopes: ScopeSet,
}

/// What someone allowed once. Tokens that come of one grant fall together.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    id: u64,
    pub(super) subject: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) scopes: ScopeSet,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    /// As the request named it, and nothing where it left it out.
    pub(super) redirect_uri: Option<String>,
    /// The SHA-256 of the verifier.
    pub(super) challenge: Option<[u8; 32]>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) spent: bool,
}

struct Access {
    grant: u64,
    token: IssuedToken,
    /// What introspection says of it beside the rest, as JSON by name.
    members: Vec<(String, String)>,
    revoked: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) grant: Grant,
    /// It was replaced, or revoked.
    pub(super) spent: bool,
}

/// What the answer to a token request tells.
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: ScopeSet,
    /// Said of what a token exchange issued.
    pub(super) token_type: Option<&'static str>,
}

/// Why an access token does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallen {
    Unknown,
    Expired,
    Revoked,
}

impl State {
    pub(super) fn register_user(&mut self, name: String, password: String, scopes: ScopeSet) {
        self.settings.approving_user.get_or_insert_with(|| name.clone());
        self.users.insert(name, User { password: password.into(), scopes });
    }

    /// The rights of the user, where the password is hers.
    pub(super) fn log_in(&self, name: &str, password: &str) -> Option<ScopeSet> {
        let user = self.users.get(name).filter(|user| *user.password == password)?;
        Some(user.scopes.clone())
    }

    pub(super) fn grant(
        &mut self,
        subject: Option<&str>,
        client_id: Option<&str>,
        scopes: ScopeSet,
    ) -> Grant {
        self.grants += 1;
        let (subject, client_id) = (subject.map(Into::into), client_id.map(Into::into));
        Grant { id: self.grants, subject, client_id, scopes }
    }

    /// A code for the holder of `grant`.
    pub(super) fn issue_code(&mut self, code: Code) -> Result<String, Refusal> {
        let text = unguessable()?;
        self.codes.insert(text.clone(), code);
        Ok(text)
    }

    /// The code as it was before this, the first attempt to use it or a later one.
    pub(super) fn spend_code(&mut self, code: &str, client_id: &str) -> Option<Code> {
        let code = self.codes.get_mut(code)?;
        let of_client = code.grant.client_id.as_deref() == Some(client_id);
        let before = of_client.then(|| code.clone());
        code.spent |= of_client;
        before
    }

    pub(super) fn refresh_token(&self, token: &str) -> Option<&Refresh> {
        self.refresh_tokens.get(token)
    }

    /// Ends the use of a refresh token that was replaced.
    pub(super) fn spend_refresh_token(&mut self, token: &str) {
        if let Some(refresh) = self.refresh_tokens.get_mut(token) {
            refresh.spent = true;
        }
    }

    /// A refresh token for the whole of `grant`.
    pub(super) fn issue_refresh_token(&mut self, grant: Grant) -> Result<String, Refusal> {
        let text = unguessable()?;
        self.refresh_tokens.insert(text.clone(), Refresh { grant, spent: false });
        Ok(text)
    }

    /// An access token for `scopes`, at most those of `grant`.
    pub(super) fn issue(
        &mut self,
        grant: &Grant,
        scopes: ScopeSet,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        let unguessable = unguessable()?;
        let token = IssuedToken {
            subject: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scopes: scopes.clone(),
            issued_at: now,
            expires_at: self.settings.lifetime.and_then(|lifetime| now.checked_add(lifetime)),
        };
        let id = unguessable.get(..16).unwrap_or_default();
        let jwt = self.jwts.token(&token, id, now).transpose()?;
        let access_token = jwt.unwrap_or(unguessable);
        let members = Vec::new();
        let access = Access { grant: grant.id, token, members, revoked: false };
        self.access_tokens.insert(access_token.clone(), access);
        Ok(Issued { access_token, refresh_token: None, scopes, token_type: None })
    }

    /// A new opaque token for what a test made up.
    pub(super) fn put(
        &mut self,
        token: IssuedToken,
        members: Vec<(String, String)>,
    ) -> Result<String, Refusal> {
        let text = unguessable()?;
        self.grants += 1;
        let access = Access { grant: self.grants, token, members, revoked: false };
        self.access_tokens.insert(text.clone(), access);
        Ok(text)
    }

    /// What introspection says of the access token beside the rest.
    pub(super) fn members(&self, token: &str) -> &[(String, String)] {
        self.access_tokens.get(token).map_or(&[], |access| &access.members)
    }

    /// What the access token stands for at `now`.
    pub(super) fn standing(&self, token: &str, now: SystemTime) -> Result<&IssuedToken, Fallen> {
        let access = self.access_tokens.get(token).ok_or(Fallen::Unknown)?;
        if access.revoked {
            return Err(Fallen::Revoked);
        }
        match access.token.expires_at {
            Some(expiry) if now >= expiry => Err(Fallen::Expired),
            _ => Ok(&access.token),
        }
    }

    /// Whom the access or refresh token was issued to.
    pub(super) fn holder(&self, token: &str) -> Option<Option<&str>> {
        let access = self.access_tokens.get(token).map(|access| &access.token.client_id);
        let refresh = || self.refresh_tokens.get(token).map(|refresh| &refresh.grant.client_id);
        access.or_else(refresh).map(Option::as_deref)
    }

    /// Revokes an access token alone, or a refresh token and all that came of its grant; whether
    /// there was something to revoke.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        if let Some(access) = self.access_tokens.get_mut(token) {
            return !std::mem::replace(&mut access.revoked, true);
        }
        let Some(refresh) = self.refresh_tokens.get(token) else { return false };
        let (live, grant) = (!refresh.spent, refresh.grant.clone());
        self.revoke_grant(&grant);
        live
    }

    /// Revokes every token of `grant`.
    pub(super) fn revoke_grant(&mut self, grant: &Grant) {
        let of_grant = |access: &&mut Access| access.grant == grant.id;
        let access_tokens = self.access_tokens.values_mut().filter(of_grant);
        access_tokens.for_each(|access| access.revoked = true);
        let of_grant = |refresh: &&mut Refresh| refresh.grant.id == grant.id;
        let refresh_tokens = self.refresh_tokens.values_mut().filter(of_grant);
        refresh_tokens.for_each(|refresh| refresh.spent = true);
    }

    /// Revokes every token and every code.
    pub(super) fn revoke_all(&mut self) {
        self.codes.values_mut().for_each(|code| code.spent = true);
        self.access_tokens.values_mut().for_each(|access| access.revoked = true);
        self.refresh_tokens.values_mut().for_each(|refresh| refresh.spent = true);
    }
}

/// 256 random bits in the characters of a `b64token`.
fn unguessable() -> Result<String, Refusal> {
    let mut bytes = [0; 32];
    let failed = |_| Refusal::new("server_error", "the system gives no random numbers");
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_access_token_stands_until_it_expires_or_falls() {
        let mut state = State::default();
        state.settings.lifetime = Some(Duration::from_secs(60));
        let grant = state.grant(Some("alice"), None, ScopeSet::empty());
        let token = state.issue(&grant, ScopeSet::empty(), at(0)).unwrap().access_token;
        assert_eq!(state.standing(&token, at(59)).unwrap().subject(), Some("alice"));
        assert_eq!(state.standing(&token, at(60)), Err(Fallen::Expired));
        assert!(state.revoke(&token) && !state.revoke(&token));
        assert_eq!(state.standing(&token, at(0)), Err(Fallen::Revoked));
        assert_eq!(state.standing("x", at(0)), Err(Fallen::Unknown));
    }

    #[test]
    fn a_lifetime_that_no_clock_can_show_does_not_end() {
        let mut state = State::default();
        state.settings.lifetime = Some(Duration::MAX);
        let grant = state.grant(None, Some("app"), ScopeSet::empty());
        let token = state.issue(&grant, ScopeSet::empty(), at(0)).unwrap().access_token;
        assert_eq!(state.standing(&token, at(1)).unwrap().expires_at(), None);
    }

    #[test]
    fn a_refresh_token_takes_its_grant_with_it_and_no_other() {
        let mut state = State::default();
        let [mine, other] = [(); 2].map(|()| state.grant(None, None, ScopeSet::empty()));
        let access = state.issue(&mine, ScopeSet::empty(), at(0)).unwrap().access_token;
        let spared = state.issue(&other, ScopeSet::empty(), at(0)).unwrap().access_token;
        let refresh = state.issue_refresh_token(mine).unwrap();
        assert!(state.revoke(&refresh) && !state.revoke(&refresh));
        assert_eq!(state.standing(&access, at(0)), Err(Fallen::Revoked));
        assert!(state.standing(&spared, at(0)).is_ok());
    }

    #[test]
    fn what_is_issued_is_a_b64token_and_never_the_same() {
        let (one, two) = (unguessable().unwrap(), unguessable().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
}
