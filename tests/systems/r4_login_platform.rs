//! R4, a platform with a log-in endpoint, offered and called: a user name and a password give an
//! opaque token with the rights of that user.

use crate::{
    raw::{Reply, Server},
    system::{self, ApiClient, JUDGES, Judge, System},
};
use axum::{
    Extension, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tower::Layer;
use tower_oauth2::{
    ClientAuthentication, ConfigError, TokenLocation, Transport,
    client::{AddBearer, Error, ErrorKind, Grant, RefreshPolicy, TokenCache, TokenEndpoint},
    server::{Authenticated, RequireScope, RequireToken},
    testing::ManualClock,
    validate::{Principal, StaticTokens},
};

const LIFETIME: Duration = Duration::from_secs(3600);

/// Users, their passwords, and their rights.
const USERS: [(&str, &str, &str); 3] = [
    ("alice", "p&ss w=rd+%", "projects:read projects:write projects:delete"),
    ("bob", "hunter2", "projects:read"),
    ("carol", "hunter3", "projects:read projects:write"),
];

#[derive(Clone)]
struct Platform {
    tokens: StaticTokens,
    clock: ManualClock,
    issued: Arc<AtomicU32>,
}

impl Platform {
    fn new() -> Self {
        let clock = ManualClock::new();
        let tokens = StaticTokens::new().with_clock(clock.clock());
        Self { tokens, clock, issued: Arc::default() }
    }

    async fn serve(&self) -> Server {
        Server::start(self.router().unwrap()).await
    }

    fn router(&self) -> Result<Router, ConfigError> {
        let api = Router::new()
            .route("/projects", post(async || StatusCode::CREATED))
            .route_layer(RequireScope::all_of(["projects:write", "projects:delete"])?)
            .route("/projects", get(list_projects))
            .route_layer(RequireToken::new("platform", self.tokens.clone())?);
        Ok(Router::new().route("/authorization", post(log_in)).with_state(self.clone()).merge(api))
    }

    /// An opaque token with the rights of `user`. A real one is unguessable.
    fn issue(&self, user: &str, rights: &str) -> Result<String, ConfigError> {
        let serial = 42 + self.issued.fetch_add(1, Ordering::Relaxed);
        let token = format!("d567fde24865df35defff57862dw2r{serial}");
        let expiry = self.clock.clock().wall() + LIFETIME;
        let principal = Principal::new(user).with_scopes(rights.parse()?).with_expiry(expiry);
        self.tokens.insert(&token, principal)?;
        Ok(token)
    }
}

async fn log_in(State(platform): State<Platform>, headers: HeaderMap, body: String) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|t| t != "application/x-www-form-urlencoded") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    // A form is encoded as a query is.
    let as_query = Uri::try_from(format!("/?{body}")).unwrap();
    let Query(form) = Query::<HashMap<String, String>>::try_from_uri(&as_query).unwrap();
    let (username, password) = (form.get("username"), form.get("password"));
    let user = USERS.iter().find(|(name, secret, _)| {
        username.is_some_and(|own| own == name) && password.is_some_and(|own| own == secret)
    });
    let Some((name, _, rights)) = user else {
        return (StatusCode::UNAUTHORIZED, Json(json!({"message": "wrong"}))).into_response();
    };
    let token = platform.issue(name, rights).unwrap();
    let answer = json!({
        "token_type": "Bearer",
        "access_token": token,
        "expires_in": LIFETIME.as_secs(),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

async fn list_projects(Extension(user): Extension<Authenticated>) -> String {
    format!("the projects of {}", user.principal().subject().unwrap())
}

async fn post_form(server: &Server, form: &str) -> Reply {
    let content_type = ["Content-Type: application/x-www-form-urlencoded"];
    server.send_body("POST /authorization", &content_type, form).await
}

/// Logs in with a form, and gives the `Authorization` line for what follows.
async fn authorization(server: &Server, form: &str) -> String {
    let answer: Value = serde_json::from_str(&post_form(server, form).await.body).unwrap();
    format!("Authorization: Bearer {}", answer.get("access_token").unwrap().as_str().unwrap())
}

const ALICE: &str = "username=alice&password=p%26ss+w%3Drd%2B%25";
const BOB: &str = "username=bob&password=hunter2";
const CAROL: &str = "password=hunter3&username=carol";

#[tokio::test]
async fn r4_logging_in_gives_a_token_that_opens_the_api() {
    let server = Platform::new().serve().await;
    let reply = post_form(&server, ALICE).await;
    assert_eq!(reply.status, 200);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    let token = "d567fde24865df35defff57862dw2r42";
    let expected = json!({"token_type": "Bearer", "access_token": token, "expires_in": 3600});
    assert_eq!(answer, expected);

    let line = format!("Authorization: Bearer {token}");
    let reply = server.send("GET /projects", &[&line]).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "the projects of alice"));
}

