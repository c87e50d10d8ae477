//! The shape of the crate's traits, layers and services, held by the compiler.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use std::{
    cell::Cell,
    convert::Infallible,
    error::Error as StdError,
    future::{Future, Ready, ready},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_oauth2::{
    AccessToken, Answer, ConfigError, RequestHead,
    client::{
        AddBearer, BoxTokenFuture, Error, ErrorKind, FromRequest, Never, SharedTokenSource,
        TokenSource,
    },
    server::{Authenticated, RequireScope, RequireToken},
    validate::{
        BoxVerdictFuture, Principal, Rejection, RejectionKind, SharedValidator, StaticTokens,
        ValidateToken, Validated, Verdict,
    },
};

const API: &str = "https://api.example";

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a request is asked on behalf of.
#[derive(Clone)]
struct User(&'static str);

fn request() -> Request<()> {
    let mut request = Request::get(format!("{API}/calls")).body(()).unwrap();
    request.extensions_mut().insert(User("alice"));
    request
}

fn token(text: &str) -> AccessToken {
    AccessToken::new(text).unwrap()
}

fn thread_safe<T: Send + Sync + 'static + ?Sized>() {}

fn sendable<T: Send + 'static>() {}

/// Compiles while the trait promises this of every source.
fn promises_of_a_source<T: TokenSource + ?Sized>() {
    thread_safe::<T>();
    sendable::<T::Future>();
}

/// Compiles while the trait promises this of every validator.
fn promises_of_a_validator<V: ValidateToken + ?Sized>() {
    thread_safe::<V>();
    sendable::<V::Future>();
    thread_safe::<V::Claims>();
}

#[test]
fn sources_and_validators_are_thread_safe_and_their_futures_send() {
    promises_of_a_source::<AccessToken>();
    promises_of_a_source::<dyn TokenSource<Future = BoxTokenFuture>>();
    promises_of_a_source::<SharedTokenSource>();
    promises_of_a_validator::<StaticTokens>();
    promises_of_a_validator::<dyn ValidateToken<Claims = u8, Future = BoxVerdictFuture<u8>>>();
    promises_of_a_validator::<SharedValidator<String>>();
}

/// What `source` attaches, all the way through the layer.
async fn attached(source: impl TokenSource) -> Result<String, BoxError> {
    let echo = service_fn(|request: Request<()>| {
        let value = request.headers().get(AUTHORIZATION).unwrap().to_str().unwrap().to_owned();
        ready(Ok::<_, Infallible>(Response::new(value)))
    });
    let layer = AddBearer::from_source(source, API).unwrap().with_replay(Never);
    Ok(layer.layer(echo).oneshot(request()).await?.into_body())
}

async fn a_function() -> Result<AccessToken, ConfigError> {
    AccessToken::new("function")
}

#[tokio::test]
async fn closures_and_functions_are_sources() {
    let secret = Arc::new(String::from("captured"));
    let captured = move || {
        let secret = secret.clone();
        async move { AccessToken::new(secret.as_str()) }
    };
    let of_the_user = FromRequest::new(|head: RequestHead<'_>| {
        let user = head.extensions().get::<User>().cloned();
        async move { user.map(|user| token(user.0)).ok_or("nobody in particular") }
    });
    assert_eq!(attached(|| async { AccessToken::new("plain") }).await.unwrap(), "Bearer plain");
    assert_eq!(attached(async || AccessToken::new("async")).await.unwrap(), "Bearer async");
    assert_eq!(attached(a_function).await.unwrap(), "Bearer function");
    assert_eq!(attached(captured).await.unwrap(), "Bearer captured");
    assert_eq!(attached(of_the_user).await.unwrap(), "Bearer alice");
    let failed = attached(|| async { Err("no token today") }).await.unwrap_err();
    let failed = failed.downcast::<Error>().unwrap();
    assert_eq!((failed.kind(), failed.to_string().as_str()), (ErrorKind::Source, "no token today"));
}

