//! reqwest as its users use it: the layers as its middleware, and below the layers as a service.

use crate::resource::Issuer;
use axum::{
    Router,
    body::Bytes,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{
    StatusCode,
    header::{AUTHORIZATION, LOCATION, REFERER, WWW_AUTHENTICATE},
    request::Parts,
};
use http_body_util::Full;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_oauth2::{
    AccessToken, TokenLocation,
    client::{AddBearer, Error, ErrorKind, FromRequest, InsufficientScope, ReqwestService},
    testing::ManualClock,
};

/// An API on loopback that notes what it gets, and refuses the token `T1`.
#[derive(Clone, Default)]
struct Api {
    origin: String,
    seen: Arc<Mutex<Vec<(Parts, Bytes)>>>,
    /// Where `/away` leads.
    elsewhere: String,
}

impl Api {
    async fn start(elsewhere: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let api = Self { origin, elsewhere: elsewhere.to_owned(), ..Self::default() };
        let own = api.clone();
        let app = Router::new().fallback(move |request| own.clone().answer(request));
        tokio::spawn(async move { axum::serve(listener, app).await });
        api
    }

    async fn answer(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let is_refused = head.headers.get(AUTHORIZATION).is_some_and(|value| value == "Bearer T1");
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        self.seen.lock().unwrap().push((head, body.clone()));
        match path.as_str() {
            _ if is_refused => StatusCode::UNAUTHORIZED.into_response(),
            "/near" => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/there")]).into_response(),
            "/away" => {
                let elsewhere = format!("{}/stolen", self.elsewhere);
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, elsewhere)]).into_response()
            }
            // With the query, as servers do that add a slash or a language.
            "/copying" => {
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("/there?l=en&{query}"))])
                    .into_response()
            }
            "/circle" => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("/circle?{query}"))])
                .into_response(),
            "/never" => std::future::pending().await,
            "/scope" => {
                let challenge = r#"Bearer error="insufficient_scope", scope="more""#;
                (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
            }
            _ => body.into_response(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The tokens that came, with the bodies.
    fn seen(&self) -> Vec<(String, String)> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let text = |(head, body): (Parts, Bytes)| {
            let token = head.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
            (token.to_owned(), String::from_utf8(body.to_vec()).unwrap())
        };
        seen.into_iter().map(text).collect()
    }
}

fn reqwest() -> reqwest::Client {
    ReqwestService::build(reqwest::Client::builder().no_proxy()).unwrap().into_inner()
}

fn with(layer: impl Middleware) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest()).with(layer).build()
}

fn token(text: &str) -> AccessToken {
    AccessToken::new(text).unwrap()
}

fn pair(token: &str, body: &str) -> (String, String) {
    (token.to_owned(), body.to_owned())
}

/// The layer's error inside of the middleware's.
fn own(error: &reqwest_middleware::Error) -> &Error {
    let reqwest_middleware::Error::Middleware(error) = error else { panic!("{error}") };
    error.downcast_ref().unwrap()
}

