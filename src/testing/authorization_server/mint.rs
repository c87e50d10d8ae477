use super::{AuthorizationServer, IssuedToken};
use crate::{ConfigError, ScopeSet};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

impl AuthorizationServer {
    /// Issues an opaque token for `claims`, a JSON object with the members of an introspection answer
    /// ([RFC 7662 §2.2]). Without `exp` it has the lifetime of every token. Like a requested token,
    /// it can be introspected, revoked and exchanged, and it expires.
    ///
    /// The [validator](Self::validator) reads `sub`, `client_id`, `scope`, `exp`, `iat` and
    /// `cnf.jkt`;
    /// `…/introspect` answers every member as it is.
    ///
    /// ```
    /// use tower_oauth2::testing::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new();
    /// let token = server.mint_opaque(r#"{"sub":"alice","scope":"read","tenant":"acme"}"#)?;
    /// assert_eq!(server.introspect(&token).unwrap().subject(), Some("alice"));
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `claims` is not a JSON object, or one of these five has the wrong type.
    ///
    /// [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2
    pub fn mint_opaque(&self, claims: &str) -> Result<String, ConfigError> {
        let claims: Result<Map<String, Value>, _> = serde_json::from_str(claims);
        let claims = claims.map_err(|_| ConfigError::new("the claims are not a JSON object"))?;
        let mut state = self.lock();
        let now = state.now();
        let scopes: Option<ScopeSet> =
            text(&claims, "scope")?.map(|all| all.parse()).transpose()?;
        let token = IssuedToken {
            key: claims.get("cnf").and_then(|cnf| cnf.get("jkt")?.as_str()).map(Into::into),
            subject: text(&claims, "sub")?.map(Into::into),
            client_id: text(&claims, "client_id")?.map(Into::into),
            scopes: scopes.unwrap_or_default(),
            issued_at: instant(&claims, "iat")?.unwrap_or(now),
            expires_at: instant(&claims, "exp")?.or_else(|| state.expiry_from(now)),
        };
        let members = claims.iter().map(|(name, value)| (name.clone(), value.to_string()));
        let failed = |_| ConfigError::new("the system gives no random numbers");
        state.issue_minted(token, members.collect()).map_err(failed)
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, ConfigError> {
    let wrong = || ConfigError::new(format!("the claim {name:?} is not text"));
    claims.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose()
}

fn instant(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, ConfigError> {
    let wrong =
        || ConfigError::new(format!("the claim {name:?} is not a number of seconds since 1970"));
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = Duration::from_secs(value.as_u64().ok_or_else(wrong)?);
    SystemTime::UNIX_EPOCH.checked_add(seconds).ok_or_else(wrong).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        ManualClock, RegisteredClient,
        authorization_server::support::{json, post},
    };

    fn server() -> (AuthorizationServer, ManualClock) {
        let manual = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let server = AuthorizationServer::new().with_clock(manual.clock());
        server.register_client(RegisteredClient::confidential("rs", "s"));
        (server, manual)
    }

    fn asked(server: &AuthorizationServer, token: &str) -> Value {
        json(&post(server, "/introspect", &format!("token={token}&client_id=rs&client_secret=s")))
    }

    #[test]
    fn a_minted_token_is_introspected_with_its_claims_until_it_expires_or_is_revoked() {
        let (server, manual) = server();
        let claims = r#"{"sub":"alice","client_id":"app","scope":"read write","exp":1060,
            "iat":990,"aud":["a","b"],"tenant":{"id":7}}"#;
        let token = server.mint_opaque(claims).unwrap();
        let mut expected: Value = serde_json::from_str(claims).unwrap();
        expected["active"] = true.into();
        expected["token_type"] = "Bearer".into();
        assert_eq!(asked(&server, &token), expected);
        let issued = server.introspect(&token).unwrap();
        assert_eq!((issued.subject(), issued.client_id()), (Some("alice"), Some("app")));
        assert_eq!(issued.scopes().as_str(), "read write");
        let other = server.mint_opaque(claims).unwrap();
        assert!(server.revoke(&other) && server.introspect(&other).is_none());
        manual.advance(Duration::from_secs(60));
        assert_eq!(asked(&server, &token)["active"], false);
    }

    #[test]
    fn a_minted_token_without_an_expiry_has_the_default_lifetime() {
        let (server, manual) = server();
        server.set_access_token_lifetime(Some(Duration::from_secs(5)));
        let token = server.mint_opaque("{}").unwrap();
        assert_eq!(asked(&server, &token)["exp"], 1005);
        manual.advance(Duration::from_secs(5));
        assert!(server.introspect(&token).is_none());
    }

    #[test]
    fn a_member_of_every_answer_replaces_that_of_a_token() {
        let (server, _) = server();
        let token = server.mint_opaque(r#"{"aud":"a"}"#).unwrap();
        server.set_introspection_member("aud", "\"b\"").unwrap();
        assert_eq!(asked(&server, &token)["aud"], "b");
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_an_error() {
        let (server, _) = server();
        for wrong in [r#"{"sub":1}"#, r#"{"exp":"1"}"#, r#"{"exp":-1}"#, r#"{"scope":["a"]}"#, "[]"]
        {
            assert!(server.mint_opaque(wrong).is_err(), "{wrong}");
        }
    }
}
