//! The answer of a token endpoint, or of a revocation endpoint. The first line is the grant, the
//! rest the answer. A token is taken only where the answer gives one, of the kind that was asked
//! for, and the secret shows in no error.
#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication, ClientSecret,
    client::{Error, Grant, TokenEndpoint, TokenResponse, TokenRevocation, TokenType},
};
use tower_oauth2_fuzz::{Json, Peer, SECRET, answer, clock, count, is_wait_of, lines, now, tokens};

const REFRESH: &str = "refresh-4.1JqM-9";

fuzz_target!(|input: &[u8]| {
    let (kind, rest) = lines(input);
    let Some(answer) = answer(rest) else { return };
    let peer = Peer::answering([answer.clone()]);
    let client = ClientAuthentication::post("id", SECRET);
    let transport = peer.transport().with_clock(clock().clock());
    if kind == b"revoke" {
        let revocation = TokenRevocation::new("https://as.example/t", client, transport).unwrap();
        let revoked = now(revocation.revoke(REFRESH, "refresh_token"));
        assert_eq!(revoked.is_ok(), answer.status().is_success());
        revoked.err().into_iter().for_each(|error| check_error(&error, &answer));
    } else {
        let endpoint = TokenEndpoint::new("https://as.example/t", client, transport).unwrap();
        let grant = match kind {
            b"exchange" => Grant::token_exchange(REFRESH, &TokenType::ACCESS_TOKEN),
            b"refresh" => Grant::refresh_token(&ClientSecret::new(REFRESH)),
            _ => Grant::client_credentials(),
        };
        let fetched = now(endpoint.fetch(&grant));
        if is_plain(&answer) && kind != b"exchange" {
            assert!(fetched.is_ok());
        }
        match fetched {
            Ok(token) => check_token(&token, &answer, kind == b"exchange"),
            Err(error) => check_error(&error, &answer),
        }
    }
    let asked = peer.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(*asked[0].uri(), "https://as.example/t");
});

/// The members of JSON, or of a form.
fn members(answer: &Response<Bytes>) -> (Json, bool) {
    let body = answer.body();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Some(json) = Json::parse(body).filter(|json| matches!(json, Json::Object(_))) {
        return (json, true);
    }
    let pairs = tokens::pairs(body.trim_ascii_end(), true);
    let members = pairs.into_iter().map(|(name, value)| (name, Json::Text(value)));
    (Json::Object(members.collect()), false)
}

/// An answer that nobody can misread.
fn is_plain(answer: &Response<Bytes>) -> bool {
    let Some(json) = Json::unique(answer.body()) else { return false };
    let token = json.text("access_token").unwrap_or_default();
    answer.status() == 200
        && json.has_only(&["access_token", "token_type", "expires_in", "scope", "refresh_token"])
        && json.text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
        && !token.is_empty()
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_token(token: &TokenResponse, answer: &Response<Bytes>, is_exchange: bool) {
    assert!(answer.status().is_success());
    let (json, is_json) = members(answer);
    assert!(token.lifetime() <= Some(Duration::from_secs(10 * 365 * 24 * 60 * 60)));
    let is_error = |error: &str| json.text(error).is_some_and(|text| !text.is_empty());
    // JSON that is not quite JSON is mended before it is read.
    if is_json || json.text("access_token").is_some() {
        if let Some(kind) = json.text("token_type").filter(|kind| !kind.is_empty()) {
            assert!(kind.eq_ignore_ascii_case("bearer"), "{kind}");
        }
        assert!(!is_error("error"));
        assert_eq!(json.text("access_token"), Some(token.access_token().expose()));
        let refresh = json.text("refresh_token").filter(|text| !text.is_empty());
        assert!(token.refresh_token().is_none_or(|own| Some(own.expose()) == refresh));
        assert!(!is_exchange || is_error("issued_token_type"));
        let seconds = match json.get("expires_in") {
            Some(Json::Number(seconds)) => Some(*seconds),
            Some(Json::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        assert!(
            token
                .lifetime()
                .is_none_or(|own| { seconds.is_some_and(|seconds| own.as_secs_f64() <= seconds) })
        );
    }
}

fn check_error(error: &Error, answer: &Response<Bytes>) {
    let shown = format!("{error} {error:?}");
    assert!(![SECRET, REFRESH].iter().any(|secret| shown.contains(secret)));
    let (json, _) = members(answer);
    for name in ["access_token", "refresh_token"] {
        // What the answer says elsewhere too is repeated.
        let text =
            json.text(name).filter(|text| text.len() > 12 && count(answer.body(), text) == 1);
        assert!(text.is_none_or(|text| !shown.contains(text)), "{shown}");
    }
    let refused = error.status().is_some() && !answer.status().is_success();
    assert!(!refused || is_wait_of(error.retry_after(), answer));
}
