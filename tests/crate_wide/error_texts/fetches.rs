//! Why there is no token: each kind of `client::Error` and of `TransportError`, with what lies below.

use super::{assert_said, basic, endpoint_of, text};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{convert::Infallible, error::Error, io, time::Duration};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Algorithm, ClientAuthentication, ClientSecret, ClientSecretSource, SigningKey,
    SigningKeySource, Transport,
    client::{
        AddBearer, ErrorKind, Grant, RefreshPolicy, SignIn, TokenCache, TokenEndpoint, TokenPool,
        TokenResponse, TokenSource,
    },
    testing::{AuthorizationServer, ManualClock, RegisteredClient},
};

/// An error and what lies below it.
fn whole(error: &dyn Error) -> String {
    let below = error.source().map(|below| format!(": {below}"));
    format!("{error}{}", below.unwrap_or_default())
}

/// What a token request says that is answered so.
async fn answered(status: u16, location: Option<&str>, body: &'static str) -> String {
    let server = AuthorizationServer::new();
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    server.fail_all(response.body(Bytes::from(body)).unwrap());
    text(endpoint_of(&server).fetch(&Grant::client_credentials()).await)
}

#[tokio::test]
async fn what_a_server_refuses_is_said_with_what_it_says() {
    let server = AuthorizationServer::new();
    assert_said([
        (
            "a client that it does not know",
            text(endpoint_of(&server).fetch(&Grant::client_credentials()).await),
            "the authorization server refused the token request (401 Unauthorized): \
             invalid_client: the client is unknown or did not authenticate",
        ),
        (
            "no token endpoint",
            answered(404, None, "<html>").await,
            "the authorization server refused the token request (404 Not Found): the answer has no \
             content type",
        ),
        (
            "a redirect",
            answered(302, Some("https://as.example/login?secret=x#y"), "").await,
            "the authorization server refused the token request (302 Found): it redirects to \
             https://as.example/login, which is not followed",
        ),
        (
            "a redirect to nowhere",
            answered(307, None, "").await,
            "the authorization server refused the token request (307 Temporary Redirect): it \
             redirects, which is not followed",
        ),
    ]);
}

#[tokio::test]
async fn what_cannot_be_used_of_an_answer_is_said() {
    assert_said([
        (
            "a page",
            answered(200, None, "<html>").await,
            "the token response cannot be used: the answer has no content type, and is neither a \
             JSON object nor a declared form",
        ),
        (
            "no token",
            answered(200, None, "{}").await,
            "the token response cannot be used: missing access_token",
        ),
        (
            "a token of another type",
            answered(200, None, r#"{"access_token":"x","token_type":"mac"}"#).await,
            "the token response cannot be used: the token type mac is not supported",
        ),
        (
            "a token with a space",
            answered(200, None, r#"{"access_token":"hunter 2"}"#).await,
            "the token response cannot be used: the access token holds a character that is not \
             visible ASCII",
        ),
    ]);
}

#[tokio::test]
async fn what_became_of_a_request_is_said() {
    let failing = Transport::new(service_fn(async |_: Request<Full<Bytes>>| {
        Err::<Response<Full<Bytes>>, _>(io::Error::other("there is no route"))
    }));
    let send = async |transport: &Transport, url: &str| {
        text(transport.send(Request::get(url).body(Full::default()).unwrap()).await)
    };
    let large = Transport::new(service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("12345"))))
    }));
    let manual = ManualClock::new();
    let hung = service_fn(async |_: Request<Full<Bytes>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    });
    let hung = Transport::new(hung).with_clock(manual.clock());
    let mut late = tokio_test::task::spawn(send(&hung, "https://as.example"));
    tokio_test::assert_pending!(late.poll());
    manual.advance(Duration::from_secs(30));
    let endpoint = TokenEndpoint::new("https://as.example/token", basic(), failing.clone());
    let error = endpoint.unwrap().fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_said([
        (
            "a token request that reaches nobody",
            whole(&error),
            "the authorization server did not answer the token request: there is no route",
        ),
        ("a service that fails", send(&failing, "https://as.example").await, "there is no route"),
        (
            "a path alone",
            send(&failing, "/jwks").await,
            "the URL is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http",
            send(&failing, "http://as.example/").await,
            "the URL is plain http to another machine; Transport::allow_plain_http takes it",
        ),
        (
            "five bytes where four may be",
            send(&large.with_max_body(4), "https://as.example").await,
            "the answer is longer than allowed",
        ),
        ("nothing in 30 s", late.await, "no answer within the deadline"),
    ]);
}

