//! What a handler of axum is given.

use axum::{
    Router,
    body::Body,
    routing::{any, get, post},
};
use http::{Request, Response, StatusCode, Version, header::WWW_AUTHENTICATE};
use http_body_util::BodyExt;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use tower_oauth2::{
    AccessToken,
    server::{
        Authenticated, Claims, ExtractorRefusal, RequireToken, RequiredRole, RequiredScope, Scoped,
        WithRole,
    },
    validate::{Principal, Rejection, RejectionKind, StaticTokens, ValidateToken, Validated},
};

/// The validator's own claims.
struct Tenant(String);

/// Every token is good, and names its subject and its tenant.
fn judge() -> impl ValidateToken<Claims = Tenant, Future: Send> + Clone {
    |token: AccessToken| async move {
        let (subject, tenant) = token.expose().split_once('.').ok_or(Rejection::unknown())?;
        Ok(Validated::new(Principal::new(subject), Tenant(tenant.to_owned())))
    }
}

async fn subject(authenticated: Authenticated) -> String {
    authenticated.principal().subject().unwrap().to_owned()
}

async fn perhaps(authenticated: Option<Authenticated>) -> String {
    match authenticated {
        Some(authenticated) => subject(authenticated).await,
        None => "nobody".to_owned(),
    }
}

async fn tenant(claims: Claims<Tenant>) -> String {
    format!("{} of {}", subject(claims.authenticated().clone()).await, claims.0)
}

async fn of_another_type(claims: Claims<u32>) -> String {
    claims.to_string()
}

fn routes() -> Router {
    Router::new()
        .route("/subject", get(subject))
        .route("/perhaps", get(perhaps))
        .route("/tenant", get(tenant))
        .route("/other", get(of_another_type))
}

fn required() -> Router {
    routes().layer(RequireToken::new("api", judge()).unwrap())
}

fn optional() -> Router {
    routes().layer(RequireToken::new("api", judge()).unwrap().allow_anonymous())
}

async fn respond(app: Router, path: &str, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_handler_is_given_whose_token_it_is_and_what_the_validator_knows() {
    for app in [required(), optional()] {
        for (path, expected) in
            [("/subject", "alice"), ("/perhaps", "alice"), ("/tenant", "alice of acme")]
        {
            let response = respond(app.clone(), path, Some("alice.acme")).await;
            assert_eq!(text(response).await, expected);
        }
    }
}

#[tokio::test]
async fn where_a_token_is_optional_a_handler_may_do_without_or_insist() {
    assert_eq!(text(respond(optional(), "/perhaps", None).await).await, "nobody");
    for path in ["/subject", "/tenant", "/other"] {
        let response = respond(optional(), path, None).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="api""#);
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_refusal_of_the_layer_comes_before_every_handler() {
    for path in ["/subject", "/perhaps", "/tenant"] {
        for app in [required(), optional()] {
            let response = respond(app, path, Some("unknown")).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let rejection = response.extensions().get::<Rejection>().unwrap();
            assert_eq!(rejection.kind(), RejectionKind::Invalid);
        }
    }
}

#[tokio::test]
async fn without_a_layer_every_handler_that_asks_for_a_token_is_refused_and_says_why() {
    for path in ["/subject", "/perhaps", "/tenant"] {
        let response = respond(routes(), path, Some("a.b")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.kind(), RejectionKind::Internal);
        let why = rejection.to_string();
        assert!(why.contains("no RequireToken is above this extractor"), "{why}");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), why);
    }
}

#[tokio::test]
async fn a_call_of_grpc_without_a_layer_gets_its_code_and_no_body() {
    let app = Router::new().route("/", post(subject));
    let call = Request::post("/").version(Version::HTTP_2);
    let call = call.header("content-type", "application/grpc").body(Body::empty()).unwrap();
    let response = app.oneshot(call).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"13".parse().unwrap())
    );
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn a_preflight_that_was_let_through_is_anonymous_to_a_handler() {
    let layer = RequireToken::new("api", judge()).unwrap().allow_cors_preflights();
    let app =
        Router::new().route("/subject", any(subject)).route("/perhaps", any(perhaps)).layer(layer);
    for (path, status) in [("/subject", StatusCode::UNAUTHORIZED), ("/perhaps", StatusCode::OK)] {
        let preflight = Request::options(path)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "PUT");
        let response = app.clone().oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
    }
}

#[tokio::test]
async fn claims_of_another_type_are_a_mistake_of_the_program() {
    let response = respond(required(), "/other", Some("alice.acme")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert!(rejection.description().contains("not of the type"), "{rejection}");
    let why = rejection.to_string();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), why);
}

#[tokio::test]
async fn a_handler_that_catches_a_refusal_is_told_why() {
    let caught = async |given: Result<Authenticated, ExtractorRefusal>| {
        let refusal = given.unwrap_err();
        let kind = refusal.rejection().kind();
        assert_eq!(refusal.to_string(), refusal.rejection().to_string());
        let error: Box<dyn std::error::Error + Send + Sync> = refusal.into();
        format!("{}: {error}", kind.as_str())
    };
    let routes = || Router::new().route("/", get(caught));
    let optional = routes().layer(RequireToken::new("api", judge()).unwrap().allow_anonymous());
    let told = text(respond(optional, "/", None).await).await;
    assert_eq!(told, "missing: no access token was presented");
    let told = text(respond(routes(), "/", None).await).await;
    assert!(told.starts_with("internal: no RequireToken is above this extractor"), "{told}");
}

