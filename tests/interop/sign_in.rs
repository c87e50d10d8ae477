//! Authorization code with PKCE through the servers' own pages, and refresh tokens that rotate.

use crate::{
    browser::{CALLBACK, alice_agrees, alice_cancels},
    peers::{call_json, client_of, django, endpoint, oidc_provider},
    system::{self, ApiClient},
};
use serde_json::{Value, json};
use std::time::Duration;
use tower_oauth2::{
    ClientAuthentication, ClientSecret,
    client::{ErrorKind, Grant, RefreshPolicy, SignIn, TokenCache, TokenEndpoint, TokenResponse},
    testing::ManualClock,
};

const LIFETIME: Duration = Duration::from_secs(600);

/// A server, and something of it that wants the token of a user.
pub(crate) struct Peer {
    origin: String,
    sign_in: SignIn,
    endpoint: TokenEndpoint,
    resource: String,
    /// What the resource says to alice.
    greeting: Value,
}

/// The certified provider; the resource is its userinfo endpoint. It names itself in each answer,
/// and gives a refresh token to those who ask for consent and offline access.
fn provider_peer() -> Peer {
    let origin = oidc_provider();
    let endpoint = endpoint(&format!("{origin}/token"), ClientAuthentication::public("app"));
    provider_peer_at(origin, endpoint)
}

/// The same at `origin`, with tokens of `endpoint`.
pub(crate) fn provider_peer_at(origin: String, endpoint: TokenEndpoint) -> Peer {
    let authorize = format!("{origin}/auth?prompt=consent");
    let sign_in = SignIn::new(endpoint.clone(), "app", &authorize, CALLBACK)
        .unwrap()
        .with_scopes("openid offline_access read".parse().unwrap())
        .with_required_issuer(origin.as_str());
    let (resource, greeting) = (format!("{origin}/me"), json!({"sub": "alice"}));
    Peer { origin, sign_in, endpoint, resource, greeting }
}

fn django_peer() -> Peer {
    let origin = django();
    let endpoint = endpoint(&format!("{origin}/token/"), ClientAuthentication::public("app"));
    let authorize = format!("{origin}/authorize/");
    let sign_in = SignIn::new(endpoint.clone(), "app", &authorize, CALLBACK).unwrap();
    let sign_in = sign_in.with_scopes("read".parse().unwrap());
    let resource = format!("{origin}/api/read");
    let greeting = json!({"scope": "read", "user": "alice"});
    Peer { origin, sign_in, endpoint, resource, greeting }
}

impl Peer {
    pub(crate) async fn alice_signs_in(&self) -> TokenResponse {
        let (url, pending) = self.sign_in.begin().unwrap();
        let callback = alice_agrees(&url).await;
        self.sign_in.finish(pending, &callback).await.unwrap()
    }

    /// One sign-in, calls over two lifetimes, and the end that a stolen refresh token makes.
    async fn assert_rotation(&self) {
        let (first, cache, mut client) = self.assert_renewals().await;

        // Whoever shows a refresh token that was used before is a thief, or was robbed: the
        // server ends all that came of it.
        let replayed = self.endpoint.fetch(&Grant::refresh_token(&first)).await.unwrap_err();
        assert_eq!((replayed.kind(), replayed.code()), (ErrorKind::Refused, Some("invalid_grant")));
        let error = system::call(&mut client, &self.resource).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");

        cache.store(&self.alice_signs_in().await);
        assert_eq!(call_json(&mut client, &self.resource).await, self.greeting);
    }

    /// One sign-in, and calls over two lifetimes. Returns the first refresh token.
    pub(crate) async fn assert_renewals(&self) -> (ClientSecret, TokenCache, ApiClient) {
        let response = self.alice_signs_in().await;
        assert_eq!(response.lifetime(), Some(LIFETIME));
        let first = response.refresh_token().unwrap().clone();

        let clock = ManualClock::new();
        let policy = RefreshPolicy::default().without_jitter();
        let cache =
            TokenCache::from_sign_in(self.endpoint.clone(), &response, policy, clock.clock());
        let mut client = client_of(&cache, &self.origin);
        for renewals in 0..3 {
            for _ in 0..2 {
                assert_eq!(call_json(&mut client, &self.resource).await, self.greeting);
            }
            assert_eq!(cache.status().fetches(), renewals);
            clock.advance(LIFETIME);
        }
        (first, cache, client)
    }

    async fn assert_no_is_an_answer(&self) {
        let (url, pending) = self.sign_in.begin().unwrap();
        let callback = alice_cancels(&url).await;
        let error = self.sign_in.finish(pending, &callback).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::SignIn, Some("access_denied")));
    }

    /// The code is bound to the verifier of the sign-in that it answers.
    async fn assert_pkce(&self) {
        let (url, pending) = self.sign_in.begin().unwrap();
        let callback = alice_agrees(&url).await;
        let (_, other) = self.sign_in.begin().unwrap();
        // The expiry and the state of the one, the verifier of the other.
        let (pending, other) = (pending.to_secret_string(), other.to_secret_string());
        let own = pending.expose().rsplit_once('.').unwrap().0;
        let foreign = other.expose().rsplit_once('.').unwrap().1;
        let mixed = format!("{own}.{foreign}").parse().unwrap();
        let error = self.sign_in.finish(mixed, &callback).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
        assert!(error.is_sign_in_needed());
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_user_signs_in_at_oidc_provider_and_the_token_is_renewed_until_it_is_stolen() {
    provider_peer().assert_rotation().await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_user_signs_in_at_django_and_the_token_is_renewed_until_it_is_stolen() {
    django_peer().assert_rotation().await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_user_who_does_not_agree_is_not_signed_in() {
    provider_peer().assert_no_is_an_answer().await;
    django_peer().assert_no_is_an_answer().await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_code_without_its_verifier_is_worth_nothing() {
    provider_peer().assert_pkce().await;
    django_peer().assert_pkce().await;
}
