//! Authenticates the client of a request ([RFC 6749 §2.3]).
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3

use super::assertions;
use crate::{
    testing::authorization_server::{
        answer::Refusal,
        form::Form,
        state::{Quirk, RegisteredClient, State},
    },
    vocabulary::query,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, header::AUTHORIZATION};

/// Reads the form of a request and authenticates its client.
///
/// # Errors
///
/// As [`authenticate`], and `invalid_request` when the form cannot be read.
pub(super) fn identify(
    state: &mut State,
    request: &Request<Bytes>,
) -> Result<(Form, RegisteredClient), Refusal> {
    let form = Form::from_request(request)?;
    let client = authenticate(state, request.headers(), &form)?;
    Ok((form, client))
}

/// Returns the client of a request with these headers and this form.
///
/// # Errors
///
/// `invalid_client` when the client is unknown, or its secret is wrong, missing or superfluous;
/// `invalid_request` when the client authenticates in two ways.
fn authenticate(
    state: &mut State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<RegisteredClient, Refusal> {
    if let Some(client) = assertions::authenticate(state, form)? {
        let two_ways = headers.contains_key(AUTHORIZATION) || form.get("client_secret")?.is_some();
        return match two_ways {
            true => Err(Refusal::invalid_request("the client authenticates in two ways")),
            false => Ok(client),
        };
    }
    let named = form.get("client_id")?;
    let mut secret = form.get("client_secret")?.map(str::to_owned);
    let mut id = named.map(str::to_owned);
    let mut authorization = headers.get_all(AUTHORIZATION).iter();
    if let Some(value) = authorization.next() {
        if authorization.next().is_some() || secret.is_some() {
            return Err(Refusal::invalid_request("the client authenticates in two ways"));
        }
        let (user, password) = basic(value.as_bytes(), state.settings.has(Quirk::RawBasic))
            .ok_or_else(Refusal::invalid_client)?;
        if named.is_some_and(|named| named != user) {
            return Err(Refusal::invalid_request("the client has two ids"));
        }
        // A client without a secret may say so with an empty one (RFC 6749 §2.3.1).
        secret = Some(password).filter(|password| !password.is_empty());
        id = Some(user);
    }
    let client = id.and_then(|id| state.clients.get(id.as_str()));
    let client = client.ok_or_else(Refusal::invalid_client)?;
    if !client.keys.is_empty() {
        return Err(Refusal::invalid_client());
    }
    match client.secret().map(|secret| secret.expose()) == secret.as_deref() {
        true => Ok(client.clone()),
        false => Err(Refusal::invalid_client()),
    }
}

/// Returns the user name and the password of Basic credentials. Both are form-encoded unless `raw`.
fn basic(value: &[u8], raw: bool) -> Option<(String, String)> {
    let (scheme, credentials) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(credentials.trim_ascii()).ok()?;
    let (user, password) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    match raw {
        true => Some((user.to_owned(), password.to_owned())),
        false => Some((form_decoded(user)?, form_decoded(password)?)),
    }
}

fn form_decoded(text: &str) -> Option<String> {
    Some(query::decode(&text.replace('+', " "))?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const APP: &str = "1PpG/Q 1";
    const SECRET: &str = "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=";
    /// The two, encoded as RFC 6749 §2.3.1 says.
    const ENCODED: &str = concat!(
        "Basic MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUy",
        "QndmRlR0MXJGdyUzRA==",
    );

    fn who(raw: bool, authorization: &[&str], form: &str) -> Result<String, &'static str> {
        let mut state = State::default();
        state.settings.quirks.extend(raw.then_some(Quirk::RawBasic));
        for client in [
            RegisteredClient::confidential(APP, SECRET),
            RegisteredClient::confidential("app", "s+c%72t"),
            RegisteredClient::public("open"),
        ] {
            state.clients.insert(client.id().into(), client);
        }
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let form = Form::parse(form.as_bytes());
        let client = authenticate(&mut state, &headers, &form);
        client.map(|client| client.id().to_owned()).map_err(|refusal| refusal.error)
    }

    fn basic_header(user_pass: &str) -> String {
        format!("bASIC {}", BASE64_STANDARD.encode(user_pass))
    }

    #[test]
    fn basic_is_form_encoded_unless_it_is_raw() {
        assert_eq!(who(false, &[ENCODED], "").as_deref(), Ok(APP));
        assert_eq!(who(true, &[ENCODED], ""), Err("invalid_client"));
        let raw = basic_header(&format!("{APP}:{SECRET}"));
        assert_eq!(who(true, &[&raw], "").as_deref(), Ok(APP));
        let raw = basic_header("app:s+c%72t");
        assert_eq!(who(true, &[&raw], "").as_deref(), Ok("app"));
        assert_eq!(who(false, &[&raw], ""), Err("invalid_client"));
    }

    #[test]
    fn the_form_names_the_client_and_a_public_one_does_no_more() {
        for (form, client) in [
            ("client_id=app&client_secret=s%2Bc%2572t", Ok("app")),
            ("client_id=app&client_secret=s+c%72t", Err("invalid_client")),
            ("client_id=app", Err("invalid_client")),
            ("client_id=open", Ok("open")),
            ("client_id=open&client_secret=", Ok("open")),
            ("client_id=open&client_secret=x", Err("invalid_client")),
            ("client_id=nobody", Err("invalid_client")),
            ("client_id=open&client_id=open", Err("invalid_request")),
            ("", Err("invalid_client")),
        ] {
            assert_eq!(who(false, &[], form).as_deref().map_err(|error| *error), client, "{form}");
        }
    }

    #[test]
    fn two_ways_at_once_are_refused_and_the_id_may_be_repeated() {
        let open = basic_header("open:");
        assert_eq!(who(false, &[&open], "client_id=open").as_deref(), Ok("open"));
        assert_eq!(who(false, &[&open], "client_id=app"), Err("invalid_request"));
        assert_eq!(who(false, &[&open], "client_secret=x"), Err("invalid_request"));
        assert_eq!(who(false, &[&open, &open], ""), Err("invalid_request"));
        for header in ["Bearer x", "Basic", "Basic %", "Basic b3Blbg==", "Basic /zo="] {
            assert_eq!(who(false, &[header], ""), Err("invalid_client"), "{header}");
        }
    }
}
