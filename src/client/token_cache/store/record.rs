//! A token as it is sealed for a store.

use crate::{
    AccessToken, ScopeSet,
    client::{TokenResponse, token_endpoint::digest::bound},
    vocabulary::{
        bond::{AbsentKey, Prove},
        clock::MAX_LIFETIME,
    },
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// A token with its lifetime and scope. When it ends, the store knows: the clocks of replicas differ.
#[derive(Clone, Debug)]
pub(in crate::client::token_cache) struct StoredToken {
    access_token: AccessToken,
    lifetime: Duration,
    scope: Option<ScopeSet>,
}

impl StoredToken {
    /// A token that was good for `lifetime` when it was asked for, at most ten years.
    pub(super) fn new(access_token: AccessToken, lifetime: Duration) -> Self {
        Self { access_token, lifetime: lifetime.min(MAX_LIFETIME), scope: None }
    }

    pub(in crate::client::token_cache) fn of(response: &TokenResponse, lifetime: Duration) -> Self {
        let scope = response.scope().cloned();
        Self { scope, ..Self::new(response.access_token().clone(), lifetime) }
    }

    pub(in crate::client::token_cache) fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    pub(in crate::client::token_cache) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(in crate::client::token_cache) fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// Returns the token with `scope` as what was granted.
    pub(in crate::client::token_cache) fn with_scope(self, scope: Option<ScopeSet>) -> Self {
        Self { scope, ..self }
    }

    /// Returns the token with `key`, which it must be bound to; without a key, only if it is not bound.
    pub(in crate::client::token_cache) fn with_key(
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

    /// Returns it as the answer of an authorization server, good for `left`.
    pub(in crate::client::token_cache) fn into_response(self, left: Duration) -> TokenResponse {
        let response = TokenResponse::new(self.access_token).with_lifetime(left);
        match self.scope {
            Some(scope) => response.with_scope(scope),
            None => response,
        }
    }

    /// Returns it with `less` of its lifetime.
    pub(in crate::client::token_cache) fn aged(mut self, less: Duration) -> Self {
        self.lifetime = self.lifetime.saturating_sub(less);
        self
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_value().to_string().into_bytes())
    }

    /// Returns it as JSON, with the lifetime in milliseconds.
    pub(in crate::client::token_cache) fn to_value(&self) -> Value {
        let mut text = json!({
            "access_token": self.access_token.expose(),
            "lifetime": u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX),
            "scope": self.scope.as_ref().map(ToString::to_string),
        });
        if let (Some(bond), Some(members)) = (self.access_token.bond(), text.as_object_mut()) {
            members.insert("jkt".to_owned(), bond.key().thumbprint().into());
        }
        text
    }

    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        Self::from_value(serde_json::from_slice(text).ok()?)
    }

    /// Reads what [`to_value`](Self::to_value) wrote.
    pub(in crate::client::token_cache) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(mut members) = value else { return None };
        let Some(Value::String(token)) = members.remove("access_token") else { return None };
        let lifetime = Duration::from_millis(members.get("lifetime")?.as_u64()?);
        let scope = match members.get("scope") {
            None | Some(Value::Null) => None,
            Some(Value::String(scope)) => Some(scope.parse().ok()?),
            Some(_) => return None,
        };
        let mut token = AccessToken::new(token).ok()?;
        match members.remove("jkt") {
            None => {}
            // Never to be sent as Bearer.
            Some(Value::String(jkt)) => {
                token = token.with_key(Arc::new(AbsentKey(jkt.into())), "").ok()?;
            }
            Some(_) => return None,
        }
        Some(Self { scope, ..Self::new(token, lifetime) })
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
            lifetime in any::<u64>(),
            scope in prop::option::of("[a-z]{1,3}( [a-z]{1,3}){0,3}"),
        ) {
            let token = AccessToken::new(token).unwrap();
            let scope = scope.map(|scope| scope.parse::<ScopeSet>().unwrap());
            let lifetime = Duration::from_secs(lifetime);
            let stored = StoredToken { scope, ..StoredToken::new(token, lifetime) };
            let read = StoredToken::from_json(&stored.to_json()).unwrap();
            prop_assert!(read.access_token.has_text_of(&stored.access_token));
            prop_assert_eq!(read.lifetime, lifetime.min(MAX_LIFETIME));
            prop_assert_eq!(read.scope, stored.scope);
        }

        #[test]
        fn whatever_is_read_is_good_for_ten_years_at_most(
            text in r#"\{"access_token":"[a-z ]{0,3}","lifetime":[0-9]{1,20}(,"scope":(null|1|"a b"|"\\"|""))?\}?"#,
        ) {
            if let Some(read) = StoredToken::from_json(text.as_bytes()) {
                prop_assert!(read.lifetime() <= MAX_LIFETIME);
            }
        }
    }

    fn bound_to(jkt: &str) -> StoredToken {
        let text = format!(r#"{{"access_token":"T","lifetime":60,"jkt":"{jkt}"}}"#);
        StoredToken::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_token_that_is_bound_otherwise_is_as_good_as_none() {
        let own = Arc::new(AbsentKey("mine".into())) as Arc<dyn Prove>;
        let plain = StoredToken::new(AccessToken::new("T").unwrap(), Duration::from_secs(60));
        assert!(bound_to("other").with_key(Some(&own)).is_none());
        assert!(bound_to("mine").with_key(None).is_none());
        assert!(plain.clone().with_key(Some(&own)).is_none());
        assert!(plain.with_key(None).is_some());
        let token = bound_to("mine").with_key(Some(&own)).unwrap();
        assert_eq!(token.access_token().authorization(), "DPoP T", "not Bearer");
        assert_eq!(bound_to("mine").to_json(), token.to_json());
    }

    #[test]
    fn nothing_else_is_read() {
        for bad in [
            "",
            "{}",
            "[]",
            "mF_9.B5f-4.1JqM",
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","lifetime":60,"jkt":7}"#,
            r#"{"access_token":"a","lifetime":60,"jkt":null}"#,
        ] {
            assert!(StoredToken::from_json(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