#[tokio::test]
async fn r4_a_wrong_password_gives_401_and_no_token() {
    let platform = Platform::new();
    let server = platform.serve().await;
    for form in [
        "username=alice&password=hunter2",
        "username=bob&password=Hunter2",
        "username=bob&password=",
        "username=bob",
        "password=hunter2",
        "",
    ] {
        let reply = post_form(&server, form).await;
        assert_eq!((reply.status, reply.body.as_str()), (401, r#"{"message":"wrong"}"#), "{form}");
    }
    assert!(platform.tokens.is_empty());
}

#[tokio::test]
async fn r4_the_api_takes_neither_a_password_nor_a_token_outside_of_the_header() {
    let server = Platform::new().serve().await;
    authorization(&server, BOB).await;
    // bob:hunter2
    let basic = "Authorization: Basic Ym9iOmh1bnRlcjI=";
    let in_query = "GET /projects?access_token=d567fde24865df35defff57862dw2r42";
    for (head, lines) in [("GET /projects", [basic].as_slice()), (in_query, &[])] {
        let reply = server.send(head, lines).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.challenges(), [r#"Bearer realm="platform""#]);
    }
}

#[tokio::test]
async fn r4_a_token_has_the_rights_of_the_user_who_logged_in() {
    let server = Platform::new().serve().await;
    let alice = authorization(&server, ALICE).await;
    assert_eq!(server.send("POST /projects", &[&alice]).await.status, 201);

    let challenge = concat!(
        r#"Bearer realm="platform", error="insufficient_scope", "#,
        r#"error_description="the access token does not grant what this request needs", "#,
        r#"scope="projects:write projects:delete""#,
    );
    for (form, projects) in [(BOB, "the projects of bob"), (CAROL, "the projects of carol")] {
        let line = authorization(&server, form).await;
        let reply = server.send("GET /projects", &[&line]).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, projects));
        let reply = server.send("POST /projects", &[&line]).await;
        assert_eq!((reply.status, reply.challenges()), (403, vec![challenge]));
        assert_eq!(reply.values("cache-control"), ["no-store"]);
    }
}

#[tokio::test]
async fn r4_a_right_that_the_user_lacks_is_not_asked_about_before_the_token_is_good() {
    let server = Platform::new().serve().await;
    let reply = server.send("POST /projects", &["Authorization: Bearer nobodys"]).await;
    let challenge = concat!(
        r#"Bearer realm="platform", error="invalid_token", "#,
        r#"error_description="the access token is not known""#,
    );
    assert_eq!((reply.status, reply.challenges()), (401, vec![challenge]));
}

#[tokio::test]
async fn r4_a_token_is_refused_once_its_expires_in_has_passed_and_logging_in_helps() {
    let platform = Platform::new();
    let server = platform.serve().await;
    let bob = authorization(&server, BOB).await;
    platform.clock.advance(LIFETIME - Duration::from_secs(1));
    assert_eq!(server.send("GET /projects", &[&bob]).await.status, 200);

    platform.clock.advance(Duration::from_secs(1));
    let reply = server.send("GET /projects", &[&bob]).await;
    let challenge = concat!(
        r#"Bearer realm="platform", error="invalid_token", "#,
        r#"error_description="the access token expired""#,
    );
    assert_eq!((reply.status, reply.challenges()), (401, vec![challenge]));

    let bob = authorization(&server, BOB).await;
    assert_eq!(server.send("GET /projects", &[&bob]).await.status, 200);
}

/// What alice shows the platform.
fn alice() -> Grant {
    Grant::form([("username", "alice"), ("password", "p&ss w=rd+%")])
}

/// A platform with its own authorization server.
async fn platform(judge: Judge) -> System {
    let system = System::start(judge, &[TokenLocation::Bearer]).await;
    for (name, password, rights) in USERS {
        system.authorization.register_user(name, password, rights.parse().unwrap());
    }
    system
}

/// Logs in with `grant` when a token is needed. Renews at the same moment in every run.
fn cache(system: &System, grant: Grant) -> TokenCache {
    let endpoint = system.endpoint("/authorization", ClientAuthentication::none());
    let policy = RefreshPolicy::default().without_jitter();
    TokenCache::new_with_clock(endpoint, grant, policy, system.clock.clock())
}

#[tokio::test]
async fn r4_a_client_logs_in_with_the_form_of_the_documentation_and_nothing_else() {
    let system = platform(Judge::Documented).await;
    let mut client = system.client(&cache(&system, alice()), TokenLocation::Bearer);
    system.assert_requests(0, 0);
    system.assert_called(&mut client, "alice").await;
    let sent = system.authorization.last_token_request().unwrap();
    assert_eq!((sent.method().as_str(), sent.uri().path()), ("POST", "/authorization"));
    assert_eq!((sent.body(), sent.uri().query()), (&ALICE.into(), None));
    let form = "application/x-www-form-urlencoded";
    assert_eq!(sent.headers().get(header::CONTENT_TYPE).unwrap(), form);
    assert_eq!(sent.headers().get(header::AUTHORIZATION), None);
}

#[tokio::test]
async fn r4_one_log_in_serves_every_call_until_its_token_expires() {
    for judge in JUDGES {
        let system = platform(judge).await;
        let mut client = system.client(&cache(&system, alice()), TokenLocation::Bearer);
        system.assert_used_until_it_expires(&mut client, "alice", LIFETIME).await;
    }
}

#[tokio::test]
async fn r4_a_token_near_its_end_is_renewed_while_calls_go_on_with_it() {
    for judge in JUDGES {
        let system = platform(judge).await;
        let cache = cache(&system, alice());
        let mut client = system.client(&cache, TokenLocation::Bearer);
        // A lead is five minutes at most.
        let age = LIFETIME - Duration::from_secs(300);
        system.assert_renewed_in_use((&mut client, &cache), "alice", age).await;
    }
}

#[tokio::test]
async fn r4_a_destroyed_token_is_replaced_by_logging_in_and_the_call_succeeds() {
    for judge in JUDGES {
        let system = platform(judge).await;
        let mut client = system.client(&cache(&system, alice()), TokenLocation::Bearer);
        system.assert_replaced_once_destroyed(&mut client, "alice").await;
    }
}

/// `error` is the verdict on a wrong password, which no repetition changes.
fn assert_wrong_password(error: &Error) {
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
}

#[tokio::test]
async fn r4_a_wrong_password_is_tried_once_in_its_window_and_never_calls_the_api() {
    for judge in JUDGES {
        let system = platform(judge).await;
        let wrong = Grant::form([("username", "alice"), ("password", "hunter2")]);
        let mut client = system.client(&cache(&system, wrong), TokenLocation::Bearer);
        // The window is doubled each time: 1 s, 2 s.
        for (token_requests, window) in [(1, 1), (2, 2)] {
            for _ in 0..4 {
                let error = system.call(&mut client).await.unwrap_err();
                assert_wrong_password(&error);
                assert!(error.retry_after() <= Some(Duration::from_secs(window)));
            }
            system.clock.advance(Duration::from_secs(window) - Duration::from_millis(1));
            assert_wrong_password(&system.call(&mut client).await.unwrap_err());
            system.assert_requests(token_requests, 0);
            system.clock.advance(Duration::from_millis(1));
        }

        // Never for ever: once it is the password, a call succeeds.
        system.authorization.register_user("alice", "hunter2", "projects:read".parse().unwrap());
        system.assert_called(&mut client, "alice").await;
        system.assert_requests(3, 1);
    }
}

/// The platform above, whose tokens are a set of this crate, called by this crate's client.
#[tokio::test]
async fn r4_both_halves_of_this_crate_agree_on_expiry_and_destruction() {
    let platform = Platform::new();
    let server = platform.serve().await;
    let http = system::http();
    let client = |form: [(&str, &str); 2]| {
        let url = format!("{}/authorization", server.origin());
        let transport = Transport::new(http.clone());
        let endpoint = TokenEndpoint::new(&url, ClientAuthentication::none(), transport).unwrap();
        let (policy, clock) = (RefreshPolicy::default(), platform.clock.clock());
        let cache = TokenCache::new_with_clock(endpoint, Grant::form(form), policy, clock);
        let layer = AddBearer::from_source(cache, server.origin()).unwrap();
        ApiClient::new(layer.layer(http.clone()))
    };
    let projects = format!("{}/projects", server.origin());
    let mut bob = client([("username", "bob"), ("password", "hunter2")]);
    let mut assert_log_ins = async |log_ins: u32| {
        for _ in 0..3 {
            let reply = system::call(&mut bob, &projects).await.unwrap();
            assert_eq!(reply.body(), "the projects of bob");
        }
        assert_eq!(platform.issued.load(Ordering::Relaxed), log_ins);
    };
    assert_log_ins(1).await;
    platform.clock.advance(LIFETIME);
    assert_log_ins(2).await;
    platform.tokens.remove_subject("bob");
    assert_log_ins(3).await;

    // Another refusal than OAuth's, with a body of its own.
    let mut wrong = client([("username", "bob"), ("password", "hunter3")]);
    assert_wrong_password(&system::call(&mut wrong, &projects).await.unwrap_err());
}
