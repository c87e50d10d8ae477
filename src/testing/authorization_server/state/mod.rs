//! What the server knows: its clients and users, what it issued, its settings, and the requests it
//! received.
//!
//! **In**: what an endpoint or a test issues, uses or revokes. **Out**: what is active at the time of
//! the server's clock. **Uses** no endpoint and no socket.

mod client;
mod device;
mod faults;
mod issued;
#[cfg(feature = "jwt")]
mod jwts;
#[cfg(not(feature = "jwt"))]
#[path = "no_jwts.rs"]
mod jwts;
#[cfg(feature = "jwt")]
mod proofs;
#[cfg(not(feature = "jwt"))]
#[path = "no_proofs.rs"]
mod proofs;
mod quirk;
mod request_log;
mod settings;

pub use client::RegisteredClient;
pub(super) use device::{Approval, Device};
pub(super) use faults::{Faults, Outcome};
pub use issued::IssuedToken;
#[cfg(feature = "jwt")]
pub use jwts::JwtFormat;
pub(super) use jwts::{ClientKeys, Jwts};
pub use quirk::Quirk;

use super::answer::Refusal;
use crate::{Clock, ScopeSet};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use proofs::Proofs;
use request_log::RequestLog;
use settings::Settings;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};
use zeroize::Zeroizing;

/// The longest lifetime that RFC 6749 §4.1.2 recommends.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) clients: HashMap<Box<str>, RegisteredClient>,
    pub(super) users: HashMap<String, User>,
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) requests: RequestLog,
    pub(super) jwts: Jwts,
    pub(super) proofs: Proofs,
    /// The assertions that were used, by their issuer and `jti`.
    pub(super) used_assertions: HashSet<(Box<str>, Box<str>)>,
    /// The issuers whose assertions about users the server trusts.
    pub(super) trusted_issuers: HashMap<Box<str>, ClientKeys>,
    /// The devices that wait for their users, by device code.
    pub(super) devices: HashMap<String, Device>,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, RefreshToken>,
    grants: u64,
}

pub(super) struct User {
    password: Zeroizing<String>,
    pub(super) scopes: ScopeSet,
}

/// What a user or a client was granted once. Tokens of one grant are revoked together.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: u64,
    pub(super) subject: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) scopes: ScopeSet,
    /// The thumbprint of the key that its tokens are bound to.
    pub(super) key: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    /// The redirect URI of the authorization request, if it named one.
    pub(super) redirect_uri: Option<String>,
    /// The SHA-256 of the verifier.
    pub(super) challenge: Option<[u8; 32]>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) used: bool,
}

struct AccessToken {
    grant: u64,
    token: IssuedToken,
    /// Further members of its introspection answer, as JSON by name.
    members: Vec<(String, String)>,
    revoked: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RefreshToken {
    pub(super) grant: Grant,
    /// A rotation replaced it, or it was revoked.
    pub(super) used: bool,
}

/// The contents of an answer to a token request.
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: ScopeSet,
    /// Its `token_type`.
    pub(super) kind: &'static str,
    /// The `issued_token_type` of a token exchange.
    pub(super) token_type: Option<&'static str>,
}

/// Why an access token is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inactive {
    Unknown,
    Expired,
    Revoked,
}

impl State {
    /// Returns the time of day.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Returns when a token that is issued at `now` expires, or `None` if it does not.
    pub(super) fn expiry_from(&self, now: SystemTime) -> Option<SystemTime> {
        self.settings.lifetime.and_then(|lifetime| now.checked_add(lifetime))
    }

    pub(super) fn register_user(&mut self, name: String, password: String, scopes: ScopeSet) {
        self.settings.approving_user.get_or_insert_with(|| name.clone());
        self.users.insert(name, User { password: password.into(), scopes });
    }

