//! Both layers on real stacks over loopback: hyper, axum, tonic and reqwest.

use crate::{
    leaks::traced,
    peers::{BoxError, LIMIT, Reqwest, Server, call_grpc},
};
use axum::{
    Extension, Router,
    extract::{OriginalUri, Request as AxumRequest},
    routing::get,
};
use bytes::Bytes;
use http::{Extensions, Request, Response, StatusCode, header::LOCATION};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{convert::Infallible, error::Error as StdError, future::ready, iter::successors};
use tokio::time::timeout;
use tonic::{Code, Status, client::Grpc, transport::Channel};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{follow_redirect::FollowRedirectLayer, trace::TraceLayer};
use tower_oauth2::{
    AccessToken, Challenge, TokenLocation,
    client::{AddBearer, Error, ErrorKind},
    server::{Authenticated, RequireScope, RequireToken},
    validate::{Principal, StaticTokens},
};

/// Alice's, who may read.
const ALICE: &str = "mF_9.B5f-4.1JqM";
/// Bob's, who may write too.
const BOB: &str = "b-._~+/b==";

fn placements() -> [TokenLocation; 5] {
    [
        TokenLocation::Bearer,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("x-token", "Token").unwrap(),
    ]
}

/// The guard of every server here.
fn guard() -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    for (token, subject, scopes) in [(ALICE, "alice", "read"), (BOB, "bob", "read write")] {
        let principal = Principal::new(subject).with_scopes(scopes.parse().unwrap());
        tokens.insert(token, principal).unwrap();
    }
    RequireToken::new("api", tokens).unwrap().with_locations(placements()).unwrap()
}

/// Who asks, and how they presented their token.
fn who(extensions: &Extensions) -> String {
    let authenticated = extensions.get::<Authenticated>().unwrap();
    format!("{} by {}", authenticated.principal().subject().unwrap(), authenticated.location())
}

/// A guarded server without a framework.
async fn hyper_server() -> Server {
    let answer = |request: Request<Incoming>| {
        let text = format!("{} at {}", who(request.extensions()), request.uri().path());
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text))))
    };
    Server::start(guard().layer(service_fn(answer))).await
}

fn hyper_client(http2: bool) -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).http2_only(http2).build_http()
}

/// What `client` gets from `server` at `path`.
async fn fetch<S, B>(client: S, server: &Server, path: &str) -> Result<Response<String>, S::Error>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    B: Body<Error: std::fmt::Debug>,
{
    let request = Request::get(format!("{}{path}", server.origin())).body(Full::default());
    let exchange = async {
        let (parts, body) = client.oneshot(request.unwrap()).await?.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap()))
    };
    timeout(LIMIT, exchange).await.unwrap()
}

#[tokio::test]
async fn hyper_client_and_server_agree_on_every_placement_over_http_1_and_2() {
    let server = hyper_server().await;
    for http2 in [false, true] {
        let client = hyper_client(http2);
        for location in placements() {
            let expected = format!("bob by {location} at /calls");
            let fixed =
                AddBearer::bearer(BOB, server.origin()).unwrap().with_location(location.clone());
            let source = AddBearer::from_source(async || AccessToken::new(BOB), server.origin());
            let fixed = fixed.unwrap().layer(client.clone());
            let source = source.unwrap().with_location(location).layer(client.clone());
            let answer = fetch(fixed, &server, "/calls?page=2").await.unwrap();
            assert_eq!(answer.into_body(), expected.as_str());
            let answer = fetch(source, &server, "/calls?page=2").await.unwrap();
            assert_eq!(answer.into_body(), expected.as_str());
        }
    }
}

#[tokio::test]
async fn a_hyper_client_reads_the_challenge_of_a_refusal() {
    let server = hyper_server().await;
    let layer = AddBearer::bearer("unknown", server.origin()).unwrap();
    let refusal = fetch(layer.layer(hyper_client(false)), &server, "/calls").await.unwrap();
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    let challenges = Challenge::from_headers(refusal.headers());
    assert_eq!(challenges[0].param("error"), Some("invalid_token"));
    assert!(challenges[1].is_scheme("basic"));
    assert_eq!(refusal.body(), "");
}

