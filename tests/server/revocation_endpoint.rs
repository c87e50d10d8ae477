//! Where clients give tokens back, as RFC 7009 says.

use axum::{Router, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use std::{
    future::ready,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tower::{Service, ServiceExt};
use tower_oauth2::{
    server::{
        ClientCredentials, EndpointBody, RequireToken, RevocationEndpoint, RevocationError,
        RevokeRequest,
    },
    validate::{Principal, Revocations, StaticTokens},
};

type Call = (String, String, Option<String>);

/// Knows `app` with its secret and `open` without one; fails for `down`.
async fn authenticate(client: ClientCredentials) -> Result<(), RevocationError> {
    match (client.client_id(), client.secret().map(|secret| secret.expose())) {
        ("app", Some("s+c%72t")) | ("open", None) => Ok(()),
        ("down", _) => Err(RevocationError::unavailable(Some(Duration::from_millis(1500)))),
        _ => Err(RevocationError::invalid_client()),
    }
}

#[tokio::test]
async fn a_secret_is_the_presented_one_or_it_is_not() {
    for (expected, presented, holds) in [
        ("s3cr3t", "s3cr3t", true),
        ("s3cr3t", "s3cr3", false),
        ("s3cr3t", "s3cr3t2", false),
        ("s3cr3t", "S3cr3t", false),
        ("s3cr3t", "", false),
        ("", "", false),
        ("", "s3cr3t", false),
    ] {
        let authenticate = move |client: ClientCredentials| {
            ready(match client.has_secret(&expected.into()) {
                true => Ok(()),
                false => Err(RevocationError::invalid_client()),
            })
        };
        let endpoint = RevocationEndpoint::from_revocations(authenticate, Revocations::new());
        let form = format!("client_id=app&client_secret={presented}&token=t");
        let request =
            Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Full::<Bytes>::from(form)).unwrap();
        let response = endpoint.oneshot(request).await.unwrap();
        assert_eq!(response.status() == StatusCode::OK, holds, "{expected:?} {presented:?}");
    }
}

/// An endpoint, and what it was asked to revoke.
fn endpoint() -> (impl Endpoint, Arc<Mutex<Vec<Call>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = calls.clone();
    let endpoint = RevocationEndpoint::new(authenticate, move |request: RevokeRequest| {
        let hint = request.token_type_hint().map(str::to_owned);
        let call = (request.client_id().into(), request.expose_token().into(), hint);
        noted.lock().unwrap().push(call);
        let done = match request.expose_token() {
            "another's" => Err(RevocationError::unauthorized_client()),
            "unsupported" => Err(RevocationError::unsupported_token_type()),
            "unsure" => Err(RevocationError::unavailable(None)),
            _ => Ok(()),
        };
        async move { done }
    });
    (endpoint.with_form_limit(200), calls)
}

trait Endpoint:
    Service<
        Request<Full<Bytes>>,
        Response = Response<EndpointBody>,
        Error = std::convert::Infallible,
    > + Clone
{
}

impl<S> Endpoint for S where
    S: Service<
            Request<Full<Bytes>>,
            Response = Response<EndpointBody>,
            Error = std::convert::Infallible,
        > + Clone
{
}

fn basic(user: &str, password: &str) -> String {
    format!("bASIC {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn post(authorization: &[&str], form: &str) -> Request<Full<Bytes>> {
    let mut request = Request::post("/revoke?token=not-read")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
        .body(Full::from(form.to_owned()))
        .unwrap();
    for value in authorization {
        request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
    }
    request
}

/// The status, and the error where there is one.
async fn answer(
    endpoint: &impl Endpoint,
    request: Request<Full<Bytes>>,
) -> (u16, Option<String>, http::HeaderMap) {
    let response = endpoint.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let error = (!body.is_empty()).then(|| {
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
        let json: Value = serde_json::from_slice(&body).unwrap();
        json["error"].as_str().unwrap().to_owned()
    });
    (head.status.as_u16(), error, head.headers)
}

#[tokio::test]
async fn a_token_that_is_given_back_is_handed_to_who_revokes() {
    let (endpoint, calls) = endpoint();
    let app = basic("app", "s%2Bc%2572t");
    for (authorization, form, client, token, hint) in [
        (vec![&*app], "token=a%2Bb+c", "app", "a+b c", None),
        (vec![&app], "token=t&client_id=app&x=y&x=z", "app", "t", None),
        (vec![], "token=t&client_id=app&client_secret=s%2Bc%2572t", "app", "t", None),
        (vec![], "token_type_hint=refresh_token&token=t&client_id=open", "open", "t", Some("r")),
        (vec![], "token=t&client_id=open&client_secret=&token_type_hint=", "open", "t", Some("")),
    ] {
        assert_eq!(answer(&endpoint, post(&authorization, form)).await.0, 200, "{form}");
        let hint = hint.map(|hint| if hint == "r" { "refresh_token" } else { hint }.to_owned());
        let call = calls.lock().unwrap().pop().unwrap();
        assert_eq!(call, (client.to_owned(), token.to_owned(), hint), "{form}");
    }
}

#[tokio::test]
async fn who_is_no_client_is_told_how_to_authenticate_and_revokes_nothing() {
    let (endpoint, calls) = endpoint();
    let (wrong, open) = (basic("app", "wrong"), basic("open", "x"));
    for (authorization, form) in [
        (vec![&*wrong], "token=t"),
        (vec![&open], "token=t"),
        (vec!["Bearer x"], "token=t&client_id=open"),
        (vec!["Basic %"], "token=t&client_id=open"),
        (vec!["Basic"], "token=t"),
        (vec!["Basic b3Blbg=="], "token=t"),
        (vec!["Basic /zo="], "token=t"),
        (vec!["Basic Og=="], "token=t"),
        (vec![], "token=t"),
        (vec![], "token=t&client_id="),
        (vec![], "token=t&client_id=app"),
        // The client before the token.
        (vec![], "client_id=app"),
        (vec![], "client_id=app&token=a&token=b"),
    ] {
        let (status, error, headers) = answer(&endpoint, post(&authorization, form)).await;
        assert_eq!((status, error.as_deref()), (401, Some("invalid_client")), "{form}");
        let challenge = &headers[header::WWW_AUTHENTICATE];
        assert!(challenge.to_str().unwrap().starts_with("Basic realm="), "{challenge:?}");
    }
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_request_of_rfc_7009_is_refused_without_a_guess() {
    let (endpoint, calls) = endpoint();
    let app = basic("app", "s%2Bc%2572t");
    for (authorization, form) in [
        (vec![&*app, &app], "token=t"),
        (vec![&app], "token=t&client_secret=s%2Bc%2572t"),
        (vec![&app], "token=t&client_id=open"),
        (vec![], "token=t&client_id=open&client_id=open"),
        (vec![&app], ""),
        (vec![&app], "token="),
        (vec![&app], "token=a&token=a"),
        (vec![&app], "token=a&token_type_hint=x&token_type_hint=x"),
    ] {
        let (status, error, _) = answer(&endpoint, post(&authorization, form)).await;
        assert_eq!((status, error.as_deref()), (400, Some("invalid_request")), "{form}");
    }
    let mut json = post(&[&app], "token=t");
    json.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(answer(&endpoint, json).await.0, 400);
    for method in [http::Method::GET, http::Method::PUT, http::Method::DELETE] {
        let mut request = post(&[&app], "token=t");
        *request.method_mut() = method;
        let (status, error, headers) = answer(&endpoint, request).await;
        assert_eq!((status, error, &headers[header::ALLOW]), (405, None, &"POST".parse().unwrap()));
    }
    let long = format!("token={}", "t".repeat(195));
    let (status, error, _) = answer(&endpoint, post(&[&app], &long)).await;
    assert_eq!((status, error.as_deref()), (413, Some("invalid_request")));
    assert!(calls.lock().unwrap().is_empty());
    assert_eq!(answer(&endpoint, post(&[&app], &long[..200])).await.0, 200);
}

#[tokio::test]
async fn who_revokes_may_refuse_or_not_know() {
    let (endpoint, _) = endpoint();
    for (token, status, error) in [
        ("another's", 400, Some("unauthorized_client")),
        ("unsupported", 400, Some("unsupported_token_type")),
        ("unsure", 503, None),
        ("nobody knows it", 200, None),
    ] {
        let form = format!("token={token}&client_id=open");
        let (got, told, headers) = answer(&endpoint, post(&[], &form)).await;
        assert_eq!((got, told.as_deref()), (status, error), "{token}");
        let retry_after = headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
        assert_eq!(retry_after, (status == 503).then_some("5"), "{token}");
    }
    let (status, error, headers) = answer(&endpoint, post(&[], "token=t&client_id=down")).await;
    assert_eq!((status, error), (503, None), "an outage is no refusal");
    assert_eq!(headers[header::RETRY_AFTER], "2");
}

/// Breaks off after one frame.
struct Broken(bool);

impl Body for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(match std::mem::replace(&mut self.0, true) {
            false => Ok(Frame::data(Bytes::from_static(b"token=t&client_id=open"))),
            true => Err(io::Error::other("reset")),
        }))
    }
}

