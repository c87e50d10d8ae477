use super::{AuthorizationServer, state::Inactive};
use crate::{
    Answer, Clock, RequestHead,
    validate::{
        CacheSupport, Confirmation, Principal, Rejection, ValidateToken, Validated, Verdict,
    },
};
use std::{future::Ready, sync::Arc};

/// Validates the tokens of an [`AuthorizationServer`] without a request to it. Made by
/// [`AuthorizationServer::validator`].
#[derive(Clone, Debug)]
pub struct IssuedTokens {
    server: AuthorizationServer,
}

impl AuthorizationServer {
    /// Creates a validator for a resource server in the same test. It refuses a token from the first
    /// request after the token is revoked or expires.
    ///
    /// ```
    /// use tower_oauth2::{server::RequireToken, testing::AuthorizationServer};
    ///
    /// let server = AuthorizationServer::new();
    /// let layer = RequireToken::new("api", server.validator())?;
    /// # let _ = layer;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    #[must_use]
    pub fn validator(&self) -> IssuedTokens {
        IssuedTokens { server: self.clone() }
    }
}

impl IssuedTokens {
    fn verdict(&self, token: &str) -> Verdict<()> {
        let state = self.server.lock();
        let issued = state.active(token).map_err(|inactive| match inactive {
            Inactive::Unknown => Rejection::unknown(),
            Inactive::Expired => Rejection::expired(),
            Inactive::Revoked => Rejection::revoked(),
        })?;
        let principal = issued.subject().map_or_else(Principal::without_subject, Principal::new);
        let mut principal = principal.with_scopes(issued.scopes().clone());
        if let Some(client_id) = issued.client_id() {
            principal = principal.with_client_id(client_id);
        }
        if let Some(expiry) = issued.expires_at() {
            principal = principal.with_expiry(expiry);
        }
        if let Some(key) = issued.key_thumbprint() {
            principal = principal.with_confirmation(Confirmation::from_key(key));
        }
        Ok(Arc::new(Validated::from(principal)))
    }
}

impl ValidateToken for IssuedTokens {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(self.verdict(token))
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for IssuedTokens {
    fn clock(&self) -> Option<Clock> {
        Some(self.server.lock().clock.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{
            ManualClock, RegisteredClient,
            authorization_server::support::{json, post},
        },
        validate::RejectionKind,
    };
    use std::time::Duration;

    #[test]
    fn the_validator_agrees_with_the_server() {
        let manual = ManualClock::new();
        let server = AuthorizationServer::new().with_clock(manual.clock());
        server.register_client(RegisteredClient::confidential("app", "s"));
        server.register_user("alice", "pw", "read".parse().unwrap());
        let validator = server.validator();
        let issue = |form: &str| {
            let form = format!("{form}&client_id=app&client_secret=s");
            json(&post(&server, "/token", &form))["access_token"].as_str().unwrap().to_owned()
        };
        let users = issue("grant_type=password&username=alice&password=pw");
        let clients = issue("grant_type=client_credentials");

        let validated = validator.verdict(&users).unwrap();
        let expiry = manual.clock().wall() + Duration::from_secs(3600);
        let alice = Principal::new("alice").with_scopes("read".parse().unwrap());
        let alice = alice.with_client_id("app").with_expiry(expiry);
        assert_eq!(validated.principal(), &alice);
        assert_eq!(validator.verdict(&clients).unwrap().principal().subject(), None);

        let kind = |token: &str| validator.verdict(token).unwrap_err().kind();
        server.revoke(&users);
        manual.advance(Duration::from_secs(3600));
        assert_eq!(kind(&users), RejectionKind::Revoked);
        assert_eq!(kind(&clients), RejectionKind::Expired);
        assert_eq!(kind("unknown"), RejectionKind::Invalid);
    }
}
