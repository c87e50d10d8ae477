//! The exchange of tokens (RFC 8693): alice's token, which she signed in for at one client, has
//! reached a gateway, which wants another for the server behind it.

use crate::{
    browser::{CALLBACK, alice_agrees},
    peers::{call_json, client_of, idpyoidc, post_token},
    raw::Server,
    system::within_limit,
};
use axum::{Json, Router, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tower_oauth2::{
    AuthorizationServerMetadata, ClientAuthentication, ClientSecret, Transport,
    client::{
        Error, ErrorKind, Grant, RefreshPolicy, SignIn, TokenCache, TokenEndpoint, TokenResponse,
        TokenRevocation, TokenType,
    },
    server::{Authenticated, RequireToken},
    validate::Introspection,
};

const ORDERS: &str = "https://orders.example";

fn client(id: &str) -> ClientAuthentication {
    ClientAuthentication::basic(id, format!("{id}-secret"))
}

async fn metadata() -> AuthorizationServerMetadata {
    let (issuer, transport) = (idpyoidc(), Transport::https());
    within_limit(AuthorizationServerMetadata::discover(&issuer, &transport)).await.unwrap()
}

async fn alice_signs_in(scopes: &str) -> TokenResponse {
    let sign_in =
        SignIn::from_metadata(&metadata().await, client("front"), Transport::https(), CALLBACK);
    let sign_in = sign_in.unwrap().with_scopes(scopes.parse().unwrap());
    let (url, pending) = sign_in.begin().unwrap();
    let callback = alice_agrees(&url).await;
    within_limit(sign_in.finish(pending, &callback)).await.unwrap()
}

fn gateway() -> TokenEndpoint {
    TokenEndpoint::from_issuer(&idpyoidc(), client("gateway"), Transport::https()).unwrap()
}

async fn exchanged(grant: &Grant) -> Result<TokenResponse, Error> {
    within_limit(gateway().fetch(grant)).await
}

/// Another token for that of `response`.
fn instead_of(response: &TokenResponse) -> Grant {
    Grant::token_exchange(response.access_token().expose(), &TokenType::ACCESS_TOKEN)
}

/// An API of the resource server `id`, which says whose call it is.
async fn api(id: &str, audience: &str) -> Server {
    let url = format!("{}/introspect", idpyoidc());
    let introspection = Introspection::new(&url, client(id), Transport::https()).unwrap();
    let introspection = introspection.with_issuer(idpyoidc()).with_audience([audience]);
    let who = async |who: Authenticated| {
        let who = who.principal();
        let scopes = who.scopes().to_string();
        Json(json!({"subject": who.subject(), "client": who.client_id(), "scopes": scopes}))
    };
    let guard = RequireToken::new("api", introspection).unwrap();
    Server::start(Router::new().route("/", get(who)).route_layer(guard)).await
}

/// What the server says of `token` to who may ask about any.
async fn introspected(token: &str) -> Value {
    let url = format!("{}/introspect", idpyoidc());
    serde_json::from_slice(post_token(&url, "rs", "rs-secret", token).await.body()).unwrap()
}

async fn assert_status(api: &Server, response: &TokenResponse, status: u16) {
    let line = format!("Authorization: Bearer {}", response.access_token().expose());
    let reply = api.send("GET /", &[&line]).await;
    assert_eq!(reply.status, status, "{:?}", reply.challenges());
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_gateway_calls_for_alice_with_a_token_that_is_good_at_one_server_alone() {
    let alice = alice_signs_in("read write").await;
    let (orders, stock) = (api("orders", "orders").await, api("stock", "stock").await);
    // Hers is good at neither.
    assert_status(&orders, &alice, 401).await;

    let grant = instead_of(&alice).with_audience("orders").with_scopes("read".parse().unwrap());
    let cache = TokenCache::new(gateway(), grant.clone(), RefreshPolicy::default());
    let mut calls = client_of(&cache, &orders.origin());
    let subject = introspected(alice.access_token().expose()).await["sub"].clone();
    assert!(subject.is_string());
    for _ in 0..2 {
        let called = call_json(&mut calls, &orders.origin()).await;
        assert_eq!(called, json!({"subject": subject, "client": "gateway", "scopes": "read"}));
    }
    assert_eq!(cache.status().fetches(), 1);

    let other = exchanged(&grant).await.unwrap();
    assert_status(&orders, &other, 200).await;
    assert_status(&stock, &other, 401).await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn an_exchange_says_what_it_issued_and_for_how_long() {
    let alice = alice_signs_in("read write").await;
    let asked = instead_of(&alice).with_requested_token_type(&TokenType::ACCESS_TOKEN).unwrap();
    for grant in [instead_of(&alice), asked] {
        let response = exchanged(&grant).await.unwrap();
        assert_eq!(response.issued_token_type(), Some(TokenType::ACCESS_TOKEN.as_str()));
        assert_ne!(response.access_token().expose(), alice.access_token().expose());
        // Not beyond the end of hers.
        let lifetime = response.lifetime().unwrap();
        assert!(lifetime <= alice.lifetime().unwrap(), "{lifetime:?}");
        assert!(lifetime > Duration::from_secs(300), "{lifetime:?}");
        assert_eq!(response.scope(), Some(&"read write".parse().unwrap()));
        assert!(response.refresh_token().is_none());
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_resource_is_named_beside_an_audience() {
    let alice = alice_signs_in("read").await;
    let both = instead_of(&alice).with_audience("orders").with_resource(ORDERS).unwrap();
    let both = exchanged(&both).await.unwrap();
    assert_status(&api("orders", ORDERS).await, &both, 200).await;
    assert_status(&api("orders", "https://stock.example").await, &both, 401).await;

    // The server checks a resource that stands alone, and then forgets it.
    let alone = exchanged(&instead_of(&alice).with_resource(ORDERS).unwrap()).await.unwrap();
    let alone = introspected(alone.access_token().expose()).await;
    assert_eq!((&alone["active"], alone.get("aud")), (&json!(true), None));
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_subject_token_that_is_none_is_refused_for_good_and_is_not_in_the_error() {
    let alice = alice_signs_in("read").await;
    let good = alice.access_token().expose();
    let forged = format!("{}.AAAA", good.rsplit_once('.').unwrap().0);
    let revoked = alice_signs_in("read").await;
    let revocation = format!("{}/revoke", idpyoidc());
    let front = TokenRevocation::new(&revocation, client("front"), Transport::https()).unwrap();
    let revoked = revoked.access_token().expose();
    within_limit(front.revoke(revoked, "access_token")).await.unwrap();
    for (subject, kind) in [
        ("hunter2", TokenType::ACCESS_TOKEN),
        (&forged, TokenType::ACCESS_TOKEN),
        (revoked, TokenType::ACCESS_TOKEN),
        (good, TokenType::REFRESH_TOKEN),
        (good, TokenType::ID_TOKEN),
        (good, TokenType::SAML2),
    ] {
        let error = exchanged(&Grant::token_exchange(subject, &kind)).await.unwrap_err();
        let told = format!("{kind}: {error} {error:?}");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{told}");
        assert_eq!(error.code(), Some("invalid_request"), "{told}");
        assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{told}");
        assert!(!told.contains(subject), "{told}");
    }
    exchanged(&instead_of(&alice)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn what_the_server_will_not_issue_is_refused_with_its_code() {
    let alice = alice_signs_in("read").await;
    let grant = || instead_of(&alice);
    let nowhere = "https://nowhere.example";
    for (grant, code) in [
        (grant().with_audience("nowhere"), "invalid_target"),
        (grant().with_resource(nowhere).unwrap(), "invalid_target"),
        (grant().with_scopes("admin".parse().unwrap()), "invalid_scope"),
        (grant().with_requested_token_type(&TokenType::JWT).unwrap(), "invalid_request"),
        // It knows no actors.
        (grant().with_actor_token("actor-token", &TokenType::JWT).unwrap(), "invalid_request"),
        // Hers has no `offline_access`.
        (grant().with_requested_token_type(&TokenType::REFRESH_TOKEN).unwrap(), "invalid_request"),
    ] {
        let error = exchanged(&grant).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)), "{error}");
        assert!(!error.is_transient());
    }
    for (client, code, status) in [
        (ClientAuthentication::basic("gateway", "hunter2"), "invalid_client", 401),
        // One that may not exchange.
        (client("front"), "invalid_request", 400),
    ] {
        let endpoint = TokenEndpoint::from_issuer(&idpyoidc(), client, Transport::https()).unwrap();
        let error = within_limit(endpoint.fetch(&grant())).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)), "{error}");
        assert_eq!((error.status().unwrap().as_u16(), error.is_transient()), (status, false));
    }
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_refresh_token_is_exchanged_for_an_access_token_and_not_taken_for_one() {
    let alice = alice_signs_in("read offline_access").await;
    let refresh_token: &ClientSecret = alice.refresh_token().unwrap();
    let grant = Grant::token_exchange(refresh_token.clone(), &TokenType::REFRESH_TOKEN);
    let response = exchanged(&grant).await.unwrap();
    assert_eq!(response.issued_token_type(), Some(TokenType::ACCESS_TOKEN.as_str()));
    assert_eq!(introspected(response.access_token().expose()).await["client_id"], "gateway");

    // What comes as `access_token` is one that no API takes (RFC 8693 section 2.2.1).
    let wanted = instead_of(&alice).with_requested_token_type(&TokenType::REFRESH_TOKEN).unwrap();
    let error = exchanged(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("N_A"), "{error}");
}