/// The subject that a request with `text` has for `validator`, all the way through the layer.
async fn subject<V: ValidateToken>(validator: V, text: &str) -> Result<String, RejectionKind> {
    let whose = service_fn(|request: Request<()>| {
        let authenticated = request.extensions().get::<Authenticated>().unwrap();
        let subject = authenticated.principal().subject().unwrap().to_owned();
        ready(Ok::<_, Infallible>(Response::new(subject)))
    });
    let mut request = request();
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {text}").parse().unwrap());
    let guard = RequireToken::new("api", validator).unwrap();
    let response = guard.layer(whose).oneshot(request).await.unwrap();
    match response.extensions().get::<Rejection>() {
        Some(rejection) => Err(rejection.kind()),
        None => Ok(response.into_body()),
    }
}

async fn judge(token: AccessToken) -> Result<Validated, Rejection> {
    match token.expose() {
        "good" => Ok(Principal::new("alice").into()),
        _ => Err(Rejection::revoked()),
    }
}

#[tokio::test]
async fn closures_and_functions_are_validators() {
    let secret = Arc::new(String::from("good"));
    let captured = move |token: AccessToken| {
        let good = token.expose() == secret.as_str();
        async move { if good { judge(token).await } else { Err(Rejection::revoked()) } }
    };
    for (text, expected) in [("good", Ok("alice".into())), ("bad", Err(RejectionKind::Revoked))] {
        assert_eq!(subject(|token| async { judge(token).await }, text).await, expected);
        assert_eq!(subject(async |token: AccessToken| judge(token).await, text).await, expected);
        assert_eq!(subject(judge, text).await, expected);
        assert_eq!(subject(captured.clone(), text).await, expected);
    }
}

/// Runs `answer`, which must allocate nothing.
fn without_allocation(answer: impl FnMut()) {
    assert_eq!(allocation_counter::measure(answer).count_total, 0);
}

#[tokio::test]
async fn an_erased_source_answers_as_the_one_it_erases_and_boxes_no_ready_answer() {
    let (held, request) = (token("T"), request());
    let head = RequestHead::from_request(&request);
    let erased: Arc<dyn TokenSource<Future = BoxTokenFuture>> = held.clone().into_shared();
    without_allocation(|| match erased.token(head) {
        Answer::Ready(given) => assert!(given.unwrap().is_same(&held)),
        Answer::Pending(_) => panic!("a ready answer was boxed"),
    });
    assert!(erased.is_warm() && erased.is_current(&held, head));
    assert!(!erased.is_current(&token("T"), head));
    assert_eq!(attached(erased).await.unwrap(), "Bearer T");

    let erased: SharedTokenSource = (|| async { AccessToken::new("later") }).into_shared();
    assert!(!erased.is_warm() && !erased.is_current(&held, head));
    assert!(matches!(erased.token(head), Answer::Pending(_)));
    let twice = erased.clone().into_shared();
    for source in [erased, twice] {
        assert_eq!(attached(source).await.unwrap(), "Bearer later");
    }
}

/// A validator that knows more than a principal, and never at once.
struct Lengths;

impl ValidateToken for Lengths {
    type Claims = usize;
    type Future = Ready<Verdict<usize>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Pending(ready(Ok(Validated::new(Principal::new("alice"), token.len()).into())))
    }
}

#[tokio::test]
async fn an_erased_validator_answers_as_the_one_it_erases_and_boxes_no_ready_answer() {
    let tokens = StaticTokens::new();
    tokens.insert("good", Principal::new("alice")).unwrap();
    let erased: SharedValidator = tokens.into_shared();
    let request = request();
    let head = RequestHead::from_request(&request);
    without_allocation(|| match erased.validate("good", head) {
        Answer::Ready(verdict) => drop(verdict.unwrap()),
        Answer::Pending(_) => panic!("a ready answer was boxed"),
    });
    for erased in [erased, judge.into_shared()] {
        assert_eq!(subject(erased.clone(), "good").await, Ok("alice".into()));
        assert!(subject(erased, "bad").await.is_err());
    }

    let erased: Arc<dyn ValidateToken<Claims = usize, Future = BoxVerdictFuture<usize>>> =
        Lengths.into_shared();
    let Answer::Pending(verdict) = erased.validate("four", head) else { panic!("not pending") };
    assert_eq!(*verdict.await.unwrap().claims(), 4);
}