/// What a call through `layer` fails with.
async fn call<T>(layer: AddBearer<T>, url: &str) -> String
where
    T: TokenSource + Clone + Send + Sync + 'static,
    T::Future: Send,
{
    let inner = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get(url).body(Full::default()).unwrap();
    layer.layer(inner).oneshot(request).await.unwrap_err().to_string()
}

const API: &str = "https://api.example";

#[tokio::test]
async fn why_a_call_has_no_token_is_said() {
    let from = |cache: &TokenCache| AddBearer::from_source(cache.clone(), API).unwrap();
    let policy = || RefreshPolicy::default().without_jitter().with_patience(Duration::ZERO);
    let cache_of = |endpoint| {
        let clock = ManualClock::new().clock();
        TokenCache::new_with_clock(endpoint, Grant::client_credentials(), policy(), clock)
    };
    let server = AuthorizationServer::new();
    server.register_client(RegisteredClient::confidential("id", "secret"));
    let fetch = async || Err::<TokenResponse, _>("the vault is sealed");
    let own = TokenCache::from_fn(fetch, policy(), ManualClock::new().clock());
    let token = AccessToken::new("T").unwrap();
    let fixed = AddBearer::from_source(token, API).unwrap();
    let shut = cache_of(endpoint_of(&server));
    shut.shutdown();
    let unset = ClientSecretSource::from_env("TOWER_OAUTH2_IS_NOT_SET");
    let transport = Transport::new(server.clone());
    let unset = ClientAuthentication::basic("id", unset);
    let unset = TokenEndpoint::new("https://as.example/token", unset, transport).unwrap();
    let once = endpoint_of(&server).fetch(&Grant::client_credentials()).await.unwrap();
    let clock = ManualClock::new();
    let session = TokenCache::from_sign_in(endpoint_of(&server), &once, policy(), clock.clock());
    clock.advance(Duration::from_secs(2 * 3600));
    let pool = TokenPool::new(|request| request.extensions().get::<u32>().copied());
    let known = TokenPool::new(|_| Some(1));
    assert_said([
        (
            "a call elsewhere",
            call(fixed, "https://else.example/?a=hunter2").await,
            "the token is not for https://else.example, which is not an origin of its layer",
        ),
        (
            "a source of one's own",
            call(from(&own), API).await,
            "the vault is sealed; next try in 1.0 s",
        ),
        (
            "a secret that is not there",
            call(from(&cache_of(unset)), API).await,
            "the client's secret is not in the variable \"TOWER_OAUTH2_IS_NOT_SET\"; next try in \
             1.0 s",
        ),
        (
            "a cache that was shut down",
            call(from(&shut), API).await,
            "the source of tokens was shut down",
        ),
        (
            "a session whose token is over",
            call(from(&session), API).await,
            "there is no access token and no way to fetch one; the user has to sign in",
        ),
        (
            "a request of nobody",
            call(AddBearer::from_source(pool, API).unwrap(), API).await,
            "the request has no key of the token pool; put it into the extensions",
        ),
        (
            "a user who did not sign in",
            call(AddBearer::from_source(known, API).unwrap(), API).await,
            "the token pool has no tokens of this user; the user has to sign in",
        ),
    ]);
}

#[tokio::test]
async fn a_secret_or_a_key_that_is_not_to_be_had_is_said_when_it_is_needed() {
    let said = async |client: ClientAuthentication| {
        let transport = Transport::new(AuthorizationServer::new());
        let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
        text(endpoint.fetch(&Grant::client_credentials()).await)
    };
    let from = async |secret| said(ClientAuthentication::basic("id", secret)).await;
    let file = |name: &str, text: &str| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, text).unwrap();
        ClientSecretSource::from_file(path)
    };
    let cut = |said: String| {
        let (before, after) = said.split_once(env!("CARGO_TARGET_TMPDIR")).unwrap();
        format!("{before}FOLDER{after}")
    };
    let key = |made: fn() -> Result<SigningKey, &'static str>| {
        ClientAuthentication::private_key_jwt("id", SigningKeySource::from_fn(made)).unwrap()
    };
    assert_said([
        (
            "no file",
            cut(from(ClientSecretSource::from_file(concat!(env!("CARGO_TARGET_TMPDIR"), "/none")))
                .await),
            "the secret cannot be read from FOLDER/none: entity not found",
        ),
        (
            "a folder",
            cut(from(ClientSecretSource::from_file(env!("CARGO_TARGET_TMPDIR"))).await),
            "the secret cannot be read from FOLDER: it is no regular file",
        ),
        (
            "an empty file",
            cut(from(file("empty", "\n")).await),
            "the secret cannot be read from FOLDER/empty: it is empty",
        ),
        (
            "a long file",
            cut(from(file("long", &"x".repeat(64 * 1024 + 1))).await),
            "the secret cannot be read from FOLDER/long: it is longer than 64 KiB",
        ),
        (
            "a closure that fails",
            from(ClientSecretSource::from_fn(|| Err::<ClientSecret, _>("the vault is sealed")))
                .await,
            "there is no client secret: the vault is sealed",
        ),
        (
            "a key from a closure that fails",
            said(key(|| Err("the vault is sealed"))).await,
            "there is no key to sign with: the vault is sealed",
        ),
        (
            "a shared secret from a closure",
            said(key(|| Ok(SigningKey::generate(Algorithm::Hs256).unwrap()))).await,
            "private_key_jwt needs a private key",
        ),
    ]);
}

