//! R4, a platform with a log-in endpoint, offered: a user name and a password give an opaque
//! token with the rights of that user.
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

#[path = "support/raw.rs"]
mod raw;

use axum::{
    Extension, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use raw::{Reply, Server};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tower_oauth2::{
    ConfigError,
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
        let tokens = StaticTokens::with_clock(clock.clock());
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