#[tokio::test]
async fn what_was_extracted_is_cloned_whatever_its_types_are() {
    let handler = async |claims: Claims<Tenant>, scoped: Scoped<Write>| {
        let (claims, scoped) = ((claims.clone(), claims), (scoped.clone(), scoped));
        assert_eq!(claims.0.0, claims.1.0);
        assert_eq!(scoped.0.principal().subject(), scoped.1.principal().subject());
        claims.0.0.clone()
    };
    let judge = async |_: AccessToken| {
        let principal = Principal::new("alice").with_scopes("write".parse().unwrap());
        Ok::<_, Rejection>(Validated::new(principal, Tenant("acme".to_owned())))
    };
    let app = Router::new().route("/", get(handler));
    let app = app.layer(RequireToken::new("api", judge).unwrap());
    assert_eq!(text(respond(app, "/", Some("t")).await).await, "acme");
}

#[tokio::test]
async fn a_refusal_for_claims_of_another_type_is_audited() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let audited = events.clone();
    let layer = RequireToken::new("api", judge()).unwrap();
    let app = routes().layer(layer.with_audit(move |event| {
        let subject = event.principal.and_then(Principal::subject).map(str::to_owned);
        audited.lock().unwrap().push((event.allowed, event.rejection, subject));
    }));
    let response = respond(app, "/other", Some("alice.acme")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let alice = Some("alice".to_owned());
    let expected = [(true, None, alice.clone()), (false, Some(RejectionKind::Internal), alice)];
    assert_eq!(*events.lock().unwrap(), expected);
}

#[tokio::test]
async fn claims_are_optional_for_anonymous_requests_alone() {
    let handler = async |claims: Option<Claims<Tenant>>| {
        claims.map_or_else(|| "nobody".to_owned(), |claims| claims.0.clone())
    };
    let of_another_type = async |claims: Option<Claims<u32>>| claims.is_some().to_string();
    let routes = || Router::new().route("/", get(handler)).route("/other", get(of_another_type));
    let layer = RequireToken::new("api", judge()).unwrap().allow_anonymous();
    let app = routes().layer(layer);
    assert_eq!(text(respond(app.clone(), "/", None).await).await, "nobody");
    assert_eq!(text(respond(app.clone(), "/", Some("alice.acme")).await).await, "acme");
    assert_eq!(text(respond(app.clone(), "/other", None).await).await, "false");
    let other = respond(app, "/other", Some("alice.acme")).await;
    assert_eq!(other.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let alone = respond(routes(), "/", None).await;
    assert_eq!(alone.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

struct Admin;

impl RequiredRole for Admin {
    const ROLE: &'static str = "admin";
}

#[tokio::test]
async fn a_role_that_a_handler_asks_for_is_there_or_the_answer_is_403() {
    let tokens = StaticTokens::new();
    tokens.insert("boss", Principal::new("boss").with_roles(["admin"])).unwrap();
    tokens.insert("guest", Principal::new("guest").with_roles(["adm", "in"])).unwrap();
    let handler = async |who: WithRole<Admin>| who.principal().subject().unwrap().to_owned();
    let app = Router::new().route("/", get(handler));
    let app = app.layer(RequireToken::new("api", tokens).unwrap());
    assert_eq!(text(respond(app.clone(), "/", Some("boss")).await).await, "boss");
    let refused = respond(app.clone(), "/", Some("guest")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.headers().contains_key("www-authenticate"));
    assert_eq!(respond(app, "/", None).await.status(), StatusCode::UNAUTHORIZED);
}

struct Write;

impl RequiredScope for Write {
    const SCOPE: &'static str = "write";
}

#[tokio::test]
async fn a_scope_that_a_handler_asks_for_is_granted_or_named() {
    let tokens = StaticTokens::new();
    for (token, scopes) in [("reader", "read"), ("writer", "read write")] {
        let principal = Principal::new(token).with_scopes(scopes.parse().unwrap());
        tokens.insert(token, principal).unwrap();
    }
    let handler = async |who: Scoped<Write>| who.principal().subject().unwrap().to_owned();
    let app: Router = Router::new()
        .route("/", get(handler))
        .route_layer(RequireToken::new("api", tokens).unwrap());
    let call = async |token: &str| {
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    assert_eq!(call("writer").await.status(), StatusCode::OK);
    let refusal = call("reader").await;
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
    let challenge = refusal.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.ends_with("scope=\"write\""), "{challenge}");
    assert_eq!(call("nobody").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_extractor_refuses_grpc_as_the_layer_above_it_does() {
    let tokens = StaticTokens::new();
    tokens.insert("reader", Principal::new("alice")).unwrap();
    let layer = RequireToken::new("api", tokens).unwrap().allow_anonymous();
    let routes = || {
        Router::new()
            .route("/scoped", post(async |_: Scoped<Write>| {}))
            .route("/subject", post(subject))
    };
    for (layer, version, grpc) in [
        (layer.clone(), Version::HTTP_2, true),
        (layer.clone(), Version::HTTP_11, false),
        (layer.without_grpc(), Version::HTTP_2, false),
    ] {
        for (path, token, grpc_status, status) in
            [("/scoped", "reader", "7", 403), ("/subject", "", "16", 401)]
        {
            let mut call = Request::post(path).version(version);
            call = call.header("content-type", "application/grpc");
            if !token.is_empty() {
                call = call.header("authorization", format!("Bearer {token}"));
            }
            let call = call.body(Body::empty()).unwrap();
            let response = routes().layer(layer.clone()).oneshot(call).await.unwrap();
            let told = response.headers().get("grpc-status").map(|it| it.to_str().unwrap());
            let expected = if grpc { (200, Some(grpc_status)) } else { (status, None) };
            assert_eq!((response.status().as_u16(), told), expected, "{path} {version:?}");
        }
    }
}
