//! Sends a browser back with a code, in the name of the approving user ([RFC 6749 §4.1.1],
//! [RFC 7636], [RFC 9207]).
//!
//! [RFC 6749 §4.1.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1
//! [RFC 7636]: https://www.rfc-editor.org/rfc/rfc7636
//! [RFC 9207]: https://www.rfc-editor.org/rfc/rfc9207

use crate::{
    testing::authorization_server::{
        answer::{self, Answered, Refusal},
        form::Form,
        state::{Quirk, RegisteredClient, State},
    },
    vocabulary::query,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderValue, Request, StatusCode, header::LOCATION};

pub(super) fn answer(state: &mut State, request: &Request<Bytes>) -> Answered {
    let form = Form::from_query(request);
    // RFC 6749 §4.1.2.1: without a valid client and redirect URI there is no redirect.
    let (client, redirect_uri) = destination(state, &form)?;
    let mut answer = Serializer::new(String::new());
    match approve(state, &form, &client) {
        Ok(code) => answer.append_pair("code", &code),
        Err(refusal) => answer
            .append_pair("error", refusal.error)
            .append_pair("error_description", &refusal.description),
    };
    if let Some(issuer) = &state.settings.issuer {
        answer.append_pair("iss", issuer);
    }
    let mut pairs = answer.finish();
    let query = request.uri().query().unwrap_or_default();
    if !state.settings.has(Quirk::NoState)
        && let Some(state) = query::pairs(query).find(|pair| pair.is_named("state"))
        && let Some(state) = state.value()
    {
        // Byte for byte: neither decoded nor encoded again.
        pairs.push_str("&state=");
        pairs.push_str(state);
    }
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    redirect(format!("{redirect_uri}{separator}{pairs}"))
}

fn redirect(location: String) -> Answered {
    let unfit = |_| Refusal::invalid_request("the state does not fit into a header");
    let location = HeaderValue::try_from(location).map_err(unfit)?;
    let mut response = answer::bare(StatusCode::FOUND);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Returns the client, and its redirect URI that the answer goes to.
fn destination(state: &State, form: &Form) -> Result<(RegisteredClient, Box<str>), Refusal> {
    let unknown = || Refusal::invalid_request("the client is unknown");
    let client = state.clients.get(form.require("client_id")?).ok_or_else(unknown)?;
    let redirect_uri = match (form.get("redirect_uri")?, client.redirect_uris()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(named), own) => own.iter().find(|own| ***own == *named),
    };
    let redirect_uri = redirect_uri
        .ok_or_else(|| Refusal::invalid_request("the redirect URI is missing or not registered"))?;
    Ok((client.clone(), redirect_uri.clone()))
}

/// Issues a code in the name of the approving user.
fn approve(state: &mut State, form: &Form, client: &RegisteredClient) -> Result<String, Refusal> {
    // Refuses a repeated state, of which only one could be returned.
    form.get("state")?;
    if form.require("response_type")? != "code" {
        let description = "the only response type is code";
        return Err(Refusal::new("unsupported_response_type", description));
    }
    let challenge = challenge(form)?;
    let asked = form.scopes()?;
    let denied = |why| Refusal::new("access_denied", why);
    if state.settings.has(Quirk::DeniedConsent) {
        return Err(denied("the user denies"));
    }
    let name = state.settings.approving_user.clone();
    let approving = name.and_then(|name| Some((state.users.get(&name)?.scopes.clone(), name)));
    let (rights, name) = approving.ok_or_else(|| denied("no user can approve"))?;
    let scopes = client.user_scopes(&asked, &rights)?;
    let mut grant = state.grant(Some(&name), Some(client.id()), scopes);
    // RFC 9449 §10.
    grant.key = form.get("dpop_jkt")?.map(Into::into);
    let redirect_uri = form.get("redirect_uri")?.map(str::to_owned);
    state.issue_code(grant, redirect_uri, challenge)
}

