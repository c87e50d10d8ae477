//! What an error of a token endpoint says, and what neither it nor anything else may show.

use crate::{
    counting_server::{CountingServer, hyper_client},
    leaks::{assert_absent, debug, own_lines, printed, traced},
    scripted_endpoint::{API, Caller, Reply, Script, TOKEN_URL, pairs, read},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt::{self, Debug},
    io, panic,
    time::Duration,
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::{follow_redirect::FollowRedirectLayer, trace::TraceLayer};
use tower_oauth2::{
    ClientAuthentication, ClientSecret, Transport,
    client::{
        AddBearer, ClientCredentialsRefresh, ErrorKind, Grant, PendingSignIn, RefreshPolicy,
        SignIn, TokenCache, TokenEndpoint, TokenResponse,
    },
    testing::ManualClock,
};

/// A client secret that every encoding changes.
const SECRET: &str = "s3cr3t \"&=+/?#%~ of the client";

fn basic() -> ClientAuthentication {
    ClientAuthentication::basic("id", SECRET)
}

#[tokio::test]
async fn what_cannot_be_shown_for_a_secret_that_the_marker_spells_is_left_out() {
    let refused = service_fn(async |_: Request<Full<Bytes>>| {
        let body = r#"{"error":"invalid_client","error_description":"a redacted secret"}"#;
        Ok::<_, Infallible>(
            Response::builder().status(401).body(Full::<Bytes>::from(body)).unwrap(),
        )
    });
    let client = ClientAuthentication::basic("id", "redacted");
    let endpoint = TokenEndpoint::new(TOKEN_URL, client, Transport::new(refused)).unwrap();
    let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"), "a public word");
    assert!(error.to_string().ends_with("(401 Unauthorized): invalid_client"), "{error}");
}

// case: err-02
#[tokio::test]
async fn a_client_that_is_not_known_is_refused_permanently() {
    let refusal = Reply::status(401)
        .with_header(WWW_AUTHENTICATE, "Basic realm=\"as\"")
        .with_body(r#"{"error":"invalid_client"}"#);
    let error = read(refusal.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(!error.is_transient() && !error.is_sign_in_needed());

    // Nobody who asks for a token waits for another try.
    let script = Script::of([refusal]);
    let caller = Caller::new(&script, RefreshPolicy::default());
    for _ in 0..3 {
        let error = caller.call().await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_client"));
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    }
    assert_eq!(script.asked(), 1);
}

// case: err-04
#[tokio::test]
async fn a_verdict_of_a_server_in_trouble_is_not_final() {
    let trouble = Reply::status(500).with_body(r#"{"error":"invalid_grant"}"#);
    let error = read(trouble.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.code(), Some("invalid_grant"));
    assert_eq!(error.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert!(error.is_transient());

    // The refresh token of a sign-in outlives it.
    let first = r#"{"access_token":"T1","expires_in":60,"refresh_token":"R"}"#;
    let first = read(Reply::json(first)).await.unwrap();
    let script = Script::of([trouble, Reply::token("T2", 60)]);
    let caller = Caller::signed_in(script.endpoint(basic()), &first);
    caller.advance(Duration::from_secs(60)).await;
    let call = caller.waiting_call().await;
    assert!(!call.is_finished());
    caller.advance(Duration::from_secs(1)).await;
    assert_eq!(call.await.unwrap().unwrap(), "Bearer T2");
    assert_eq!(script.asked(), 2);
    for request in script.requests() {
        assert!(pairs(request.body()).contains(&("refresh_token".into(), "R".into())));
    }
}

// case: err-06
#[tokio::test]
async fn a_redirect_is_not_followed_and_its_address_is_shown_without_secrets() {
    let escaped = escaped(SECRET);
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let elsewhere = CountingServer::start(ok(r#"{"access_token":"T"}"#)).await;
        let host = elsewhere.origin().replace("http://", "");
        let location =
            format!("http://id:pass@{host}/to/{escaped}?client_secret={escaped}&hidden=1#hidden");
        let home = CountingServer::start(redirect(status, &location)).await;
        let url = format!("{}/token", home.origin());
        for client in [basic(), ClientAuthentication::post("id", SECRET)] {
            let transport = Transport::new(hyper_client());
            let endpoint = TokenEndpoint::new(&url, client, transport).unwrap();
            let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Refused);
            let code = &status[..3];
            assert_eq!(error.status().unwrap().as_str(), code);
            let text = error.to_string();
            assert!(text.contains(&format!("({code} ")), "{text}");
            let shown = format!("it redirects to http://{host}/to/[redacted], which is not");
            assert!(text.contains(&shown), "{text}");
            assert_absent(&[SECRET, "pass", "hidden"], &printed(&error));
        }
        assert_eq!(home.requests().len(), 2, "one request of each client");
        assert_eq!(elsewhere.connections().await, 0);
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn redirect(status: &str, location: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
}

/// A client that follows redirects by itself is noticed.
#[tokio::test]
async fn the_servers_of_this_test_count_who_follows_a_redirect() {
    let elsewhere = CountingServer::start(ok("")).await;
    let home = CountingServer::start(redirect("307 Temporary", &elsewhere.origin())).await;
    let request = Request::post(home.origin()).body(Full::default()).unwrap();
    let follows = FollowRedirectLayer::new().layer(hyper_client());
    follows.oneshot(request).await.unwrap();
    assert_eq!((home.connections().await, elsewhere.connections().await), (1, 1));
}

// case: err-07
#[tokio::test]
async fn of_a_long_description_a_bounded_line_without_the_secret_is_shown() {
    let raw_body = "raw-member";
    for before in ["", "the secret is ", &"y".repeat(500)] {
        let description = format!("{before}{SECRET}\r\n\u{1b}[31m and {}", "z".repeat(50_000));
        let body = serde_json::json!({
            "error": "invalid_client",
            "error_description": description,
            "error_uri": raw_body,
        });
        let script = Script::of([Reply::status(400).with_body(body.to_string())]);
        for client in [basic(), ClientAuthentication::post("id", SECRET)] {
            let fetch = script.endpoint(client).fetch(&Grant::client_credentials());
            let error = fetch.await.unwrap_err();
            assert_eq!(error.code(), Some("invalid_client"));
            assert_absent(&[SECRET, "s3cr3t", "of the client", raw_body], &printed(&error));

            let text = error.to_string();
            let (_, shown) = text.split_once(": invalid_client: ").unwrap();
            assert!(shown.starts_with(before), "{shown}");
            assert!(shown.len() <= 512, "{}", shown.len());
            assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown}");
            assert!(printed(&error).len() < 8 * 1024);
        }
    }
    // What is left of it says something.
    let body = serde_json::json!({"error_description": format!("{SECRET} is not the secret")});
    let script = Script::of([Reply::status(400).with_body(body.to_string())]);
    let fetch = script.endpoint(basic()).fetch(&Grant::client_credentials());
    let text = fetch.await.unwrap_err().to_string();
    assert!(text.ends_with("(400 Bad Request): [redacted] is not the secret"), "{text}");
}

// case: err-07
#[tokio::test]
async fn a_secret_in_any_other_answer_does_not_show() {
    let quoted = serde_json::json!(SECRET).to_string();
    let filler = "y".repeat(500);
    for reply in [
        Reply::status(400).with_body(format!(r#"{{"error":{quoted}}}"#)),
        Reply::ok(format!(r#"{{"access_token":"T","token_type":{quoted}}}"#)),
        Reply::ok(format!(
            r#"{{"access_token":"T","token_type":"{filler}{}}}"#,
            quoted.trim_start_matches('"')
        )),
        Reply::ok(format!(r#"{{"access_token":{quoted}}}"#)),
        Reply::ok(quoted.clone()),
        Reply::status(502).with_body(format!("<html>{SECRET}</html>")),
        Reply::Failure(format!("{SECRET} was sent")),
        Reply::Failure(format!("{filler}{SECRET} was sent")),
        Reply::Failure(format!(
            "Basic {} was sent",
            BASE64_STANDARD.encode(format!("id:{}", escaped(SECRET)))
        )),
    ] {
        let endpoint = Script::of([reply]).endpoint(basic());
        let error = endpoint.fetch(&Grant::client_credentials()).await.unwrap_err();
        let text = printed(&error);
        assert_absent(&[SECRET, "s3cr3t", "of the client", "aWQ6czNjcjN0"], &text);
    }
}

const ACCESS: &str = "acc3ss+t0ken/=";
const REFRESH: &str = "r3fresh&t0ken";
const PASSWORD: &str = "passw0rd of alice";
const CODE: &str = "c0de of the sign-in";
/// Whatever a server may add beside the standard members.
const ID_TOKEN: &str = "1d-t0ken";

/// What the values on the way print.
#[derive(Default)]
struct Walk {
    printed: Vec<(&'static str, String)>,
    /// The state and the verifier of a sign-in.
    made: Vec<String>,
}

impl Walk {
    fn see(&mut self, name: &'static str, value: &dyn Debug) {
        self.printed.push((name, debug(value)));
    }

    fn see_error(&mut self, name: &'static str, error: &(dyn StdError + 'static)) {
        self.printed.push((name, printed(error)));
    }

    fn see_configuration(&mut self) {
        self.see("ClientSecret", &ClientSecret::new(SECRET));
        self.see("ClientAuthentication", &basic());
        self.see("ClientAuthentication", &ClientAuthentication::query("id", SECRET));
        self.see("Grant", &Grant::password("alice", &ClientSecret::new(PASSWORD)));
        self.see("Grant", &Grant::refresh_token(&ClientSecret::new(REFRESH)));
        self.see("Grant", &Grant::form([("username", "alice"), ("password", PASSWORD)]));
        self.see("Grant", &Grant::client_credentials().with_param("key", SECRET).unwrap());
        self.see("RefreshPolicy", &RefreshPolicy::default());
    }

    async fn see_tokens(&mut self, endpoint: &TokenEndpoint) -> TokenResponse {
        self.see("TokenEndpoint", endpoint);
        let mut service = endpoint.clone();
        let answer = service.call(Grant::password("alice", &ClientSecret::new(PASSWORD)));
        self.see("TokenFuture", &answer);
        let response = answer.await.unwrap();
        assert_eq!(response.extra("id_token"), Some(ID_TOKEN.to_owned()));
        self.see("TokenResponse", &response);
        self.see("AccessToken", response.access_token());
        self.see("HeaderValue", response.access_token().authorization());
        self.see("ClientSecret", response.refresh_token().unwrap());
        response
    }

    async fn see_sign_in(&mut self, endpoint: &TokenEndpoint) {
        let sign_in = SignIn::new(endpoint.clone(), "id", "https://as.example/a", API).unwrap();
        self.see("SignIn", &sign_in);
        let (url, pending) = sign_in.begin().unwrap();
        self.see("PendingSignIn", &pending);
        let kept = pending.to_secret_string();
        self.see("ClientSecret", &kept);
        let again: PendingSignIn = kept.expose().parse().unwrap();
        self.see("PendingSignIn", &again);

        self.made = kept.expose().split('.').skip(1).map(str::to_owned).collect();
        let [state, verifier] = &self.made[..] else { panic!("{:?}", self.made) };
        assert!(url.query().unwrap().contains(state));
        let callback = format!("{API}/?code={}&state={state}", escaped(CODE)).parse().unwrap();
        let lost = Reply::Failure(format!("{CODE} {verifier} {SECRET}"));
        let failing = Script::of([lost]).endpoint(basic());
        let failing = SignIn::new(failing, "id", "https://as.example/a", API).unwrap();
        sign_in.finish(pending, &callback).await.unwrap();
        let error = failing.finish(again, &callback).await.unwrap_err();
        self.see_error("Error of a sign-in", &error);
    }

    /// Calls an API that rejects every token.
    async fn see_calls(&mut self, endpoint: &TokenEndpoint, signed_in: &TokenResponse) {
        let clock = ManualClock::new().clock();
        let policy = RefreshPolicy::default().with_patience(Duration::ZERO);
        let api = TraceLayer::new_for_http().layer(service_fn(|request: Request<Full<Bytes>>| {
            assert!(request.headers().contains_key(AUTHORIZATION));
            let mut response = Response::new(Full::<Bytes>::default());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            async { Ok::<_, Infallible>(response) }
        }));
        let refresh = ClientCredentialsRefresh::new(endpoint.clone(), API)
            .unwrap()
            .with_policy(policy.clone())
            .with_clock(clock.clone());
        self.see("ClientCredentialsRefresh", &refresh);
        let cache = TokenCache::from_sign_in(endpoint.clone(), signed_in, policy, clock);
        let bearer = AddBearer::from_source(cache.clone(), API).unwrap();
        self.see("AddBearer", &bearer);
        for mut service in [refresh.layer(api.clone()), bearer.layer(api)] {
            for url in [API, API, "https://elsewhere.example"] {
                let request = Request::get(url).body(Full::default()).unwrap();
                let call = service.ready().await.unwrap().call(request);
                self.see("ResponseFuture", &call);
                match call.await {
                    Ok(response) => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
                    Err(error) => self.see_error("Error of a layer", error.as_ref()),
                }
                self.see("AddBearerService", &service);
            }
        }
        for cache in [&cache, refresh.cache()] {
            self.see("TokenCache", cache);
            self.see("TokenStatus", &cache.status());
        }
    }
}

/// An endpoint whose every answer holds secrets, and whose exchanges are traced.
fn traced_endpoint() -> TokenEndpoint {
    let body = serde_json::json!({
        "access_token": ACCESS, "refresh_token": REFRESH, "id_token": ID_TOKEN, "expires_in": 60,
    });
    let transport = Script::of([Reply::json(body.to_string())]).transport();
    let traced = TraceLayer::new_for_http().layer(service_fn(move |request| {
        let answer = transport.send(request);
        async { answer.await.map(|response| response.map(Full::new)) }
    }));
    TokenEndpoint::new(TOKEN_URL, basic(), Transport::new(traced)).unwrap()
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

// case: red-01
#[tokio::test]
async fn no_secret_is_printed_or_traced_whatever_the_client_does() {
    let (walk, log) = traced(async {
        let endpoint = traced_endpoint();
        let mut walk = Walk::default();
        walk.see_configuration();
        let response = walk.see_tokens(&endpoint).await;
        walk.see_sign_in(&endpoint).await;
        walk.see_calls(&endpoint, &response).await;
        walk
    })
    .await;
    let basic = BASE64_STANDARD.encode(format!("id:{}", escaped(SECRET)));
    let mut secrets = vec![SECRET, ACCESS, REFRESH, PASSWORD, CODE, ID_TOKEN, &basic];
    secrets.extend(["s3cr3t", "acc3ss", "r3fresh", "passw0rd", "c0de"]);
    secrets.extend(walk.made.iter().map(String::as_str));
    for (name, text) in &walk.printed {
        assert!(text.len() > 10, "{name} prints {text}");
        assert_absent(&secrets, text);
    }
    assert!(walk.printed.iter().any(|(name, _)| *name == "Error of a layer"));
    assert!(log.contains("tower_http"), "the exchanges and calls are heard of: {log}");
    assert_absent(&secrets, &own_lines(&log));
}

#[test]
fn the_search_for_secrets_finds_them() {
    let found = |text: &str| panic::catch_unwind(|| assert_absent(&[SECRET], text)).is_err();
    assert!(!found("nothing"));
    for (form, text) in [
        ("raw", SECRET.to_owned()),
        ("Debug", debug(&[SECRET])),
        ("form", escaped(SECRET)),
        ("base64", BASE64_STANDARD.encode(SECRET)),
        ("lower case", SECRET.to_ascii_lowercase()),
    ] {
        assert!(found(&format!("<{text}>")), "{form}");
    }
    let error = io::Error::other(Leaking);
    assert!(found(&printed(&error)));
}

/// An error that shows a secret.
#[derive(Debug)]
struct Leaking;

impl fmt::Display for Leaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)
    }
}

impl StdError for Leaking {}
