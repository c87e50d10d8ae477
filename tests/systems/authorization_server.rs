//! `testing::AuthorizationServer` over a socket: every grant, every way in which a client
//! authenticates, and every fault.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{
    HeaderMap, Method, Request, Response, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{collections::HashMap, future::Future, time::Duration};
use tokio::{task::yield_now, time::timeout};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    Transport, TransportErrorKind,
    server::RequireToken,
    testing::{AuthorizationServer, BoundServer, ManualClock, Quirk, RegisteredClient},
};

const SECRET: &str = "s&c=r+t%";
const CALLBACK: &str = "http://127.0.0.1:1/callback?of=app";
/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Longer than any exchange takes: a test that hangs fails.
const LIMIT: Duration = Duration::from_secs(10);

type Pairs<'a> = [(&'a str, &'a str)];

/// The confidential client `app`, the public one `open`, the user alice, and a server that knows
/// them.
struct Stage {
    server: AuthorizationServer,
    bound: BoundServer,
    clock: ManualClock,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Stage {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::new().with_clock(clock.clock());
        for client in
            [RegisteredClient::confidential("app", SECRET), RegisteredClient::public("open")]
        {
            server.register_client(client.with_redirect_uri(CALLBACK).unwrap());
        }
        server.register_user("alice", "p&w=+%", "read write".parse().unwrap());
        let bound = server.bind().await.unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { server, bound, clock, client }
    }

    /// Sends a form. Owns what it needs, so that it can be spawned.
    fn send(
        &self,
        path: &str,
        headers: HeaderMap,
        form: &Pairs<'_>,
    ) -> impl Future<Output = Result<Response<Bytes>, Error>> + use<> {
        let mut request = Request::post(self.bound.url(path)).body(encode(form).into()).unwrap();
        *request.headers_mut() = headers;
        let content_type = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        let response = self.client.request(request);
        async move {
            let (parts, body) = response.await?.into_parts();
            Ok(Response::from_parts(parts, body.collect().await.unwrap().to_bytes()))
        }
    }

    /// A token request of `app`, authenticated in the body.
    async fn token(&self, form: &Pairs<'_>) -> Response<Bytes> {
        let form = [&[("client_id", "app"), ("client_secret", SECRET)], form].concat();
        self.send("/token", HeaderMap::new(), &form).await.unwrap()
    }

    /// What a token request that succeeds brings.
    async fn issued(&self, form: &Pairs<'_>) -> Issued {
        let response = self.token(form).await;
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let answer = json_of(&response);
        let member = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Issued { access: member("access_token"), refresh: member("refresh_token"), answer }
    }

    /// The OAuth error of a token request that is refused.
    async fn refused(&self, form: &Pairs<'_>) -> String {
        let response = self.token(form).await;
        assert_eq!(response.status(), 400, "{response:?}");
        json_of(&response)["error"].as_str().unwrap().to_owned()
    }

    /// A code for `app`, with `more` parameters for the authorize page.
    async fn code(&self, more: &Pairs<'_>) -> String {
        let query = encode(&[&AUTHORIZE, more].concat());
        let uri: Uri = self.bound.url(&format!("/authorize?{query}")).parse().unwrap();
        let response = self.client.get(uri).await.unwrap();
        assert_eq!(response.status(), 302);
        let location = response.headers()[LOCATION].to_str().unwrap();
        let answer = location.strip_prefix(CALLBACK).unwrap();
        let answer: HashMap<_, _> = form_urlencoded::parse(answer.as_bytes()).collect();
        answer["code"].clone().into_owned()
    }

    fn stands(&self, token: &str) -> bool {
        self.server.introspect(token).is_some()
    }

    /// Waits until the server has seen `n` token requests.
    async fn seen(&self, n: usize) {
        let all = async {
            while self.server.token_requests() < n {
                yield_now().await;
            }
        };
        timeout(LIMIT, all).await.unwrap();
    }
}

struct Issued {
    access: String,
    refresh: String,
    answer: Value,
}

const AUTHORIZE: [(&str, &str); 3] =
    [("response_type", "code"), ("client_id", "app"), ("redirect_uri", CALLBACK)];
