//! JWTs of the certified provider, judged by the keys that it publishes.

use crate::{
    browser::{CALLBACK, alice_agrees},
    peers::{client_of, endpoint, oidc_provider, realm, secret_of},
    raw::Server,
    system::{self, ApiClient},
};
use axum::{Router, routing::get};
use http::StatusCode;
use std::time::Duration;
use tower::Layer;
use tower_oauth2::{
    Algorithm, ClientAuthentication, Transport,
    client::{ClientCredentialsRefresh, Grant, RefreshPolicy, SignIn, TokenCache, TokenEndpoint},
    server::{Authenticated, RequireScope, RequireToken},
    testing::ManualClock,
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

/// That of every token here.
const LIFETIME: Duration = Duration::from_secs(600);

/// Resources, and how their tokens are signed: one algorithm has two names.
const RESOURCES: [(&str, Algorithm); 4] = [
    ("urn:rs:jwt:rs256", Algorithm::Rs256),
    ("urn:rs:jwt:es256", Algorithm::Es256),
    ("urn:rs:jwt:ed25519", Algorithm::EdDsa),
    ("urn:rs:jwt:eddsa", Algorithm::EdDsa),
];

fn token_endpoint(url: &str) -> TokenEndpoint {
    endpoint(url, ClientAuthentication::basic("svc-basic", secret_of("svc-basic")))
}

fn provider_endpoint() -> TokenEndpoint {
    token_endpoint(&format!("{}/token", oidc_provider()))
}

/// Takes tokens of the provider for `audience`.
fn validator(audience: &str, algorithm: Algorithm) -> JwtValidator {
    JwtValidator::new(issuer(audience, algorithm)).unwrap()
}

fn issuer(audience: &str, algorithm: Algorithm) -> TrustedIssuer {
    let keys = Jwks::from_issuer(&oidc_provider(), Transport::https()).unwrap();
    let issuer = TrustedIssuer::new(oidc_provider(), keys).with_audience([audience]);
    issuer.with_algorithms([algorithm]).unwrap()
}

async fn api(validator: JwtValidator) -> Server {
    let who = async |who: Authenticated| who.principal().client_id().unwrap().to_owned();
    let router = Router::new()
        .route("/", get(who))
        .route_layer(RequireScope::all_of(["read"]).unwrap())
        .route_layer(RequireToken::new("api", validator).unwrap());
    Server::start(router).await
}

/// A token for `resource` with the scope `read`.
async fn token_for(endpoint: &TokenEndpoint, resource: &str) -> String {
    let grant = Grant::client_credentials().with_scopes("read".parse().unwrap());
    let response = endpoint.fetch(&grant.with_resource(resource).unwrap()).await.unwrap();
    response.access_token().expose().to_owned()
}

async fn assert_status(api: &Server, token: &str, status: u16) {
    let reply = api.send("GET /", &[&format!("Authorization: Bearer {token}")]).await;
    assert_eq!(reply.status, status, "{:?}", reply.challenges());
    assert_eq!(!reply.challenges().is_empty(), status != 200);
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_of_each_algorithm_opens_its_api() {
    for (resource, algorithm) in RESOURCES {
        let api = api(validator(resource, algorithm)).await;
        let layer = ClientCredentialsRefresh::new(provider_endpoint(), api.origin())
            .unwrap()
            .with_scopes("read".parse().unwrap())
            .with_resource(resource)
            .unwrap();
        let mut client = ApiClient::new(layer.layer(system::http()));
        for _ in 0..2 {
            let response = system::call(&mut client, &api.origin()).await.unwrap();
            assert_eq!(
                (response.status(), response.body().as_str()),
                (StatusCode::OK, "svc-basic")
            );
        }
        assert_eq!(layer.cache().status().fetches(), 1);
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_opens_no_api_but_its_own() {
    for (resource, algorithm) in RESOURCES {
        let api = api(validator(resource, algorithm)).await;
        for (other, _) in RESOURCES {
            let token = token_for(&provider_endpoint(), other).await;
            assert_status(&api, &token, if other == resource { 200 } else { 401 }).await;
        }
        assert_status(&api, &token_for(&provider_endpoint(), "urn:rs:opaque").await, 401).await;
        // Of another issuer, whose clients and key names are the same.
        let realm = token_endpoint(&format!("{}/protocol/openid-connect/token", realm()));
        assert_status(&api, &token_for(&realm, resource).await, 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_that_was_changed_is_refused() {
    for (resource, algorithm) in RESOURCES {
        let api = api(validator(resource, algorithm)).await;
        let token = token_for(&provider_endpoint(), resource).await;
        assert_status(&api, &token, 200).await;
        let (signed, signature) = token.rsplit_once('.').unwrap();
        // A character in the middle: the last one may have bits that mean nothing.
        let (before, after) = signature.split_at(signature.len() / 2);
        let other = if after.starts_with('A') { 'B' } else { 'A' };
        assert_status(&api, &format!("{signed}.{before}{other}{}", &after[1..]), 401).await;
        let other = token_for(&provider_endpoint(), resource).await;
        let (_, foreign) = other.rsplit_once('.').unwrap();
        assert_status(&api, &format!("{signed}.{foreign}"), 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn r5_the_keys_of_a_realm_are_under_its_certs() {
    let keys = format!("{}/protocol/openid-connect/certs", realm());
    let keys = Jwks::from_url(&keys, Transport::https()).unwrap();
    let resource = "urn:rs:jwt:rs256";
    let issuer = TrustedIssuer::new(realm(), keys).with_audience([resource]);
    let api = api(JwtValidator::new(issuer).unwrap()).await;
    let realm = token_endpoint(&format!("{}/protocol/openid-connect/token", realm()));
    assert_status(&api, &token_for(&realm, resource).await, 200).await;
    assert_status(&api, &token_for(&provider_endpoint(), resource).await, 401).await;
}

/// This server's has nothing in it that tells: no type, no hash. The profile of RFC 9068 refuses it
/// wherever it is shown; without the profile the audience does, which is the client.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_id_token_is_no_access_token() {
    let at = oidc_provider();
    let endpoint = endpoint(&format!("{at}/token"), ClientAuthentication::public("app"));
    let sign_in = SignIn::new(endpoint, "app", &format!("{at}/auth"), CALLBACK).unwrap();
    let sign_in = sign_in.with_scopes("openid".parse().unwrap());
    let (url, pending) = sign_in.begin().unwrap();
    let response = sign_in.finish(pending, &alice_agrees(&url).await).await.unwrap();
    let id_token: String = response.extra("id_token").unwrap();
    assert_status(&api(validator("app", Algorithm::Rs256)).await, &id_token, 401).await;
    let lenient = issuer("urn:rs:jwt:rs256", Algorithm::Rs256).allow_other_profiles();
    assert_status(&api(JwtValidator::new(lenient).unwrap()).await, &id_token, 401).await;
}

/// At this server a renewal that does not name the resource is for userinfo.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn the_token_of_a_user_is_for_the_same_api_after_each_renewal() {
    let resource = "urn:rs:jwt:es256";
    let api = api(validator(resource, Algorithm::Es256)).await;
    let provider = oidc_provider();
    let endpoint = endpoint(&format!("{provider}/token"), ClientAuthentication::public("app"));
    let authorize = format!("{provider}/auth?prompt=consent");
    let sign_in = SignIn::new(endpoint.clone(), "app", &authorize, CALLBACK)
        .unwrap()
        .with_scopes("openid offline_access read".parse().unwrap())
        .with_required_issuer(provider.as_str())
        .with_resource(resource)
        .unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    let signed_in = sign_in.finish(pending, &alice_agrees(&url).await).await.unwrap();
    let (clock, policy) = (ManualClock::new(), RefreshPolicy::default());
    let cache = TokenCache::from_sign_in(endpoint, &signed_in, policy, clock.clock());
    let mut client = client_of(&cache, &api.origin());
    for renewals in 0..3 {
        let response = system::call(&mut client, &api.origin()).await.unwrap();
        assert_eq!((response.status(), response.body().as_str()), (StatusCode::OK, "app"));
        assert_eq!(cache.status().fetches(), renewals);
        clock.advance(LIFETIME);
    }
}