/// Returns the decoded PKCE challenge, if there is one.
fn challenge(form: &Form) -> Result<Option<[u8; 32]>, Refusal> {
    let challenge = form.get("code_challenge")?;
    match (challenge, form.get("code_challenge_method")?) {
        (None, None) => Ok(None),
        (Some(challenge), Some("S256")) => {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(challenge).ok();
            let digest = decoded.and_then(|bytes| bytes.try_into().ok());
            let malformed =
                || Refusal::invalid_request("the code challenge is not a SHA-256 digest");
            digest.map(Some).ok_or_else(malformed)
        }
        _ => Err(Refusal::invalid_request("the only code challenge method is S256")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        AuthorizationServer,
        authorization_server::support::{get, location},
    };

    const CB: &str = "http://127.0.0.1:1/cb?x=1";
    const ENCODED_CB: &str = "http%3A%2F%2F127.0.0.1%3A1%2Fcb%3Fx%3D1";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn server() -> AuthorizationServer {
        let server = AuthorizationServer::new();
        let client = RegisteredClient::public("app").with_redirect_uri(CB).unwrap();
        server.register_client(client);
        server.register_user("alice", "hunter2", "read write".parse().unwrap());
        server
    }

    /// Returns what is added to the redirect URI of the client.
    fn visit(server: &AuthorizationServer, query: &str) -> String {
        let uri = format!("/authorize?client_id=app&redirect_uri={ENCODED_CB}&{query}");
        let location = location(&get(server, &uri));
        location.strip_prefix(CB).expect("the redirect URI of the client").to_owned()
    }

    #[test]
    fn state_comes_back_byte_for_byte_unless_it_is_omitted() {
        let server = server();
        for state in ["a+b%20c%2B%e9/?:@", "", "="] {
            let query = visit(&server, &format!("response_type=code&state={state}"));
            assert!(query.starts_with("&code="), "{query}");
            assert!(query.ends_with(&format!("&state={state}")), "{query}");
        }
        server.enable(Quirk::NoState);
        server.set_issuer("https://as.example/");
        let query = visit(&server, "response_type=code&state=x");
        assert!(query.ends_with("&iss=https%3A%2F%2Fas.example%2F"), "{query}");
        assert_eq!(server.authorize_requests(), 4);
    }

    #[test]
    fn a_wrong_request_is_redirected_with_an_error() {
        let server = server();
        server.set_issuer("https://as.example/");
        for (query, error) in [
            ("", "invalid_request"),
            ("response_type=token", "unsupported_response_type"),
            ("response_type=code&scope=admin", "invalid_scope"),
            ("response_type=code&scope=%22", "invalid_scope"),
            ("response_type=code&state=s&state=t", "invalid_request"),
            (&format!("response_type=code&code_challenge={CHALLENGE}"), "invalid_request"),
            ("response_type=code&code_challenge_method=S256", "invalid_request"),
            ("response_type=code&code_challenge=x&code_challenge_method=S256", "invalid_request"),
            (
                &format!(
                    "response_type=code&code_challenge={CHALLENGE}&code_challenge_method=plain"
                ),
                "invalid_request",
            ),
        ] {
            let answer = visit(&server, &format!("{query}&state=s"));
            assert!(answer.starts_with(&format!("&error={error}&")), "{query}: {answer}");
            assert!(answer.ends_with("&iss=https%3A%2F%2Fas.example%2F&state=s"), "{answer}");
        }
        let pkce = format!("response_type=code&code_challenge={CHALLENGE}");
        let answer = visit(&server, &format!("{pkce}&code_challenge_method=S256"));
        assert!(answer.starts_with("&code="), "{answer}");
    }

    #[test]
    fn a_redirect_uri_that_is_not_registered_gets_no_redirect() {
        let server = server();
        for query in [
            "response_type=code",
            "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fevil.example",
            &format!("response_type=code&client_id=app&redirect_uri={ENCODED_CB}%26y"),
            &format!("response_type=code&client_id=nobody&redirect_uri={ENCODED_CB}"),
            &format!("client_id=app&client_id=app&redirect_uri={ENCODED_CB}"),
        ] {
            let response = get(&server, &format!("/authorize?{query}"));
            assert_eq!(response.status(), 400, "{query}");
            assert_eq!(response.headers().get(LOCATION), None);
        }
        // The only registered redirect URI need not be named; one of two has to be.
        let unnamed = "/authorize?response_type=code&client_id=app";
        assert_eq!(get(&server, unnamed).status(), 302);
        let client = RegisteredClient::public("app").with_redirect_uri(CB).unwrap();
        server.register_client(client.with_redirect_uri("https://b.example").unwrap());
        assert_eq!(get(&server, unnamed).status(), 400);
    }

    #[test]
    fn a_denying_or_missing_user_redirects_with_access_denied() {
        let server = server();
        server.enable(Quirk::DeniedConsent);
        let denied = "&error=access_denied&error_description=the+user+denies&state=s";
        assert_eq!(visit(&server, "response_type=code&state=s"), denied);
        server.disable(Quirk::DeniedConsent);
        server.set_approving_user("nobody");
        let answer = visit(&server, "response_type=code");
        assert!(answer.starts_with("&error=access_denied&"), "{answer}");
    }
}
