//! Signing a user in: what the browser is sent with, what it may come back with, and the one
//! exchange of its code.

use crate::{
    counting_server::{CountingServer, hyper_client},
    leaks::{assert_absent, debug, printed},
    scripted_endpoint::{Reply, Script, pairs},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Uri;
use sha2::{Digest, Sha256};
use std::{collections::HashSet, time::Duration};
use tower_oauth2::{
    ClientAuthentication, Transport,
    client::{Error, ErrorKind, PendingSignIn, SignIn, TokenEndpoint, TokenResponse},
    testing::ManualClock,
};

const AUTHORIZE: &str = "https://as.example/authorize?brand=a%2Fb&x";
const CALLBACK: &str = "https://app.example/callback";

/// An authorization server that gives a token for every code, and what it was asked.
struct Server {
    script: Script,
    sign_in: SignIn,
}

impl Server {
    fn new() -> Self {
        let script = Script::of([Reply::token("T", 60)]);
        let endpoint = script.endpoint(ClientAuthentication::public("id"));
        Self { script, sign_in: SignIn::new(endpoint, "id", AUTHORIZE, CALLBACK).unwrap() }
    }

    fn with(self, change: impl FnOnce(SignIn) -> SignIn) -> Self {
        Self { sign_in: change(self.sign_in), ..self }
    }

    /// What comes of a browser that is back with this query, in which `STATE` stands for the
    /// right state.
    async fn back_with(&self, query: &str) -> Result<TokenResponse, Error> {
        let (url, pending) = self.sign_in.begin().unwrap();
        let query = query.replace("STATE", &param(&url, "state").unwrap());
        let callback = format!("{CALLBACK}?{query}").parse().unwrap();
        self.sign_in.finish(pending, &callback).await
    }

    /// The browser that is back with this query is refused, for this reason, and the token
    /// endpoint hears nothing of it.
    async fn refuses(&self, query: &str, reason: &str) -> Error {
        let error = self.back_with(query).await.unwrap_err();
        assert_eq!(error.to_string(), reason, "{query}");
        assert_eq!(error.kind(), ErrorKind::SignIn);
        assert!(error.is_sign_in_needed() && !error.is_transient());
        assert_eq!(self.script.asked(), 0, "{query}");
        error
    }

    /// The browser that is back with this query is signed in by one token request.
    async fn accepts(&self, query: &str) {
        let asked = self.script.asked();
        let response = self.back_with(query).await.unwrap();
        assert_eq!(response.access_token().expose(), "T", "{query}");
        assert_eq!(self.script.asked(), asked + 1);
    }
}

/// The value of a parameter of `uri`, which is there at most once.
fn param(uri: &Uri, name: &str) -> Option<String> {
    let mut values: Vec<_> =
        pairs(uri.query().unwrap()).into_iter().filter(|(own, _)| own == name).collect();
    assert!(values.len() <= 1, "{name} in {uri}");
    values.pop().map(|(_, value)| value)
}

const DIFFERS: &str = "the answer belongs to another sign-in: its state differs";

// case: code-01
#[tokio::test]
async fn an_answer_without_the_state_of_this_sign_in_is_refused() {
    let server = Server::new();
    server.refuses("code=C&state=other", DIFFERS).await;
    server.refuses("code=C&state=STATEx", DIFFERS).await;
    server.refuses("code=C&state=", DIFFERS).await;
    server.refuses("code=C", "the answer has no state").await;
    server.refuses("", "the answer has no state").await;
    for name in ["state", "code"] {
        let reason = format!("the answer has the parameter {name} twice");
        for again in ["STATE", "C", ""] {
            server.refuses(&format!("code=C&state=STATE&{name}={again}"), &reason).await;
        }
    }

    server.accepts("code=C&state=STATE").await;
    server.accepts("a&code=C&session_state=x&x=1&x=2&state=STATE&scope=y").await;
}

// case: code-01
#[tokio::test]
async fn a_missing_state_is_accepted_only_where_that_is_allowed_by_name() {
    let server = Server::new().with(SignIn::dangerous_allow_missing_state);
    server.refuses("code=C&state=other", DIFFERS).await;
    server.refuses("code=C&state=", DIFFERS).await;
    server.refuses("code=C&code=C", "the answer has the parameter code twice").await;
    server.accepts("code=C&unknown=1").await;
    server.accepts("code=C&state=STATE").await;
}

// case: code-01
#[tokio::test]
async fn an_answer_without_a_code_or_after_its_time_is_refused() {
    let server = Server::new();
    server.refuses("state=STATE", "the answer has no code").await;
    server.refuses("state=STATE&code=", "the answer has an empty code").await;

    let clock = ManualClock::new();
    let server = Server::new().with(|sign_in| sign_in.with_clock(clock.clock()));
    for (wait, in_time) in [(600, false), (599, true)] {
        let (url, pending) = server.sign_in.begin().unwrap();
        let state = param(&url, "state").unwrap();
        clock.advance(Duration::from_secs(wait));
        let callback = format!("{CALLBACK}?code=C&state={state}").parse().unwrap();
        let result = server.sign_in.finish(pending, &callback).await;
        assert_eq!(result.is_ok(), in_time);
        assert_eq!(server.script.asked(), usize::from(in_time));
    }
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

// case: code-02
#[tokio::test]
async fn every_sign_in_has_a_challenge_whose_verifier_goes_with_the_code() {
    // RFC 7636 appendix B.
    let known = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(challenge(known), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");

    let server = Server::new().with(|sign_in| sign_in.with_scopes("a b".parse().unwrap()));
    let (mut verifiers, mut states) = (HashSet::new(), HashSet::new());
    for _ in 0..9 {
        let (url, pending) = server.sign_in.begin().unwrap();
        assert!(url.to_string().starts_with(&format!("{AUTHORIZE}&")), "{url}");
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "id"),
            ("redirect_uri", CALLBACK),
            ("scope", "a b"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(param(&url, name).as_deref(), Some(value));
        }
        assert_eq!(param(&url, "code_verifier"), None);
        let state = param(&url, "state").unwrap();
        let callback = format!("{CALLBACK}?code=C%2B&state={state}").parse().unwrap();
        server.sign_in.finish(pending, &callback).await.unwrap();

        let request = server.script.requests().pop().unwrap();
        let mut form = pairs(request.body());
        let at = form.iter().position(|(name, _)| name == "code_verifier").unwrap();
        let (_, verifier) = form.remove(at);
        let expected = [
            ("client_id", "id"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code", "C+"),
        ];
        assert_eq!(form, expected.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(param(&url, "code_challenge"), Some(challenge(&verifier)));
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!((43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved));
        assert!(verifiers.insert(verifier) && states.insert(state));
    }
}

// case: code-02
/// A verifier that was kept as text is sent as it was, whoever made it.
#[tokio::test]
async fn the_verifier_that_was_kept_is_the_one_that_is_sent() {
    let server = Server::new().with(SignIn::dangerous_allow_missing_state);
    let (_, made) = server.sign_in.begin().unwrap();
    let kept = made.to_secret_string();
    let verifier = kept.expose().rsplit('.').next().unwrap();
    let known = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let pending: PendingSignIn = kept.expose().replace(verifier, known).parse().unwrap();
    let callback = format!("{CALLBACK}?code=C").parse().unwrap();
    server.sign_in.finish(pending, &callback).await.unwrap();
    let sent = pairs(server.script.request().body());
    assert!(sent.contains(&("code_verifier".into(), known.into())), "{sent:?}");
}

// case: code-02
#[tokio::test]
async fn without_pkce_neither_challenge_nor_verifier_is_sent() {
    let server = Server::new().with(SignIn::without_pkce);
    let (url, pending) = server.sign_in.begin().unwrap();
    assert!(!url.query().unwrap().contains("code_challenge"), "{url}");
    assert!(url.to_string().starts_with(AUTHORIZE));
    let state = param(&url, "state").unwrap();
    let callback = format!("{CALLBACK}?code=C&state={state}").parse().unwrap();
    server.sign_in.finish(pending, &callback).await.unwrap();
    let request = server.script.request();
    assert!(!request.body().contains("code_verifier"), "{request:?}");
}

// case: code-02
#[test]
fn what_is_kept_of_a_sign_in_prints_neither_state_nor_verifier() {
    let (url, pending) = Server::new().sign_in.begin().unwrap();
    let kept = pending.to_secret_string();
    let mut hidden: Vec<_> = kept.expose().split('.').skip(1).collect();
    assert!(hidden.contains(&&*param(&url, "state").unwrap()));
    assert_eq!(param(&url, "code_challenge"), Some(challenge(hidden[1])));
    hidden.push(kept.expose());
    assert_absent(&hidden, &debug(&pending));
    assert_absent(&hidden, &debug(&kept));
}

const DENIED: &str = "error=access_denied&error_description=no%0D%0A%1B%5Bthanks%22";

// case: code-03
#[tokio::test]
async fn a_user_who_refuses_is_an_error_with_the_code_and_a_clean_description() {
    let server = Server::new();
    let reason = "the sign-in was refused: access_denied: no???[thanks'";
    let error = server.refuses(&format!("{DENIED}&state=STATE"), reason).await;
    assert_eq!(error.code(), Some("access_denied"));
    assert!(!printed(&error).contains("\\r"), "{error:?}");

    let long = |count| ("e".repeat(count), "d".repeat(count));
    let (code, description) = long(999);
    let query = format!("error={code}&error_description={description}&state=STATE");
    let (code, description) = long(512);
    server.refuses(&query, &format!("the sign-in was refused: {code}: {description}")).await;
}

// case: code-03
#[tokio::test]
async fn a_refusal_counts_only_in_an_answer_to_this_sign_in() {
    let server = Server::new();
    for error in [
        server.refuses(&format!("{DENIED}&state=other"), DIFFERS).await,
        server.refuses(DENIED, "the answer has no state").await,
        server
            .refuses(
                &format!("{DENIED}&code=C&state=STATE"),
                "the answer has both a code and an error",
            )
            .await,
    ] {
        assert_eq!(error.code(), None);
        assert!(!error.to_string().contains("thanks"), "{error}");
    }
}

const ISSUER: &str = "https://a.example";
const OTHER: &str = "the answer is from another issuer";
const PROMISED: &str = "the answer has no issuer (iss), which this server always sends";

// case: code-04
#[tokio::test]
async fn an_answer_of_another_issuer_reaches_no_token_endpoint() {
    for promised in [false, true] {
        let server = Server::new().with(|sign_in| match promised {
            true => sign_in.with_required_issuer(ISSUER),
            false => sign_in.with_issuer(ISSUER),
        });
        for rest in ["code=C&state=STATE", &format!("{DENIED}&state=STATE")] {
            for other in ["https://b.example", "https://a.example/", "HTTPS://a.example", ""] {
                server.refuses(&format!("{rest}&iss={other}"), OTHER).await;
            }
            let twice = "the answer has the parameter iss twice";
            server.refuses(&format!("{rest}&iss={ISSUER}&iss={ISSUER}"), twice).await;
        }
        let denied = format!("{DENIED}&state=STATE");
        match promised {
            true => {
                server.refuses("code=C&state=STATE", PROMISED).await;
                server.refuses(&denied, PROMISED).await;
            }
            false => {
                let error = server.back_with(&denied).await.unwrap_err();
                assert_eq!(error.code(), Some("access_denied"));
                server.accepts("code=C&state=STATE").await;
            }
        }
        server.accepts(&format!("code=C&state=STATE&iss={ISSUER}")).await;
        server.accepts("code=C&state=STATE&iss=https%3A%2F%2Fa.example").await;
    }
}

/// A sign-in at `server`, as far as its exchange.
async fn exchange_at(server: &CountingServer) -> Error {
    let url = format!("{}/token", server.origin());
    let client = ClientAuthentication::basic("id", "s3cr3t");
    let endpoint = TokenEndpoint::new(&url, client, Transport::new(hyper_client())).unwrap();
    let sign_in = SignIn::new(endpoint, "id", AUTHORIZE, CALLBACK).unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    let state = param(&url, "state").unwrap();
    let callback = format!("{CALLBACK}?code=c0de&state={state}").parse().unwrap();
    let error = sign_in.finish(pending, &callback).await.unwrap_err();
    assert!(error.is_sign_in_needed(), "{error}");
    assert!(!error.is_transient(), "the code is spent");
    assert!(error.to_string().ends_with("; begin the sign-in again"), "{error}");
    assert_absent(&["c0de", "s3cr3t"], &printed(&error));
    error
}

// case: code-05
#[tokio::test]
async fn a_code_whose_answer_was_lost_is_not_sent_again() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"access_token\":\"T\"";
    for answer in ["", "HTTP/1.1 200 OK\r\n", half] {
        let server = CountingServer::start(answer).await;
        let error = exchange_at(&server).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "it is no refusal");
        assert_eq!((error.code(), error.status()), (None, None));
        assert_eq!(server.connections().await, 1);
        let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
        assert!(request.contains("&code=c0de&code_verifier="), "{request}");
    }
}

// case: code-05
#[tokio::test]
async fn a_code_that_is_refused_is_not_sent_again() {
    let body = r#"{"error":"invalid_grant","error_description":"c0de is spent"}"#;
    for status in ["400 Bad Request", "503 Service Unavailable"] {
        let length = body.len();
        let server = CountingServer::start(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
        .await;
        let error = exchange_at(&server).await;
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.code(), Some("invalid_grant"));
        assert_eq!(error.status().map(|code| code.as_u16()), status[..3].parse().ok());
        assert_eq!(server.connections().await, 1);
        assert_eq!(server.requests().len(), 1);
    }
}

const ELSEWHERE: &str = "the sign-in was begun with another server, client or redirect URI; \
                         finish it with the same settings";

/// The settings that a sign-in is bound to.
#[derive(Clone)]
struct Settings {
    token_url: &'static str,
    authorize: &'static str,
    issuer: Option<&'static str>,
    id: &'static str,
    client: ClientAuthentication,
    redirect: &'static str,
}

impl Settings {
    fn usual() -> Self {
        Self {
            token_url: "https://a.example/token?tenant=1",
            authorize: "https://a.example/authorize?tenant=1",
            issuer: Some(ISSUER),
            id: "id",
            client: ClientAuthentication::basic("id", "s3cr3t"),
            redirect: CALLBACK,
        }
    }

    fn endpoint(&self, script: &Script) -> TokenEndpoint {
        TokenEndpoint::new(self.token_url, self.client.clone(), script.transport()).unwrap()
    }

    fn sign_in(&self, endpoint: TokenEndpoint) -> SignIn {
        let sign_in = SignIn::new(endpoint, self.id, self.authorize, self.redirect).unwrap();
        match self.issuer {
            Some(issuer) => sign_in.with_issuer(issuer),
            None => sign_in,
        }
    }
}

/// The usual settings with one thing changed, each in another way.
fn other_settings() -> Vec<Settings> {
    let usual = Settings::usual;
    vec![
        Settings { token_url: "https://b.example/token?tenant=1", ..usual() },
        Settings { token_url: "https://a.example/token?tenant=2", ..usual() },
        Settings { token_url: "https://a.example/token", ..usual() },
        Settings { authorize: "https://b.example/authorize?tenant=1", ..usual() },
        Settings { authorize: "https://a.example/authorize?tenant=2", ..usual() },
        Settings { issuer: Some("https://b.example"), ..usual() },
        Settings { issuer: Some("https://a.example/"), ..usual() },
        Settings { issuer: Some(""), ..usual() },
        Settings { issuer: None, ..usual() },
        Settings { id: "other", ..usual() },
        Settings { client: ClientAuthentication::basic("other", "s3cr3t"), ..usual() },
        Settings { redirect: "https://app.example/callback/", ..usual() },
    ]
}

/// What is kept of a sign-in, as it is and after it was written and read, and its state.
fn begun(sign_in: &SignIn) -> [(PendingSignIn, String); 2] {
    let (url, pending) = sign_in.begin().unwrap();
    let read = pending.to_secret_string().expose().parse().unwrap();
    let state = param(&url, "state").unwrap();
    [(pending, state.clone()), (read, state)]
}

async fn assert_refused_elsewhere(script: &Script, sign_in: &SignIn, begun_at: &SignIn) {
    for answer in ["code=C", DENIED] {
        for (pending, state) in begun(begun_at) {
            let callback = format!("{CALLBACK}?{answer}&state={state}").parse().unwrap();
            let error = sign_in.finish(pending, &callback).await.unwrap_err();
            assert_eq!((error.to_string().as_str(), error.code()), (ELSEWHERE, None));
            assert_eq!(error.kind(), ErrorKind::SignIn);
            assert!(error.is_sign_in_needed() && !error.is_transient());
            assert_eq!(script.asked(), 0);
        }
    }
}

#[tokio::test]
async fn a_sign_in_that_was_begun_elsewhere_reaches_no_token_endpoint() {
    let script = Script::of([Reply::token("T", 60)]);
    let made = |settings: &Settings| settings.sign_in(settings.endpoint(&script));
    let usual = made(&Settings::usual());
    for other in other_settings() {
        let other = made(&other);
        assert_refused_elsewhere(&script, &usual, &other).await;
        assert_refused_elsewhere(&script, &other, &usual).await;
        // Nor where an answer without a state passes.
        let lax = usual.clone().dangerous_allow_missing_state();
        assert_refused_elsewhere(&script, &lax, &other).await;
    }
}

#[tokio::test]
async fn a_sign_in_at_a_discovered_endpoint_is_finished_there_alone() {
    let script = Script::of([Reply::token("T", 60)]);
    let usual = Settings { issuer: None, ..Settings::usual() };
    let found = |issuer: &str| {
        let client = usual.client.clone();
        let endpoint = TokenEndpoint::from_issuer(issuer, client, script.transport());
        usual.sign_in(endpoint.unwrap())
    };
    let named = |issuer: &str| {
        let (client, transport) = (usual.client.clone(), script.transport());
        let endpoint = TokenEndpoint::from_resource(issuer, [issuer], client, transport);
        usual.sign_in(endpoint.unwrap())
    };
    let all = [
        usual.sign_in(usual.endpoint(&script)),
        found(ISSUER),
        found("https://b.example"),
        named(ISSUER),
        named("https://b.example"),
    ];
    for (at, sign_in) in all.iter().enumerate() {
        for (_, other) in all.iter().enumerate().filter(|(other, _)| *other != at) {
            assert_refused_elsewhere(&script, sign_in, other).await;
        }
    }
}

#[test]
fn a_sign_in_whose_endpoint_may_be_of_another_server_does_not_begin() {
    let script = Script::of([Reply::token("T", 60)]);
    let client = || ClientAuthentication::basic("id", "s3cr3t");
    let at_issuer = |issuer| TokenEndpoint::from_issuer(issuer, client(), script.transport());
    let by_resource = |issuers: &[&str]| {
        let resource = "https://api.example";
        TokenEndpoint::from_resource(resource, issuers, client(), script.transport())
    };
    let begins = |endpoint: Result<TokenEndpoint, _>, issuer| {
        let settings = Settings { issuer, ..Settings::usual() };
        settings.sign_in(endpoint.unwrap()).begin().map(drop).map_err(|error| error.kind())
    };
    let other = "https://b.example";
    for issuer in [None, Some(ISSUER)] {
        assert_eq!(begins(at_issuer(ISSUER), issuer), Ok(()));
        assert_eq!(begins(by_resource(&[ISSUER]), issuer), Ok(()));
        assert_eq!(begins(by_resource(&[ISSUER, other]), issuer), Err(ErrorKind::SignIn));
    }
    assert_eq!(begins(at_issuer(other), Some(ISSUER)), Err(ErrorKind::SignIn));
    assert_eq!(begins(by_resource(&[other]), Some(ISSUER)), Err(ErrorKind::SignIn));
    assert_eq!(script.asked(), 0);
}

#[tokio::test]
async fn another_replica_finishes_a_sign_in_with_the_same_settings() {
    let script = Script::of([Reply::token("T", 60)]);
    let usual = Settings::usual();
    let begun_at = usual.sign_in(usual.endpoint(&script));
    // A secret may be replaced meanwhile, and what is asked for may change.
    let client = ClientAuthentication::post("id", "newer");
    let replica = Settings { client, ..usual };
    let replica = replica.sign_in(replica.endpoint(&script)).with_required_issuer(ISSUER);
    let replica = replica.with_scopes("more".parse().unwrap());
    for (pending, state) in begun(&begun_at) {
        let callback = format!("{CALLBACK}?code=C&state={state}&iss={ISSUER}").parse().unwrap();
        let response = replica.finish(pending, &callback).await.unwrap();
        assert_eq!(response.access_token().expose(), "T");
    }
    assert_eq!(script.asked(), 2);
}

#[test]
fn what_was_kept_without_its_server_cannot_be_read() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for old in [format!("9999999999.state.{verifier}"), "9999999999.state.".to_owned()] {
        let error = old.parse::<PendingSignIn>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "to_secret_string of this version did not write this pending sign-in; begin the \
             sign-in again"
        );
    }
}