#[tokio::test]
async fn a_rejected_token_is_replaced_and_the_body_in_memory_is_sent_again() {
    let api = Api::start("").await;
    let issuer = Issuer::of(["T1", "T2"]);
    let client = with(issuer.layer_for(&api.origin, &ManualClock::new()));
    let response = client.post(api.url("/x")).body("hello").send().await.unwrap();
    assert_eq!((response.status(), response.url().as_str()), (StatusCode::OK, &*api.url("/x")));
    assert!(response.remote_addr().is_some());
    assert_eq!(response.text().await.unwrap(), "hello");
    client.get(api.url("/x")).send().await.unwrap();
    assert_eq!(
        api.seen(),
        [pair("Bearer T1", "hello"), pair("Bearer T2", "hello"), pair("Bearer T2", "")]
    );
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_streamed_body_is_sent_once_and_its_token_is_rejected_all_the_same() {
    let api = Api::start("").await;
    let client = with(Issuer::of(["T1", "T2"]).layer_for(&api.origin, &ManualClock::new()));
    // Of a type that reqwest cannot look into.
    let stream = || reqwest::Body::wrap(Full::new(Bytes::from("streamed")));
    for status in [StatusCode::UNAUTHORIZED, StatusCode::OK] {
        let response = client.post(api.url("/x")).body(stream()).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(api.seen(), [pair("Bearer T1", "streamed"), pair("Bearer T2", "streamed")]);
}

#[tokio::test]
async fn a_call_elsewhere_fails_before_it_is_sent_and_a_credential_of_the_caller_stays() {
    let (api, other) = (Api::start("").await, Api::start("").await);
    for layer in [
        with(AddBearer::bearer("T2", api.origin.as_str()).unwrap()),
        with(AddBearer::from_source(token("T2"), api.origin.as_str()).unwrap()),
    ] {
        let error = layer.get(other.url("/x")).send().await.unwrap_err();
        assert_eq!(own(&error).kind(), ErrorKind::ForeignOrigin);
        layer.get(api.url("/x")).bearer_auth("mine").send().await.unwrap();
        layer.get(api.url("/x")).send().await.unwrap();
        assert_eq!(api.seen(), [pair("Bearer mine", ""), pair("Bearer T2", "")]);
    }
    assert_eq!(other.seen(), []);
}

#[tokio::test]
async fn redirects_are_followed_to_the_same_origin_only_and_without_a_referer() {
    let other = Api::start("").await;
    let api = Api::start(&other.origin).await;
    let key = TokenLocation::header("x-api-key").unwrap();
    let layer = AddBearer::from_source(token("S3CR3T"), api.origin.as_str()).unwrap();
    let client = with(layer.with_location(key));
    let response = client.get(api.url("/near")).send().await.unwrap();
    assert_eq!((response.status(), response.url().path()), (StatusCode::OK, "/there"));
    for (head, _) in api.seen.lock().unwrap().drain(..) {
        assert_eq!(head.headers["x-api-key"], "S3CR3T");
        assert!(!head.headers.contains_key(REFERER));
    }
    let response = client.get(api.url("/away")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(other.seen(), []);
}

#[tokio::test]
async fn a_token_in_the_query_shows_in_no_url_and_in_no_error() {
    let api = Api::start("").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let origins = [api.origin.as_str(), closed.as_str()];
    let layer = AddBearer::from_source(token("S3CR3T"), origins).unwrap();
    let client = with(layer.with_location(TokenLocation::Query));
    let response = client.get(api.url("/scope?a=b")).send().await.unwrap();
    assert_eq!(response.url().as_str(), api.url("/scope?a=b"));
    assert!(response.extensions().get::<InsufficientScope>().is_some());
    let errors = [
        response.error_for_status().map(drop).unwrap_err().into(),
        client.get(format!("{closed}/x?a=b")).send().await.unwrap_err(),
    ];
    for error in errors {
        let text = format!("{error} {error:?}");
        assert!(text.contains("?a=b") && !text.contains("S3CR3T"), "{text}");
    }
    let (head, _) = api.seen.lock().unwrap().remove(0);
    assert_eq!(head.uri.query(), Some("a=b&access_token=S3CR3T"));
}

/// Wraps errors, as middleware for retries does.
struct Wrapping;

#[async_trait::async_trait]
impl Middleware for Wrapping {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        next.run(request, extensions).await.map_err(reqwest_middleware::Error::middleware)
    }
}

#[tokio::test]
async fn a_token_in_the_query_shows_in_no_wrapped_error_and_in_no_url_after_a_redirect() {
    let other = Api::start("").await;
    let api = Api::start(&other.origin).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let layer = || {
        let origins = [api.origin.as_str(), closed.as_str()];
        let layer = AddBearer::from_source(token("S3CR3T"), origins).unwrap();
        layer.with_location(TokenLocation::Query)
    };
    // The second follows redirects everywhere, as reqwest does by itself.
    let usual = reqwest::Client::builder().no_proxy().build().unwrap();
    for below in [reqwest(), usual] {
        let client = ClientBuilder::new(below.clone()).with(layer()).with(Wrapping).build();
        let error = client.get(format!("{closed}/x?a=b")).send().await.unwrap_err();
        assert_absent(&error);
        assert_eq!(own(&error).kind(), ErrorKind::Source);
        let bare = ClientBuilder::new(below).with(layer()).build();
        for client in [client, bare] {
            let response = client.get(api.url("/copying?a=b")).send().await.unwrap();
            assert_eq!(response.url().as_str(), api.url("/there?l=en&a=b"));
            let (head, _) = api.seen.lock().unwrap().pop().unwrap();
            assert_eq!(head.uri.query(), Some("l=en&a=b&access_token=S3CR3T"));
            if let Err(error) = client.get(api.url("/circle?a=b")).send().await {
                assert_absent(&error);
            }
        }
    }
    let response = with(layer()).get(api.url("/away?a=b")).send().await.unwrap();
    assert_eq!(response.url().as_str(), api.url("/away?a=b"));
    assert_eq!(other.seen(), []);
}

#[track_caller]
fn assert_absent(error: &reqwest_middleware::Error) {
    let mut texts = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        texts += &format!("{error} {error:?}");
        cause = error.source();
    }
    assert!(!texts.contains("S3CR3T"), "{texts}");
}

/// Counts the requests that pass.
struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Middleware for Counting {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0.fetch_add(1, Ordering::SeqCst);
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn middleware_above_sees_one_call_and_middleware_below_each_attempt() {
    let api = Api::start("").await;
    let [above, below] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let client = ClientBuilder::new(reqwest())
        .with(Counting(above.clone()))
        .with(Issuer::of(["T1", "T2"]).layer_for(&api.origin, &ManualClock::new()))
        .with(Counting(below.clone()))
        .build();
    client.get(api.url("/x")).send().await.unwrap();
    assert_eq!([above, below].map(|count| count.load(Ordering::SeqCst)), [1, 2]);
}

#[derive(Clone)]
struct User(&'static str);

#[tokio::test]
async fn the_source_sees_the_extensions_of_the_request_and_its_timeout_holds() {
    let api = Api::start("").await;
    let of_user = FromRequest::new(|head| {
        let user = head.extensions().get().map(|User(name)| token(name));
        async move { user.ok_or("nobody is signed in") }
    });
    let client = with(AddBearer::from_source(of_user, api.origin.as_str()).unwrap());
    client.get(api.url("/x")).with_extension(User("alice")).send().await.unwrap();
    assert_eq!(api.seen(), [pair("Bearer alice", "")]);
    let error = client.get(api.url("/x")).send().await.unwrap_err();
    assert_eq!(own(&error).kind(), ErrorKind::Source, "{error}");
    let hanging = client.get(api.url("/never")).with_extension(User("alice"));
    let error = hanging.timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[tokio::test]
async fn reqwest_below_a_layer_is_a_service_whose_errors_have_no_url() {
    let api = Api::start("").await;
    let service = ReqwestService::build(reqwest::Client::builder().no_proxy()).unwrap();
    let client =
        Issuer::of(["T1", "T2"]).layer_for(&api.origin, &ManualClock::new()).layer(service);
    let request = http::Request::post(api.url("/x")).body(Full::new(Bytes::from("body"))).unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(api.seen(), [pair("Bearer T1", "body"), pair("Bearer T2", "body")]);

    let service = ReqwestService::build(reqwest::Client::builder().no_proxy()).unwrap();
    let in_query = AddBearer::from_source(token("S3CR3T"), api.origin.as_str()).unwrap();
    let client = in_query.with_location(TokenLocation::Query).layer(service);
    for path in ["/scope?a=b", "/copying?a=b"] {
        let request = http::Request::get(api.url(path)).body(Full::<Bytes>::default()).unwrap();
        let response = reqwest::Response::from(client.clone().oneshot(request).await.unwrap());
        let shown =
            format!("{} {response:?} {:?}", response.url(), response.error_for_status_ref());
        assert!(!shown.contains("S3CR3T"), "{shown}");
    }

    let service = ReqwestService::build(reqwest::Client::builder().no_proxy()).unwrap();
    for uri in ["/relative?access_token=S3CR3T", "http://127.0.0.1:1/?access_token=S3CR3T"] {
        let request = http::Request::get(uri).body(Full::<Bytes>::default()).unwrap();
        let error = service.clone().oneshot(request).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("S3CR3T"), "{error:?}");
    }
}