#[tokio::test]
async fn an_axum_handler_reads_the_claims_and_only_route_layer_leaves_unknown_paths_alone() {
    let whose = async |Extension(authenticated): Extension<Authenticated>| {
        authenticated.principal().subject().unwrap().to_owned()
    };
    let router = || Router::new().route("/calls", get(whose));
    for (router, unknown) in [
        (router().layer(guard()), StatusCode::UNAUTHORIZED),
        (router().route_layer(guard()), StatusCode::NOT_FOUND),
    ] {
        let server = Server::start(router).await;
        let anonymous = hyper_client(false);
        let layer = AddBearer::bearer(ALICE, server.origin()).unwrap();
        let client = layer.layer(anonymous.clone());
        let answer = fetch(client.clone(), &server, "/calls").await.unwrap();
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, "alice"));
        let answer = fetch(client, &server, "/unknown").await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let refusal = fetch(anonymous.clone(), &server, "/calls").await.unwrap();
        assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
        let refusal = fetch(anonymous, &server, "/unknown").await.unwrap();
        assert_eq!(refusal.status(), unknown);
    }
}

#[tokio::test]
async fn the_scope_of_an_axum_route_is_asked_for_below_the_token() {
    let router = Router::new()
        .route("/write", get(|| async { "written" }))
        .route_layer(RequireScope::all_of(["write"]).unwrap())
        .route("/read", get(|| async { "read" }))
        .route_layer(guard());
    let server = Server::start(router).await;
    for (token, path, status) in
        [(ALICE, "/read", 200), (ALICE, "/write", 403), (BOB, "/read", 200), (BOB, "/write", 200)]
    {
        let layer = AddBearer::bearer(token, server.origin()).unwrap();
        let answer = fetch(layer.layer(hyper_client(false)), &server, path).await.unwrap();
        assert_eq!(answer.status(), status, "{token} {path}");
        let asked = Challenge::from_headers(answer.headers()).first().and_then(Challenge::scope);
        assert_eq!(
            asked.map(|scope| scope.to_string()).as_deref(),
            (status == 403).then_some("write")
        );
    }
}

#[tokio::test]
async fn around_the_whole_router_neither_handler_nor_log_sees_the_token_of_the_query() {
    let seen = async |OriginalUri(original): OriginalUri, request: AxumRequest| {
        format!("{} and {original}, {:?}", request.uri(), request.headers())
    };
    let router: Router = Router::new().route("/calls", get(seen)).layer(TraceLayer::new_for_http());
    let server = Server::start(guard().layer(router)).await;
    let layer = AddBearer::bearer(ALICE, server.origin()).unwrap();
    let client = layer.with_location(TokenLocation::Query).unwrap().layer(hyper_client(false));
    let (answer, log) = traced(fetch(client, &server, "/calls?page=2")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["cache-control"], "private");
    let seen = answer.into_body();
    assert!(seen.starts_with("/calls?page=2 and /calls?page=2, "), "{seen}");
    assert!(log.contains("started processing request") && log.contains("/calls?page=2"), "{log}");
    for text in [seen, log] {
        assert!(!text.contains(ALICE) && !text.contains("access_token"), "{text}");
    }
}

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(server.origin()).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_tonic_client_carries_the_token_with_and_without_an_origin() {
    let server = Server::grpc(guard(), who).await;
    let channel = channel(&server).await;
    let fixed = AddBearer::bearer(ALICE, server.origin()).unwrap().layer(channel.clone());
    let source = AddBearer::from_source(async || AccessToken::new(ALICE), server.origin());
    let source = source.unwrap().layer(channel);
    let origin = || server.origin().parse().unwrap();
    for answer in [
        call_grpc(Grpc::new(fixed.clone())).await,
        call_grpc(Grpc::with_origin(fixed, origin())).await,
        call_grpc(Grpc::new(source.clone())).await,
        call_grpc(Grpc::with_origin(source, origin())).await,
    ] {
        assert_eq!(answer.unwrap(), "alice by the Authorization header");
    }
}

