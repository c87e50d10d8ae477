//! R1, the Relatel REST API v2, offered and called: a sign-in with its parameters in the query,
//! and a token in the header, the query or the Basic user name.

use crate::{
    calls_api::{ALICE, BOB, CallsApi, Presented, UNKNOWN},
    sign_in::{self, CALLBACK, CLIENT},
    system::{JUDGES, Judge, System},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, header};
use std::time::Duration;
use tower_oauth2::{
    Clock, TokenLocation,
    client::ErrorKind,
    testing::Quirk,
    validate::{Principal, StaticTokens},
};

const LOCATIONS: [TokenLocation; 3] =
    [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName];

async fn relatel() -> CallsApi {
    CallsApi::start("relatel", LOCATIONS, Clock::system()).await
}

#[tokio::test]
async fn r1_the_three_calls_of_the_documentation_are_answered() {
    let api = relatel().await.server;
    let call = "GET /api/v2/calls";
    let reply = api.send(call, &["Authorization: Bearer ACCESS_TOKEN"]).await;
    assert_eq!(reply.body, "alice by header at /api/v2/calls and /api/v2/calls");

    let reply = api.send("GET /api/v2/calls?access_token=ACCESS_TOKEN", &[]).await;
    assert_eq!(reply.body, "alice by query at /api/v2/calls and /api/v2/calls");
    assert_eq!(reply.values("cache-control"), ["private"]);

    let reply = api.send(call, &["Authorization: Basic QUNDRVNTX1RPS0VOOg=="]).await;
    assert_eq!(reply.body, "alice by basic at /api/v2/calls and /api/v2/calls");
}

#[tokio::test]
async fn r1_each_way_carries_any_token_and_the_handler_finds_none_in_its_uri() {
    let api = relatel().await;
    for (token, subject) in [(ALICE, "alice"), (BOB, "bob")] {
        api.assert_admits(&Presented::in_header(token), subject).await;
        api.assert_admits(&Presented::in_query(token), subject).await;
        api.assert_admits(&Presented::as_basic_user_name(token), subject).await;
    }
}

#[tokio::test]
async fn r1_without_a_token_both_schemes_are_offered_bearer_first() {
    let reply = relatel().await.server.send("GET /api/v2/calls", &[]).await;
    assert_eq!(reply.status, 401);
    let offered = [r#"Bearer realm="relatel""#, r#"Basic realm="relatel", charset="UTF-8""#];
    assert_eq!(reply.challenges(), offered);
}

#[tokio::test]
async fn r1_every_refusal_has_its_status_and_its_challenges() {
    relatel().await.assert_refusals().await;
}

#[tokio::test]
async fn r1_a_token_that_its_user_destroys_is_refused_on_the_connection_in_use() {
    let api = relatel().await;
    for present in [Presented::in_header, Presented::in_query, Presented::as_basic_user_name] {
        api.tokens.insert(ALICE, Principal::new("alice")).unwrap();
        let destroy = |tokens: &StaticTokens| {
            assert!(tokens.remove(ALICE));
        };
        api.assert_ends_in_mid_use(&present(ALICE), destroy, UNKNOWN).await;
    }
}

/// The parameters in `query`, decoded.
fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap().as_bytes()).into_owned().collect()
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn r1_the_browser_is_sent_away_with_the_parameters_of_the_documentation_and_a_state() {
    let system = System::of_calls(Judge::Documented, &LOCATIONS).await;
    let (url, _pending) = system.sign_in().begin().unwrap();
    assert_eq!(url.path(), "/api/v2/authorize");
    let mut sent = pairs(url.query());
    let (name, state) = sent.pop().unwrap();
    assert_eq!((name.as_str(), state.len()), ("state", 43));
    let documented = [("response_type", "code"), ("client_id", CLIENT), ("redirect_uri", CALLBACK)];
    assert_eq!(sent, owned(documented));

    let callback = system.browse(url).await;
    let [(name, _)] = pairs(callback.query()).try_into().unwrap();
    assert_eq!(name, "code", "nothing else comes back");
}

