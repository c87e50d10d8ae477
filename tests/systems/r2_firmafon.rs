//! R2, the Firmafon REST API v2, offered and called: Relatel's API under another brand.

use crate::{
    calls_api::{ALICE, BOB, CallsApi, Presented, UNKNOWN},
    system::{self, ApiClient, JUDGES, System},
};
use tower::Layer;
use tower_oauth2::{
    Clock, TokenLocation,
    client::AddBearer,
    validate::{Principal, StaticTokens},
};

const LOCATIONS: [TokenLocation; 3] =
    [TokenLocation::Query, TokenLocation::BasicUserName, TokenLocation::Bearer];

/// A token that alice made by hand in the web interface.
const ONE_OFF: &str = "one-off~7f3a";

async fn firmafon() -> CallsApi {
    let api = CallsApi::start("firmafon", LOCATIONS, Clock::system()).await;
    api.tokens.insert(ONE_OFF, Principal::new("alice")).unwrap();
    api
}

#[tokio::test]
async fn r2_a_one_off_token_is_as_good_as_one_of_oauth_in_all_three_ways() {
    let api = firmafon().await;
    for token in [ALICE, ONE_OFF] {
        api.assert_admits(&Presented::in_header(token), "alice").await;
        api.assert_admits(&Presented::in_query(token), "alice").await;
        api.assert_admits(&Presented::as_basic_user_name(token), "alice").await;
    }
}

#[tokio::test]
async fn r2_every_refusal_has_its_status_and_its_challenges() {
    firmafon().await.assert_refusals().await;
}

#[tokio::test]
async fn r2_destroying_one_token_of_a_user_leaves_the_other() {
    let api = firmafon().await;
    let presented = Presented::as_basic_user_name(ONE_OFF);
    api.assert_ends_in_mid_use(&presented, |tokens| assert!(tokens.remove(ONE_OFF)), UNKNOWN).await;
    api.assert_admits(&Presented::as_basic_user_name(ALICE), "alice").await;
}

#[tokio::test]
async fn r2_all_tokens_of_a_user_are_refused_on_the_connection_in_use_once_they_are_destroyed() {
    let api = firmafon().await;
    let presented = Presented::in_query(ALICE);
    let destroy_all = |tokens: &StaticTokens| {
        assert_eq!(tokens.remove_subject("alice"), 2);
    };
    api.assert_ends_in_mid_use(&presented, destroy_all, UNKNOWN).await;
    let line = format!("Authorization: Bearer {ONE_OFF}");
    let reply = api.server.send("GET /api/v2/calls", &[&line]).await;
    api.assert_refused(&reply, 401, UNKNOWN);
    api.assert_admits(&Presented::in_query(BOB), "bob").await;
}

#[tokio::test]
async fn r2_one_sign_in_serves_every_call_until_its_token_is_destroyed_in_mid_use() {
    for judge in JUDGES {
        for location in LOCATIONS {
            System::of_calls(judge, &LOCATIONS).await.assert_ends_in_mid_use(location).await;
        }
    }
}

#[tokio::test]
async fn r2_a_one_off_token_needs_no_sign_in_and_its_refusal_reaches_the_caller() {
    let api = firmafon().await;
    let origin = api.server.origin();
    let uri = format!("{origin}/api/v2/calls");
    let http = system::http();
    let mut clients = LOCATIONS.map(|location| {
        let layer =
            AddBearer::bearer(ONE_OFF, origin.as_str()).unwrap().with_location(location).unwrap();
        ApiClient::new(layer.layer(http.clone()))
    });
    for client in &mut clients {
        let reply = system::call(client, &uri).await.unwrap();
        assert!(reply.body().starts_with("alice by "), "{reply:?}");
    }
    assert!(api.tokens.remove(ONE_OFF));
    for client in &mut clients {
        for _ in 0..2 {
            assert_eq!(system::call(client, &uri).await.unwrap().status(), 401);
        }
    }
}
