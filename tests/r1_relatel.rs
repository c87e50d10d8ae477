//! R1, the Relatel REST API v2, offered: a token in the header, the query or the Basic user name.

#[path = "support/calls_api.rs"]
mod calls_api;
#[path = "support/raw.rs"]
mod raw;

use calls_api::{ALICE, BOB, CallsApi, Presented, UNKNOWN};
use tower_oauth2::{
    Clock, TokenLocation,
    validate::{Principal, StaticTokens},
};

async fn relatel() -> CallsApi {
    let locations = [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::BasicUserName];
    CallsApi::start("relatel", locations, Clock::system()).await
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