#[tokio::test]
async fn r1_the_code_is_exchanged_in_the_query_with_an_empty_body() {
    let system = System::of_calls(Judge::Documented, &LOCATIONS).await;
    let (url, pending) = system.sign_in().begin().unwrap();
    let callback = system.browse(url).await;
    let [(_, code)] = pairs(callback.query()).try_into().unwrap();
    let response = system.sign_in().finish(pending, &callback).await.unwrap();

    let sent = system.authorization.last_token_request().unwrap();
    assert_eq!((sent.method(), sent.uri().path()), (&Method::POST, "/api/v2/token"));
    let documented = [
        ("client_id", CLIENT),
        ("client_secret", sign_in::SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
    ];
    assert_eq!(pairs(sent.uri().query()), owned(documented));
    assert_eq!(sent.body(), "");
    let lengths: Vec<_> = sent.headers().get_all(header::CONTENT_LENGTH).iter().collect();
    assert_eq!(lengths, ["0"]);
    for unwanted in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        assert_eq!(sent.headers().get(unwanted), None);
    }

    // The answer holds an access token and nothing else.
    assert!(system.authorization.introspect(response.access_token().expose()).is_some());
    assert!(response.lifetime().is_none() && response.scope().is_none());
    assert!(response.refresh_token().is_none());
    system.assert_requests(1, 0);
}

#[tokio::test]
async fn r1_a_state_that_does_come_back_is_compared() {
    let system = System::of_calls(Judge::Documented, &LOCATIONS).await;
    system.authorization.disable(Quirk::NoState);
    let (url, mine) = system.sign_in().begin().unwrap();
    let (_, other) = system.sign_in().begin().unwrap();
    let callback = system.browse(url).await;
    let error = system.sign_in().finish(other, &callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignIn);
    system.assert_requests(0, 0);
    system.sign_in().finish(mine, &callback).await.unwrap();
    system.assert_requests(1, 0);
}

#[tokio::test]
async fn r1_the_token_goes_out_as_documented_in_each_of_the_three_ways() {
    for judge in JUDGES {
        let system = System::of_calls(judge, &LOCATIONS).await;
        let response = system.alice_signs_in().await;
        let token = response.access_token().expose();
        let cache = system.cache_of(&response);

        let mut client = system.client(&cache, TokenLocation::Bearer);
        system.assert_called(&mut client, "alice").await;
        let sent = system.last_call();
        assert_eq!(sent.uri, "/api/v2/calls");
        assert_eq!(sent.headers.get(header::AUTHORIZATION).unwrap(), &format!("Bearer {token}"));

        let mut client = system.client(&cache, TokenLocation::Query);
        system.assert_called(&mut client, "alice").await;
        let sent = system.last_call();
        assert_eq!(sent.uri, format!("/api/v2/calls?access_token={token}").as_str());
        assert_eq!(sent.headers.get(header::AUTHORIZATION), None);

        let mut client = system.client(&cache, TokenLocation::BasicUserName);
        system.assert_called(&mut client, "alice").await;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{token}:")));
        assert_eq!(system.last_call().headers.get(header::AUTHORIZATION).unwrap(), &basic);
        system.assert_requests(1, 3);
    }
}

#[tokio::test]
async fn r1_a_token_without_a_lifetime_is_used_until_it_is_rejected() {
    for judge in JUDGES {
        let system = System::of_calls(judge, &LOCATIONS).await;
        let cache = system.cache_of(&system.alice_signs_in().await);
        let mut client = system.client(&cache, TokenLocation::Bearer);
        for _ in 0..3 {
            system.assert_called(&mut client, "alice").await;
            system.clock.advance(Duration::from_secs(400 * 24 * 60 * 60));
        }
        system.assert_requests(1, 3);
    }
}

#[tokio::test]
async fn r1_one_sign_in_serves_every_call_until_its_token_is_destroyed_in_mid_use() {
    for judge in JUDGES {
        for location in LOCATIONS {
            System::of_calls(judge, &LOCATIONS).await.assert_ends_in_mid_use(location).await;
        }
    }
}
