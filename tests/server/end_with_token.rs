//! A stream ends when the token of its request does.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    Algorithm, SigningKey,
    server::{EndWithToken, EndWithTokenBody, RequireToken},
    testing::{AuthorizationServer, JwtFormat, ManualClock},
    validate::{Cached, Jwks, JwtValidator, Principal, StaticTokens, TrustedIssuer, ValidateToken},
};

/// Says one word and then nothing for ever.
#[derive(Default)]
struct Endless {
    said: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.said, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"word")))))
    }
}

/// The answer to a request with the token `t` of `tokens`.
async fn answer<B: Body + Default>(
    tokens: &StaticTokens,
    clock: &ManualClock,
    body: fn() -> B,
) -> EndWithTokenBody<B> {
    answer_to("t", tokens.clone(), clock, body).await
}

/// The answer to a request with a token that `validator` finds good.
async fn answer_to<B: Body + Default>(
    token: &str,
    validator: impl ValidateToken,
    clock: &ManualClock,
    body: fn() -> B,
) -> EndWithTokenBody<B> {
    let inner = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(body()))));
    let require = RequireToken::new("api", validator).unwrap().with_clock(clock.clock());
    let layers = ServiceBuilder::new().layer(require).layer(EndWithToken::new()).into_inner();
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    let request = request.body(()).unwrap();
    let response = layers.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

#[expect(clippy::type_complexity, reason = "what a body answers")]
fn poll<B: Body + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::new().with_clock(clock.clock());
    let expiry = clock.clock().wall() + Duration::from_secs(60);
    tokens.insert("t", Principal::new("alice").with_expiry(expiry)).unwrap();
    let mut body = answer(&tokens, &clock, Endless::default).await;
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(poll(&mut body).is_pending());
    clock.advance(Duration::from_secs(59));
    assert!(poll(&mut body).is_pending() && !body.is_end_stream());
    clock.advance(Duration::from_secs(1));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert!(matches!(poll(&mut body), Poll::Ready(None)) && body.is_end_stream());
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_destroyed() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let body = answer(&tokens, &clock, Endless::default).await;
    let whole = tokio::spawn(body.collect());
    tokio::task::yield_now().await;
    assert!(!whole.is_finished());
    tokens.remove("t");
    assert_eq!(whole.await.unwrap().unwrap().to_bytes(), "word");
}

#[tokio::test]
async fn a_body_that_is_whole_before_arrives_whole_without_a_promised_length() {
    let clock = ManualClock::new();
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let body = answer(&tokens, &clock, || Full::new(Bytes::from("hello"))).await;
    assert_eq!(body.size_hint().exact(), SizeHint::new().exact());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}

/// The response of gRPC of which a stream is the body.
async fn grpc_answer<B: Body + Default>(
    tokens: &StaticTokens,
    content_type: &'static str,
    body: fn() -> B,
) -> EndWithTokenBody<B> {
    let inner = service_fn(move |_: Request<()>| {
        let response = Response::builder().header("content-type", content_type).body(body());
        ready(Ok::<_, Infallible>(response.unwrap()))
    });
    let layers = ServiceBuilder::new()
        .layer(RequireToken::new("api", tokens.clone()).unwrap())
        .layer(EndWithToken::new())
        .into_inner();
    let request = Request::post("/").header("authorization", "Bearer t").body(()).unwrap();
    layers.layer(inner).oneshot(request).await.unwrap().into_body()
}

#[tokio::test]
async fn a_stream_of_grpc_ends_with_the_status_unauthenticated() {
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let tokens = StaticTokens::new();
        tokens.insert("t", Principal::new("alice")).unwrap();
        let mut body = grpc_answer(&tokens, content_type, Endless::default).await;
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        assert!(poll(&mut body).is_pending());
        tokens.remove("t");
        let Poll::Ready(Some(Ok(last))) = poll(&mut body) else { panic!("no trailers") };
        let trailers = last.into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "16");
        assert_eq!(trailers["grpc-message"], "the access token is no longer good");
        assert!(body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }
}

