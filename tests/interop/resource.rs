//! Both halves at once: a token of a foreign authorization server, put on by the client's layer,
//! asked for by the server's, judged by the authorization server that issued it.

use crate::{
    peers::{django, endpoint, oidc_provider, post_token, secret_of},
    raw::Server,
    system::{self, ApiClient},
};
use axum::{Router, routing::get};
use http::StatusCode;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tower::Layer;
use tower_oauth2::{
    AccessToken, ClientAuthentication,
    client::{ClientCredentialsRefresh, InsufficientScope, TokenResponse},
    server::{Authenticated, RequireScope, RequireToken},
    validate::{Principal, Rejection, Validated},
};

/// An authorization server to whom tokens can be shown, and who ends them.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) token: String,
    pub(crate) introspect: String,
    revoke: String,
    pub(crate) client: [String; 2],
    pub(crate) resource_server: [String; 2],
}

pub(crate) fn provider_peer() -> Peer {
    let at = oidc_provider();
    Peer {
        token: format!("{at}/token"),
        introspect: format!("{at}/token/introspection"),
        revoke: format!("{at}/token/revocation"),
        client: ["svc-basic".into(), secret_of("svc-basic")],
        resource_server: ["rs".into(), secret_of("rs")],
    }
}

pub(crate) fn django_peer() -> Peer {
    let at = django();
    Peer {
        token: format!("{at}/token/"),
        introspect: format!("{at}/introspect/"),
        revoke: format!("{at}/revoke_token/"),
        client: ["svc".into(), "svc-secret".into()],
        resource_server: ["rs".into(), "rs-secret".into()],
    }
}

impl Peer {
    /// Asks whose `token` is. Neither server says `sub` of a client's token.
    async fn judge(&self, token: &str) -> Result<Validated, Rejection> {
        let [id, secret] = &self.resource_server;
        let response = post_token(&self.introspect, id, secret, token).await;
        let answer: Value =
            serde_json::from_slice(response.body()).map_err(|_| Rejection::unavailable(None))?;
        let member = |name| answer.get(name).and_then(Value::as_str);
        if answer.get("active") != Some(&Value::Bool(true)) {
            return Err(Rejection::invalid("the authorization server does not know the token"));
        }
        let scopes = member("scope").unwrap_or_default().parse().unwrap();
        let client = member("client_id").unwrap();
        let principal = Principal::without_subject().with_client_id(client).with_scopes(scopes);
        Ok(Validated::from(principal))
    }

    /// Ends a token of the client.
    pub(crate) async fn revoke(&self, token: &AccessToken) {
        let [id, secret] = &self.client;
        let response = post_token(&self.revoke, id, secret, token.expose()).await;
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// A client of `api` that asks for the scope `read`.
    pub(crate) fn client_of(&self, api: &Server) -> ClientCredentialsRefresh {
        let [id, secret] = self.client.clone();
        let endpoint = endpoint(&self.token, ClientAuthentication::basic(id, secret));
        let layer = ClientCredentialsRefresh::new(endpoint, api.origin()).unwrap();
        layer.with_scopes("read".parse().unwrap())
    }
}

/// An API, and the tokens that it saw.
struct Api {
    server: Server,
    seen: Arc<Mutex<Vec<AccessToken>>>,
}

impl Api {
    async fn start(peer: &Peer) -> Self {
        let seen = Arc::<Mutex<Vec<AccessToken>>>::default();
        let (peer, tokens) = (peer.clone(), seen.clone());
        let judge = move |token: AccessToken| {
            tokens.lock().unwrap().push(token.clone());
            let peer = peer.clone();
            async move { peer.judge(token.expose()).await }
        };
        let who = async |who: Authenticated| who.principal().client_id().unwrap().to_owned();
        let router = Router::new()
            .route("/write", get(who))
            .route_layer(RequireScope::all_of(["write"]).unwrap())
            .route("/read", get(who))
            .route_layer(RequireToken::new("api", judge).unwrap());
        Self { server: Server::start(router).await, seen }
    }

    fn last_token(&self) -> AccessToken {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

async fn assert_end_to_end(peer: Peer) {
    let api = Api::start(&peer).await;
    let layer = peer.client_of(&api.server);
    let mut client = ApiClient::new(layer.layer(system::http()));
    let read = format!("{}/read", api.server.origin());
    for _ in 0..2 {
        let response = system::call(&mut client, &read).await.unwrap();
        assert_eq!((response.status(), response.body()), (StatusCode::OK, &peer.client[0]));
    }
    assert_eq!(layer.cache().status().fetches(), 1);

    // Another token would not help, and none is fetched.
    let write = format!("{}/write", api.server.origin());
    let response = system::call(&mut client, &write).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.extensions().get::<InsufficientScope>().is_some());
    assert_eq!(layer.cache().status().fetches(), 1);

    // The token is ended behind the client's back, and no caller notices.
    let revoked = api.last_token();
    peer.revoke(&revoked).await;
    let response = system::call(&mut client, &read).await.unwrap();
    assert_eq!((response.status(), response.body()), (StatusCode::OK, &peer.client[0]));
    assert_eq!(layer.cache().status().fetches(), 2);
    assert_ne!(api.last_token().expose(), revoked.expose());

    let line = format!("Authorization: Bearer {}", revoked.expose());
    let reply = api.server.send("GET /read", &[&line]).await;
    assert_eq!(reply.status, 401);
    assert!(reply.challenges().concat().contains(r#"error="invalid_token""#));
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_of_oidc_provider_opens_an_api_until_it_is_revoked() {
    assert_end_to_end(provider_peer()).await;
}

#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn a_token_of_django_opens_an_api_until_it_is_revoked() {
    assert_end_to_end(django_peer()).await;
}

/// Whose 401 and 403 are not of this crate's making.
#[tokio::test]
#[ignore = "needs the servers of tests/interop/run"]
async fn the_refusals_of_a_foreign_api_are_understood() {
    let (peer, at) = (django_peer(), django());
    let client = ClientAuthentication::basic("svc", "svc-secret");
    let layer = ClientCredentialsRefresh::new(endpoint(&peer.token, client), at.as_str()).unwrap();
    let mut client = ApiClient::new(layer.layer(system::http()));
    let response = system::call(&mut client, &format!("{at}/api/admin")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.extensions().get::<InsufficientScope>().is_some());
    let response = system::call(&mut client, &format!("{at}/api/read")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(layer.cache().status().fetches(), 1);

    layer.cache().store(&TokenResponse::new(AccessToken::new("made-up").unwrap()));
    let response = system::call(&mut client, &format!("{at}/api/read")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(layer.cache().status().fetches(), 2);
}
