use crate::{
    AccessToken, ClientSecret, ConfigError, ScopeSet,
    client::{TokenResponse, token_endpoint::digest::bound},
    vocabulary::{
        bond::{AbsentKey, Prove},
        clock::MAX_LIFETIME,
    },
};
use serde_json::{Value, json};
use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A token with its lifetime and scope, as a
/// [`TokenStore`](crate::client::token_cache::store::TokenStore) keeps it.
///
/// [`to_secret_string`](Self::to_secret_string) writes it as a secret text, and [`FromStr`] reads it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth2::{AccessToken, client::StoredToken};
///
/// let token = AccessToken::new("mF_9.B5f-4.1JqM")?;
/// let stored = StoredToken::new(token, SystemTime::now(), Duration::from_secs(600));
/// let read: StoredToken = stored.to_secret_string().expose().parse()?;
/// assert_eq!(read.access_token().expose(), "mF_9.B5f-4.1JqM");
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct StoredToken {
    access_token: AccessToken,
    asked_at: SystemTime,
    lifetime: Duration,
    scope: Option<ScopeSet>,
}

impl StoredToken {
    /// Creates a token that was asked for at `asked_at` and is good for `lifetime` from then on, at
    /// most ten years.
    #[must_use]
    pub fn new(access_token: AccessToken, asked_at: SystemTime, lifetime: Duration) -> Self {
        Self { access_token, asked_at, lifetime: lifetime.min(MAX_LIFETIME), scope: None }
    }

    pub(in crate::client::token_cache::store) fn of(
        response: &TokenResponse,
        asked_at: SystemTime,
        lifetime: Duration,
    ) -> Self {
        let scope = response.scope().cloned();
        Self { scope, ..Self::new(response.access_token().clone(), asked_at, lifetime) }
    }

    /// Returns the access token.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Returns the lifetime that it had when it was asked for.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Returns when it expires.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.asked_at.checked_add(self.lifetime).unwrap_or(self.asked_at)
    }

    /// Returns the scopes that were granted, if the authorization server named them.
    #[must_use]
    pub fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// Returns the token with `key`, which it must be bound to; without a key, only if it is not bound.
    pub(in crate::client::token_cache::store) fn with_key(
        self,
        key: Option<&Arc<dyn Prove>>,
    ) -> Option<Self> {
        let access_token = match (self.access_token.bond(), key) {
            (None, None) => self.access_token.clone(),
            // As from the authorization server.
            (None, Some(key)) if key.allows_bearer() => self.access_token.clone(),
            (Some(bond), Some(key)) if bond.key().thumbprint() == key.thumbprint() => {
                bound(&self.access_token, key).ok()?
            }
            _ => return None,
        };
        Some(Self { access_token, ..self })
    }

    /// Returns how long it is good from `now` on, at most its lifetime because clocks differ.
    pub(in crate::client::token_cache::store) fn remaining(&self, now: SystemTime) -> Duration {
        self.expires_at().duration_since(now).unwrap_or_default().min(self.lifetime)
    }

    pub(in crate::client::token_cache::store) fn response(
        self,
        lifetime: Duration,
    ) -> TokenResponse {
        let response = TokenResponse::new(self.access_token).with_lifetime(lifetime);
        match self.scope {
            Some(scope) => response.with_scope(scope),
            None => response,
        }
    }

    /// Returns it as one text, with times in whole seconds, rounded down.
    #[must_use]
    pub fn to_secret_string(&self) -> ClientSecret {
        let asked_at = self.asked_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = json!({
            "access_token": self.access_token.expose(),
            "asked_at": asked_at.as_secs(),
            "lifetime": self.lifetime.as_secs(),
            "scope": self.scope.as_ref().map(ToString::to_string),
        });
        if let (Some(bond), Some(members)) = (self.access_token.bond(), text.as_object_mut()) {
            members.insert("jkt".to_owned(), bond.key().thumbprint().into());
        }
        ClientSecret::new(text.to_string())
    }
}

impl FromStr for StoredToken {
    type Err = ConfigError;

    /// # Errors
    ///
    /// If `text` is not one that [`to_secret_string`](Self::to_secret_string) wrote.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::new("this is no stored token as to_secret_string writes it");
        let Ok(Value::Object(mut members)) = serde_json::from_str(text) else {
            return Err(wrong());
        };
        let Some(Value::String(token)) = members.remove("access_token") else {
            return Err(wrong());
        };
        let seconds = |name: &str| members.get(name)?.as_u64().map(Duration::from_secs);
        let (Some(asked_at), Some(lifetime)) = (seconds("asked_at"), seconds("lifetime")) else {
            return Err(wrong());
        };
        let asked_at = UNIX_EPOCH.checked_add(asked_at).ok_or_else(wrong)?;
        let scope = match members.get("scope") {
            None | Some(Value::Null) => None,
            Some(Value::String(scope)) => Some(scope.parse().map_err(|_| wrong())?),
            Some(_) => return Err(wrong()),
        };
        let mut token = AccessToken::new(token).map_err(|_| wrong())?;
        match members.remove("jkt") {
            None => {}
            // Never to be sent as Bearer.
            Some(Value::String(jkt)) => {
                token = token.with_key(Arc::new(AbsentKey(jkt.into())), "")?;
            }
            Some(_) => return Err(wrong()),
        }
        Ok(Self { scope, ..Self::new(token, asked_at, lifetime) })
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredToken")
            .field("access_token", &self.access_token)
            .field("expires_at", &self.expires_at())
            .field("lifetime", &self.lifetime)
            .field("scope", &self.scope)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            token in "[!-~]{1,40}",
            asked_at in 0..u64::from(u32::MAX),
            lifetime in any::<u64>(),
            scope in prop::option::of("[a-z]{1,3}( [a-z]{1,3}){0,3}"),
        ) {
            let at = UNIX_EPOCH + Duration::from_secs(asked_at);
            let token = AccessToken::new(token).unwrap();
            let scope = scope.map(|scope| scope.parse::<ScopeSet>().unwrap());
            let lifetime = Duration::from_secs(lifetime);
            let stored = StoredToken { scope, ..StoredToken::new(token, at, lifetime) };
            let read: StoredToken = stored.to_secret_string().expose().parse().unwrap();
            prop_assert!(read.access_token.has_text_of(&stored.access_token));
            prop_assert_eq!(read.expires_at(), stored.expires_at());
            prop_assert_eq!(read.lifetime, lifetime.min(MAX_LIFETIME));
            prop_assert_eq!(read.scope, stored.scope);
        }

        #[test]
        fn whatever_is_read_is_good_for_its_lifetime_at_most(
            text in r#"\{"access_token":"[a-z ]{0,3}","asked_at":[0-9]{1,20},"lifetime":[0-9]{1,20}(,"scope":(null|1|"a b"|"\\"|""))?\}?"#,
            now in 0..u64::from(u32::MAX),
        ) {
            if let Ok(read) = text.parse::<StoredToken>() {
                let left = read.remaining(UNIX_EPOCH + Duration::from_secs(now));
                prop_assert!(left <= read.lifetime() && read.lifetime() <= MAX_LIFETIME);
            }
        }
    }

    #[test]
    fn nothing_else_is_read() {
        for bad in ["", "{}", "[]", "mF_9.B5f-4.1JqM", r#"{"access_token":"a"}"#] {
            assert!(bad.parse::<StoredToken>().is_err(), "{bad}");
        }
    }
}
