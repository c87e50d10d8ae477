//! A session as replicas share it, and what each step of a renewal changes about it. Nothing here waits or
//! asks.

use super::tokens::is_lost;
use crate::{
    ClientSecret,
    client::{
        RefreshPolicy, TokenResponse,
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
    /// Whether renewals bring another refresh token. Unknown before the first.
    pub(super) rotates: Option<bool>,
    /// The newest access token, which may have ended.
    pub(super) token: StoredToken,
    /// How long that was good when it was issued.
    pub(super) lifetime: Duration,
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
            rotates: None,
            token: StoredToken::of(response, lifetime),
            lifetime,
            sending: Duration::ZERO,
            kept_for,
        }
    }

    /// Returns it as it is `age` later.
    pub(super) fn aged(self, age: Duration) -> Self {
        let sending = self.sending.saturating_sub(age);
        Self { token: self.token.aged(age), sending, ..self }
    }

    /// Decides for a cache that had the token with the digest `had`.
    pub(super) fn turn(
        &self,
        had: Option<[u8; 32]>,
        policy: &RefreshPolicy,
        key: Option<&Arc<dyn Prove>>,
    ) -> Turn {
        let bond = self.token.access_token().bond().map(|bond| bond.key().thumbprint());
        if bond.is_some_and(|bond| key.is_none_or(|key| key.thumbprint() != bond)) {
            return Turn::ForeignKey;
        }
        // For so long callers use it.
        let margin = policy.values().margin(self.lifetime);
        let left = self.token.lifetime().saturating_sub(margin);
        if !left.is_zero()
            && had != Some(digest(self.token.access_token()))
            && let Some(token) = self.token.clone().with_key(key)
        {
            return Turn::Use(token);
        }
        match self.refresh_token {
            _ if !self.sending.is_zero() => Turn::Wait(self.sending),
            None => Turn::SignIn,
            _ if self.rotates != Some(false)
                && self.unanswered >= MAX_UNANSWERED
                && !left.is_zero() =>
            {
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
        let (token, lifetime) = match answer {
            Ok(response) => {
                let scope = response.granted_after(self.token.scope().cloned());
                (StoredToken::of(response, lifetime).with_scope(scope), lifetime)
            }
            Err(_) => (self.token, self.lifetime),
        };
        Some(Self {
            rotates: match self.rotates {
                _ if rotated.is_some() => Some(true),
                None if answer.is_ok() => Some(false),
                known => known,
            },
            refresh_token: rotated.or(self.refresh_token),
            unanswered,
            token,
            lifetime,
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
            "lifetime": millis(self.lifetime),
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
            rotates: serde_json::from_value(members.remove("rotates")?).ok()?,
            token: StoredToken::from_value(members.remove("token")?)?,
            lifetime: duration(&members, "lifetime")?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessToken, client::Error};
    use http::StatusCode;
    use proptest::prelude::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn response(token: &str) -> TokenResponse {
        TokenResponse::new(AccessToken::new(token).unwrap())
    }

    /// A session with the refresh token `R1`, whose access token `T0` is good for a minute.
    fn record() -> SessionRecord {
        let response = response("T0").with_refresh_token("R1").with_scope("a b".parse().unwrap());
        SessionRecord::of(&response, seconds(60), seconds(3600))
    }

    fn had(token: &str) -> Option<[u8; 32]> {
        Some(digest(&AccessToken::new(token).unwrap()))
    }

    fn turn(record: &SessionRecord, had: Option<[u8; 32]>) -> String {
        let policy = RefreshPolicy::default().with_safety_margin(Duration::ZERO);
        match record.turn(had, &policy, None) {
            Turn::Use(token) => token.access_token().expose().to_owned(),
            turn => format!("{turn:?}"),
        }
    }

    #[test]
    fn a_token_that_was_not_had_is_used_and_otherwise_one_replica_sends() {
        assert_eq!(turn(&record(), None), "T0");
        assert_eq!(turn(&record(), had("T9")), "T0");
        assert_eq!(turn(&record(), had("T0")), "Send");
        assert_eq!(turn(&record().aged(seconds(60)), None), "Send");
        let careful = RefreshPolicy::default().with_safety_margin(seconds(20));
        let late = record().aged(seconds(40));
        assert!(matches!(late.turn(None, &careful, None), Turn::Send), "nobody would use it");
        let ahead = record().ahead(seconds(30));
        assert_eq!(turn(&ahead, None), "T0", "meanwhile");
        assert_eq!(turn(&ahead.clone().aged(seconds(10)), had("T0")), "Wait(20s)");
        assert_eq!(turn(&ahead.clone().aged(seconds(30)), had("T0")), "Send");
        assert_eq!(turn(&ahead.not_sent(), had("T0")), "Send");
        let without = SessionRecord { refresh_token: None, ..record() };
        assert_eq!(turn(&without, had("T0")), "SignIn");
    }

    #[test]
    fn a_refresh_token_that_rotates_is_sent_twice_while_the_access_token_lives() {
        let twice = SessionRecord { unanswered: 2, rotates: Some(true), ..record() };
        assert_eq!(turn(&twice, had("T0")), "Spare(60s)");
        assert_eq!(turn(&twice.clone().aged(seconds(60)), had("T0")), "Send");
        assert_eq!(turn(&SessionRecord { unanswered: 1, ..twice.clone() }, had("T0")), "Send");
        assert_eq!(
            turn(&SessionRecord { rotates: None, ..twice.clone() }, had("T0")),
            "Spare(60s)"
        );
        assert_eq!(turn(&SessionRecord { rotates: Some(false), ..twice }, had("T0")), "Send");
    }

    #[test]
    fn what_a_session_is_after_each_answer() {
        let sent = || record().ahead(seconds(30));
        let of = |answer: Result<TokenResponse, Unusable>| {
            let record = sent().answered(&answer, seconds(90));
            record.map(|record| {
                let refresh_token = record.refresh_token.unwrap().expose().to_owned();
                let token = record.token.access_token().expose().to_owned();
                assert!(record.sending.is_zero() && record.token.scope().is_some());
                (refresh_token, token, record.unanswered, record.rotates)
            })
        };
        let is = |refresh_token: &str, token: &str, unanswered, rotates| {
            Some((refresh_token.to_owned(), token.to_owned(), unanswered, rotates))
        };
        assert_eq!(of(Ok(response("T1").with_refresh_token("R2"))), is("R2", "T1", 0, Some(true)));
        assert_eq!(of(Ok(response("T1").with_refresh_token("R1"))), is("R1", "T1", 0, Some(false)));
        assert_eq!(of(Ok(response("T1"))), is("R1", "T1", 0, Some(false)));
        let refused = |status, code| {
            let (status, secrets) = (StatusCode::from_u16(status).unwrap(), Default::default());
            Error::refused(status, Some(code), None, &secrets)
        };
        assert_eq!(of(Err(refused(400, "invalid_grant").into())), None);
        assert_eq!(of(Err(refused(401, "invalid_client").into())), is("R1", "T0", 0, None));
        assert_eq!(of(Err(Error::timed_out().into())), is("R1", "T0", 1, None), "lost");
        let brought = Unusable { error: Error::timed_out(), refresh_token: Some("R2".into()) };
        assert_eq!(of(Err(brought)), is("R2", "T0", 0, Some(true)));
    }

    #[test]
    fn a_session_that_is_bound_to_another_key_is_left_alone() {
        let text = r#"{"access_token":"T","lifetime":60000,"jkt":"other"}"#;
        let token = StoredToken::from_value(serde_json::from_str(text).unwrap()).unwrap();
        let bound = SessionRecord { token, ..record() };
        assert_eq!(turn(&bound, None), "ForeignKey");
        assert_eq!(turn(&bound.aged(seconds(60)), None), "ForeignKey");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            refresh_token in prop::option::of("[!-~]{1,40}"),
            resources in prop::collection::vec("[!-~]{1,9}", 0..3),
            (unanswered, rotates) in (any::<u32>(), any::<Option<bool>>()),
            (sending, kept_for) in (0..1_u64 << 40, 0..1_u64 << 40),
        ) {
            let refresh_token = refresh_token.map(|token| ClientSecret::new(&token));
            let (sending, kept_for) = (Duration::from_millis(sending), Duration::from_millis(kept_for));
            let record =
                SessionRecord { refresh_token, resources, unanswered, rotates, sending, kept_for, ..record() };
            let read = SessionRecord::from_json(&record.to_json()).unwrap();
            prop_assert_eq!(read.to_json(), record.to_json());
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let good: Value = serde_json::from_slice(&record().to_json()).unwrap();
        let members = good.as_object().unwrap();
        for name in members.keys() {
            for wrong in [None, Some(json!([7])), Some(json!(-1)), Some(json!("x y"))] {
                let mut changed = members.clone();
                match wrong.clone() {
                    Some(wrong) => changed.insert(name.clone(), wrong),
                    None => changed.remove(name),
                };
                let read = SessionRecord::from_json(Value::Object(changed).to_string().as_bytes());
                let is_text = name == "refresh_token" && wrong == Some(json!("x y"));
                assert_eq!(read.is_some(), is_text, "{name} {wrong:?}");
            }
        }
        assert!(SessionRecord::from_json(b"").is_none());
        assert!(SessionRecord::from_json(b"[]").is_none());
    }
}
