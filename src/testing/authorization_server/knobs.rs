use super::{AuthorizationServer, faults::Fault};
use crate::ConfigError;
use serde_json::Value;
use std::time::Duration;

/// What the setters change.
pub(super) struct Settings {
    pub(super) lifetime: Option<Duration>,
    pub(super) latency: Duration,
    pub(super) token_type: bool,
    pub(super) bare: bool,
    pub(super) extra: Vec<(String, String)>,
    pub(super) refresh_tokens: bool,
    pub(super) rotation: bool,
    pub(super) raw_basic: bool,
    pub(super) approving_user: Option<String>,
    pub(super) denial: bool,
    pub(super) state_returned: bool,
    pub(super) issuer: Option<String>,
    /// Members of what is said of tokens, by their names; without a value they are left out.
    pub(super) introspected: Vec<(String, Option<String>)>,
    pub(super) keys_max_age: Duration,
    pub(super) keys_latency: Duration,
    pub(super) keys_fault: Option<Fault>,
    pub(super) down: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetime: Some(Duration::from_secs(3600)),
            latency: Duration::ZERO,
            token_type: true,
            bare: false,
            extra: Vec::new(),
            refresh_tokens: true,
            rotation: true,
            raw_basic: false,
            approving_user: None,
            denial: false,
            state_returned: true,
            issuer: None,
            introspected: Vec::new(),
            keys_max_age: Duration::from_secs(300),
            keys_latency: Duration::ZERO,
            keys_fault: None,
            down: false,
        }
    }
}

/// Its knobs.
impl AuthorizationServer {
    /// How long access tokens live, from the arrival of the request; with `None` they do not
    /// expire and the answer has no `expires_in`. Defaults to an hour.
    pub fn set_access_token_lifetime(&self, lifetime: Option<Duration>) {
        self.lock().settings.lifetime = lifetime;
    }

    /// How long the answer to a token request is held back, a scripted one too; the server's
    /// clock says when that is over. The request itself takes effect when it arrives. Defaults to
    /// zero.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().settings.latency = latency;
    }

    /// Whether the answer says `token_type`. Defaults to `true`.
    pub fn set_token_type_sent(&self, sent: bool) {
        self.lock().settings.token_type = sent;
    }

    /// Whether the answer is `{"access_token":"…"}` and nothing else, as Relatel's is: no refresh
    /// token is issued then, and [`set_extra_member`](Self::set_extra_member) has no effect. The
    /// token lives as long as any. Defaults to `false`.
    pub fn set_bare_answers(&self, bare: bool) {
        self.lock().settings.bare = bare;
    }

    /// Sets a member of every answer that brings a token, `json` as its value byte for byte. It
    /// replaces a member of that name, so it can also misstate what the server would have said.
    /// Defaults to none.
    ///
    /// # Errors
    ///
    /// When `json` is no JSON text.
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
        let invalid =
            |_| ConfigError::new("the value of the extra member is no JSON: text stands in quotes");
        serde_json::from_str::<Value>(json).map_err(invalid)?;
        self.lock().settings.extra.push((name.to_owned(), json.to_owned()));
        Ok(())
    }

    /// Takes back every [`set_extra_member`](Self::set_extra_member).
    pub fn clear_extra_members(&self) {
        self.lock().settings.extra.clear();
    }

    /// Whether the grants `authorization_code` and `password` bring a refresh token. Defaults to
    /// `true`.
    pub fn set_refresh_tokens(&self, issued: bool) {
        self.lock().settings.refresh_tokens = issued;
    }

    /// Whether a refresh brings a new refresh token and ends the old one, whose use then revokes
    /// every token of the grant; without, the old one stays good and the answer names none.
    /// Defaults to `true`.
    pub fn set_rotation(&self, rotation: bool) {
        self.lock().settings.rotation = rotation;
    }

    /// Whether the id and the secret in a Basic header are taken as they are, and not decoded as
    /// forms are, which is what [RFC 6749 §2.3.1] asks for. Defaults to `false`.
    ///
    /// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    pub fn set_raw_basic(&self, raw: bool) {
        self.lock().settings.raw_basic = raw;
    }

    /// The user in whose name `…/authorize` approves. Defaults to the one registered first;
    /// while there is no such user, it denies.
    pub fn set_approving_user(&self, name: impl Into<String>) {
        self.lock().settings.approving_user = Some(name.into());
    }

    /// Whether the user denies: `…/authorize` then redirects with `error=access_denied`. Defaults
    /// to `false`.
    pub fn set_denial(&self, denial: bool) {
        self.lock().settings.denial = denial;
    }

    /// Whether `…/authorize` gives `state` back, byte for byte. Defaults to `true`.
    pub fn set_state_returned(&self, returned: bool) {
        self.lock().settings.state_returned = returned;
    }

    /// The issuer that `…/authorize` names in the parameter `iss` ([RFC 9207]), errors included,
    /// and `…/introspect` in the member `iss`, and that the metadata are of. Defaults to none, and
    /// no parameter; the metadata are then of the issuer of JWTs, where there is one.
    ///
    /// [RFC 9207]: https://www.rfc-editor.org/rfc/rfc9207
    pub fn set_issuer(&self, issuer: Option<&str>) {
        self.lock().settings.issuer = issuer.map(str::to_owned);
    }
}
