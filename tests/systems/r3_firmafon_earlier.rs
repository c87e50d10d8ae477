//! R3, the earlier Firmafon REST API v2, offered and called: header and query, but no Basic.

use crate::{
    calls_api::{ALICE, BOB, CallsApi, EXPIRED, Presented, UNKNOWN},
    system::{JUDGES, System},
};
use std::time::Duration;
use tower_oauth2::{
    Clock, TokenLocation,
    testing::ManualClock,
    validate::{Principal, StaticTokens},
};

const LOCATIONS: [TokenLocation; 2] = [TokenLocation::Bearer, TokenLocation::Query];

async fn earlier_firmafon(clock: Clock) -> CallsApi {
    CallsApi::start("firmafon", LOCATIONS, clock).await
}

#[tokio::test]
async fn r3_header_and_query_reach_the_handler() {
    let api = earlier_firmafon(Clock::system()).await;
    for (token, subject) in [(ALICE, "alice"), (BOB, "bob")] {
        api.assert_admits(&Presented::in_header(token), subject).await;
        api.assert_admits(&Presented::in_query(token), subject).await;
    }
}

#[tokio::test]
async fn r3_every_refusal_has_its_status_and_its_challenge() {
    earlier_firmafon(Clock::system()).await.assert_refusals().await;
}

#[tokio::test]
async fn r3_a_basic_credential_is_refused_and_basic_is_not_offered() {
    let api = earlier_firmafon(Clock::system()).await.server;
    // ACCESS_TOKEN: with a good token, alice:password, and what is no base64.
    for credentials in ["QUNDRVNTX1RPS0VOOg==", "YWxpY2U6cGFzc3dvcmQ=", "ACCESS_TOKEN"] {
        let line = format!("Authorization: Basic {credentials}");
        let reply = api.send("GET /api/v2/calls", &[&line]).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.challenges(), [r#"Bearer realm="firmafon""#]);
    }
}

#[tokio::test]
async fn r3_a_destroyed_token_is_refused_on_the_connection_in_use() {
    let destroy = |tokens: &StaticTokens| assert!(tokens.remove(ALICE));
    for present in [Presented::in_header, Presented::in_query] {
        let api = earlier_firmafon(Clock::system()).await;
        api.assert_ends_in_mid_use(&present(ALICE), destroy, UNKNOWN).await;
    }
}

#[tokio::test]
async fn r3_the_token_of_a_removed_user_is_refused_on_the_connection_in_use() {
    let remove_user = |tokens: &StaticTokens| assert_eq!(tokens.remove_subject("alice"), 1);
    for present in [Presented::in_header, Presented::in_query] {
        let api = earlier_firmafon(Clock::system()).await;
        api.assert_ends_in_mid_use(&present(ALICE), remove_user, UNKNOWN).await;
    }
}

#[tokio::test]
async fn r3_each_token_expires_at_its_own_time_on_the_connection_in_use() {
    let manual = ManualClock::new();
    let api = earlier_firmafon(manual.clock()).await;
    let expiry = manual.clock().wall() + Duration::from_secs(3600);
    api.tokens.insert(ALICE, Principal::new("alice").with_expiry(expiry)).unwrap();
    let later = expiry + Duration::from_secs(1);
    api.tokens.insert(BOB, Principal::new("bob").with_expiry(later)).unwrap();

    manual.advance(Duration::from_secs(3599));
    let second = |_: &StaticTokens| manual.advance(Duration::from_secs(1));
    api.assert_ends_in_mid_use(&Presented::in_header(ALICE), second, EXPIRED).await;

    manual.advance(Duration::from_secs(1));
    let line = format!("Authorization: Bearer {BOB}");
    let reply = api.server.send("GET /api/v2/calls", &[&line]).await;
    api.assert_refused(&reply, 401, EXPIRED);
}

#[tokio::test]
async fn r3_one_sign_in_serves_every_call_until_its_token_is_destroyed_in_mid_use() {
    for judge in JUDGES {
        for location in LOCATIONS {
            System::of_calls(judge, &LOCATIONS).await.assert_ends_in_mid_use(location).await;
        }
    }
}

#[tokio::test]
async fn r3_a_client_that_presents_a_good_token_by_basic_is_refused() {
    for judge in JUDGES {
        let system = System::of_calls(judge, &LOCATIONS).await;
        let cache = system.cache_of(&system.alice_signs_in().await);
        let mut client = system.client(&cache, TokenLocation::BasicUserName);
        assert_eq!(system.call(&mut client).await.unwrap().status(), 401);
        system.assert_requests(1, 1);
    }
}
