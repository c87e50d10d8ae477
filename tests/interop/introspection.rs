//! Opaque tokens, about which their authorization server is asked. Neither server says `sub` or
//! `aud` of a client's token, and one says neither `iss` nor `iat`.

use crate::{
    peers::oidc_provider,
    raw::Server,
    resource::{Peer, django_peer, provider_peer},
    system::{self, ApiClient},
};
use axum::{Router, routing::get};
use http::StatusCode;
use std::time::{Duration, SystemTime};
use tower::Layer;
use tower_oauth2::{
    AccessToken, ClientAuthentication, Transport,
    client::{Grant, TokenEndpoint, TokenResponse},
    server::{Authenticated, RequireScope, RequireToken},
    testing::ManualClock,
    validate::{Cached, Introspection, ValidateToken},
};

/// How long a token may be taken after its end.
const BOUND: Duration = Duration::from_secs(60);

fn introspection(peer: &Peer) -> Introspection {
    let [id, secret] = peer.resource_server.clone();
    let client = ClientAuthentication::basic(id, secret);
    Introspection::new(&peer.introspect, client, Transport::https()).unwrap()
}

async fn api(validator: impl ValidateToken<Claims = ()>) -> Server {
    let who = async |who: Authenticated| {
        assert_eq!(who.principal().subject(), None);
        assert!(who.principal().expires_at().is_some());
        who.principal().client_id().unwrap().to_owned()
    };
    let router = Router::new()
        .route("/", get(who))
        .route_layer(RequireScope::all_of(["read"]).unwrap())
        .route_layer(RequireToken::new("api", validator).unwrap());
    Server::start(router).await
}

async fn token_of(peer: &Peer) -> AccessToken {
    let [id, secret] = peer.client.clone();
    let client = ClientAuthentication::basic(id, secret);
    let endpoint = TokenEndpoint::new(&peer.token, client, Transport::https()).unwrap();
    let grant = Grant::client_credentials().with_scopes("read".parse().unwrap());
    endpoint.fetch(&grant).await.unwrap().access_token().clone()
}

async fn assert_status(api: &Server, token: &str, status: u16) {
    let reply = api.send("GET /", &[&format!("Authorization: Bearer {token}")]).await;
    assert_eq!(reply.status, status, "{:?}", reply.challenges());
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_opaque_token_opens_an_api_and_one_that_was_made_up_does_not() {
    for peer in [provider_peer(), django_peer()] {
        let api = api(introspection(&peer)).await;
        assert_status(&api, token_of(&peer).await.expose(), 200).await;
        assert_status(&api, "made-up", 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_of_another_server_is_refused() {
    let (one, other) = (provider_peer(), django_peer());
    assert_status(&api(introspection(&one)).await, token_of(&other).await.expose(), 401).await;
    assert_status(&api(introspection(&other)).await, token_of(&one).await.expose(), 401).await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_revoked_token_is_refused_at_the_next_request_without_a_cache() {
    for peer in [provider_peer(), django_peer()] {
        let (api, token) = (api(introspection(&peer)).await, token_of(&peer).await);
        assert_status(&api, token.expose(), 200).await;
        peer.revoke(&token).await;
        assert_status(&api, token.expose(), 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_revoked_token_is_refused_within_the_bound_with_a_cache() {
    for peer in [provider_peer(), django_peer()] {
        let clock = ManualClock::from_wall(SystemTime::now());
        let cached = Cached::new(introspection(&peer)).with_ttl(BOUND).with_clock(clock.clock());
        let (api, token) = (api(cached).await, token_of(&peer).await);
        assert_status(&api, token.expose(), 200).await;
        peer.revoke(&token).await;
        clock.advance(BOUND - Duration::from_secs(1));
        assert_status(&api, token.expose(), 200).await;
        clock.advance(Duration::from_secs(1));
        assert_status(&api, token.expose(), 401).await;
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_client_whose_token_was_revoked_gets_another_and_no_caller_notices() {
    for peer in [provider_peer(), django_peer()] {
        let api = api(introspection(&peer)).await;
        let layer = peer.client_of(&api);
        let revoked = token_of(&peer).await;
        layer.cache().store(&TokenResponse::new(revoked.clone()));
        let mut client = ApiClient::new(layer.layer(system::http()));
        for fetches in [0, 1] {
            let response = system::call(&mut client, &api.origin()).await.unwrap();
            assert_eq!((response.status(), response.body()), (StatusCode::OK, &peer.client[0]));
            assert_eq!(layer.cache().status().fetches(), fetches);
            peer.revoke(&revoked).await;
        }
    }
}

/// That is trouble of this API, not of who calls it: a client would throw a good token away.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_api_with_a_wrong_secret_says_that_it_cannot_tell() {
    for peer in [provider_peer(), django_peer()] {
        let [id, _] = peer.resource_server.clone();
        let mut wrong = peer.clone();
        wrong.resource_server = [id, "hunter2".into()];
        let api = api(introspection(&wrong)).await;
        assert_status(&api, token_of(&peer).await.expose(), 503).await;
    }
}

/// The provider says `iss`, and `aud` where a resource was named.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_audience_and_an_issuer_are_compared_where_they_are_there() {
    let peer = provider_peer();
    let [id, secret] = peer.client.clone();
    let client = ClientAuthentication::basic(id, secret);
    let endpoint = TokenEndpoint::new(&peer.token, client, Transport::https()).unwrap();
    let grant = Grant::client_credentials().with_scopes("read".parse().unwrap());
    let grant = grant.with_resource("urn:rs:opaque").unwrap();
    let named = endpoint.fetch(&grant).await.unwrap().access_token().clone();
    let unnamed = token_of(&peer).await;

    let this = introspection(&peer).with_issuer(oidc_provider()).with_audience(["urn:rs:opaque"]);
    let other = introspection(&peer).with_audience(["urn:rs:other"]);
    let elsewhere = introspection(&peer).with_issuer("https://elsewhere.example");
    for (validator, of_named, of_unnamed) in [
        (this.clone(), 200, 401),
        (this.dangerous_allow_missing_audience(), 200, 200),
        (other, 401, 401),
        (elsewhere, 401, 401),
    ] {
        let api = api(validator).await;
        assert_status(&api, named.expose(), of_named).await;
        assert_status(&api, unnamed.expose(), of_unnamed).await;
    }
}
