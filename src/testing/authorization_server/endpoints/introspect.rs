//! Describes a token to a resource server ([RFC 7662]).
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662

use super::client_auth;
use crate::testing::authorization_server::{
    answer::{Answered, Members, Refusal},
    state::{IssuedToken, State},
};
use bytes::Bytes;
use http::Request;
use serde_json::json;
use std::time::SystemTime;

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Answered {
    let (form, client) = client_auth::identify(state, request)?;
    // RFC 7662 §2.1: a client that may ask without a secret may guess tokens.
    if client.is_public() {
        return Err(Refusal::invalid_client());
    }
    let token = form.require("token")?;
    let mut members = Members::default();
    let issued = state.active(token);
    members.set("active", issued.is_ok().to_string());
    if let Ok(issued) = issued {
        describe(&mut members, issued, state.settings.issuer.as_deref());
        for (name, json) in state.members(token) {
            members.set(name, json.clone());
        }
        for (name, json) in &state.settings.introspection_members {
            match json {
                Some(json) => members.set(name, json.clone()),
                None => members.remove(name),
            }
        }
    }
    Ok(members.into_response())
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
    if let Some(key) = token.key_thumbprint() {
        members.set("cnf", json!({ "jkt": key }).to_string());
    }
    members.set_text("token_type", token.token_type());
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
        let manual =
            ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_900));
        let server = AuthorizationServer::new().with_clock(manual.clock());
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
    fn a_client_with_a_secret_introspects_a_token_until_it_is_inactive() {
        let (manual, server) = server();
        let users = issue(&server, "grant_type=password&username=alice&password=pw");
        let clients = issue(&server, "grant_type=client_credentials");
        let said = json!({
            "active": true, "sub": "alice", "client_id": "app", "scope": "read write",
            "exp": 4600, "iat": 1000, "token_type": "Bearer",
        });
        assert_eq!(asked(&server, &users["access_token"]), said);
        server.set_access_token_lifetime(None);
        server.set_issuer("https://as.example");
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
    fn a_client_that_does_not_authenticate_is_refused() {
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
    fn introspection_members_are_set_and_left_out() {
        let (_, server) = server();
        let token = issue(&server, "grant_type=client_credentials");
        server.omit_introspection_member("exp");
        server.set_introspection_member("aud", r#"["a"]"#).unwrap();
        server.set_introspection_member("active", r#""true""#).unwrap();
        assert!(server.set_introspection_member("x", "{").is_err());
        let said = asked(&server, &token["access_token"]);
        assert_eq!((&said["active"], &said["aud"]), (&json!("true"), &json!(["a"])));
        assert!(said.get("exp").is_none());
        assert_eq!(asked(&server, &json!("unknown")), json!({"active": false}));
        server.clear_introspection_members();
        assert_eq!(asked(&server, &token["access_token"])["exp"], 4600);
    }
}
