//! Assertions and tokens that are exchanged for access tokens, and what a sign-in asks for beside
//! its scopes.

use crate::scripted_endpoint::{Reply, Script, pairs};
use http::Uri;
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};
use tower_oauth2::{
    Algorithm, AuthorizationServerMetadata, ClientAuthentication, ConfigError, JwtAssertion,
    SigningKey, SigningKeySource, Transport,
    client::{Error, ErrorKind, Grant, SignIn, TokenEndpoint, TokenResponse, TokenType},
    testing::{AuthorizationServer, IssuedToken, ManualClock, RegisteredClient},
};

const PRIVATE: &str = r#"{
    "kty": "OKP", "crv": "Ed25519", "kid": "k1",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
}"#;

fn key() -> SigningKey {
    SigningKey::from_jwk(PRIVATE).unwrap()
}

/// A server with the client `app` and the user `alice`, who may `read` and `write`, which trusts
/// `https://idp.example`; and an endpoint of it.
fn server() -> (AuthorizationServer, TokenEndpoint, ManualClock) {
    let clock = ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let server = AuthorizationServer::new().with_clock(clock.clock());
    server.register_client(RegisteredClient::confidential("app", "s3cr3t"));
    server.register_user("alice", "pw", "read write".parse().unwrap());
    server.trust_issuer("https://idp.example", &key().public_jwk().unwrap()).unwrap();
    let client = ClientAuthentication::basic("app", "s3cr3t");
    let transport = Transport::new(server.clone());
    let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
    (server, endpoint.with_clock(clock.clock()), clock)
}

fn about(subject: &str) -> JwtAssertion {
    JwtAssertion::new("https://idp.example", key()).with_subject(subject)
}

fn issued(server: &AuthorizationServer, response: &TokenResponse) -> IssuedToken {
    server.introspect(response.access_token().expose()).unwrap()
}

/// The value of the parameter `name` of the newest token request.
fn asked(server: &AuthorizationServer, name: &str) -> Option<String> {
    let request = server.last_token_request().unwrap();
    let form = pairs(std::str::from_utf8(request.body()).unwrap());
    form.into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

#[tokio::test]
async fn an_assertion_about_a_user_is_signed_anew_at_each_attempt() {
    let (server, endpoint, _) = server();
    let grant = Grant::signed_jwt_bearer(about("alice")).with_scopes("read".parse().unwrap());
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let response = endpoint.fetch(&grant).await.unwrap();
        let issued = issued(&server, &response);
        assert_eq!((issued.subject(), issued.client_id()), (Some("alice"), Some("app")));
        assert_eq!(issued.scopes(), &"read".parse().unwrap());
        assert!(seen.insert(asked(&server, "assertion").unwrap()), "the same again");
    }
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(asked(&server, "grant_type").as_deref(), Some(grant_type));
}

#[tokio::test]
async fn a_ready_assertion_is_sent_as_it_is_and_its_refusal_is_not_transient() {
    let (server, endpoint, _) = server();
    let grant = Grant::signed_jwt_bearer(about("alice"));
    endpoint.fetch(&grant).await.unwrap();
    let used = asked(&server, "assertion").unwrap();

    let error = endpoint.fetch(&Grant::jwt_bearer(used.as_str())).await.unwrap_err();
    assert_eq!(asked(&server, "assertion").unwrap(), used);
    assert_eq!((error.code(), error.is_transient()), (Some("invalid_grant"), false));
    assert!(!format!("{error} {error:?}").contains(&used[..20]), "{error}");
}

