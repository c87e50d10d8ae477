//! The odd answers of token endpoints, one test for each row of `docs/guide/odd_answers.md`.

use crate::{
    leaks::{printed, traced},
    scripted_endpoint::{Caller, Reply, Script, read},
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication,
    client::{Error, ErrorKind, Grant, RefreshPolicy, TokenResponse},
};

const SECOND: Duration = Duration::from_secs(1);

/// What the endpoint makes of these members beside a token, and what is logged of it.
async fn with_members(members: &str) -> (TokenResponse, String) {
    let (response, log) =
        traced(read(Reply::json(format!(r#"{{"access_token":"T",{members}}}"#)))).await;
    (response.unwrap(), log)
}

/// Whether one of these members is logged as odd.
fn is_warned(log: &str, member: &str) -> bool {
    let odd = |line: &&str| line.contains("WARN") && line.contains("odd member");
    log.lines().filter(odd).any(|line| line.contains(&format!("member=\"{member}\"")))
}

/// The error of a refusal with this status and body.
async fn refused(status: u16, content_type: &str, body: &str) -> Error {
    let reply = Reply::status(status).with_body(body.to_owned());
    let error = read(reply.with_header(CONTENT_TYPE, content_type)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{body}");
    error
}

/// A caller with a session that has just run out, and whose renewals are answered so.
async fn session(replies: impl IntoIterator<Item = Reply>) -> (Caller, Script) {
    let first = r#"{"access_token":"T1","expires_in":60,"refresh_token":"R","scope":"read"}"#;
    let first = read(Reply::json(first)).await.unwrap();
    let script = Script::of(replies);
    let caller = Caller::signed_in(script.endpoint(ClientAuthentication::public("id")), &first);
    caller.advance(60 * SECOND).await;
    (caller, script)
}

#[tokio::test]
async fn a_lifetime_that_is_negative_or_no_number_is_as_if_absent_and_warned_of() {
    for odd in
        ["-1", "-0.5", "-1e300", "\"-60\"", "\"soon\"", "\"3600s\"", "\"NaN\"", "true", "[60]"]
    {
        let (response, log) = with_members(&format!(r#""expires_in":{odd}"#)).await;
        assert_eq!(response.lifetime(), None, "{odd}");
        assert!(is_warned(&log, "expires_in"), "{odd}: {log}");
    }
    for usual in ["null", "\"\"", "0", "60", "\"60\"", "60.5"] {
        let (_, log) = with_members(&format!(r#""expires_in":{usual}"#)).await;
        assert!(!is_warned(&log, "expires_in"), "{usual}: {log}");
    }
    // One fetch serves every call for the default lifetime.
    let script = Script::of([Reply::json(r#"{"access_token":"T","expires_in":-1}"#)]);
    let caller = Caller::new(&script, RefreshPolicy::default().without_jitter());
    for _ in 0..5 {
        assert_eq!(caller.call().await.unwrap(), "Bearer T");
        caller.advance(SECOND).await;
    }
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_lifetime_beyond_ten_years_is_cut_and_warned_of() {
    let (response, log) = with_members(r#""expires_in":999999999999"#).await;
    assert_eq!(response.lifetime(), Some(3650 * 24 * 3600 * SECOND));
    assert!(is_warned(&log, "expires_in"), "{log}");
}

#[tokio::test]
async fn a_scope_that_is_no_list_of_scopes_is_ignored_and_warned_of() {
    for odd in ["1", "{}", r#"["two words"]"#, r#""caf\u00e9""#] {
        let (response, log) = with_members(&format!(r#""scope":{odd}"#)).await;
        assert_eq!(response.scope(), None);
        assert!(is_warned(&log, "scope"), "{odd}: {log}");
    }
    let (_, log) = with_members(r#""scope":["read"]"#).await;
    assert!(!is_warned(&log, "scope"), "{log}");
}

#[tokio::test]
async fn a_refresh_token_that_is_no_text_is_ignored_and_warned_of() {
    for odd in ["7", "[\"R\"]", "true"] {
        let (response, log) = with_members(&format!(r#""refresh_token":{odd}"#)).await;
        assert!(response.refresh_token().is_none());
        assert!(is_warned(&log, "refresh_token"), "{odd}: {log}");
    }
    let (response, log) = with_members(r#""refresh_token":"""#).await;
    assert!(response.refresh_token().is_none() && !is_warned(&log, "refresh_token"), "{log}");
}

#[tokio::test]
async fn a_renewal_that_names_no_scopes_keeps_those_before_it() {
    let (caller, script) = session([Reply::token("T2", 60), Reply::token("T3", 60)]).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T2");
    assert_eq!(caller.status().granted(), Some(&"read".parse().unwrap()));

    // Another sign-in begins anew.
    let silent = read(Reply::token("U", 60)).await.unwrap();
    caller.cache.store(&silent);
    assert_eq!(caller.status().granted(), None);
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_form_that_is_declared_as_plain_text_is_read() {
    let plain =
        |body: &'static str| Reply::ok(body).with_header(CONTENT_TYPE, "text/plain; charset=utf-8");
    let response = read(plain("access_token=T%2B&expires_in=3600\n")).await.unwrap();
    assert_eq!(response.access_token().expose(), "T+");
    assert_eq!(response.lifetime(), Some(3600 * SECOND));
    let error = read(plain("error=invalid_grant&error_description=gone")).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    let error = read(plain("a=b, or so they say")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
}

#[tokio::test]
async fn a_description_that_is_not_utf_8_or_has_raw_control_characters_does_not_lose_the_code() {
    for description in [&b"caf\xe9 closed"[..], b"line\nline", b"tab\t\x01"] {
        let body = [br#"{"error":"invalid_grant","error_description":""#, description, b"\"}"];
        let error = read(Reply::status(400).with_body(body.concat())).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_grant"), "{error}");
        assert!(error.to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{error}");
    }
}

#[tokio::test]
async fn a_token_with_a_character_that_was_replaced_is_never_used() {
    for token in [&b"T\xe9"[..], b"T\x01", b"T\nT", b"T\\\\\n", b"T\\\"\n"] {
        for member in ["access_token", "refresh_token"] {
            let odd = [b"\"", member.as_bytes(), b"\":\"", token, b"\""].concat();
            let body = [&b"{\"access_token\":\"T\",\n"[..], &odd, b"}\0"].concat();
            let answer = read(Reply::json(body)).await;
            assert!(answer.is_err() || answer.unwrap().refresh_token().is_none(), "{odd:?}");
        }
    }
    // Outside of texts, nothing is lost.
    let body = b"{\"access_token\":\"T\",\x0b\"refresh_token\":\"R\\\"R\"}\0";
    let answer = read(Reply::json(&body[..])).await.unwrap();
    assert_eq!(answer.refresh_token().unwrap().expose(), "R\"R");
}

#[tokio::test]
async fn a_token_type_that_is_no_text_is_an_error_that_names_it() {
    for (odd, shown) in [(r#"["DPoP"]"#, "['DPoP']"), ("7", "7"), (r#"{"a":1}"#, "{'a':1}")] {
        let answer = read(Reply::json(format!(r#"{{"access_token":"T","token_type":{odd}}}"#)));
        let error = answer.await.unwrap_err();
        assert!(error.to_string().contains(&format!("token type {shown} is not")), "{error}");
        assert!(!error.is_transient(), "the next answer will be as unusable");
    }
    for usual in ["null", "\"\"", "\"bearer\"", "\"Bearer \"", "\"BearerToken\""] {
        with_members(&format!(r#""token_type":{usual}"#)).await;
    }
}

#[tokio::test]
async fn a_known_code_with_anything_between_its_letters_is_one_short_plain_line() {
    let long = "\\n".repeat(9_999);
    for code in ["invalid_\\u001b\\u202e\\r\\nclient", &format!("invalid_client{long}")] {
        let error = refused(400, "application/json", &format!(r#"{{"error":"{code}"}}"#)).await;
        let text = format!("{error}{error:?}{}", error.code().unwrap());
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
        assert!(text.len() < 2_000, "{text}");
    }
    let error = refused(400, "text/plain", "invalid\u{1b}\r_client").await;
    assert_eq!(error.code(), Some("invalid??_client"));
}

#[tokio::test]
async fn an_answer_that_is_compressed_is_an_error_that_names_the_encoding() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00";
    let declared = Reply::json(&gzip[..]).with_header(CONTENT_ENCODING, "gzip");
    for (reply, encoding) in [
        (declared, "gzip"),
        (Reply::json(&gzip[..]), "gzip"),
        (Reply::json("{").with_header(CONTENT_ENCODING, "br"), "br"),
        (Reply::status(400).with_body(&gzip[..]).with_header(CONTENT_ENCODING, "x-gzip"), "x-gzip"),
    ] {
        let text = read(reply).await.unwrap_err().to_string();
        assert!(text.contains(&format!("is encoded as {encoding}, which the request")), "{text}");
    }
    let plain = Reply::token("T", 60).with_header(CONTENT_ENCODING, "identity");
    read(plain).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_neither_json_nor_a_form_is_an_error_that_names_what_it_is() {
    let portal = "<html><title>Log in to the Wi-Fi</title></html>";
    let html = || Reply::ok(portal).with_header(CONTENT_TYPE, "text/html; charset=utf-8");
    for (reply, what) in [
        (html(), "the answer is text/html, and is neither"),
        (Reply::ok(portal), "the answer has no content type, and is neither"),
        (Reply::ok(""), "the answer is empty, and is neither"),
        (Reply::json("[1]"), "the answer is application/json, and is neither"),
    ] {
        let error = read(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains(what), "{error}");
        assert!(!printed(&error).contains("Wi-Fi"), "{error}");
    }
    let error = refused(403, "text/html", portal).await;
    assert!(error.to_string().ends_with("(403 Forbidden): the answer is text/html"), "{error}");
}

#[test]
fn a_body_that_a_closure_reads_is_not_blamed_for_its_content_type() {
    for (body, why) in [
        ("<html>", "the body is no JSON object"),
        ("access_token=T", "the body is no JSON object"),
        ("[]", "the body is no JSON object"),
        ("", "the answer is empty"),
        ("{}", "missing access_token"),
    ] {
        let error = TokenResponse::from_json(body.as_bytes()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(why) && !text.contains("content type"), "{body}: {text}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_shape_of_a_vendor_has_its_code_and_its_message() {
    for (body, code, message) in [
        (r#"{"error":{"code":400,"message":"API key not valid"}}"#, "400", "API key not valid"),
        (r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, "INVALID_ARGUMENT", ""),
        (r#"{"errorCode":"invalid_client","errorSummary":"None."}"#, "invalid_client", "None."),
        (r#"{"fault":{"faultstring":"bad","detail":{"errorcode":"x.y"}}}"#, "x.y", "bad"),
        (r#"{"errors":[{"errorType":"invalid_client","message":"m"}]}"#, "invalid_client", "m"),
        (r#"{"__type":"NotAuthorizedException","message":"m"}"#, "NotAuthorizedException", "m"),
        (r#"{"message":"Bad Request","error":400}"#, "400", "Bad Request"),
        (r#"{"reason":"Invalid!","error":"invalid_request"}"#, "invalid_request", "Invalid!"),
        (r#"{"errcode":40029,"errmsg":"invalid code"}"#, "40029", "invalid code"),
        (r#"{"error":["invalid_client"],"error_description":["m","n"]}"#, "invalid_client", "m"),
        (r#"{"message":["m"],"error":"Bad Request"}"#, "Bad Request", "m"),
    ] {
        let error = refused(400, "application/json", body).await;
        assert_eq!(error.code(), Some(code), "{body}");
        assert!(
            error.to_string().contains(&format!(
                "{code}{}{message}",
                if message.is_empty() { "" } else { ": " }
            )),
            "{error}"
        );
    }
    for (body, message) in [
        (r#"{"message":"Tenant is disabled"}"#, "Tenant is disabled"),
        (r#"{"type":"about:blank","title":"Blocked","status":403}"#, "Blocked"),
        (r#"{"status":403,"error":{},"detail":"over there"}"#, "over there"),
        (r#"{"errors":["Tenant is disabled","gone"]}"#, "Tenant is disabled"),
    ] {
        let error = refused(403, "application/problem+json", body).await;
        assert_eq!(error.code(), None, "{body}");
        assert!(error.to_string().ends_with(&format!(": {message}")), "{error}");
    }
    // However deep it goes on.
    let deep = format!("{}{}", r#"{"error":"#.repeat(100), "}".repeat(100).replacen('}', "1}", 1));
    assert_eq!(refused(400, "application/json", &deep).await.code(), None);
}

#[tokio::test]
async fn a_refusal_in_a_line_of_plain_text_is_its_message() {
    let error = refused(403, "text/plain", "Tenant is disabled\n").await;
    assert!(error.to_string().ends_with("(403 Forbidden): Tenant is disabled"), "{error}");
    let error = refused(400, "text/plain", "invalid_grant").await;
    assert_eq!(error.code(), Some("invalid_grant"));
    for long in ["a\nb", &"x".repeat(201)] {
        let error = refused(403, "text/plain", long).await;
        assert!(error.to_string().ends_with(": the answer is text/plain"), "{error}");
    }
}

#[tokio::test]
async fn an_error_in_a_200_is_a_refusal_in_any_shape() {
    for body in [
        r#"{"ok":false,"error":"invalid_client"}"#,
        r#"{"access_token":"T","error":{"code":"invalid_client"}}"#,
        r#"{"errcode":40029,"errmsg":"no"}"#,
        r#"{"errors":[{"code":"x"}]}"#,
    ] {
        refused(200, "application/json", body).await;
    }
    for body in [
        r#"{"access_token":"T","error":null}"#,
        r#"{"access_token":"T","error":""}"#,
        r#"{"access_token":"T","error":false}"#,
        r#"{"access_token":"T","error":{},"errors":[],"errcode":0}"#,
    ] {
        assert_eq!(read(Reply::json(body)).await.unwrap().access_token().expose(), "T");
    }
}

#[tokio::test]
async fn a_refresh_token_that_a_server_calls_dead_in_its_own_words_ends_the_session() {
    for (status, body) in [
        (400, r#"{"error":"invalid_grant"}"#),
        // GitHub, Slack, Zoho.
        (200, r#"{"error":"bad_refresh_token"}"#),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        (200, r#"{"ok":false,"error":"token_revoked"}"#),
        (200, r#"{"error":"invalid_code"}"#),
        // HubSpot, Twitch, Yahoo, PayPal, Fitbit.
        (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid"}"#),
        (400, r#"{"status":400,"message":"Invalid refresh token"}"#),
        (401, r#"{"error":"INVALID_REFRESH_TOKEN"}"#),
        (400, r#"{"error":"invalid_refresh_token","error_description":"No consent"}"#),
        (400, r#"{"errors":[{"errorType":"invalid_grant","message":"m"}],"success":false}"#),
        // Spring and UAA, servers that want the user.
        (401, r#"{"error":"invalid_token"}"#),
        (400, r#"{"error":"interaction_required"}"#),
    ] {
        let (caller, script) = session([Reply::status(status).with_body(body)]).await;
        for _ in 0..3 {
            let error = caller.call().await.unwrap_err();
            assert!(error.is_sign_in_needed(), "{body}: {error}");
            caller.advance(60 * SECOND).await;
        }
        assert_eq!(script.asked(), 1, "{body}");
    }
    for trouble in [500, 503, 429] {
        let reply = Reply::status(trouble).with_body(r#"{"error":"bad_refresh_token"}"#);
        let (caller, _) = session([reply, Reply::token("T2", 60)]).await;
        let call = caller.waiting_call().await;
        caller.advance(2 * SECOND).await;
        assert_eq!(call.await.unwrap().unwrap(), "Bearer T2", "{trouble} is not final");
    }
}

#[tokio::test]
async fn a_code_that_nobody_knows_backs_off_to_half_a_minute() {
    let body = r#"{"error":"tenant_asleep"}"#;
    for status in [200, 400, 403] {
        let (caller, script) = session([Reply::status(status).with_body(body)]).await;
        for _ in 0..600 {
            let error = caller.call().await.unwrap_err();
            assert_eq!(error.code(), Some("tenant_asleep"));
            assert!(!error.is_transient() && !error.is_sign_in_needed());
            caller.advance(SECOND).await;
        }
        assert!((20..=26).contains(&script.asked()), "{} requests", script.asked());
    }
}

#[tokio::test]
async fn a_server_that_asks_to_come_again_is_asked_again_whatever_its_status() {
    for code in ["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"] {
        for status in [200, 400, 403] {
            let body = format!(r#"{{"error":"{code}"}}"#);
            let error = refused(status, "application/json", &body).await;
            assert!(error.is_transient(), "{status} {code}");
        }
    }
    let busy = Reply::status(400).with_body(r#"{"error":"temporarily_unavailable"}"#);
    let caller = Caller::new(&Script::of([busy, Reply::token("T", 60)]), RefreshPolicy::default());
    let call = caller.waiting_call().await;
    caller.advance(SECOND).await;
    assert_eq!(call.await.unwrap().unwrap(), "Bearer T");
}

#[tokio::test]
async fn a_code_stays_whole_though_a_public_or_short_value_of_the_request_is_in_it() {
    let body = r#"{"error":"invalid_client","error_description":"client 2c8f of clients"}"#;
    let script = Script::of([Reply::status(401).with_body(body)]);
    let form = [("grant_type", "client_credentials"), ("client_id", "client"), ("key", "2c8f")];
    let endpoint = script.endpoint(ClientAuthentication::none());
    let error = endpoint.fetch(&Grant::form(form)).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"));
    assert!(error.to_string().ends_with("client [redacted] of clients"), "{error}");

    for secret in ["client", "invalid", "invalid_client", "i"] {
        let endpoint = script.endpoint(ClientAuthentication::post("id", secret));
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_client"), "{secret}");
    }
}