#[test]
fn a_fetch_without_a_runtime_says_what_it_needs() {
    let cache = TokenCache::new(
        endpoint_of(&AuthorizationServer::new()),
        Grant::client_credentials(),
        RefreshPolicy::default(),
    );
    let said =
        tokio_test::task::spawn(call(AddBearer::from_source(cache, API).unwrap(), API)).poll();
    let std::task::Poll::Ready(said) = said else { panic!("it waits") };
    assert_said([(
        "a call outside of a runtime",
        said,
        "a token has to be fetched, which needs a tokio runtime with timers: call from within one",
    )]);
}

#[tokio::test]
async fn a_fetch_that_panics_says_so() {
    let fetch = || async {
        assert!(std::env::args().count() == 0, "the closure panics");
        Err::<TokenResponse, _>("never")
    };
    let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
    let cache = TokenCache::from_fn(fetch, policy, ManualClock::new().clock());
    let error = cache.warm_up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert_said([(
        "a closure that panics",
        error.to_string().split(';').next().unwrap().to_owned(),
        "the token request was aborted: its runtime was shut down, or it panicked",
    )]);
}

#[tokio::test]
async fn why_a_sign_in_failed_is_said() {
    let server = AuthorizationServer::new();
    let manual = ManualClock::new();
    let back = async |query: &str| {
        let sign_in = SignIn::new(
            endpoint_of(&server),
            "id",
            "https://as.example/a",
            "https://app.example/c",
        );
        let sign_in = sign_in.unwrap().with_clock(manual.clock());
        let sign_in = sign_in.with_required_issuer("https://as.example");
        let (url, pending) = sign_in.begin().unwrap();
        if query.contains("late") {
            manual.advance(Duration::from_secs(3600));
        }
        let state = url.query().unwrap().split('&').find(|pair| pair.starts_with("state="));
        let query = query.replace("STATE", state.unwrap()).replace("ISS", "iss=https://as.example");
        let callback = format!("https://app.example/c?{query}").parse().unwrap();
        text(sign_in.finish(pending, &callback).await)
    };
    assert_said([
        ("no state", back("code=x").await, "the answer has no state"),
        (
            "another's",
            back("code=x&state=y").await,
            "the answer belongs to another sign-in: its state differs",
        ),
        (
            "no issuer",
            back("code=x&STATE").await,
            "the answer has no issuer (iss), which this server always sends",
        ),
        (
            "another issuer",
            back("code=x&STATE&iss=https://x.example").await,
            "the answer is from another issuer",
        ),
        ("late", back("code=late&STATE&ISS").await, "the sign-in took too long"),
        ("nothing", back("STATE&ISS").await, "the answer has no code"),
        ("an empty code", back("code=&STATE&ISS").await, "the answer has an empty code"),
        ("both", back("code=x&error=y&STATE&ISS").await, "the answer has both a code and an error"),
        ("twice", back("code=x&code=y&STATE&ISS").await, "the answer has the parameter code twice"),
        (
            "a user who says no",
            back("error=access_denied&error_description=No&STATE&ISS").await,
            "the sign-in was refused: access_denied: No",
        ),
        (
            "a code that nobody knows",
            back("code=x&STATE&ISS").await,
            "the authorization server refused the token request (401 Unauthorized): \
             invalid_client: the client is unknown or did not authenticate; begin the \
             sign-in again",
        ),
    ]);
}