#[tokio::test]
async fn an_assertion_of_somebody_else_about_nobody_or_for_too_long_is_refused() {
    let (_, endpoint, clock) = server();
    let day = |assertion: JwtAssertion| assertion.with_lifetime(Duration::from_secs(3600)).unwrap();
    for assertion in [
        JwtAssertion::new("https://evil.example", key()).with_subject("alice"),
        about("mallory"),
        day(about("alice")),
        about("alice").with_audience("nowhere"),
    ] {
        let error = endpoint.fetch(&Grant::signed_jwt_bearer(assertion)).await.unwrap_err();
        assert_eq!(error.code(), Some("invalid_grant"));
    }
    // One of yesterday's clock.
    let late = endpoint.clone().with_clock(ManualClock::from_wall(SystemTime::UNIX_EPOCH).clock());
    let error = late.fetch(&Grant::signed_jwt_bearer(about("alice"))).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_grant"));
    clock.advance(Duration::from_secs(1));
    endpoint.fetch(&Grant::signed_jwt_bearer(about("alice"))).await.unwrap();
}

#[tokio::test]
async fn a_key_that_cannot_be_had_sends_nothing_and_is_asked_for_again() {
    let (server, endpoint, _) = server();
    let sealed = std::sync::atomic::AtomicBool::new(true);
    let source = SigningKeySource::from_fn(move || {
        match sealed.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => Err("the vault is sealed"),
            false => Ok(key()),
        }
    });
    let assertion = JwtAssertion::new("https://idp.example", source).with_subject("alice");
    let grant = Grant::signed_jwt_bearer(assertion);
    let error = endpoint.fetch(&grant).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Source, true));
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
    assert_eq!(server.token_requests(), 0);
    endpoint.fetch(&grant).await.unwrap();
}

#[tokio::test]
async fn a_client_whose_private_key_rotates_signs_with_the_newest() {
    let (server, _, clock) = server();
    let jwk = key().public_jwk().unwrap();
    server.register_client(RegisteredClient::private_key_jwt("svc", &jwk).unwrap());
    let rotating = SigningKeySource::from_fn(|| Ok::<_, ConfigError>(key()));
    let shared = SigningKeySource::from_fn(|| {
        SigningKey::from_secret(Algorithm::Hs256, "a client secret of 32 characters")
    });
    let fetch = async |source| {
        let client = ClientAuthentication::private_key_jwt("svc", source).unwrap();
        let transport = Transport::new(server.clone());
        let endpoint = TokenEndpoint::new("https://as.example/token", client, transport).unwrap();
        endpoint.with_clock(clock.clock()).fetch(&Grant::client_credentials()).await
    };
    assert!(fetch(rotating).await.is_ok());
    let asked = server.token_requests();
    let error = fetch(shared).await.unwrap_err();
    assert!(error.to_string().contains("needs a private key"), "{error}");
    assert_eq!(server.token_requests(), asked);
}

async fn users_token(endpoint: &TokenEndpoint) -> String {
    let password = Grant::password("alice", &"pw".into());
    endpoint.fetch(&password).await.unwrap().access_token().expose().to_owned()
}

#[tokio::test]
async fn a_users_token_is_exchanged_for_one_with_fewer_scopes() {
    let (server, endpoint, _) = server();
    let subject = users_token(&endpoint).await;
    let actor = endpoint.fetch(&Grant::client_credentials()).await.unwrap();
    let grant = Grant::token_exchange(subject.as_str(), &TokenType::ACCESS_TOKEN)
        .with_actor_token(actor.access_token().expose(), &TokenType::ACCESS_TOKEN)
        .and_then(|it| it.with_requested_token_type(&TokenType::ACCESS_TOKEN))
        .and_then(|it| it.with_resource("https://backend.example/api"))
        .unwrap()
        .with_audience("backend")
        .with_scopes("read".parse().unwrap());
    let response = endpoint.fetch(&grant).await.unwrap();
    assert_eq!(response.issued_token_type(), Some(TokenType::ACCESS_TOKEN.as_str()));
    assert_eq!(issued(&server, &response).subject(), Some("alice"));
    assert_eq!(response.scope(), Some(&"read".parse().unwrap()));
    let form = server.last_token_request().unwrap();
    let names: Vec<_> = pairs(std::str::from_utf8(form.body()).unwrap());
    let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "grant_type",
            "subject_token",
            "subject_token_type",
            "actor_token",
            "actor_token_type",
            "requested_token_type",
            "scope",
            "audience",
            "resource",
        ]
    );

    assert!(server.revoke(&subject));
    let error = endpoint.fetch(&grant).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_request"));
    assert!(!format!("{error} {error:?}").contains(&subject[..12]), "{error}");
}

