//! What is made of the answers of token endpoints, as the servers of the world write them.

use crate::scripted_endpoint::{Caller, Reply, Script, pairs, read, settle};
use http::{StatusCode, header::CONTENT_TYPE};
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication,
    client::{ErrorKind, Grant, RefreshPolicy, SignIn, TokenEndpoint},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest lifetime that is believed.
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A good answer whose `expires_in` is this piece of JSON.
fn expiring_in(expires_in: &str) -> Reply {
    Reply::json(format!(r#"{{"access_token":"T","expires_in":{expires_in}}}"#))
}

/// A caller who gets the error of the fetch that it waited for, without waiting for another.
fn impatient(script: &Script) -> Caller {
    Caller::new(script, RefreshPolicy::default().with_patience(Duration::ZERO))
}

// case: parse-03
#[tokio::test]
async fn fractions_and_exponents_of_a_lifetime_are_read_as_whole_seconds() {
    for (number, seconds) in [("3600.0", 3600), ("3600.9", 3600), ("1e3", 1000)] {
        let response = read(expiring_in(number)).await.unwrap();
        assert_eq!(response.access_token().expose(), "T");
        assert_eq!(response.lifetime(), Some(Duration::from_secs(seconds)), "{number}");
    }
}

// case: parse-05
#[tokio::test]
async fn a_lifetime_of_zero_serves_those_who_waited_and_nobody_else() {
    let script = Script::of([Reply::token("T1", 0), Reply::token("T2", 0), Reply::token("T3", 9)]);
    let caller = Caller::new(&script, RefreshPolicy::default());
    let (one, other) = tokio::join!(caller.call(), caller.call());
    assert_eq!((one.unwrap(), other.unwrap()), ("Bearer T1".into(), "Bearer T1".into()));
    assert_eq!(script.asked(), 1);
    assert!(!caller.status().is_usable());

    for token in ["Bearer T2", "Bearer T3"] {
        let asked = script.asked();
        let next = caller.waiting_call().await;
        caller.advance(SECOND - Duration::from_millis(1)).await;
        assert!(!next.is_finished());
        assert_eq!(script.asked(), asked, "no sooner than the minimum interval");
        caller.advance(Duration::from_millis(1)).await;
        assert_eq!(next.await.unwrap().unwrap(), token);
        assert_eq!(script.asked(), asked + 1);
    }
}

// case: parse-05
#[tokio::test]
async fn after_a_lifetime_of_zero_a_caller_without_patience_fails_at_once() {
    let script = Script::of([Reply::token("T1", 0)]);
    let caller = impatient(&script);
    assert_eq!(caller.call().await.unwrap(), "Bearer T1");
    let error = caller.call().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(SECOND));
    assert_eq!((script.asked(), caller.calls()), (1, 1));
}

// case: parse-05
#[tokio::test]
async fn a_token_with_a_lifetime_of_zero_ends_an_outage() {
    let script = Script::of([Reply::status(503), Reply::token("T", 0)]);
    let caller = impatient(&script);
    assert_eq!(caller.call().await.unwrap_err().status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    caller.advance(SECOND).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T");
    assert!(caller.status().last_error().is_none(), "{:?}", caller.status());
    let error = caller.call().await.unwrap_err();
    assert_eq!(error.status(), None, "the outage is over, it is only too soon: {error}");
}

// case: parse-06
#[tokio::test]
async fn a_lifetime_of_null_is_as_if_it_were_absent() {
    let policy = || RefreshPolicy::default().with_default_lifetime(Duration::from_secs(77));
    for body in [r#"{"access_token":"T"}"#, r#"{"access_token":"T","expires_in":null}"#] {
        assert_eq!(read(Reply::json(body)).await.unwrap().lifetime(), None);

        let script = Script::of([Reply::json(body)]);
        let repeats = Caller::new(&script, policy());
        repeats.call().await.unwrap();
        assert_eq!(repeats.status().expires_in(), Some(Duration::from_secs(77)));
        repeats.advance(Duration::from_secs(78)).await;
        assert!(!repeats.status().is_usable());

        let response = read(Reply::json(body)).await.unwrap();
        let signed_in = Caller::signed_in(script.endpoint(public()), &response);
        signed_in.advance(400 * DAY).await;
        assert_eq!(signed_in.call().await.unwrap(), "Bearer T");
        assert_eq!(signed_in.status().expires_in(), None);
        signed_in.api_answers(StatusCode::UNAUTHORIZED);
        signed_in.call().await.unwrap();
        assert!(signed_in.call().await.unwrap_err().is_sign_in_needed());
        assert_eq!(script.asked(), 1, "nothing was asked for the token of the sign-in");
    }
}

fn public() -> ClientAuthentication {
    ClientAuthentication::public("id")
}

// case: parse-07
#[tokio::test]
async fn without_a_lifetime_the_default_of_the_policy_holds() {
    let script = Script::of([Reply::json(r#"{"access_token":"T"}"#)]);
    for (default, lifetime) in [(Duration::from_secs(120), 120), (Duration::MAX, 315_360_000)] {
        let lifetime = Duration::from_secs(lifetime);
        // Without patience, so that a token which is of no use is an error and no wait.
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        let policy = policy.with_default_lifetime(default);
        let (caller, before) = (Caller::new(&script, policy), script.asked());
        for _ in 0..2 {
            assert_eq!(caller.call().await.unwrap(), "Bearer T");
            assert_eq!(script.asked(), before + 1);
        }
        assert_eq!(caller.status().expires_in(), Some(lifetime));
        caller.advance(lifetime).await;
        caller.call().await.unwrap();
        assert_eq!(script.asked(), before + 2);
    }
    let caller = Caller::new(&script, RefreshPolicy::default());
    caller.call().await.unwrap();
    assert_eq!(caller.status().expires_in(), Some(5 * 60 * SECOND));
}

// case: parse-08
#[tokio::test]
async fn a_lifetime_beyond_every_clock_is_cut_to_ten_years() {
    let huge = u64::MAX.to_string();
    assert_eq!(read(expiring_in(&huge)).await.unwrap().lifetime(), Some(TEN_YEARS));

    let script = Script::of([expiring_in(&huge)]);
    let caller = Caller::new(&script, RefreshPolicy::default());
    for _ in 0..3 {
        assert_eq!(caller.call().await.unwrap(), "Bearer T");
        caller.advance(1000 * DAY).await;
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(caller.status().expires_in(), Some(650 * DAY));
    caller.advance(650 * DAY).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T");
    assert_eq!(script.asked(), 2, "it does not last for ever");
}

// case: parse-09
#[tokio::test]
async fn a_lifetime_beyond_32_bits_is_neither_endless_nor_an_error() {
    for seconds in [i32::MAX.unsigned_abs(), 2_147_483_649, u32::MAX] {
        let response = read(expiring_in(&seconds.to_string())).await.unwrap();
        assert_eq!(response.lifetime(), Some(TEN_YEARS));
    }
}

// case: parse-15
#[tokio::test]
async fn a_token_of_a_type_that_is_not_bearer_is_an_error_that_names_the_type() {
    for kind in ["DPoP", "dpop", "mac", "N_A"] {
        let body = format!(r#"{{"access_token":"T","token_type":"{kind}"}}"#);
        let script = Script::of([Reply::json(body)]);
        let caller = impatient(&script);
        let error = caller.call().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains(&format!("the token type {kind} ")), "{error}");
        assert_eq!(caller.calls(), 0, "nothing was sent");
    }
    for kind in ["Bearer", "bearer", "BEARER"] {
        let body = format!(r#"{{"access_token":"T","token_type":"{kind}"}}"#);
        assert_eq!(read(Reply::json(body)).await.unwrap().access_token().expose(), "T");
    }
}

// case: parse-16
#[tokio::test]
async fn an_answer_without_a_token_is_an_error_and_nothing_is_kept() {
    for body in [
        "{}",
        r#"{"token_type":"Bearer","expires_in":600}"#,
        r#"{"access_token":"","expires_in":600}"#,
        r#"{"access_token":null,"expires_in":600}"#,
        r#"{"access_token":["T"],"expires_in":600}"#,
    ] {
        let script = Script::of([Reply::json(body), Reply::token("T", 600)]);
        let caller = impatient(&script);
        let error = caller.call().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert!(error.to_string().contains(": missing access_token"), "{error}");
        assert!(!caller.status().is_usable());
        caller.advance(SECOND).await;
        assert_eq!(caller.call().await.unwrap(), "Bearer T");
        assert_eq!((script.asked(), caller.calls()), (2, 1));
    }
}

// case: parse-18
#[tokio::test]
async fn a_token_beside_an_error_is_an_error() {
    let body = r#"{"access_token":"T","expires_in":600,"error":"invalid_scope"}"#;
    for content_type in ["application/json", "text/html"] {
        let reply = Reply::ok(body).with_header(CONTENT_TYPE, content_type);
        let error = read(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.code(), Some("invalid_scope"));
        assert_eq!(error.status(), Some(StatusCode::OK));
    }
}

// case: parse-20
#[tokio::test]
async fn a_form_is_read_where_one_is_declared_and_is_not_json() {
    let form = "access_token=t%2B&token_type=bearer&expires_in=60&scope=a+b";
    for declared in
        ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded ; charset=UTF-8"]
    {
        let response = read(Reply::ok(form).with_header(CONTENT_TYPE, declared)).await.unwrap();
        assert_eq!(response.access_token().expose(), "t+");
        assert_eq!(response.lifetime(), Some(60 * SECOND));
        assert_eq!(response.scope(), Some(&"a b".parse().unwrap()));

        let json = Reply::ok(r#"{"access_token":"j","expires_in":60}"#);
        let response = read(json.with_header(CONTENT_TYPE, declared)).await.unwrap();
        assert_eq!(response.access_token().expose(), "j");
    }
    for undeclared in [Reply::ok(form), Reply::json(form)] {
        assert_eq!(read(undeclared).await.unwrap_err().kind(), ErrorKind::InvalidResponse);
    }
}

// case: parse-21
#[tokio::test]
async fn the_code_of_a_refusal_is_read_whatever_type_is_declared() {
    let refusal = Reply::status(400).with_body(r#"{"error":"invalid_request"}"#);
    for reply in [
        refusal.clone().with_header(CONTENT_TYPE, "text/plain"),
        refusal.clone().with_header(CONTENT_TYPE, "text/html; charset=iso-8859-1"),
        refusal,
    ] {
        let error = read(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.code(), Some("invalid_request"));
        assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
    }
}

// case: parse-22
#[tokio::test]
async fn json_without_a_content_type_is_accepted() {
    let response = read(Reply::ok(r#"{"access_token":"T","expires_in":60}"#)).await.unwrap();
    assert_eq!(response.access_token().expose(), "T");
    assert_eq!(response.lifetime(), Some(60 * SECOND));
}

// case: parse-23
#[tokio::test]
async fn json_is_accepted_however_its_type_is_spelled() {
    for declared in [
        "application/json; charset=UTF-8",
        "Application/JSON; Charset=utf-8",
        "APPLICATION/JSON;CHARSET=\"UTF-8\"",
        "application/json;charset=UTF-8;",
        "application/problem+json",
    ] {
        let reply = Reply::ok(r#"{"access_token":"T"}"#).with_header(CONTENT_TYPE, declared);
        assert_eq!(read(reply).await.unwrap().access_token().expose(), "T");
    }
}

// case: parse-24
#[tokio::test]
async fn an_empty_answer_is_tried_again_after_a_pause() {
    let error = read(Reply::ok("")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");

    let script = Script::of([Reply::ok(""), Reply::json(""), Reply::token("T", 600)]);
    let caller = Caller::new(&script, RefreshPolicy::default());
    let call = caller.waiting_call().await;
    for asked in 1..=2 {
        assert!(!call.is_finished());
        assert_eq!(script.asked(), asked);
        assert!(caller.status().last_error().unwrap().is_transient());
        caller.advance(SECOND).await;
    }
    assert_eq!(call.await.unwrap().unwrap(), "Bearer T");
    assert_eq!(script.asked(), 3);
}

// case: parse-26
#[tokio::test]
async fn escapes_in_a_token_are_decoded_before_it_is_attached() {
    for escaped in [r"a\/b", r"a\u002fb", r"a\u002Fb"] {
        let body = format!(r#"{{"access_token":"{escaped}","expires_in":600}}"#);
        let caller = Caller::new(&Script::of([Reply::json(body)]), RefreshPolicy::default());
        assert_eq!(caller.call().await.unwrap(), "Bearer a/b");
    }
}

// case: parse-28
#[tokio::test]
async fn a_token_that_fits_into_no_header_is_refused_when_it_comes() {
    let unfit = ["ab\\nSetX: y", "caf\\u00e9t0ken", "caf\u{e9}t0ken", "two t0kens", "\\u0000t0ken"];
    for unfit in unfit {
        let body = format!(r#"{{"access_token":"{unfit}","expires_in":600}}"#);
        let script = Script::of([Reply::token("T1", 600), Reply::json(body)]);
        let caller = Caller::new(&script, RefreshPolicy::default());
        assert_eq!(caller.call().await.unwrap(), "Bearer T1");

        // Old enough to be renewed, and good enough to be sent.
        caller.advance(Duration::from_secs(550)).await;
        assert_eq!(caller.call().await.unwrap(), "Bearer T1");
        settle().await;
        assert_eq!(script.asked(), 2);
        let error = caller.status().last_error().unwrap().clone();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert_eq!(
            error.to_string(),
            "the token response cannot be used: the access token holds a character that is not \
             visible ASCII"
        );
        assert_eq!(caller.call().await.unwrap(), "Bearer T1");
        assert_eq!(script.asked(), 2, "one error, not one of each call");
    }
}

// case: parse-29
#[tokio::test]
async fn a_byte_order_mark_is_skipped_and_utf_16_is_an_error() {
    let json = r#"{"access_token":"T","expires_in":60}"#;
    let marked = format!("\u{feff}{json}");
    for reply in [Reply::ok(marked.clone()), Reply::json(marked.clone())] {
        let response = read(reply).await.unwrap();
        assert_eq!(response.access_token().expose(), "T");
        assert_eq!(response.lifetime(), Some(60 * SECOND));
    }
    let big: Vec<_> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let little: Vec<_> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [big, little, b"\xef\xbb\xbf".to_vec(), format!("\u{feff}{marked}").into()] {
        let error = read(Reply::json(body)).await.unwrap_err();
        let text = "the token response cannot be used: the answer is application/json, and is \
                    neither a JSON object nor a declared form";
        assert_eq!(error.to_string(), text);
    }
}

// case: parse-30
#[tokio::test]
async fn fewer_scopes_than_were_asked_for_are_accepted_and_noted() {
    let granting = |scope: &str| {
        Reply::json(format!(r#"{{"access_token":"T","expires_in":600,"scope":"{scope}"}}"#))
    };
    let silent = Reply::token("T", 600);
    for (reply, granted, withheld) in [
        (granting("read"), Some("read"), "write admin"),
        (granting("admin read write more"), Some("read write admin more"), ""),
        (granting(""), Some(""), "read write admin"),
        (silent, None, ""),
    ] {
        let granted = granted.map(|scopes| scopes.parse().unwrap());
        let response = read(reply.clone()).await.unwrap();
        assert_eq!(response.scope(), granted.as_ref());

        let grant = Grant::client_credentials().with_scopes("read write admin".parse().unwrap());
        let endpoint = Script::of([reply]).endpoint(public());
        let caller = Caller::with_grant(endpoint, grant, RefreshPolicy::default());
        assert!(caller.status().withheld().is_empty(), "nothing is known yet");
        assert_eq!(caller.call().await.unwrap(), "Bearer T");
        assert_eq!(caller.status().granted(), granted.as_ref());
        assert_eq!(caller.status().withheld().to_string(), withheld);
    }
}

// case: parse-31
#[tokio::test]
async fn scopes_that_are_no_text_do_not_lose_the_token() {
    for (scope, granted) in [
        (r#"["read","write"]"#, Some("read write")),
        ("[]", Some("")),
        (r#"["read",1]"#, None),
        (r#"["two words"]"#, None),
        (r#""caf\u00e9""#, None),
        ("null", None),
        ("1", None),
        ("{}", None),
    ] {
        let body = format!(r#"{{"access_token":"T","expires_in":60,"scope":{scope}}}"#);
        let response = read(Reply::json(body)).await.unwrap();
        assert_eq!(response.access_token().expose(), "T");
        assert_eq!(response.lifetime(), Some(60 * SECOND));
        let granted = granted.map(|scopes| scopes.parse().unwrap());
        assert_eq!(response.scope(), granted.as_ref(), "{scope}");
    }
}

// case: parse-32
#[tokio::test]
async fn a_token_of_which_nothing_else_is_known_is_used_until_it_is_rejected() {
    let script = Script::of([Reply::json(r#"{"access_token":"ACCESS_TOKEN"}"#)]);
    let client = ClientAuthentication::query("id", "secret");
    let url = "https://as.example/api/v2/token";
    let endpoint = TokenEndpoint::new(url, client, script.transport()).unwrap();
    let authorize = "https://as.example/api/v2/authorize";
    let sign_in = SignIn::new(endpoint.clone(), "id", authorize, "https://app.example/callback")
        .unwrap()
        .without_pkce()
        .dangerous_allow_missing_state();
    let (_, pending) = sign_in.begin().unwrap();
    let callback = "https://app.example/callback?code=REQUEST_TOKEN".parse().unwrap();
    let response = sign_in.finish(pending, &callback).await.unwrap();
    assert!(response.refresh_token().is_none());
    let sent = pairs(script.request().uri().query().unwrap());
    assert!(sent.contains(&("code".into(), "REQUEST_TOKEN".into())), "{sent:?}");

    let caller = Caller::signed_in(endpoint, &response);
    assert_eq!(caller.call().await.unwrap(), "Bearer ACCESS_TOKEN");
    caller.advance(400 * DAY).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer ACCESS_TOKEN");
    assert!(caller.status().is_usable());
    assert_eq!(caller.status().expires_in(), None, "no expiry is known");
    assert_eq!(script.asked(), 1);

    caller.api_answers(StatusCode::UNAUTHORIZED);
    assert_eq!(caller.call().await.unwrap(), "Bearer ACCESS_TOKEN");
    assert!(!caller.status().is_usable());
    assert_eq!(script.asked(), 1);
}