#[tokio::test]
async fn a_tonic_client_whose_origin_is_another_sends_nothing() {
    let server = Server::grpc(guard(), who).await;
    let layer = AddBearer::bearer(ALICE, server.origin()).unwrap();
    let origin = "https://other.example".parse().unwrap();
    let client = Grpc::with_origin(layer.layer(channel(&server).await), origin);
    let status = call_grpc(client).await.unwrap_err();
    assert_eq!(kind(&status), Some(ErrorKind::ForeignOrigin));
}

#[tokio::test]
async fn a_tonic_client_reads_refusals_as_the_codes_of_grpc() {
    let scope = RequireScope::all_of(["write"]).unwrap();
    let layers = ServiceBuilder::new().layer(guard()).layer(scope).into_inner();
    let server = Server::grpc(layers, who).await;
    let channel = channel(&server).await;
    let refused: Status = call_grpc(Grpc::new(channel.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.metadata().get("www-authenticate").unwrap(), "Bearer realm=\"api\"");
    let with = |token| AddBearer::bearer(token, server.origin()).unwrap().layer(channel.clone());
    let refused = call_grpc(Grpc::new(with("unknown"))).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unauthenticated, "the access token is not known")
    );
    let refused = call_grpc(Grpc::new(with(ALICE))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(call_grpc(Grpc::new(with(BOB))).await.is_ok());
}

/// `error` and what caused it.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// The kind of the crate's own error among them.
fn kind(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    chain(error).find_map(|error| error.downcast_ref::<Error>()).map(Error::kind)
}

// case: tow-05
#[tokio::test]
async fn reqwest_below_an_adapter_carries_the_token_in_every_placement() {
    let server = hyper_server().await;
    for location in placements() {
        let expected = format!("bob by {location} at /calls");
        let layer =
            AddBearer::bearer(BOB, server.origin()).unwrap().with_location(location).unwrap();
        let answer = fetch(layer.layer(Reqwest::new()), &server, "/calls?page=2").await.unwrap();
        assert_eq!(answer.into_body(), expected);
    }
}

// case: tow-05
#[tokio::test]
async fn the_error_of_reqwest_stays_reachable_and_shows_no_token() {
    let server = Server::hanging_up().await;
    for location in placements() {
        let fixed =
            AddBearer::bearer(ALICE, server.origin()).unwrap().with_location(location.clone());
        let source = AddBearer::from_source(async || AccessToken::new(ALICE), server.origin());
        let fixed = fixed.unwrap().layer(Reqwest::new());
        let source = source.unwrap().with_location(location).layer(Reqwest::new());
        let errors: [BoxError; 2] = [
            fetch(fixed, &server, "/calls").await.unwrap_err(),
            fetch(source, &server, "/calls").await.unwrap_err(),
        ];
        for error in errors {
            let text = chain(&*error)
                .map(|error| format!("{error} {error:?} {error:#?}\n"))
                .collect::<String>();
            assert!(!text.contains(ALICE) && !text.contains("access_token"), "{text}");
            assert!(error.downcast::<reqwest::Error>().unwrap().is_request(), "{text}");
        }
    }
}

#[tokio::test]
async fn a_redirect_below_reqwest_is_left_to_the_layers_above() {
    let elsewhere = hyper_server().await;
    let location = format!("{}/calls", elsewhere.origin());
    let home = Server::start(service_fn(move |request: Request<Incoming>| {
        assert!(request.headers().contains_key("authorization"));
        let response = Response::builder().status(307).header(LOCATION, &location);
        ready(response.body(Full::<Bytes>::default()))
    }))
    .await;
    let layer = AddBearer::bearer(ALICE, home.origin()).unwrap();
    let client = layer.clone().layer(Reqwest::new());
    let answer = fetch(client.clone(), &home, "/").await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);

    let following = FollowRedirectLayer::new();
    let error = fetch(following.layer(client), &home, "/").await.unwrap_err();
    assert_eq!(kind(&*error), Some(ErrorKind::ForeignOrigin));

    let anonymous = following.layer(layer.allow_other_origins().layer(Reqwest::new()));
    let refusal = fetch(anonymous, &home, "/").await.unwrap();
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(Challenge::from_headers(refusal.headers())[0].param("error"), None);
}
