//! Introspection, by a resource server ([RFC 7662]).
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

use super::{
    AuthorizationServer, IssuedToken,
    answer::{Members, Refusal},
    client_auth,
    form::Form,
    state::State,
};
use crate::ConfigError;
use bytes::Bytes;
use http::{Response, request::Parts};
use serde_json::Value;
use std::time::SystemTime;

pub(super) fn answer(
    state: &mut State,
    now: SystemTime,
    head: &Parts,
    body: &Bytes,
) -> Response<Bytes> {
    introspect(state, now, head, body).map_or_else(Refusal::into_response, Members::into_response)
}

fn introspect(
    state: &mut State,
    now: SystemTime,
    head: &Parts,
    body: &Bytes,
) -> Result<Members, Refusal> {
    let form = Form::of_request(head, body)?;
    let client = client_auth::authenticate(state, now, &head.headers, &form)?;
    // RFC 7662 §2.1: whoever may ask without a secret may guess tokens.
    if client.is_public() {
        return Err(Refusal::invalid_client());
    }
    let token = form.require("token")?;
    let mut members = Members::default();
    let standing = state.standing(token, now);
    members.set("active", standing.is_ok().to_string());
    if let Ok(issued) = standing {
        describe(&mut members, issued, state.settings.issuer.as_deref());
        for (name, json) in state.members(token) {
            members.set(name, json.clone());
        }
        for (name, json) in &state.settings.introspected {
            match json {
                Some(json) => members.set(name, json.clone()),
                None => members.remove(name),
            }
        }
    }
    Ok(members)
}

fn describe(members: &mut Members, token: &IssuedToken, issuer: Option<&str>) {
    let since_1970 = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for (name, text) in
        [("sub", token.subject()), ("client_id", token.client_id()), ("iss", issuer)]
    {
        if let Some(text) = text {
            members.set_text(name, text);
        }
    }
    if !token.scopes().is_empty() {
        members.set_text("scope", &token.scopes().to_string());
    }
    for (name, at) in [("exp", token.expires_at()), ("iat", Some(token.issued_at()))] {
        if let Some(at) = at {
            members.set(name, since_1970(at).as_secs().to_string());
        }
    }
    members.set_text("token_type", "Bearer");
}

/// What it says of its tokens.
impl AuthorizationServer {
    /// Sets a member of what `…/introspect` answers of a good token, `json` as its value byte for
    /// byte, or leaves the member out. It can also misstate what the server would have said.
    /// Defaults to none.
    ///
    /// # Errors
    ///
    /// When `json` is no JSON text.
    ///
    /// ```
    /// # use tower_oauth2::testing::AuthorizationServer;
    /// let server = AuthorizationServer::new();
    /// server.set_introspection_member("aud", Some("\"https://api.example\""))?;
    /// server.set_introspection_member("exp", None)?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    pub fn set_introspection_member(
        &self,
        name: &str,
        json: Option<&str>,
    ) -> Result<(), ConfigError> {
        if let Some(json) = json {
            let invalid =
                |_| ConfigError::new("the value of the member is no JSON: text stands in quotes");
            serde_json::from_str::<Value>(json).map_err(invalid)?;
        }
        let member = (name.to_owned(), json.map(str::to_owned));
        self.lock().settings.introspected.push(member);
        Ok(())
    }

    /// Takes back every [`set_introspection_member`](Self::set_introspection_member).
    pub fn clear_introspection_members(&self) {
        self.lock().settings.introspected.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        AuthorizationServer, ManualClock, RegisteredClient,
        authorization_server::support::{json, post},
    };
    use serde_json::{Value, json};
    use std::time::{Duration, SystemTime};

    const API: &str = "client_id=api&client_secret=s&token=";

    fn server() -> (ManualClock, AuthorizationServer) {
        let manual = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_900));
        let server = AuthorizationServer::with_clock(manual.clock());
        server.register_client(RegisteredClient::confidential("app", "s"));
        server.register_client(RegisteredClient::confidential("api", "s"));
        server.register_client(RegisteredClient::public("open"));
        server.register_user("alice", "pw", "read write".parse().unwrap());
        (manual, server)
    }

    fn issue(server: &AuthorizationServer, grant: &str) -> Value {
        let form = format!("{grant}&client_id=app&client_secret=s");
        json(&post(server, "/token", &form))
    }

    fn asked(server: &AuthorizationServer, token: &Value) -> Value {
        let form = format!("{API}{}", token.as_str().unwrap());
        json(&post(server, "/realms/x/introspect", &form))
    }

    #[test]
    fn another_client_is_told_what_a_token_stands_for_until_it_falls() {
        let (manual, server) = server();
        let users = issue(&server, "grant_type=password&username=alice&password=pw");
        let clients = issue(&server, "grant_type=client_credentials");
        let said = json!({
            "active": true, "sub": "alice", "client_id": "app", "scope": "read write",
            "exp": 4600, "iat": 1000, "token_type": "Bearer",
        });
        assert_eq!(asked(&server, &users["access_token"]), said);
        server.set_access_token_lifetime(None);
        server.set_issuer(Some("https://as.example"));
        let endless = issue(&server, "grant_type=client_credentials");
        let said = json!({
            "active": true, "client_id": "app", "iat": 1000, "iss": "https://as.example",
            "token_type": "Bearer",
        });
        assert_eq!(asked(&server, &endless["access_token"]), said);

        let inactive = json!({"active": false});
        assert_eq!(asked(&server, &json!("unknown")), inactive);
        assert_eq!(asked(&server, &users["refresh_token"]), inactive);
        server.revoke(users["access_token"].as_str().unwrap());
        assert_eq!(asked(&server, &users["access_token"]), inactive);
        manual.advance(Duration::from_secs(3600));
        assert_eq!(asked(&server, &clients["access_token"]), inactive);
        assert_eq!(server.introspections(), 6);
    }

    #[test]
    fn who_does_not_authenticate_learns_nothing() {
        let (_, server) = server();
        let token = issue(&server, "grant_type=client_credentials");
        let token = token["access_token"].as_str().unwrap();
        for (form, status) in [
            (format!("token={token}"), 401),
            (format!("client_id=open&token={token}"), 401),
            (format!("client_id=api&client_secret=wrong&token={token}"), 401),
            ("client_id=api&client_secret=s".to_owned(), 400),
        ] {
            let response = post(&server, "/introspect", &form);
            assert_eq!(response.status(), status, "{form}");
            assert!(json(&response).get("active").is_none(), "{form}");
        }
    }

    #[test]
    fn a_member_is_set_or_left_out_as_the_test_says() {
        let (_, server) = server();
        let token = issue(&server, "grant_type=client_credentials");
        server.set_introspection_member("exp", None).unwrap();
        server.set_introspection_member("aud", Some(r#"["a"]"#)).unwrap();
        server.set_introspection_member("active", Some(r#""true""#)).unwrap();
        assert!(server.set_introspection_member("x", Some("{")).is_err());
        let said = asked(&server, &token["access_token"]);
        assert_eq!((&said["active"], &said["aud"]), (&json!("true"), &json!(["a"])));
        assert!(said.get("exp").is_none());
        assert_eq!(asked(&server, &json!("unknown")), json!({"active": false}));
        server.clear_introspection_members();
        assert_eq!(asked(&server, &token["access_token"])["exp"], 4600);
    }
}
