//! The body that `RenderRefusals` gives to a refusal, and whose length its head has.

use crate::{
    raw::Server,
    require_token::{Body, TOKEN, bearer, echo, layer, tokens, typed},
};
use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken,
    server::{Authenticated, RenderRefusals, RequireToken},
    validate::{Principal, Rejection, StaticTokens, Validated},
};

/// The refusal of `token` as `RenderRefusals` gives it, with its body.
async fn rendered(
    render: RenderRefusals,
    layer: RequireToken<StaticTokens>,
    request: Request<Body>,
) -> Response<Bytes> {
    let response = render.layer(layer.layer(service_fn(echo))).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_problem_keeps_status_and_challenge() {
    let plain = layer().layer(service_fn(echo)).oneshot(bearer("tok-unknown")).await.unwrap();
    let response = rendered(RenderRefusals::problem_json(), layer(), bearer("tok-unknown")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let mut headers = response.headers().clone();
    assert_eq!(headers.remove(header::CONTENT_TYPE).unwrap(), "application/problem+json");
    assert_eq!(&headers, plain.headers());
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let expected = serde_json::json!({
        "title": "Unauthorized",
        "status": 401,
        "detail": "the access token is not known",
    });
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn a_problem_tells_no_more_than_its_layer() {
    let tokens = tokens();
    let expired = Principal::new("carol").with_expiry(std::time::UNIX_EPOCH);
    tokens.insert("tok-expired", expired).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap();
    let mut bodies = Vec::new();
    for token in ["tok-expired", "tok-unknown"] {
        let render = RenderRefusals::problem_json();
        bodies.push(
            rendered(render, layer.clone().with_terse_refusals(), bearer(token)).await.into_body(),
        );
    }
    assert_eq!(bodies[0], bodies[1]);
    let judge = async |_: AccessToken| Err::<Validated, _>(Rejection::internal("relation users"));
    let layer = RequireToken::new("api", judge).unwrap();
    let service = RenderRefusals::problem_json().layer(layer.layer(service_fn(echo)));
    let response = service.oneshot(bearer(TOKEN)).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("users"));
}

#[tokio::test]
async fn answers_of_the_inner_service_and_of_grpc_are_not_rendered() {
    let grpc = || typed("POST", Version::HTTP_2, "application/grpc");
    let response = rendered(RenderRefusals::problem_json(), layer(), grpc()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
    assert!(response.body().is_empty());
    let without = layer().without_grpc();
    let response = rendered(RenderRefusals::problem_json(), without, grpc()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(!response.body().is_empty());
    let good = bearer(TOKEN).map(|_: Body| Body::from("mine"));
    let response = rendered(RenderRefusals::problem_json(), layer(), good).await;
    assert_eq!(response.body(), "mine");
}

#[tokio::test]
async fn a_problem_takes_the_place_of_a_body_whose_length_is_in_the_head() {
    // axum names the length of what a handler refuses with.
    let app = Router::new()
        .route("/r", get(async |_: Authenticated| {}))
        .route_layer(layer().allow_anonymous());
    let server = Server::start(RenderRefusals::problem_json().layer(app)).await;
    let reply = server.send("GET /r", &[]).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.values("content-type"), ["application/problem+json"]);
    assert!(reply.body.contains("no access token was presented"), "{reply:?}");
}

#[tokio::test]
async fn a_problem_is_not_encoded_as_the_body_that_it_replaces() {
    let encoded = service_fn(async |_: Request<Body>| {
        let mut response = Response::new(Body::from("\u{1f}"));
        response.extensions_mut().insert(Rejection::unknown());
        response.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        Ok::<_, std::convert::Infallible>(response)
    });
    let service = RenderRefusals::problem_json().layer(encoded);
    let response = service.oneshot(bearer(TOKEN)).await.unwrap();
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_problem_in_answer_to_head_has_no_body() {
    let request = Request::head("/r").body(Body::default()).unwrap();
    let response = rendered(RenderRefusals::problem_json(), layer(), request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(response.body().is_empty());
}
