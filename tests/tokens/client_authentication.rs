//! How a client shows a token endpoint who it is, and what goes there with it.

use crate::{
    leaks::{assert_absent, debug, own_lines, printed, traced},
    scripted_endpoint::{Caller, Reply, Script, pairs},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication, ClientSecret,
    client::{Error, ErrorKind, Grant, RefreshPolicy, SignIn, TokenEndpoint},
};

const SECOND: Duration = Duration::from_secs(1);

/// Every character that one of the encodings changes.
const ODD: [&str; 8] = [
    "plain",
    "1PpG/Q 1",
    ":a:b:",
    "a&b=c%d+e f",
    "%2B%3A+",
    "caf\u{e9} \u{1f511}",
    "\"\\/?#",
    " ~*-._ ",
];

/// The request that `client` makes for `grant`.
async fn sent(client: ClientAuthentication, grant: &Grant) -> Request<String> {
    let script = Script::of([Reply::token("T", 60)]);
    script.endpoint(client).fetch(grant).await.unwrap();
    script.request()
}

/// The `Authorization` of `request`, which is Basic, with its base64 decoded.
fn basic_pair(request: &Request<String>) -> String {
    let value = request.headers()[AUTHORIZATION].to_str().unwrap();
    let base64 = value.strip_prefix("Basic ").unwrap();
    String::from_utf8(BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}

fn owned(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

// case: auth-01
#[tokio::test]
async fn id_and_secret_are_form_encoded_before_they_are_basic() {
    let secret = "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=";
    let client = ClientAuthentication::basic("1PpG/Q 1", secret);
    let request = sent(client, &Grant::client_credentials()).await;
    let expected = "Basic MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMi\
                    UyRjhiTCUyQndmRlR0MXJGdyUzRA==";
    assert_eq!(request.headers()[AUTHORIZATION], expected);
    assert_eq!(request.body(), "grant_type=client_credentials");
}

// case: auth-03
#[tokio::test]
async fn whatever_id_and_secret_hold_basic_gives_both_back() {
    for id in ODD {
        for secret in ODD {
            let client = ClientAuthentication::basic(id, secret);
            let pair = basic_pair(&sent(client, &Grant::client_credentials()).await);
            let (sent_id, sent_secret) = pair.split_once(':').unwrap();
            // A name without a value is decoded like a value.
            let decoded = |half: &str| pairs(half).remove(0).0;
            assert_eq!((decoded(sent_id), decoded(sent_secret)), (id.into(), secret.into()));
        }
        let client = ClientAuthentication::basic_raw("id", id);
        let pair = basic_pair(&sent(client, &Grant::client_credentials()).await);
        assert_eq!(pair, format!("id:{id}"), "as it is where that is asked for");
    }
}

// case: auth-04
#[tokio::test]
async fn whatever_the_secret_holds_the_body_gives_it_back() {
    for secret in ODD.into_iter().chain(["a+b%c d&e"]) {
        let client = ClientAuthentication::post("id", secret);
        let request = sent(client, &Grant::client_credentials()).await;
        let expected =
            [("client_id", "id"), ("client_secret", secret), ("grant_type", "client_credentials")];
        assert_eq!(pairs(request.body()), owned(&expected));
        assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }
}

// case: auth-06
#[tokio::test]
async fn a_client_without_a_secret_only_names_itself_in_the_body() {
    let grant = Grant::refresh_token(&ClientSecret::new("R"));
    let request = sent(ClientAuthentication::public("an id"), &grant).await;
    let expected =
        [("client_id", "an id"), ("grant_type", "refresh_token"), ("refresh_token", "R")];
    assert_eq!(pairs(request.body()), owned(&expected));
    assert!(!request.headers().contains_key(AUTHORIZATION));
    assert_eq!(request.uri().query(), None);
}

// case: auth-10
#[tokio::test]
async fn a_parameter_of_a_standard_grant_is_not_set_twice() {
    let grants = [
        Grant::client_credentials(),
        Grant::refresh_token(&ClientSecret::new("R")),
        Grant::password("alice", &ClientSecret::new("p")),
    ];
    for grant in grants {
        for name in ["grant_type", "scope", "client_id", "client_secret", "audience", "resource"] {
            let error = grant.clone().with_param(name, "x").unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }
    let own = [("grant_type", "x"), ("scope", "y"), ("client_id", "z"), ("more", "")];
    let request = sent(ClientAuthentication::basic("id", "secret"), &Grant::form(own)).await;
    assert_eq!(pairs(request.body()), owned(&own));
    assert!(!request.headers().contains_key(AUTHORIZATION));
}

// case: auth-11
#[tokio::test]
async fn what_a_token_is_asked_for_is_said_at_every_fetch() {
    let lifetimes = ["T1", "T2", "T3", "T4"].map(|token| Reply::token(token, 600));
    let script = Script::of(lifetimes);
    let grant = Grant::client_credentials()
        .with_scopes("read".parse().unwrap())
        .with_audience("https://api.example/?a=b")
        .with_resource("urn:one")
        .unwrap()
        .with_resource("urn:two")
        .unwrap()
        .with_param("tenant", "t&1")
        .unwrap();
    let endpoint = script.endpoint(ClientAuthentication::basic("id", "secret"));
    let caller = Caller::with_grant(endpoint, grant, RefreshPolicy::default());

    assert_eq!(caller.call().await.unwrap(), "Bearer T1");
    // In the background, while the token is still good.
    caller.advance(550 * SECOND).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T1");
    caller.advance(SECOND).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T2");
    // After its end.
    caller.advance(600 * SECOND).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T3");
    // After it was rejected.
    caller.api_answers(StatusCode::UNAUTHORIZED);
    assert_eq!(caller.call().await.unwrap(), "Bearer T4");

    let expected = owned(&[
        ("grant_type", "client_credentials"),
        ("tenant", "t&1"),
        ("scope", "read"),
        ("audience", "https://api.example/?a=b"),
        ("resource", "urn:one"),
        ("resource", "urn:two"),
    ]);
    assert_eq!(script.asked(), 4);
    for request in script.requests() {
        assert_eq!(pairs(request.body()), expected);
    }
}

// case: auth-12
#[tokio::test]
async fn the_header_that_holds_the_secret_is_sensitive() {
    for client in [
        ClientAuthentication::basic("id", "s3cr3t"),
        ClientAuthentication::basic_raw("id", "s3cr3t"),
    ] {
        let request = sent(client, &Grant::client_credentials()).await;
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        assert_absent(&["s3cr3t", "id:s3cr3t"], &debug(&request));
    }
}

const QUERY_SECRET: &str = "s&c=r+t";
const QUERY_CODE: &str = "c0de/+=";
const CALLBACK: &str = "https://app.example/callback?own=1";

/// Signs in at `script`, whose parameters go into the query.
async fn sign_in_by_query(script: &Script) -> Result<(), Error> {
    let client = ClientAuthentication::query("id", QUERY_SECRET);
    let url = "https://as.example/api/v2/token?brand=a%2Fb";
    let endpoint = TokenEndpoint::new(url, client, script.transport()).unwrap();
    assert_absent(&[QUERY_SECRET, "brand"], &debug(&endpoint));
    let sign_in = SignIn::new(endpoint, "id", "https://as.example/api/v2/authorize", CALLBACK)
        .unwrap()
        .without_pkce();
    assert_absent(&[QUERY_SECRET, "brand"], &debug(&sign_in));
    let (url, pending) = sign_in.begin().unwrap();
    let state = pairs(url.query().unwrap()).into_iter().find(|(name, _)| name == "state");
    let code: String = form_urlencoded::byte_serialize(QUERY_CODE.as_bytes()).collect();
    let callback = format!("{CALLBACK}&code={code}&state={}", state.unwrap().1).parse().unwrap();
    sign_in.finish(pending, &callback).await.map(drop)
}

// case: auth-13
#[tokio::test]
async fn every_parameter_goes_into_the_query_and_nothing_into_the_body() {
    let script = Script::of([Reply::json(r#"{"access_token":"ACCESS_TOKEN"}"#)]);
    sign_in_by_query(&script).await.unwrap();
    let request = script.request();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.body(), "");
    assert!(!request.headers().contains_key(AUTHORIZATION));
    assert!(!request.headers().contains_key(CONTENT_TYPE));
    assert_eq!(request.uri().path(), "/api/v2/token");
    let added = request.uri().query().unwrap().strip_prefix("brand=a%2Fb&").unwrap();
    let mut added = pairs(added);
    added.sort();
    let expected = [
        ("client_id", "id"),
        ("client_secret", QUERY_SECRET),
        ("code", QUERY_CODE),
        ("grant_type", "authorization_code"),
        ("redirect_uri", CALLBACK),
    ];
    assert_eq!(added, owned(&expected));
}

// case: auth-13
#[tokio::test]
async fn a_query_full_of_secrets_shows_in_no_error() {
    // What a server or an HTTP client knows of the request, to be repeated.
    let script = Script::of([Reply::json(r#"{"access_token":"ACCESS_TOKEN"}"#)]);
    sign_in_by_query(&script).await.unwrap();
    let url = script.request().uri().to_string();
    let query = script.request().uri().query().unwrap().to_owned();
    let description = serde_json::json!({"error": "invalid_client", "error_description": query});
    let decoded: Vec<_> = pairs(&query).into_iter().map(|(_, value)| value).collect();
    let failures = [
        Reply::Failure(format!("error sending request for url ({url})")),
        Reply::Failure(format!("cannot reach {url}: {}", decoded.join(" "))),
        Reply::status(307).with_header(LOCATION, &format!("https://b.example/x?{query}")),
        Reply::status(302).with_header(LOCATION, &format!("/x/{query}")),
        Reply::status(400).with_body(description.to_string()),
        Reply::status(500).with_body(url.clone()),
        Reply::ok(url.clone()),
    ];
    for failure in failures {
        let script = Script::of([failure]);
        let (result, log) = traced(sign_in_by_query(&script)).await;
        let text = printed(&result.unwrap_err());
        assert_absent(&[QUERY_SECRET, QUERY_CODE, &url], &text);
        assert_absent(&[QUERY_SECRET, QUERY_CODE, "brand"], &own_lines(&log));
    }
    // None of it at all, where the text tells what is a URL.
    for failure in [
        Reply::Failure(format!("error sending request for url ({url})")),
        Reply::status(307).with_header(LOCATION, &format!("https://b.example/x?{query}")),
    ] {
        let error = sign_in_by_query(&Script::of([failure])).await.unwrap_err();
        assert_absent(&[&query, "brand", "authorization_code", "client_id"], &printed(&error));
    }
}

const USER: &str = "a b@ex.dk";
const PASSWORD: &str = "p&w=+%";

/// Calls with the token that a user name and a password bring.
fn logged_in(script: &Script) -> Caller {
    let url = "https://platform.example/authorization";
    let client = ClientAuthentication::none();
    let endpoint = TokenEndpoint::new(url, client, script.transport()).unwrap();
    let grant = Grant::form([("username", USER), ("password", PASSWORD)]);
    Caller::with_grant(endpoint, grant, RefreshPolicy::default())
}

// case: auth-14
#[tokio::test]
async fn a_log_in_sends_its_form_alone_and_is_repeated_at_expiry() {
    let token = "d567fde24865df35defff57862dw2r42";
    let script = Script::of([Reply::token(token, 3600), Reply::token("T2", 3600)]);
    let caller = logged_in(&script);
    for _ in 0..2 {
        assert_eq!(caller.call().await.unwrap(), format!("Bearer {token}"));
    }
    assert_eq!(script.asked(), 1);
    caller.advance(3600 * SECOND).await;
    assert_eq!(caller.call().await.unwrap(), "Bearer T2");
    assert_eq!(script.asked(), 2);
    for request in script.requests() {
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://platform.example/authorization");
        assert_eq!(request.body(), "username=a+b%40ex.dk&password=p%26w%3D%2B%25");
        assert!(!request.headers().contains_key(AUTHORIZATION));
        assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    }
}

// case: auth-14
#[tokio::test]
async fn a_wrong_password_is_tried_seldom_and_never_given_up() {
    for refusal in [
        Reply::status(401),
        Reply::status(403),
        Reply::status(401).with_body(r#"{"message":"wrong"}"#),
        Reply::status(403).with_body("<html>p&w=+% is wrong</html>"),
    ] {
        let Reply::Answer(answer) = &refusal else { unreachable!() };
        let status = answer.status();
        let pauses = [1, 2, 4, 8, 10, 10];
        let refusals = pauses.map(|_| refusal.clone());
        let script = Script::of(refusals.into_iter().chain([Reply::token("T", 60)]));
        let caller = logged_in(&script);
        for (asked, pause) in (1..).zip(pauses) {
            for left in (1..=pause).rev() {
                for _ in 0..9 {
                    let error = caller.call().await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Refused);
                    assert_eq!(error.status(), Some(status));
                    assert!(!error.is_transient() && !error.is_sign_in_needed());
                    assert_eq!(error.retry_after(), Some(left * SECOND));
                    assert_absent(&[PASSWORD], &printed(&error));
                }
                assert_eq!(script.asked(), asked, "calls fail without another log-in");
                caller.advance(SECOND).await;
            }
        }
        assert_eq!(caller.calls(), 0);
        assert_eq!(caller.call().await.unwrap(), "Bearer T");
        assert_eq!(script.asked(), 1 + pauses.len());
    }
}