#[tokio::test]
async fn half_a_form_revokes_nothing() {
    let endpoint = RevocationEndpoint::new(authenticate, async |_| panic!("half a token"));
    let response = endpoint.oneshot(post(&[], "").map(|_| Broken(false))).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

/// One server over a socket, another client: a token works, is given back, works no longer.
#[tokio::test]
async fn a_token_that_is_given_back_over_a_socket_is_refused_by_the_next_request() {
    let tokens = StaticTokens::new();
    for token in ["mF_9.B5f-4.1JqM", "another"] {
        tokens.insert(token, Principal::new("alice")).unwrap();
    }
    let revocations = Revocations::new().with_capacity(1);
    let require = RequireToken::new("api", revocations.guard(tokens)).unwrap();
    let endpoint = RevocationEndpoint::from_revocations(authenticate, revocations);
    let app = Router::new()
        .route("/calls", get(|| async { "the calls" }))
        .route_layer(require)
        .route_service("/revoke", endpoint);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, app).into_future());

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = async |token: &str| {
        let request = client.get(format!("{home}/calls")).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let give_back = async |token: &str| {
        let request = client
            .post(format!("{home}/revoke"))
            .basic_auth("app", Some("s%2Bc%2572t"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("token={token}&token_type_hint=access_token"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(call("mF_9.B5f-4.1JqM").await, 200);
    assert_eq!(give_back("mF_9.B5f-4.1JqM").await, 200);
    assert_eq!(call("mF_9.B5f-4.1JqM").await, 401);
    assert_eq!(give_back("mF_9.B5f-4.1JqM").await, 200, "twice is once");
    assert_eq!(give_back("another").await, 503, "the list is full, and says so");
    assert_eq!(call("another").await, 200);
    server.abort();
}

/// What is put at a path may be dropped at any time, and asks nobody before it is polled.
#[tokio::test]
async fn a_call_that_is_dropped_revokes_nothing() {
    let (mut endpoint, calls) = endpoint();
    drop(endpoint.call(post(&[], "token=t&client_id=open")));
    assert!(calls.lock().unwrap().is_empty());
}
