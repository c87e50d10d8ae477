//! The sign-in of Relatel and Firmafon, R1 to R3: its parameters ride in queries, and what it
//! brings is a token and nothing else.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use crate::system::{Judge, System, within_limit};
use http::{Uri, header};
use tower_oauth2::{
    ClientAuthentication, TokenLocation,
    client::{RefreshPolicy, SignIn, TokenCache, TokenEndpoint, TokenResponse},
    testing::{Quirk, RegisteredClient},
};

pub(crate) const CLIENT: &str = "relay";
pub(crate) const SECRET: &str = "s&c=r+t%";
pub(crate) const CALLBACK: &str = "https://relay.example/callback";

impl System {
    /// A system whose user alice has tokens that are good until she destroys them.
    pub(crate) async fn of_calls(judge: Judge, locations: &[TokenLocation]) -> Self {
        let system = Self::start(judge, locations).await;
        let server = &system.authorization;
        let client = RegisteredClient::confidential(CLIENT, SECRET);
        server.register_client(client.with_redirect_uri(CALLBACK).unwrap());
        server.register_user("alice", "", "calls".parse().unwrap());
        server.enable(Quirk::BareAnswers);
        server.set_access_token_lifetime(None);
        server.enable(Quirk::NoState);
        system
    }

    fn query_endpoint(&self) -> TokenEndpoint {
        self.endpoint("/api/v2/token", ClientAuthentication::query(CLIENT, SECRET))
    }

    /// How a user signs in.
    pub(crate) fn sign_in(&self) -> SignIn {
        let authorize = self.bound.url("/api/v2/authorize");
        let sign_in = SignIn::new(self.query_endpoint(), CLIENT, &authorize, CALLBACK).unwrap();
        sign_in.without_pkce().dangerous_allow_missing_state()
    }

    /// What the sign-in of alice brings.
    pub(crate) async fn alice_signs_in(&self) -> TokenResponse {
        let (url, pending) = self.sign_in().begin().unwrap();
        let callback = self.browse(url).await;
        within_limit(self.sign_in().finish(pending, &callback)).await.unwrap()
    }

    /// Where a browser at `url` is sent back to.
    pub(crate) async fn browse(&self, url: Uri) -> Uri {
        let response = within_limit(self.http.get(url)).await.unwrap();
        response.headers().get(header::LOCATION).unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Keeps what a sign-in brought.
    pub(crate) fn cache_of(&self, response: &TokenResponse) -> TokenCache {
        let (endpoint, clock) = (self.query_endpoint(), self.clock.clock());
        TokenCache::from_sign_in(endpoint, response, RefreshPolicy::default(), clock)
    }

    /// A token in use at `location` is destroyed. The call that meets this gets the
    /// API's own answer; none is made after it until alice has signed in again.
    pub(crate) async fn assert_ends_in_mid_use(&self, location: TokenLocation) {
        let first = self.alice_signs_in().await;
        let cache = self.cache_of(&first);
        let mut client = self.client(&cache, location);
        self.assert_called(&mut client, "alice").await;
        self.assert_called(&mut client, "alice").await;
        self.assert_requests(1, 2);

        assert!(self.authorization.revoke(first.access_token().expose()));
        self.assert_refusal(&self.call(&mut client).await.unwrap());
        self.assert_requests(1, 3);
        assert!(self.call(&mut client).await.unwrap_err().is_sign_in_needed());
        assert!(self.call(&mut client.clone()).await.unwrap_err().is_sign_in_needed());
        self.assert_requests(1, 3);

        cache.store(&self.alice_signs_in().await);
        self.assert_called(&mut client, "alice").await;
        self.assert_requests(2, 4);
    }
}
