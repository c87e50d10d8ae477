//! A session as replicas share it, and what each step of a renewal changes about it. Nothing here waits or
//! asks.

use super::tokens::is_lost;
use crate::{
    ClientSecret,
    client::{
        TokenResponse,
        token_cache::store::{StoredToken, digest},
        token_endpoint::token_response::Unusable,
    },
    vocabulary::bond::Prove,
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// So often a refresh token is sent while the access token lives: a server may have used it up.
const MAX_UNANSWERED: u32 = 2;

#[derive(Clone, Debug)]
pub(super) struct SessionRecord {
    pub(super) refresh_token: Option<ClientSecret>,
    /// The resources of the sign-in.
    pub(super) resources: Vec<String>,
    /// How often the refresh token was sent without an answer, or is being sent.
    pub(super) unanswered: u32,
    /// A renewal brought another refresh token.
    pub(super) rotates: bool,
    /// The newest access token, which may have ended.
    pub(super) token: StoredToken,
    /// A replica sends the refresh token, and takes no longer for it than this.
    pub(super) sending: Duration,
    /// For how long the store keeps it, which tells how old it is when it is read.
    pub(super) kept_for: Duration,
}

/// What a replica does that wants another access token.
#[derive(Debug)]
pub(super) enum Turn {
    /// Uses this one.
    Use(StoredToken),
    /// Looks again: another replica may take so long.
    Wait(Duration),
    Send,
    /// Leaves the refresh token alone for so long.
    Spare(Duration),
    SignIn,
    /// Gives up: its own key is another one.
    ForeignKey,
}

impl SessionRecord {
    /// The session of a sign-in, whose access token is good for `lifetime`.
    pub(super) fn of(response: &TokenResponse, lifetime: Duration, kept_for: Duration) -> Self {
        Self {
            refresh_token: response.refresh_token().cloned(),
            resources: response.resources().to_vec(),
            unanswered: 0,
            rotates: false,
            token: StoredToken::of(response, lifetime),
            sending: Duration::ZERO,
            kept_for,
        }
    }

    /// Returns it as it is `age` later.
    pub(super) fn aged(self, age: Duration) -> Self {
        let sending = self.sending.saturating_sub(age);
        Self { token: self.token.aged(age), sending, ..self }
    }

    /// Decides for a cache that had the token with the digest `had`, and uses one that is good for longer
    /// than `margin`.
    pub(super) fn turn(
        &self,
        had: Option<[u8; 32]>,
        margin: Duration,
        key: Option<&Arc<dyn Prove>>,
    ) -> Turn {
        let bond = self.token.access_token().bond().map(|bond| bond.key().thumbprint());
        if bond.is_some_and(|bond| key.is_none_or(|key| key.thumbprint() != bond)) {
            return Turn::ForeignKey;
        }
        let left = self.token.lifetime();
        if left > margin
            && had != Some(digest(self.token.access_token()))
            && let Some(token) = self.token.clone().with_key(key)
        {
            return Turn::Use(token);
        }
        match self.refresh_token {
            _ if !self.sending.is_zero() => Turn::Wait(self.sending),
            None => Turn::SignIn,
            _ if self.rotates && self.unanswered >= MAX_UNANSWERED && !left.is_zero() => {
                Turn::Spare(left)
            }
            Some(_) => Turn::Send,
        }
    }

    /// Returns it as it is saved before its refresh token is sent.
    pub(super) fn ahead(&self, deadline: Duration) -> Self {
        let unanswered = self.unanswered.saturating_add(1);
        Self { unanswered, sending: deadline, ..self.clone() }
    }

    /// Takes back [`ahead`](Self::ahead): the refresh token was not sent.
    pub(super) fn not_sent(self) -> Self {
        let unanswered = self.unanswered.saturating_sub(1);
        Self { unanswered, sending: Duration::ZERO, ..self }
    }

    /// Returns it as it is after the answer to its refresh token, or `None` if it has ended. `lifetime` is that
    /// of a new access token.
    pub(super) fn answered(
        self,
        answer: &Result<TokenResponse, Unusable>,
        lifetime: Duration,
    ) -> Option<Self> {
        let (rotated, lost) = match answer {
            Ok(response) => (response.refresh_token(), false),
            Err(unusable) => (unusable.refresh_token.as_ref(), is_lost(&unusable.error)),
        };
        let is_sent = |token: &ClientSecret| {
            self.refresh_token.as_ref().is_some_and(|sent| sent.expose() == token.expose())
        };
        let rotated = rotated.filter(|token| !is_sent(token)).cloned();
        let unanswered = match answer {
            Err(unusable) if rotated.is_none() && unusable.error.ends_session() => return None,
            Err(_) if rotated.is_none() && lost => self.unanswered,
            Err(_) if rotated.is_none() => self.unanswered.saturating_sub(1),
            _ => 0,
        };
        let token = match answer {
            Ok(response) => {
                let scope = response.granted_after(self.token.scope().cloned());
                StoredToken::of(response, lifetime).with_scope(scope)
            }
            Err(_) => self.token,
        };
        Some(Self {
            rotates: self.rotates || rotated.is_some(),
            refresh_token: rotated.or(self.refresh_token),
            unanswered,
            token,
            sending: Duration::ZERO,
            ..self
        })
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let text = json!({
            "refresh_token": self.refresh_token.as_ref().map(ClientSecret::expose),
            "resources": self.resources,
            "unanswered": self.unanswered,
            "rotates": self.rotates,
            "token": self.token.to_value(),
            "sending": millis(self.sending),
            "kept_for": millis(self.kept_for),
        });
        Zeroizing::new(text.to_string().into_bytes())
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut members)) = serde_json::from_slice(text) else { return None };
        let refresh_token = match members.remove("refresh_token")? {
            Value::Null => None,
            Value::String(token) => Some(ClientSecret::new(&token)),
            _ => return None,
        };
        Some(Self {
            refresh_token,
            resources: serde_json::from_value(members.remove("resources")?).ok()?,
            unanswered: members.get("unanswered")?.as_u64()?.try_into().ok()?,
            rotates: members.get("rotates")?.as_bool()?,
            token: StoredToken::from_value(members.remove("token")?)?,
            sending: duration(&members, "sending")?,
            kept_for: duration(&members, "kept_for")?,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn duration(members: &Map<String, Value>, name: &str) -> Option<Duration> {
    Some(Duration::from_millis(members.get(name)?.as_u64()?))
}
