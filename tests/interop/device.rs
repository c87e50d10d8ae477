//! A sign-in on another device, through the servers' own pages.

use crate::{
    browser::alice_approves,
    peers::{call_json, client_of, django, endpoint, oidc_provider},
    system::within_limit,
};
use serde_json::{Value, json};
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication,
    client::{DeviceSignIn, RefreshPolicy, TokenCache},
    testing::ManualClock,
};

/// The token endpoint, that of devices, and something that wants the token of a user.
struct Peer {
    origin: String,
    token: String,
    device: String,
    client: &'static str,
    scopes: &'static str,
    resource: String,
    greeting: Value,
}

impl Peer {
    /// Waits for alice, who approves after the first polls.
    async fn assert_sign_in(&self) {
        let clock = ManualClock::new();
        let endpoint = endpoint(&self.token, ClientAuthentication::public(self.client));
        let endpoint = endpoint.with_clock(clock.clock());
        let sign_in = DeviceSignIn::new(endpoint.clone(), &self.device).unwrap();
        let sign_in = sign_in.with_scopes(self.scopes.parse().unwrap());
        let device = within_limit(sign_in.begin()).await.unwrap();
        let (code, page) = (device.user_code().to_owned(), device.verification_uri().to_owned());
        let page = device.verification_uri_complete().map_or(page, str::to_owned);
        let mut finish = tokio::spawn(device.finish());
        // No longer than the deadline of a request, by that clock.
        let mut poll = async || {
            for _ in 0..20 {
                clock.advance(Duration::from_secs(1));
                let done = tokio::time::timeout(Duration::from_millis(100), &mut finish).await;
                if let Ok(done) = done {
                    return Some(done.unwrap());
                }
            }
            None
        };
        assert!(poll().await.is_none(), "she has not approved");
        alice_approves(&page, &code).await;
        let response = poll().await.unwrap().unwrap();

        let cache =
            TokenCache::from_sign_in(endpoint, &response, RefreshPolicy::default(), clock.clock());
        let mut api = client_of(&cache, &self.origin);
        assert_eq!(call_json(&mut api, &self.resource).await, self.greeting);
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn the_certified_provider_names_no_interval_and_signs_alice_in() {
    let origin = oidc_provider();
    let peer = Peer {
        token: format!("{origin}/token"),
        device: format!("{origin}/device/auth"),
        client: "app",
        scopes: "openid",
        resource: format!("{origin}/me"),
        greeting: json!({"sub": "alice"}),
        origin,
    };
    peer.assert_sign_in().await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn django_would_redeem_a_code_twice_and_signs_alice_in_once() {
    let origin = django();
    let peer = Peer {
        token: format!("{origin}/token/"),
        device: format!("{origin}/device-authorization/"),
        client: "tv",
        scopes: "read",
        resource: format!("{origin}/api/read"),
        greeting: json!({"scope": "read", "user": "alice"}),
        origin,
    };
    peer.assert_sign_in().await;
}
