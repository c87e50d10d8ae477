//! Revocation, by a client ([RFC 7009]) or by the test.
//!
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use super::{
    AuthorizationServer,
    answer::{self, Refusal},
    client_auth,
    form::Form,
    state::State,
};
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use std::time::SystemTime;

pub(super) fn answer(
    state: &mut State,
    now: SystemTime,
    head: &Parts,
    body: &Bytes,
) -> Response<Bytes> {
    match revoke(state, now, head, body) {
        Ok(()) => answer::bare(StatusCode::OK),
        Err(refusal) => refusal.into_response(),
    }
}

fn revoke(state: &mut State, now: SystemTime, head: &Parts, body: &Bytes) -> Result<(), Refusal> {
    let form = Form::of_request(head, body)?;
    let client = client_auth::authenticate(state, now, &head.headers, &form)?;
    let token = form.require("token")?;
    match state.holder(token) {
        // RFC 7009 §2.2: a token that is not known is as good as revoked.
        None => Ok(()),
        Some(holder) if holder == Some(client.id()) => {
            state.revoke(token);
            Ok(())
        }
        Some(_) => {
            let description = "the token was issued to another client";
            Err(Refusal::new("unauthorized_client", description))
        }
    }
}

/// Revocation from the test's side: a user destroys a token, with no notice to the client.
impl AuthorizationServer {
    /// Revokes an access token, or a refresh token and every token of its grant; whether there
    /// was one that was not revoked before.
    pub fn revoke(&self, token: &str) -> bool {
        self.lock().revoke(token)
    }

    /// Revokes every token and every code that was issued.
    pub fn revoke_all(&self) {
        self.lock().revoke_all();
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        AuthorizationServer, RegisteredClient,
        authorization_server::support::{json, post},
    };

    #[test]
    fn a_client_revokes_its_own_tokens_and_no_others() {
        let server = AuthorizationServer::new();
        for id in ["app", "other"] {
            server.register_client(RegisteredClient::confidential(id, "s"));
        }
        let form = "grant_type=client_credentials&client_id=app&client_secret=s";
        let answer = json(&post(&server, "/token", form));
        let token = answer["access_token"].as_str().unwrap();
        for (form, status) in [
            (format!("token={token}"), 401),
            (format!("client_id=other&client_secret=s&token={token}"), 400),
            ("client_id=app&client_secret=s".into(), 400),
            ("client_id=app&client_secret=s&token=unknown".into(), 200),
        ] {
            assert_eq!(post(&server, "/revoke", &form).status(), status, "{form}");
            assert!(server.introspect(token).is_some(), "{form}");
        }
        let form =
            format!("client_id=app&client_secret=s&token={token}&token_type_hint=refresh_token");
        for _ in 0..2 {
            let response = post(&server, "/revoke", &form);
            assert_eq!((response.status().as_u16(), response.body().len()), (200, 0));
            assert!(server.introspect(token).is_none());
        }
        assert_eq!((server.revocations(), server.revoke(token)), (6, false));
    }
}
