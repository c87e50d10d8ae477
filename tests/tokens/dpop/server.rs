//! The authorization server of tests as a reader of proofs.

use super::{Server, key};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken,
    client::{AddBearer, Grant},
    server::{Dpop, RequireToken},
    testing::Quirk,
};

/// Sends `request` to the server. Returns the status, and the JSON of the body.
async fn sent(server: &Server, request: Request<Bytes>) -> (u16, Value) {
    let response = server.server.clone().oneshot(request.map(Full::new)).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A good token, and the request for it.
async fn fetched(server: &Server) -> (AccessToken, Request<Bytes>) {
    let response = server.app(&key()).fetch(&Grant::client_credentials()).await.unwrap();
    (response.access_token().clone(), server.server.last_token_request().unwrap())
}

#[tokio::test]
async fn a_proof_counts_once_for_its_url_and_alone() {
    let server = Server::new();
    let (_, request) = fetched(&server).await;
    let mut twice = request.clone();
    let proof = request.headers()["dpop"].clone();
    twice.headers_mut().append("dpop", proof);
    let mut elsewhere = request.clone();
    *elsewhere.uri_mut() = "https://as.example/other/token".parse().unwrap();
    let mut another_host = request.clone();
    *another_host.uri_mut() = "https://other.example/token".parse().unwrap();
    let mut none = request.clone();
    none.headers_mut().insert("dpop", "x".parse().unwrap());
    for (request, why) in [
        (request, "used before"),
        (twice, "two proofs"),
        (elsewhere, "htu"),
        (another_host, "htu"),
        (none, "JWS"),
    ] {
        let (status, answer) = sent(&server, request).await;
        assert_eq!((status, &answer["error"]), (400, &"invalid_dpop_proof".into()));
        let text = answer["error_description"].as_str().unwrap();
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_demands_proofs_refuses_requests_without_one_and_says_what_it_reads() {
    let server = Server::new();
    let (_, mut request) = fetched(&server).await;
    request.headers_mut().remove("dpop");
    assert_eq!(sent(&server, request.clone()).await.1["token_type"], "Bearer");
    server.server.enable(Quirk::DpopRequired);
    assert_eq!(sent(&server, request.clone()).await.1["error"], "invalid_request");
    server.server.disable(Quirk::DpopRequired);
    assert_eq!(sent(&server, request).await.0, 200);

    server.server.set_issuer("https://as.example");
    let uri = "https://as.example/.well-known/oauth-authorization-server";
    let (_, metadata) = sent(&server, Request::get(uri).body(Bytes::new()).unwrap()).await;
    let algorithms = metadata["dpop_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&"ES256".into()) && algorithms.contains(&"EdDSA".into()));
}

#[tokio::test]
async fn a_resource_server_learns_the_key_by_introspection_and_by_the_validator() {
    let server = Server::new();
    let key = key();
    let response = server.app(&key).fetch(&Grant::client_credentials()).await.unwrap();
    let token = response.access_token();
    let form = format!("client_id=app&client_secret=s&token={}", token.expose());
    let request = Request::post("https://as.example/introspect")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form));
    let (_, answer) = sent(&server, request.unwrap()).await;
    assert_eq!((&answer["active"], &answer["token_type"]), (&true.into(), &"DPoP".into()));
    assert_eq!(answer["cnf"]["jkt"], key.thumbprint());

    let minted = format!(r#"{{"sub":"alice","cnf":{{"jkt":"{}"}}}}"#, key.thumbprint());
    let minted = AccessToken::new(server.server.mint_opaque(&minted).unwrap()).unwrap();
    let layer = RequireToken::new("api", server.server.validator()).unwrap();
    let layer = layer.with_dpop(Dpop::new("https://api.example").unwrap());
    let api = layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    }));
    for (token, status) in [
        (token.clone(), 200),
        (minted.bound_to(&key).unwrap(), 200),
        (minted.bound_to(&super::key()).unwrap(), 401),
        (minted, 401),
    ] {
        let client = AddBearer::from_source(token, "https://api.example").unwrap();
        let client = client.with_clock(server.manual.clock()).layer(api.clone());
        let request = Request::get("https://api.example/r").body(String::new()).unwrap();
        assert_eq!(client.oneshot(request).await.unwrap().status(), status);
    }
}
