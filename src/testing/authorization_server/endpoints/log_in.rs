//! Exchanges a user name and a password for a token with the rights of that user. This is not an
//! OAuth grant.

use super::token;
use crate::{
    ScopeSet,
    testing::authorization_server::{
        answer,
        form::Form,
        state::{Issued, State},
    },
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Response<Bytes> {
    match log_in(state, request) {
        Some(issued) => token::describe(state, &issued),
        None => answer::bare(StatusCode::UNAUTHORIZED),
    }
}

fn log_in(state: &mut State, request: &Request<Bytes>) -> Option<Issued> {
    if request.body().is_empty() {
        return None;
    }
    let form = Form::from_request(request).ok()?;
    let name = form.require("username").ok()?;
    let rights = state.log_in(name, form.require("password").ok()?)?;
    let grant = state.grant(Some(name), None, rights);
    let issued = state.issue(&grant).ok()?;
    // Platforms with such an endpoint do not name the rights in the answer.
    Some(Issued { scopes: ScopeSet::empty(), ..issued })
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        AuthorizationServer,
        authorization_server::support::{json, post},
    };
    use std::time::Duration;

    #[test]
    fn a_form_with_a_good_password_gives_a_token_with_the_rights_of_the_user() {
        let server = AuthorizationServer::new();
        server.register_user("a b@ex.dk", "p&w=+%", "read write".parse().unwrap());
        server.set_access_token_lifetime(Some(Duration::from_secs(600)));
        let good = "username=a+b%40ex.dk&password=p%26w%3D%2B%25";
        let answer = json(&post(&server, "/authorization", good));
        let token = answer["access_token"].as_str().unwrap();
        let expected = serde_json::json!({
            "token_type": "Bearer", "access_token": token, "expires_in": 600,
        });
        assert_eq!(answer, expected);
        let issued = server.introspect(token).unwrap();
        assert_eq!((issued.subject(), issued.client_id()), (Some("a b@ex.dk"), None));
        assert_eq!(issued.scopes().to_string(), "read write");

        for bad in ["", "username=a+b%40ex.dk", "password=p", "username=a+b%40ex.dk&password=p"] {
            let refused = post(&server, "/authorization", bad);
            assert_eq!((refused.status().as_u16(), refused.body().len()), (401, 0), "{bad}");
        }
        assert_eq!(post(&server, &format!("/authorization?{good}"), "").status(), 401);
        assert_eq!(server.token_requests(), 6);
    }
}