/// RFC 8252 §7.1 and §7.3, and the marker of devices without a browser.
#[tokio::test]
async fn a_native_app_signs_in_with_a_redirect_uri_of_its_own_scheme() {
    let script = Script::of([Reply::token("T", 60)]);
    let endpoint = script.endpoint(ClientAuthentication::public("id"));
    for redirect in [
        "com.example.app:/cb",
        "com.example.app:/oauth2redirect/example-provider",
        "com.example.app://cb",
        "http://127.0.0.1/cb",
        "http://[::1]:61023/cb",
        "urn:ietf:wg:oauth:2.0:oob",
    ] {
        let sign_in = SignIn::new(endpoint.clone(), "id", AUTHORIZE, redirect).unwrap();
        let (url, pending) = sign_in.begin().unwrap();
        assert_eq!(param(&url, "redirect_uri").as_deref(), Some(redirect));
        // What follows the scheme is a `Uri` though the whole may be none.
        let state = param(&url, "state").unwrap();
        let back = format!("/cb?code=C&state={state}").parse().unwrap();
        sign_in.finish(pending, &back).await.unwrap();
        let sent = pairs(script.requests().last().unwrap().body());
        assert!(sent.contains(&("redirect_uri".into(), redirect.into())), "{sent:?}");
    }
}

#[test]
fn a_redirect_uri_without_a_scheme_or_a_host_or_with_a_fragment_is_refused() {
    let endpoint = Script::of([]).endpoint(ClientAuthentication::public("id"));
    for redirect in [
        "",
        "/cb",
        "app.example/cb",
        "localhost:8080/cb",
        "app.example:8443/cb",
        "https:/cb",
        "https://",
        "https://app.example/cb#x",
        "com.example.app:/cb#x",
        "com.example.app:",
        "1app:/cb",
        "com.example app:/cb",
        "com.example.app:/c b",
    ] {
        let error = SignIn::new(endpoint.clone(), "id", AUTHORIZE, redirect).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the redirect URI") && text.contains("https://app.example/callback"));
    }
}

#[tokio::test]
async fn a_sign_in_without_a_time_limit_is_in_time() {
    for lifetime in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
        let server = Server::new().with(|sign_in| sign_in.with_lifetime(lifetime));
        server.accepts("code=C&state=STATE").await;
    }
}
