//! Revokes a token on behalf of its client ([RFC 7009]).
//!
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use super::client_auth;
use crate::testing::authorization_server::{
    answer::{self, Answered, Refusal},
    state::State,
};
use bytes::Bytes;
use http::{Request, StatusCode};

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Answered {
    let (form, client) = client_auth::identify(state, request)?;
    let token = form.require("token")?;
    if state.is_of_another_client(token, client.id()) {
        let description = "the token was issued to another client";
        return Err(Refusal::new("unauthorized_client", description));
    }
    // RFC 7009 §2.2: an unknown token counts as revoked.
    state.revoke(token);
    Ok(answer::bare(StatusCode::OK))
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