#[tokio::test]
async fn a_stream_that_is_not_of_grpc_over_http_2_ends_without_trailers() {
    for content_type in ["text/event-stream", "application/grpc-web", "application/grpcx"] {
        let tokens = StaticTokens::new();
        tokens.insert("t", Principal::new("alice")).unwrap();
        let mut body = grpc_answer(&tokens, content_type, Endless::default).await;
        tokens.remove("t");
        assert!(matches!(poll(&mut body), Poll::Ready(None)), "{content_type}");
    }
}

/// The end of a stream of gRPC: its own trailers, and then nothing for a while.
struct Trailing(Option<Frame<Bytes>>);

impl Default for Trailing {
    fn default() -> Self {
        let status = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
        Self(Some(Frame::trailers(HeaderMap::from_iter([status]))))
    }
}

impl Body for Trailing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

#[tokio::test]
async fn a_stream_of_grpc_has_one_status() {
    let tokens = StaticTokens::new();
    tokens.insert("t", Principal::new("alice")).unwrap();
    let mut body = grpc_answer(&tokens, "application/grpc", Trailing::default).await;
    let Poll::Ready(Some(Ok(own))) = poll(&mut body) else { panic!("no trailers") };
    assert_eq!(own.into_trailers().unwrap()["grpc-status"], "0");
    tokens.remove("t");
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

const HOUR: Duration = Duration::from_secs(3600);

/// A token that was issued at the clock's beginning and expires `lifetime` seconds later, and who
/// judges it.
fn jwt(clock: &ManualClock, lifetime: u64) -> (String, JwtValidator) {
    const ISSUER: &str = "https://as.example";
    const API: &str = "https://api.example";
    const SECRET: &str = "a secret of more than thirty-two bytes";
    let server = AuthorizationServer::new();
    let key = SigningKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    server.issue_jwts(JwtFormat::rfc9068(ISSUER, [API]), key);
    let epoch = clock.clock().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{API}","sub":"alice","client_id":"c","jti":"1","iat":{epoch},"exp":{}}}"#,
        epoch + lifetime
    );
    let keys = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([API]);
    let validator = JwtValidator::new(issuer).unwrap().with_clock(clock.clock());
    (server.mint("at+jwt", &claims).unwrap(), validator)
}

#[tokio::test]
async fn the_leeway_in_which_a_token_is_taken_belongs_to_its_stream() {
    let clock = ManualClock::new();
    let (token, validator) = jwt(&clock, 10);
    clock.advance(Duration::from_secs(15));
    let whole = || Full::new(Bytes::from("hello"));
    for validator in [validator.clone(), validator.clone().with_max_token_age(HOUR)] {
        let body = answer_to(&token, validator, &clock, whole).await;
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    }
    let cached = Cached::new(validator.clone()).with_clock(clock.clock());
    let mapped = validator.clone().map_claims(|()| 1);
    let mut bodies = [
        answer_to(&token, validator, &clock, Endless::default).await,
        answer_to(&token, cached, &clock, Endless::default).await,
        answer_to(&token, mapped, &clock, Endless::default).await,
    ];
    for body in &mut bodies {
        assert!(matches!(poll(body), Poll::Ready(Some(Ok(_)))));
    }
    clock.advance(Duration::from_secs(24));
    assert!(bodies.iter_mut().all(|body| poll(body).is_pending()));
    clock.advance(Duration::from_secs(1));
    assert!(bodies.iter_mut().all(|body| matches!(poll(body), Poll::Ready(None))));
}

#[tokio::test]
async fn the_stream_of_a_token_that_may_not_grow_old_ends_when_it_is_old() {
    let clock = ManualClock::new();
    let (token, validator) = jwt(&clock, 3600);
    let validator = validator.with_max_token_age(Duration::from_secs(60));
    let mut body = answer_to(&token, validator, &clock, Endless::default).await;
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    clock.advance(Duration::from_secs(89));
    assert!(poll(&mut body).is_pending());
    clock.advance(Duration::from_secs(1));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}
