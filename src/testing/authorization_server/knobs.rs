use super::{AuthorizationServer, state::Quirk};
use crate::ConfigError;
use serde_json::Value;
use std::time::Duration;

/// # How the server answers
impl AuthorizationServer {
    /// Makes the server depart from its defaults.
    pub fn enable(&self, quirk: Quirk) {
        self.lock().settings.quirks.insert(quirk);
    }

    /// Takes [`enable`](Self::enable) back.
    pub fn disable(&self, quirk: Quirk) {
        self.lock().settings.quirks.remove(&quirk);
    }

    /// Replaces the nonce of [`Quirk::DpopNonces`]. The old one is refused from now on.
    pub fn rotate_dpop_nonce(&self) {
        self.lock().proofs.rotate_nonce();
    }

    /// Sets the lifetime of access tokens, from the arrival of the request. With `None` they do not
    /// expire, and the answer has no `expires_in`. Defaults to an hour.
    pub fn set_access_token_lifetime(&self, lifetime: Option<Duration>) {
        self.lock().settings.lifetime = lifetime;
    }

    /// Sets how long the answer to a token request is held back, also one that a fault replaces. The
    /// server's clock measures it. The request takes effect when it arrives. Defaults to zero.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().settings.latency = latency;
    }

    /// Sets a member of every answer with a token to the value `json`, byte for byte, also in place of
    /// a member of the server. Defaults to none.
    ///
    /// # Errors
    ///
    /// When `json` is not JSON.
    ///
    /// ```
    /// # use tower_oauth2::testing::AuthorizationServer;
    /// let server = AuthorizationServer::new();
    /// server.set_extra_member("not-before-policy", "1696859419")?;
    /// server.set_extra_member("expires_in", "\"600\"")?;
    /// assert!(server.set_extra_member("x", "{").is_err());
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn set_extra_member(&self, name: &str, json: &str) -> Result<(), ConfigError> {
        check_json(json)?;
        self.lock().settings.extra_members.push((name.to_owned(), json.to_owned()));
        Ok(())
    }

    /// Removes every [extra member](Self::set_extra_member).
    pub fn clear_extra_members(&self) {
        self.lock().settings.extra_members.clear();
    }

    /// Sets a member of what `…/introspect` answers of an active token to the value `json`, byte for
    /// byte, also in place of a member of the server. Defaults to none.
    ///
    /// # Errors
    ///
    /// When `json` is not JSON.
    ///
    /// ```
    /// # use tower_oauth2::testing::AuthorizationServer;
    /// let server = AuthorizationServer::new();
    /// server.set_introspection_member("aud", "\"https://api.example\"")?;
    /// server.omit_introspection_member("exp");
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn set_introspection_member(&self, name: &str, json: &str) -> Result<(), ConfigError> {
        check_json(json)?;
        let member = (name.to_owned(), Some(json.to_owned()));
        self.lock().settings.introspection_members.push(member);
        Ok(())
    }

    /// Leaves a member out of what `…/introspect` answers.
    pub fn omit_introspection_member(&self, name: &str) {
        self.lock().settings.introspection_members.push((name.to_owned(), None));
    }

    /// Takes every [`set_introspection_member`](Self::set_introspection_member) and
    /// [`omit_introspection_member`](Self::omit_introspection_member) back.
    pub fn clear_introspection_members(&self) {
        self.lock().settings.introspection_members.clear();
    }

    /// Sets the user who approves at `…/authorize`. While there is no such user, consent is denied.
    /// Defaults to the user registered first.
    pub fn set_approving_user(&self, name: impl Into<String>) {
        self.lock().settings.approving_user = Some(name.into());
    }

    /// Sets the issuer that `…/authorize` names in the parameter `iss` ([RFC 9207]), in errors too,
    /// that `…/introspect` names in the member `iss`, and that the metadata describe. Defaults to no
    /// issuer, and for the metadata to the issuer of JWTs, if tokens are JWTs.
    ///
    /// [RFC 9207]: https://www.rfc-editor.org/rfc/rfc9207
    pub fn set_issuer(&self, issuer: impl Into<String>) {
        self.lock().settings.issuer = Some(issuer.into());
    }

    /// Sets how long the keys may be cached (`Cache-Control: max-age`). Defaults to 5 min.
    pub fn set_keys_max_age(&self, max_age: Duration) {
        self.lock().settings.keys_max_age = max_age;
    }

    /// Sets how long the answer to a request for the keys is held back. Defaults to zero.
    pub fn set_keys_latency(&self, latency: Duration) {
        self.lock().settings.keys_latency = latency;
    }
}

fn check_json(json: &str) -> Result<(), ConfigError> {
    let invalid = |_| ConfigError::new("the value of the member is not JSON; put text in quotes");
    serde_json::from_str::<Value>(json).map(drop).map_err(invalid)
}