async fn exchanged(grant: &Grant, body: &str) -> Result<TokenResponse, Error> {
    let endpoint = Script::of([Reply::json(body.to_owned())]).endpoint(client());
    endpoint.fetch(grant).await
}

fn client() -> ClientAuthentication {
    ClientAuthentication::basic("id", "secret")
}

#[tokio::test]
async fn an_exchange_has_to_say_what_it_issued_unless_that_is_allowed_by_name() {
    let grant = Grant::token_exchange("S", &TokenType::JWT);
    let lenient = grant.clone().allow_missing_issued_token_type();
    for silent in [
        r#"{"access_token":"T","token_type":"Bearer"}"#,
        r#"{"access_token":"T","token_type":"Bearer","issued_token_type":""}"#,
        r#"{"access_token":"T","token_type":"Bearer","issued_token_type":7}"#,
    ] {
        let error = exchanged(&grant, silent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("missing issued_token_type"), "{error}");
        assert!(exchanged(&lenient, silent).await.is_ok());
        assert!(exchanged(&Grant::client_credentials(), silent).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_no_bearer_token_is_an_error_that_names_it() {
    let grant = Grant::token_exchange("S", &TokenType::JWT);
    for token_type in ["N_A", "n_a", "mac"] {
        let body = format!(
            r#"{{"access_token":"T","token_type":"{token_type}","issued_token_type":"{}"}}"#,
            TokenType::SAML2
        );
        let error = exchanged(&grant, &body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains(token_type), "{error}");
    }
}

fn sign_in(script: &Script) -> SignIn {
    let endpoint = script.endpoint(ClientAuthentication::public("id"));
    SignIn::new(endpoint, "id", "https://as.example/authorize", "https://app.example/cb").unwrap()
}

#[tokio::test]
async fn a_resource_is_named_twice_and_the_rest_in_the_authorization_url_alone() {
    let script = Script::of([Reply::token("T", 60)]);
    let sign_in = sign_in(&script)
        .with_audience("calls")
        .with_resource("https://api.example/a")
        .and_then(|it| it.with_resource("urn:b"))
        .and_then(|it| it.with_param("prompt", "consent"))
        .and_then(|it| it.with_param("login_hint", "a&b"))
        .unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    let query = pairs(url.query().unwrap());
    let all = |pairs: &[(String, String)], name: &str| -> Vec<String> {
        pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(all(&query, "resource"), ["https://api.example/a", "urn:b"]);
    assert_eq!(all(&query, "audience"), ["calls"]);
    assert_eq!(all(&query, "prompt"), ["consent"]);
    assert_eq!(all(&query, "login_hint"), ["a&b"]);

    let state = &all(&query, "state")[0];
    let callback: Uri = format!("https://app.example/cb?code=C&state={state}").parse().unwrap();
    sign_in.finish(pending, &callback).await.unwrap();
    let form = pairs(script.request().body());
    assert_eq!(all(&form, "resource"), ["https://api.example/a", "urn:b"]);
    assert!(all(&form, "audience").is_empty() && all(&form, "prompt").is_empty());
}

#[test]
fn a_parameter_that_the_sign_in_sets_itself_is_an_error_that_names_it() {
    let sign_in = sign_in(&Script::of([]));
    for name in ["", "state", "client_id", "code_challenge", "resource", "request"] {
        let error = sign_in.clone().with_param(name, "x").unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let once = sign_in.clone().with_param("prompt", "login").unwrap();
    assert!(once.with_param("prompt", "consent").is_err());
    assert!(sign_in.with_resource("/relative").is_err());
}

/// RFC 6749 §4.5.
#[tokio::test]
async fn an_extension_grant_authenticates_the_client_like_any_other() {
    let grant = || Grant::extension("account_credentials", [("account_id", "A")]).unwrap();
    for (client, header) in [
        (ClientAuthentication::basic("id", "secret"), Some("Basic aWQ6c2VjcmV0")),
        (ClientAuthentication::post("id", "secret"), None),
    ] {
        let script = Script::of([Reply::token("T", 60)]);
        let endpoint = script.endpoint(client);
        endpoint.fetch(&grant().with_scopes("read".parse().unwrap())).await.unwrap();
        let request = script.request();
        let sent = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        assert_eq!(sent, header);
        let form = pairs(request.body());
        assert_eq!(form.iter().any(|(name, _)| name == "client_secret"), header.is_none());
        for pair in [("grant_type", "account_credentials"), ("account_id", "A"), ("scope", "read")]
        {
            assert!(form.contains(&(pair.0.into(), pair.1.into())), "{form:?}");
        }
    }
    // SAML 2.0 (RFC 7522) has an assertion of its own.
    let saml = "urn:ietf:params:oauth:grant-type:saml2-bearer";
    assert!(Grant::extension(saml, [("assertion", "PHNhbWw")]).is_ok());
}

#[test]
fn an_extension_grant_does_not_set_what_the_client_sets() {
    for name in ["", "grant_type", "client_id", "client_secret", "client_assertion", "scope"] {
        let error = Grant::extension("x", [(name, "y")]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(Grant::extension("x", [("a", "1"), ("a", "2")]).is_err());
    assert!(Grant::extension("", [("a", "1")]).is_err());
}

/// The header and the claims of the assertion in a form.
fn assertion_of(form: &str) -> [serde_json::Value; 2] {
    let assertion = pairs(form).into_iter().find(|(name, _)| name == "client_assertion").unwrap().1;
    let mut parts = assertion.split('.').map(|part| {
        let decoded = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, part);
        serde_json::from_slice(&decoded.unwrap()).unwrap_or_default()
    });
    [parts.next().unwrap(), parts.next().unwrap()]
}

#[tokio::test]
async fn a_client_assertion_is_for_the_issuer_where_it_is_known_and_else_for_the_endpoint() {
    let metadata = r#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token",
        "authorization_endpoint":"https://as.example/authorize"}"#;
    let client = || ClientAuthentication::private_key_jwt("id", key()).unwrap();
    let sent = |script: &Script| assertion_of(script.requests().last().unwrap().body());

    let script = Script::of([Reply::token("T", 60)]);
    script.endpoint(client()).fetch(&Grant::client_credentials()).await.unwrap();
    let [header, claims] = sent(&script);
    assert_eq!(
        (&header["typ"], &claims["aud"]),
        (&"JWT".into(), &"https://as.example/token".into())
    );

    let script = Script::of([Reply::json(metadata), Reply::token("T", 60)]);
    let endpoint = TokenEndpoint::from_issuer("https://as.example", client(), script.transport());
    endpoint.unwrap().fetch(&Grant::client_credentials()).await.unwrap();
    assert_eq!(sent(&script)[1]["aud"], "https://as.example");

    let script = Script::of([Reply::json(metadata), Reply::token("T", 60)]);
    let transport = script.transport();
    let found = AuthorizationServerMetadata::discover("https://as.example", &transport).await;
    let callback = "https://app.example/cb";
    let sign_in = SignIn::from_metadata(&found.unwrap(), client(), transport, callback).unwrap();
    let (url, pending) = sign_in.begin().unwrap();
    let state =
        pairs(url.query().unwrap()).into_iter().find(|(name, _)| name == "state").unwrap().1;
    let back = format!("{callback}?code=C&state={state}").parse().unwrap();
    sign_in.finish(pending, &back).await.unwrap();
    assert_eq!(sent(&script)[1]["aud"], "https://as.example");

    let script = Script::of([Reply::token("T", 60)]);
    let client = client()
        .with_assertion_audience("https://as.example")
        .with_assertion_header_type("client-authentication+jwt");
    script.endpoint(client).fetch(&Grant::client_credentials()).await.unwrap();
    let [header, claims] = sent(&script);
    assert_eq!(header["typ"], "client-authentication+jwt");
    assert_eq!(claims["aud"], "https://as.example");
}
