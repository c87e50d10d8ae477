//! A user name and a password: the grant that OAuth 2.1 dropped, and endpoints that are no OAuth.

use crate::{
    peers::{call_json, client_of, django, endpoint},
    system::{self, ApiClient, within_limit},
};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::{error::Error as StdError, time::Duration};
use tower::Layer;
use tower_oauth2::{
    AccessToken, ClientAuthentication, Clock, TokenLocation, Transport,
    client::{AddBearer, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenResponse},
};

fn cache(url: &str, client: ClientAuthentication, grant: Grant) -> TokenCache {
    TokenCache::new(endpoint(url, client), grant, RefreshPolicy::default())
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn the_password_grant_gives_a_token_of_the_user() {
    let url = format!("{}/token/", django());
    let client = || ClientAuthentication::basic("ropc", "ropc-secret");
    let cache = cache(&url, client(), Grant::password("alice", &"alice".into()));
    let mut api = client_of(&cache, &django());
    let greeting = call_json(&mut api, &format!("{}/api/read", django())).await;
    assert_eq!(greeting, json!({"scope": "read", "user": "alice"}));
    assert_eq!(cache.status().fetches(), 1);

    let wrong = Grant::password("alice", &"hunter2".into());
    let error = endpoint(&url, client()).fetch(&wrong).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.code(), Some("invalid_grant"));
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn r4_a_form_at_an_endpoint_that_is_no_oauth_gives_a_token_of_the_user() {
    let url = format!("{}/authorization", django());
    let form = |password: &str| Grant::form([("username", "alice"), ("password", password)]);
    let cache = cache(&url, ClientAuthentication::none(), form("alice"));
    let mut api = client_of(&cache, &django());
    for _ in 0..2 {
        let greeting = call_json(&mut api, &format!("{}/api/jwt", django())).await;
        assert_eq!(greeting, json!({"user": "alice"}));
    }
    assert_eq!(cache.status().fetches(), 1);
    assert!(cache.status().expires_in() > Some(Duration::from_secs(500)));

    let none = ClientAuthentication::none();
    let error = endpoint(&url, none).fetch(&form("hunter2")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    // The body is the framework's own: {"detail": …}.
    assert_eq!((error.status(), error.code()), (Some(StatusCode::UNAUTHORIZED), None));
}

type BoxError = Box<dyn StdError + Send + Sync>;

/// Logs alice in at `url`, whose answer has the token as `member`.
async fn log_in(url: String, member: &'static str) -> Result<TokenResponse, BoxError> {
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from("username=alice&password=alice"))?;
    let response = within_limit(Transport::https().send(request)).await?;
    let answer: Value = serde_json::from_slice(response.body())?;
    let token = answer.get(member).and_then(Value::as_str).ok_or("no token")?;
    Ok(TokenResponse::new(AccessToken::new(token)?))
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn answers_that_are_not_oauths_are_read_by_a_closure() {
    let token_scheme = TokenLocation::header_with_scheme("Authorization", "Token").unwrap();
    for (path, member, location, resource) in [
        ("jwt/", "access", TokenLocation::Bearer, "api/jwt"),
        ("drf-token/", "token", token_scheme, "api/drf"),
    ] {
        let url = format!("{}/{path}", django());
        // This crate does not guess which member it is.
        let form = Grant::form([("username", "alice"), ("password", "alice")]);
        let fetched = endpoint(&url, ClientAuthentication::none()).fetch(&form).await;
        assert_eq!(fetched.unwrap_err().kind(), ErrorKind::InvalidResponse);

        let fetch = move || log_in(url.clone(), member);
        let cache = TokenCache::from_fn(fetch, RefreshPolicy::default(), Clock::system());
        let layer = AddBearer::from_source(cache, django()).unwrap().with_location(location);
        let mut api = ApiClient::new(layer.layer(system::http()));
        let greeting = call_json(&mut api, &format!("{}/{resource}", django())).await;
        assert_eq!(greeting, json!({"user": "alice"}));
    }
}