const CREDENTIALS: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const PASSWORD: [(&str, &str); 3] =
    [("grant_type", "password"), ("username", "alice"), ("password", "p&w=+%")];

fn code_grant(code: &str) -> [(&str, &str); 3] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)]
}

fn refresh_grant(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

fn encode(pairs: &Pairs<'_>) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn basic(user_pass: &str) -> HeaderMap {
    let value = format!("Basic {}", BASE64_STANDARD.encode(user_pass));
    HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
}

#[tokio::test]
async fn a_client_authenticates_by_basic_in_the_body_or_in_the_query() {
    let stage = Stage::new().await;
    let none = HeaderMap::new;
    let in_query = encode(&[
        ("brand", "a/b"),
        ("client_id", "app"),
        ("client_secret", SECRET),
        ("grant_type", "client_credentials"),
    ]);
    let in_query = format!("/api/v2/token?{in_query}");
    let in_body = [&CREDENTIALS, &[("client_id", "app"), ("client_secret", SECRET)][..]].concat();
    let wrong = [&CREDENTIALS, &[("client_id", "app"), ("client_secret", "x")][..]].concat();
    let encoded = basic("app:s%26c%3Dr%2Bt%25");
    for (path, headers, form, status) in [
        ("/token", encoded.clone(), &CREDENTIALS[..], 200),
        ("/token", none(), &in_body, 200),
        (in_query.as_str(), none(), &[], 200),
        ("/token", basic("app:s%26c%3Dr%2Bt"), &CREDENTIALS, 401),
        ("/token", none(), &wrong, 401),
        ("/token", none(), &CREDENTIALS, 401),
        ("/token", encoded, &in_body, 400),
        (&in_query, none(), &in_body, 400),
    ] {
        let response = stage.send(path, headers, form).await.unwrap();
        assert_eq!(response.status(), status, "{path} {form:?}");
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        match status {
            401 => {
                assert_eq!(challenge.unwrap(), r#"Basic realm="authorization server""#);
                assert_eq!(json_of(&response)["error"], "invalid_client");
            }
            _ => assert_eq!(challenge, None),
        }
    }
    stage.server.enable(Quirk::RawBasic);
    let response = stage.send("/token", basic(&format!("app:{SECRET}")), &CREDENTIALS).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(stage.server.token_requests(), 9);
}

#[tokio::test]
async fn a_public_client_names_itself_and_gets_the_tokens_of_users_only() {
    let stage = Stage::new().await;
    let code = stage.code(&[]).await;
    let open = [("client_id", "open")];
    for (form, answer) in [
        ([&open[..], &PASSWORD].concat(), Ok("open")),
        ([&open[..], &CREDENTIALS].concat(), Err("unauthorized_client")),
        ([&open[..], &code_grant(&code)].concat(), Err("invalid_grant")),
        (PASSWORD.to_vec(), Err("invalid_client")),
    ] {
        let response = stage.send("/token", HeaderMap::new(), &form).await.unwrap();
        let body = json_of(&response);
        let issued = body["access_token"].as_str().map(|token| stage.server.introspect(token));
        match answer {
            Ok(client) => assert_eq!(issued.unwrap().unwrap().client_id(), Some(client)),
            Err(error) => assert_eq!(body["error"], error),
        }
    }
    // Its code was none of the other client's business: it is good yet.
    stage.issued(&code_grant(&code)).await;
}

#[tokio::test]
async fn client_credentials_bring_a_token_of_the_client_for_what_it_asked() {
    let stage = Stage::new().await;
    let read = [("scope", "read")];
    let issued = stage.issued(&[&CREDENTIALS[..], &read].concat()).await;
    let expected = json!({
        "access_token": issued.access, "token_type": "Bearer", "expires_in": 3600, "scope": "read",
    });
    assert_eq!(issued.answer, expected);
    let token = stage.server.introspect(&issued.access).unwrap();
    assert_eq!((token.subject(), token.client_id()), (None, Some("app")));
    assert_eq!(token.scopes().to_string(), "read");
    let expiry = stage.clock.clock().wall() + Duration::from_secs(3600);
    assert_eq!(token.expires_at(), Some(expiry));

    let bad_scope = [&CREDENTIALS[..], &[("scope", "\"")]].concat();
    assert_eq!(stage.refused(&bad_scope).await, "invalid_scope");
    assert_eq!(stage.refused(&[("grant_type", "implicit")]).await, "unsupported_grant_type");
    assert_eq!(stage.refused(&[]).await, "invalid_request");
    assert_eq!(stage.refused(&[CREDENTIALS, CREDENTIALS].concat()).await, "invalid_request");
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_proves_what_it_was_asked_with() {
    let stage = Stage::new().await;
    let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let proof = [("code_verifier", VERIFIER)];

    let code = stage.code(&[&pkce[..], &[("scope", "read")]].concat()).await;
    let issued = stage.issued(&[&code_grant(&code)[..], &proof].concat()).await;
    let token = stage.server.introspect(&issued.access).unwrap();
    assert_eq!((token.subject(), token.client_id()), (Some("alice"), Some("app")));
    assert_eq!(issued.answer["scope"], "read");
    assert!(!issued.refresh.is_empty());

    for verifier in [Some(&*"x".repeat(43)), Some(CHALLENGE), Some("short"), None] {
        let proof: Vec<_> =
            verifier.map(|verifier| ("code_verifier", verifier)).into_iter().collect();
        let code = stage.code(&pkce).await;
        let form = [&code_grant(&code)[..], &proof].concat();
        assert_eq!(stage.refused(&form).await, "invalid_grant", "{proof:?}");
        let form = [&code_grant(&code)[..], &[("code_verifier", VERIFIER)]].concat();
        assert_eq!(stage.refused(&form).await, "invalid_grant", "the code was used up");
    }
    // A proof that nobody asked for: the challenge was taken away on the way.
    let code = stage.code(&[]).await;
    let form = [&code_grant(&code)[..], &proof].concat();
    assert_eq!(stage.refused(&form).await, "invalid_grant");
    assert_eq!(stage.server.authorize_requests(), 6);
}

#[tokio::test]
async fn a_code_that_is_used_twice_takes_its_tokens_with_it() {
    let stage = Stage::new().await;
    let code = stage.code(&[]).await;
    let first = stage.issued(&code_grant(&code)).await;
    let second = stage.issued(&refresh_grant(&first.refresh)).await;
    let other = stage.issued(&code_grant(&stage.code(&[]).await)).await;
    assert_eq!(stage.refused(&code_grant(&code)).await, "invalid_grant");
    assert!(!stage.stands(&first.access) && !stage.stands(&second.access));
    assert_eq!(stage.refused(&refresh_grant(&second.refresh)).await, "invalid_grant");
    assert!(stage.stands(&other.access));
}

#[tokio::test]
async fn a_code_goes_with_its_redirect_uri_and_ends_after_ten_minutes() {
    let stage = Stage::new().await;
    let code = stage.code(&[]).await;
    let mut form = code_grant(&code);
    form[2].1 = "http://127.0.0.1:1/callback";
    assert_eq!(stage.refused(&form).await, "invalid_grant");
    let code = stage.code(&[]).await;
    assert_eq!(stage.refused(&code_grant(&code)[..2]).await, "invalid_grant");

    let (late, good) = (stage.code(&[]).await, stage.code(&[]).await);
    stage.clock.advance(Duration::from_secs(599));
    stage.issued(&code_grant(&good)).await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.refused(&code_grant(&late)).await, "invalid_grant");
    assert_eq!(stage.refused(&code_grant("unknown")).await, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_rotates_and_the_use_of_an_old_one_revokes_all() {
    let stage = Stage::new().await;
    let first = stage.issued(&PASSWORD).await;
    let narrow = [&refresh_grant(&first.refresh)[..], &[("scope", "read")]].concat();
    let second = stage.issued(&narrow).await;
    assert_ne!(first.refresh, second.refresh);
    assert_eq!(second.answer["scope"], "read");
    let wide = [&refresh_grant(&second.refresh)[..], &[("scope", "read admin")]].concat();
    assert_eq!(stage.refused(&wide).await, "invalid_scope");
    let third = stage.issued(&refresh_grant(&second.refresh)).await;
    assert_eq!(third.answer["scope"], "read write");

    assert_eq!(stage.refused(&refresh_grant(&first.refresh)).await, "invalid_grant");
    assert_eq!(stage.refused(&refresh_grant(&third.refresh)).await, "invalid_grant");
    for issued in [first, second, third] {
        assert!(!stage.stands(&issued.access));
    }
}

#[tokio::test]
async fn without_rotation_a_refresh_token_stays_good_and_is_not_told_again() {
    let stage = Stage::new().await;
    stage.server.enable(Quirk::NoRotation);
    let first = stage.issued(&PASSWORD).await;
    for _ in 0..2 {
        let again = stage.issued(&refresh_grant(&first.refresh)).await;
        assert_eq!(again.answer.get("refresh_token"), None);
        assert!(stage.stands(&again.access) && stage.stands(&first.access));
    }
    stage.server.enable(Quirk::NoRefreshTokens);
    assert_eq!(stage.issued(&PASSWORD).await.refresh, "");
}

#[tokio::test]
async fn a_password_brings_no_more_than_the_users_rights() {
    let stage = Stage::new().await;
    let issued = stage.issued(&[&PASSWORD[..], &[("scope", "write admin")]].concat()).await;
    assert_eq!(issued.answer["scope"], "write");
    let admin = [&PASSWORD[..], &[("scope", "admin")]].concat();
    assert_eq!(stage.refused(&admin).await, "invalid_scope");
    let mut wrong = PASSWORD;
    wrong[2].1 = "p&w= %";
    assert_eq!(stage.refused(&wrong).await, "invalid_grant");
    assert_eq!(stage.refused(&PASSWORD[..2]).await, "invalid_request");
}

#[tokio::test]
async fn r1_the_answer_is_a_bare_token_for_parameters_in_the_query() {
    let stage = Stage::new().await;
    stage.server.enable(Quirk::BareAnswers);
    stage.server.enable(Quirk::NoState);
    let code = stage.code(&[("state", "s")]).await;
    let client = [("client_id", "app"), ("client_secret", SECRET)];
    let query = encode(&[&client[..], &code_grant(&code)].concat());
    let path = format!("/api/v2/token?{query}");
    let response = stage.send(&path, HeaderMap::new(), &[]).await.unwrap();
    let token = json_of(&response)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(response.body(), &format!(r#"{{"access_token":"{token}"}}"#));
    assert!(stage.stands(&token));
    let seen = stage.server.last_token_request().unwrap();
    assert_eq!((seen.method(), seen.uri().to_string()), (&Method::POST, path));
    assert!(seen.body().is_empty());
}

#[tokio::test]
async fn r4_a_log_in_is_a_form_without_a_grant_and_without_a_client() {
    let stage = Stage::new().await;
    let path = "/authorization";
    let response = stage.send(path, HeaderMap::new(), &PASSWORD[1..]).await.unwrap();
    let answer = json_of(&response);
    let token = answer["access_token"].as_str().unwrap();
    let expected = json!({"token_type": "Bearer", "access_token": token, "expires_in": 3600});
    assert_eq!((response.status().as_u16(), &answer), (200, &expected));
    let seen = stage.server.last_token_request().unwrap();
    assert_eq!(seen.body(), "username=alice&password=p%26w%3D%2B%25");

    let wrong = [("username", "alice"), ("password", "hunter2")];
    let response = stage.send(path, HeaderMap::new(), &wrong).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().len()), (401, 0));
}

#[tokio::test]
async fn r5_the_request_is_kept_as_it_came_and_the_answer_has_members_of_its_own() {
    let stage = Stage::new().await;
    let id = "c005aef4-88d4-42d5-937e-290e4bb19661";
    let secret = concat!(
        "c5229a8e-0dff-4270-80a6-a5a47267e7f7-ec85c647-d089-4fda-87d3-89866ac5fefe-",
        "80090b3f-cc2c-4c01-8e34-c3c83c145368",
    );
    let expected = concat!(
        "Basic YzAwNWFlZjQtODhkNC00MmQ1LTkzN2UtMjkwZTRiYjE5NjYxOmM1MjI5YThlLTBkZmYtNDI3MC04MGE2",
        "LWE1YTQ3MjY3ZTdmNy1lYzg1YzY0Ny1kMDg5LTRmZGEtODdkMy04OTg2NmFjNWZlZmUtODAwOTBiM2YtY2MyYy00",
        "YzAxLThlMzQtYzNjODNjMTQ1MzY4",
    );
    let client = RegisteredClient::confidential(id, secret);
    stage.server.register_client(client.with_scopes("DataExchange".parse().unwrap()));
    stage.server.set_access_token_lifetime(Some(Duration::from_secs(600)));
    stage.server.set_extra_member("not-before-policy", "1696859419").unwrap();
    stage.server.set_extra_member("refresh_expires_in", "0").unwrap();
    assert!(stage.server.set_extra_member("x", "no JSON").is_err());

    let path = "/auth/realms/myenvironment/protocol/openid-connect/token";
    let headers = basic(&format!("{id}:{secret}"));
    let answer = json_of(&stage.send(path, headers, &CREDENTIALS).await.unwrap());
    let expected_answer = json!({
        "access_token": answer["access_token"],
        "token_type": "Bearer",
        "expires_in": 600,
        "not-before-policy": 1_696_859_419,
        "refresh_expires_in": 0,
        "scope": "DataExchange",
    });
    assert_eq!(answer, expected_answer);
    let seen = stage.server.last_token_request().unwrap();
    assert_eq!(seen.headers()[AUTHORIZATION], expected);
    assert_eq!(
        (seen.uri().path(), &seen.body()[..]),
        (path, &b"grant_type=client_credentials"[..])
    );
    assert!(!format!("{seen:?}").contains(&expected[6..]));
}

#[tokio::test]
async fn the_answer_says_what_the_knobs_leave_of_it() {
    let stage = Stage::new().await;
    stage.server.enable(Quirk::NoTokenType);
    stage.server.set_access_token_lifetime(None);
    let issued = stage.issued(&CREDENTIALS).await;
    assert_eq!(issued.answer, json!({"access_token": issued.access}));
    stage.clock.advance(Duration::from_secs(1_000_000_000));
    assert!(stage.stands(&issued.access));

    stage.server.set_extra_member("access_token", r#""a\/b""#).unwrap();
    stage.server.set_extra_member("expires_in", "1e3").unwrap();
    let body = stage.token(&CREDENTIALS).await.into_body();
    assert_eq!(body, r#"{"access_token":"a\/b","expires_in":1e3}"#);
    stage.server.clear_extra_members();
    assert!(stage.stands(&stage.issued(&CREDENTIALS).await.access));
}

#[tokio::test]
async fn an_access_token_ends_with_its_lifetime_or_when_it_is_destroyed() {
    let stage = Stage::new().await;
    stage.server.set_access_token_lifetime(Some(Duration::from_secs(60)));
    let expiring = stage.issued(&CREDENTIALS).await;
    stage.clock.advance(Duration::from_secs(59));
    assert!(stage.stands(&expiring.access));
    stage.clock.advance(Duration::from_secs(1));
    assert!(!stage.stands(&expiring.access));

    let users = stage.issued(&PASSWORD).await;
    assert!(stage.server.revoke(&users.access) && !stage.server.revoke(&users.access));
    let again = stage.issued(&refresh_grant(&users.refresh)).await;
    assert!(stage.server.revoke(&again.refresh) && !stage.stands(&again.access));

    let (one, two) = (stage.issued(&PASSWORD).await, stage.issued(&CREDENTIALS).await);
    let code = stage.code(&[]).await;
    stage.server.revoke_all();
    assert!(!stage.stands(&one.access) && !stage.stands(&two.access));
    assert_eq!(stage.refused(&refresh_grant(&one.refresh)).await, "invalid_grant");
    assert_eq!(stage.refused(&code_grant(&code)).await, "invalid_grant");
    assert!(!stage.server.revoke("unknown"));
}

#[tokio::test]
async fn a_client_revokes_over_the_wire() {
    let stage = Stage::new().await;
    let issued = stage.issued(&PASSWORD).await;
    let client = [("client_id", "app"), ("client_secret", SECRET)];
    let form = [&client[..], &[("token", issued.refresh.as_str())]].concat();
    let response = stage.send("/revoke", HeaderMap::new(), &form).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().len()), (200, 0));
    assert!(!stage.stands(&issued.access));
    assert_eq!((stage.server.revocations(), stage.server.token_requests()), (1, 1));
}

#[tokio::test]
async fn a_resource_server_in_the_same_test_judges_by_what_was_issued() {
    let stage = Stage::new().await;
    let api = ServiceBuilder::new()
        .layer(RequireToken::new("api", stage.server.validator()).unwrap())
        .service(service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let call = async |token: &str| {
        let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
        api.clone().oneshot(request.body(Full::default()).unwrap()).await.unwrap().status()
    };
    let issued = stage.issued(&CREDENTIALS).await;
    assert_eq!(call(&issued.access).await, 200);
    stage.server.revoke(&issued.access);
    assert_eq!(call(&issued.access).await, 401);
}

#[tokio::test]
async fn a_secret_changes_when_the_client_is_registered_anew() {
    let stage = Stage::new().await;
    let before = stage.issued(&CREDENTIALS).await;
    stage.server.register_client(RegisteredClient::confidential("app", "new"));
    assert_eq!(stage.token(&CREDENTIALS).await.status(), 401);
    assert!(stage.stands(&before.access));
}

#[tokio::test]
async fn faults_befall_as_many_requests_as_was_said() {
    let stage = Stage::new().await;
    let down = Response::builder().status(503).header(RETRY_AFTER, "7");
    let down = down.body(Bytes::from_static(b"<html>")).unwrap();
    stage.server.fail_next(2, down.clone());
    for _ in 0..2 {
        let response = stage.token(&CREDENTIALS).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (503, &b"<html>"[..]));
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(response.headers().get(CACHE_CONTROL), None);
    }
    stage.issued(&CREDENTIALS).await;

    stage.server.fail_all(down);
    for _ in 0..3 {
        assert_eq!(stage.token(&CREDENTIALS).await.status(), 503);
    }
    // The other endpoints are well.
    stage.code(&[]).await;
    stage.server.clear_faults();
    stage.issued(&CREDENTIALS).await;
    assert_eq!(stage.server.token_requests(), 7);
}

#[tokio::test]
async fn a_request_that_hangs_is_answered_never_and_ends_with_the_server() {
    let stage = Stage::new().await;
    stage.server.hang_all();
    let hanging = tokio::spawn(stage.send("/token", HeaderMap::new(), &CREDENTIALS));
    stage.seen(1).await;
    stage.server.clear_faults();
    stage.server.hang_next(1);
    let another = tokio::spawn(stage.send("/token", HeaderMap::new(), &CREDENTIALS));
    stage.seen(2).await;
    stage.issued(&CREDENTIALS).await;
    assert!(!hanging.is_finished() && !another.is_finished());

    drop(stage.bound);
    hanging.await.unwrap().unwrap_err();
    another.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn an_answer_that_is_dropped_closes_the_connection_and_the_request_was_carried_out() {
    let stage = Stage::new().await;
    let first = stage.issued(&PASSWORD).await;
    stage.server.drop_next(1);
    let client = [("client_id", "app"), ("client_secret", SECRET)];
    let form = [&client[..], &refresh_grant(&first.refresh)].concat();
    stage.send("/token", HeaderMap::new(), &form).await.unwrap_err();
    assert_eq!(stage.server.token_requests(), 2);
    assert_eq!(stage.refused(&refresh_grant(&first.refresh)).await, "invalid_grant");
}

#[tokio::test]
async fn latency_is_the_clocks_and_holds_back_every_answer_of_the_token_endpoint() {
    let stage = Stage::new().await;
    stage.server.set_latency(Duration::from_secs(20));
    stage.server.set_access_token_lifetime(Some(Duration::from_secs(60)));
    let expiry = stage.clock.clock().wall() + Duration::from_secs(60);
    for status in [200, 500] {
        let form = [&[("client_id", "app"), ("client_secret", SECRET)][..], &CREDENTIALS].concat();
        let seen = stage.server.token_requests();
        let pending = tokio::spawn(stage.send("/token", HeaderMap::new(), &form));
        stage.seen(seen + 1).await;
        stage.clock.advance(Duration::from_secs(19));
        stage.code(&[]).await;
        assert!(!pending.is_finished());
        stage.clock.advance(Duration::from_secs(1));
        let response = pending.await.unwrap().unwrap();
        assert_eq!(response.status(), status);
        if status == 200 {
            let token = json_of(&response)["access_token"].as_str().unwrap().to_owned();
            assert_eq!(stage.server.introspect(&token).unwrap().expires_at(), Some(expiry));
        }
        stage.server.fail_next(1, Response::builder().status(500).body(Bytes::new()).unwrap());
    }
}

#[tokio::test]
async fn the_last_64_token_requests_are_kept() {
    let stage = Stage::new().await;
    for n in 0..70 {
        stage.token(&[("n", &n.to_string())]).await;
    }
    let kept = stage.server.recent_token_requests();
    assert_eq!((kept.len(), stage.server.token_requests()), (64, 70));
    let newest = stage.server.last_token_request().unwrap();
    let n = |request: &Request<Bytes>| {
        form_urlencoded::parse(request.body()).last().unwrap().1.parse::<u32>().unwrap()
    };
    assert_eq!((n(&kept[0]), n(&kept[63]), n(&newest)), (6, 69, 69));
}

#[tokio::test]
async fn it_is_a_service_that_a_transport_is_made_of() {
    let stage = Stage::new().await;
    let transport = Transport::new(stage.server.clone()).with_clock(stage.clock.clock());
    let request = || {
        let form = [&[("client_id", "app"), ("client_secret", SECRET)][..], &CREDENTIALS].concat();
        Request::post("https://as.example/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .body(encode(&form).into())
            .unwrap()
    };
    let response = transport.send(request()).await.unwrap();
    assert!(stage.stands(json_of(&response)["access_token"].as_str().unwrap()));

    stage.server.drop_next(1);
    let pending = tokio::spawn(transport.send(request()));
    stage.seen(2).await;
    stage.clock.advance(Duration::from_secs(30));
    let error = pending.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::TimedOut);
}

#[tokio::test]
async fn it_speaks_http_2_and_can_be_bound_anew() {
    let Stage { server, bound, .. } = Stage::new().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let first = bound.url("/");
    drop(bound);
    let bound = server.bind().await.unwrap();
    assert!(bound.url("/x").starts_with(bound.origin()));
    let request = Request::post(bound.url("/token")).body(Full::<Bytes>::default()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (401, http::Version::HTTP_2));
    assert_eq!(server.token_requests(), 1);
    if first != bound.url("/") {
        client.get(first.parse().unwrap()).await.unwrap_err();
    }
}

#[tokio::test]
async fn it_prints_no_secret_and_no_token() {
    let stage = Stage::new().await;
    let issued = stage.issued(&PASSWORD).await;
    let validator = stage.server.validator();
    let shown = format!("{:?} {:#?} {validator:?} {:?}", stage.server, stage.server, stage.bound);
    for secret in [SECRET, "p&w=+%", &issued.access, &issued.refresh] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_client_that_signs_who_it_is_may_introspect_and_one_that_only_names_itself_may_not() {
    use tower_oauth2::{
        Algorithm, ClientAuthentication, RequestHead, SigningKey, Transport,
        validate::{Introspection, RejectionKind, ValidateToken},
    };

    let server = AuthorizationServer::new();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = key.public_jwk().unwrap();
    server.register_client(RegisteredClient::private_key_jwt("api", &jwk).unwrap());
    server.register_client(RegisteredClient::public("open"));
    let signs = ClientAuthentication::private_key_jwt("api", key).unwrap();
    let names = ClientAuthentication::public("open");
    for (client, kind) in [(signs, RejectionKind::Invalid), (names, RejectionKind::Unavailable)] {
        let transport = Transport::new(server.clone());
        let url = "https://as.example/introspect";
        let validator = Introspection::new(url, client, transport).unwrap();
        let request = http::Request::new(());
        let head = RequestHead::from_request(&request);
        let verdict = validator.validate("T", head);
        assert_eq!(verdict.wait().await.unwrap_err().kind(), kind);
    }
}