    /// Returns the rights of the user if the password is right.
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
        Grant { id: self.grants, subject, client_id, scopes, key: None }
    }

    /// Issues an authorization code for the whole of `grant`.
    pub(super) fn issue_code(
        &mut self,
        grant: Grant,
        redirect_uri: Option<String>,
        challenge: Option<[u8; 32]>,
    ) -> Result<String, Refusal> {
        let text = self.unguessable()?;
        let expires_at = self.now().checked_add(CODE_LIFETIME);
        let code = Code { grant, redirect_uri, challenge, expires_at, used: false };
        self.codes.insert(text.clone(), code);
        Ok(text)
    }

    /// Uses a code of this client up. Returns the code as it was before.
    pub(super) fn use_code(&mut self, code: &str, client_id: &str) -> Option<Code> {
        let code = self.codes.get_mut(code)?;
        let of_client = code.grant.client_id.as_deref() == Some(client_id);
        let before = of_client.then(|| code.clone());
        code.used |= of_client;
        before
    }

    pub(super) fn refresh_token(&self, token: &str) -> Option<&RefreshToken> {
        self.refresh_tokens.get(token)
    }

    /// Marks a refresh token as replaced.
    pub(super) fn use_refresh_token(&mut self, token: &str) {
        if let Some(refresh) = self.refresh_tokens.get_mut(token) {
            refresh.used = true;
        }
    }

    /// Issues a refresh token for the whole of `grant`.
    pub(super) fn issue_refresh_token(&mut self, grant: Grant) -> Result<String, Refusal> {
        let text = self.unguessable()?;
        self.refresh_tokens.insert(text.clone(), RefreshToken { grant, used: false });
        Ok(text)
    }

    /// Issues an access token for the whole of `grant`.
    pub(super) fn issue(&mut self, grant: &Grant) -> Result<Issued, Refusal> {
        self.issue_narrowed(grant, grant.scopes.clone())
    }

    /// Issues an access token for `scopes`, at most those of `grant`.
    pub(super) fn issue_narrowed(
        &mut self,
        grant: &Grant,
        scopes: ScopeSet,
    ) -> Result<Issued, Refusal> {
        let now = self.now();
        let unguessable = self.unguessable()?;
        let token = IssuedToken {
            subject: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scopes: scopes.clone(),
            issued_at: now,
            expires_at: self.expiry_from(now),
            key: grant.key.clone(),
        };
        let kind = token.token_type();
        let id = unguessable.get(..16).unwrap_or_default();
        let jwt = self.jwts.encode(&token, id, now).transpose()?;
        let access_token = jwt.unwrap_or(unguessable);
        self.insert(access_token.clone(), grant.id, token, Vec::new());
        Ok(Issued { access_token, refresh_token: None, scopes, kind, token_type: None })
    }

    /// Issues an opaque access token with the contents that a test chose.
    pub(super) fn issue_minted(
        &mut self,
        token: IssuedToken,
        members: Vec<(String, String)>,
    ) -> Result<String, Refusal> {
        let text = self.unguessable()?;
        self.grants += 1;
        self.insert(text.clone(), self.grants, token, members);
        Ok(text)
    }

    fn insert(
        &mut self,
        text: String,
        grant: u64,
        token: IssuedToken,
        members: Vec<(String, String)>,
    ) {
        self.access_tokens.insert(text, AccessToken { grant, token, members, revoked: false });
    }

    /// Returns the further members of the introspection answer for `token`.
    pub(super) fn members(&self, token: &str) -> &[(String, String)] {
        self.access_tokens.get(token).map_or(&[], |access| &access.members)
    }

    /// Returns the contents of an access token if it is active now.
    pub(super) fn active(&self, token: &str) -> Result<&IssuedToken, Inactive> {
        let access = self.access_tokens.get(token).ok_or(Inactive::Unknown)?;
        if access.revoked {
            return Err(Inactive::Revoked);
        }
        match access.token.expires_at {
            Some(expiry) if self.now() >= expiry => Err(Inactive::Expired),
            _ => Ok(&access.token),
        }
    }

    /// Returns `true` if the access or refresh token was issued to another client than this.
    pub(super) fn is_of_another_client(&self, token: &str, client_id: &str) -> bool {
        let access = self.access_tokens.get(token).map(|access| &access.token.client_id);
        let refresh = || self.refresh_tokens.get(token).map(|refresh| &refresh.grant.client_id);
        access.or_else(refresh).is_some_and(|owner| owner.as_deref() != Some(client_id))
    }

    /// Revokes an access token alone, or a refresh token and every token of its grant. Returns
    /// `true` if it was not revoked before.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        if let Some(access) = self.access_tokens.get_mut(token) {
            return !std::mem::replace(&mut access.revoked, true);
        }
        let Some(refresh) = self.refresh_tokens.get(token) else { return false };
        let (live, grant) = (!refresh.used, refresh.grant.clone());
        self.revoke_grant(&grant);
        live
    }

    /// Revokes every token of `grant`.
    pub(super) fn revoke_grant(&mut self, grant: &Grant) {
        let of_grant = |access: &&mut AccessToken| access.grant == grant.id;
        let access_tokens = self.access_tokens.values_mut().filter(of_grant);
        access_tokens.for_each(|access| access.revoked = true);
        let of_grant = |refresh: &&mut RefreshToken| refresh.grant.id == grant.id;
        let refresh_tokens = self.refresh_tokens.values_mut().filter(of_grant);
        refresh_tokens.for_each(|refresh| refresh.used = true);
    }

    /// Returns 256 random bits in the characters of a `b64token`.
    pub(super) fn unguessable(&self) -> Result<String, Refusal> {
        let failed = || Refusal::new("server_error", "the system gives no random numbers");
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.clock.secret().ok_or_else(failed)?))
    }

    /// Returns eight random consonants, as a user types them (RFC 8628 §6.1).
    pub(super) fn user_code(&self) -> Result<String, Refusal> {
        let letters = b"BCDFGHJKLMNPQRST";
        let random = self.unguessable()?;
        let pick = |byte: u8| letters.get(usize::from(byte % 16)).copied().map(char::from);
        let mut code: String = random.bytes().take(8).filter_map(pick).collect();
        code.insert(4, '-');
        Ok(code)
    }

    /// Ends the wait of the device with `user_code`. Returns `false` if none waits.
    pub(super) fn end_device(&mut self, user_code: &str, approval: Approval) -> bool {
        let now = self.now();
        let waits = |it: &&mut Device| it.user_code == user_code && now < it.expires_at;
        let device = self.devices.values_mut().find(waits);
        device.map(|device| device.approval = approval).is_some()
    }

    /// Revokes every token and every code.
    pub(super) fn revoke_all(&mut self) {
        self.codes.values_mut().for_each(|code| code.used = true);
        self.access_tokens.values_mut().for_each(|access| access.revoked = true);
        self.refresh_tokens.values_mut().for_each(|refresh| refresh.used = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn state() -> (State, ManualClock) {
        let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH);
        (State { clock: clock.clock(), ..State::default() }, clock)
    }

    #[test]
    fn an_access_token_is_active_until_it_expires_or_is_revoked() {
        let (mut state, clock) = state();
        state.settings.lifetime = Some(Duration::from_secs(60));
        let grant = state.grant(Some("alice"), Some("app"), ScopeSet::empty());
        let [expired, revoked] = [(); 2].map(|()| state.issue(&grant).unwrap().access_token);
        assert!(state.revoke(&revoked) && !state.revoke(&revoked));
        assert_eq!(state.active(&revoked), Err(Inactive::Revoked));
        clock.advance(Duration::from_secs(59));
        assert_eq!(state.active(&expired).unwrap().subject(), Some("alice"));
        clock.advance(Duration::from_secs(1));
        assert_eq!(state.active(&expired), Err(Inactive::Expired));
        assert_eq!(state.active("x"), Err(Inactive::Unknown));
    }

    #[test]
    fn a_lifetime_that_the_clock_cannot_show_does_not_end() {
        let (mut state, _) = state();
        state.settings.lifetime = Some(Duration::MAX);
        let grant = state.grant(None, Some("app"), ScopeSet::empty());
        let token = state.issue(&grant).unwrap().access_token;
        assert_eq!(state.active(&token).unwrap().expires_at(), None);
    }

    #[test]
    fn revoking_a_refresh_token_revokes_its_grant_and_no_other() {
        let (mut state, _) = state();
        let [mine, other] = [(); 2].map(|()| state.grant(None, None, ScopeSet::empty()));
        let access = state.issue(&mine).unwrap().access_token;
        let spared = state.issue(&other).unwrap().access_token;
        let refresh = state.issue_refresh_token(mine).unwrap();
        assert!(state.revoke(&refresh) && !state.revoke(&refresh));
        assert_eq!(state.active(&access), Err(Inactive::Revoked));
        assert!(state.active(&spared).is_ok());
    }

    #[test]
    fn issued_tokens_are_distinct_b64tokens() {
        let state = State::default();
        let (one, two) = (state.unguessable().unwrap(), state.unguessable().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
}