/// Answers any request with the body `R`. Its future is `Send` and not `Sync`, like most.
struct Inner<R>(PhantomData<fn() -> R>);

impl<R> Clone for Inner<R> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<B, R: Default + Send + 'static> Service<Request<B>> for Inner<R> {
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        Box::pin(ready(Ok(Response::default())))
    }
}

/// What axum and tonic ask of a service.
trait Stackable<B>: Service<Request<B>, Future: Send + 'static> + Shared {}
impl<S: Service<Request<B>, Future: Send + 'static> + Shared, B> Stackable<B> for S {}

trait Shared: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Shared for T {}

/// A body that is `Send` and not `Sync`.
type Unsync = UnsyncBoxBody<Bytes, BoxError>;

/// `layer` makes a service for the bodies of every HTTP stack there is.
fn stacks_on_every_body<L>(layer: &L)
where
    L: Layer<Inner<Full<Bytes>>, Service: EveryBody>
        + Layer<Inner<axum::body::Body>, Service: EveryBody>
        + Layer<Inner<tonic::body::Body>, Service: EveryBody>
        + Layer<Inner<reqwest::Body>, Service: EveryBody>
        + Layer<Inner<String>, Service: EveryBody>
        + Shared,
{
    let service = layer.layer(Inner::<String>(PhantomData));
    drop(BoxCloneSyncService::<Request<()>, _, _>::new(service));
}

trait EveryBody:
    Stackable<()>
    + Stackable<String>
    + Stackable<Full<Bytes>>
    + Stackable<Unsync>
    + Stackable<hyper::body::Incoming>
    + Stackable<axum::body::Body>
    + Stackable<tonic::body::Body>
    + Stackable<reqwest::Body>
{
}
impl<S> EveryBody for S where
    S: Stackable<()>
        + Stackable<String>
        + Stackable<Full<Bytes>>
        + Stackable<Unsync>
        + Stackable<hyper::body::Incoming>
        + Stackable<axum::body::Body>
        + Stackable<tonic::body::Body>
        + Stackable<reqwest::Body>
{
}

#[test]
fn every_layer_stacks_on_every_body_between_threads() {
    let source = || async { AccessToken::new("T") };
    stacks_on_every_body(&AddBearer::bearer("T", API).unwrap());
    // The default policy needs a body that can be empty, which hyper's is not.
    let any_body = AddBearer::from_source(source, API).unwrap().with_replay(Never);
    stacks_on_every_body(&any_body);
    let any_body = AddBearer::from_source(source.into_shared(), API).unwrap().with_replay(Never);
    stacks_on_every_body(&any_body);
    let of_the_request = FromRequest::new(|_: RequestHead<'_>| async { AccessToken::new("T") });
    let any_body = AddBearer::from_source(of_the_request, API).unwrap().with_replay(Never);
    stacks_on_every_body(&any_body);
    stacks_on_every_body(&RequireToken::new("api", StaticTokens::new()).unwrap());
    stacks_on_every_body(&RequireToken::new("api", judge).unwrap());
    stacks_on_every_body(&RequireToken::new("api", judge.into_shared()).unwrap());
    stacks_on_every_body(&RequireToken::new("api", Lengths).unwrap());
    stacks_on_every_body(&RequireScope::all_of(["read"]).unwrap());
}

/// Neither `Clone` nor `Send` nor `'static`.
struct Counter<'a> {
    calls: &'a Cell<u8>,
}

impl Service<Request<()>> for Counter<'_> {
    type Response = Response<HeaderValue>;
    type Error = Infallible;
    type Future = Ready<Result<Response<HeaderValue>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        ready(Ok(Response::new(request.headers()[AUTHORIZATION].clone())))
    }
}

#[tokio::test]
async fn a_static_token_asks_nothing_of_the_inner_service() {
    let calls = Cell::new(0);
    let layer = AddBearer::bearer("T", API).unwrap();
    let mut service = ServiceBuilder::new().layer(layer).service(Counter { calls: &calls });
    for _ in 0..3 {
        let value = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(value.body(), "Bearer T");
    }
    assert_eq!(calls.get(), 3);
}
