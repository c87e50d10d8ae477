//! What stands around and below `RequireToken`, and the places that only a server reads.

use super::{
    Body, Keep, SECRET, assert_clean, assert_clean_text, call, get, guard, leak, presenting,
};
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::IntoResponse,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, TokenLocation,
    server::{
        Anonymous, Authenticated, BufferForm, Claims, DrainRefused, EndWithToken, RenderRefusals,
        RequirePolicy, RequireRole, RequireToken, RequiredRole, RequiredScope, Scoped, StepUp,
        WithRole,
    },
    validate::{Actor, Principal, Rejection, Revocation, StaticTokens, Validated},
};

/// Every place that a server alone reads, and a request that presents the secret there.
fn presented() -> Vec<(TokenLocation, Request<Body>)> {
    let with = |headers: &[(&str, String)]| {
        let mut request = get("/r");
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let upgrade = |protocols: String| {
        with(&[
            ("connection", "Upgrade".into()),
            ("upgrade", "websocket".into()),
            ("sec-websocket-protocol", protocols),
        ])
    };
    let encoded = SECRET.replace('+', "%2B");
    let mut form = with(&[("content-type", "application/x-www-form-urlencoded".into())])
        .map(|_: Body| Body::new(Bytes::from(format!("access_token={encoded}"))));
    *form.method_mut() = http::Method::POST;
    let user = BASE64_STANDARD.encode(format!("x-token:{SECRET}"));
    let protocol = format!("bearer.{}, chat", BASE64_URL_SAFE_NO_PAD.encode(SECRET));
    vec![
        (TokenLocation::Form, form),
        (TokenLocation::query_parameter("jwt").unwrap(), get(&format!("/r?jwt={encoded}"))),
        (
            TokenLocation::basic_password("x-token").unwrap(),
            with(&[("authorization", format!("Basic {user}"))]),
        ),
        (TokenLocation::cookie("at").unwrap(), with(&[("cookie", format!("a=1; at={SECRET}"))])),
        (TokenLocation::websocket_protocol("bearer.").unwrap(), upgrade(protocol)),
        (
            TokenLocation::websocket_protocol_pair("bearer").unwrap(),
            upgrade(format!("bearer, {SECRET}")),
        ),
    ]
}

#[tokio::test]
async fn a_token_in_a_place_that_only_servers_read_does_not_print() {
    for (place, request) in presented() {
        assert_clean("TokenLocation", &place);
        if let TokenLocation::Cookie(name) = &place {
            assert_clean("LocationName", name);
        }
        for known in [true, false] {
            let keep = Keep::default();
            let require = guard(known).with_locations([place.clone()]).unwrap();
            let buffer = BufferForm::default();
            assert_clean("server::BufferForm", &buffer);
            let mut service = buffer.layer(require.layer(keep.clone()));
            assert_clean("server::BufferFormService", &service);
            let answer = call(&mut service, request.clone()).await;
            assert_clean("server::BufferFormFuture", &answer);
            let response = answer.await.unwrap();
            assert_clean("the answer", &response);
            if known {
                assert_eq!(response.status(), StatusCode::OK, "{place}");
                let request = keep.last();
                assert_clean("what is handed on", &request);
                let authenticated = request.extensions().get::<Authenticated>().unwrap();
                assert_clean("server::Authenticated", authenticated);
            } else {
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{place}");
            }
        }
    }
}

#[tokio::test]
async fn an_audit_tells_no_token() {
    let told = Arc::new(Mutex::new(String::new()));
    for known in [true, false] {
        let told = told.clone();
        let layer = guard(known).with_audit(move |event| {
            assert_clean("server::AuditEvent", event);
            let id = event.token_id.unwrap();
            assert_clean("server::TokenId", &id);
            told.lock().unwrap().push_str(&id.to_string());
        });
        assert_clean("server::RequireToken", &layer);
        let request = presenting(TokenLocation::Bearer).await;
        layer.layer(Keep::default()).oneshot(request).await.unwrap();
    }
    let told = told.lock().unwrap();
    assert_clean_text("the audit", &told);
    assert_eq!(told.len(), 2 * 16);
}

#[tokio::test]
async fn what_passes_without_a_good_token_shows_none() {
    let keep = Keep::default();
    let layer = guard(false).dangerous_pass_bad_tokens_as_anonymous();
    layer.layer(keep.clone()).oneshot(presenting(TokenLocation::Query).await).await.unwrap();
    let request = keep.last();
    assert_clean("what is handed on", &request);
    assert_clean("server::Anonymous", request.extensions().get::<Anonymous>().unwrap());
}

#[tokio::test]
async fn what_asks_for_more_shows_no_token() {
    let step_up = StepUp::default().with_acr("urn:mfa").with_max_age(Duration::from_secs(60));
    assert_clean("server::StepUp", &step_up);
    assert_clean("server::RequireRole", &RequireRole::any_of(["admin"]).unwrap());
    let layer = RequirePolicy::new(step_up);
    assert_clean("server::RequirePolicy", &layer);
    let service = layer.layer(Keep::default());
    assert_clean("server::RequirePolicyService", &service);
    let request = presenting(TokenLocation::Bearer).await;
    let response = guard(true).layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_clean("the answer", &response);
}

#[tokio::test]
async fn what_renders_refusals_shows_no_token() {
    let secret = SECRET.to_owned();
    let own = RenderRefusals::new(move |_| {
        assert!(leak(&secret).is_some());
        (HeaderValue::from_static("text/plain"), Bytes::from_static(b"no"))
    });
    for layer in [own, RenderRefusals::problem_json()] {
        assert_clean("server::RenderRefusals", &layer);
        let mut service = layer.layer(guard(false).layer(Keep::default()));
        assert_clean("server::RenderRefusalsService", &service);
        let answer = call(&mut service, presenting(TokenLocation::Query).await).await;
        assert_clean("server::RenderRefusalsFuture", &answer);
        assert_clean("the answer", &answer.await.unwrap());
    }
}

#[tokio::test]
async fn the_metadata_of_a_resource_show_no_token_of_its_requests() {
    let require = guard(true).with_resource("https://api.example/r").unwrap();
    let layer = require.resource_metadata().unwrap();
    assert_clean("server::ResourceMetadata", &layer);
    let mut service = layer.layer(require.layer(Keep::default()));
    assert_clean("server::ResourceMetadataService", &service);
    for mut request in [presenting(TokenLocation::Query).await, get("/")] {
        let path = "/.well-known/oauth-protected-resource/r";
        if request.uri().path() == "/" {
            *request.uri_mut() = format!("{path}?access_token={SECRET}").parse().unwrap();
        }
        let answer = call(&mut service, request).await;
        assert_clean("server::AnsweredFuture", &answer);
        assert_clean("the answer", &answer.await.unwrap());
    }
}

/// What only the validator knows: a program that prints it has asked for it.
struct Secret(#[expect(dead_code, reason = "it must not be printed")] &'static str);

struct Admin;
struct Read;

impl RequiredRole for Admin {
    const ROLE: &'static str = "admin";
}

impl RequiredScope for Read {
    const SCOPE: &'static str = "read";
}

#[tokio::test]
async fn what_a_handler_is_given_shows_no_token() {
    let keep = Keep::default();
    let judge = async |_: AccessToken| {
        let reader = Principal::new("alice").with_scopes("read".parse().unwrap());
        let reader = reader.with_roles(["admin"]).with_actor(Actor::new("gateway"));
        let validated = Validated::new(reader, Secret(SECRET));
        Ok::<_, Rejection>(validated.with_revocation(Revocation::new()))
    };
    let layer = RequireToken::new("api", judge).unwrap();
    layer.layer(keep.clone()).oneshot(presenting(TokenLocation::Bearer).await).await.unwrap();
    let (mut head, ()) = keep.last().into_parts();
    let claims =
        <Claims<Secret> as FromRequestParts<()>>::from_request_parts(&mut head, &()).await.unwrap();
    assert_clean("server::Claims", &claims);
    let reader = Scoped::<Read>::from_request_parts(&mut head, &()).await.unwrap();
    assert_clean("server::Scoped", &reader);
    let admin = WithRole::<Admin>::from_request_parts(&mut head, &()).await.unwrap();
    assert_clean("server::WithRole", &admin);
    assert_clean("validate::Actor", admin.principal().actor().unwrap());
    let who = <Authenticated as OptionalFromRequestParts<()>>::from_request_parts(&mut head, &());
    assert_clean("server::Authenticated", &who.await.unwrap().unwrap());

    let refusal = <Claims<u8> as FromRequestParts<()>>::from_request_parts(&mut head, &());
    let refusal = refusal.await.unwrap_err();
    assert_clean("server::ExtractorRefusal", &refusal);
    assert_clean("the refusal", &refusal.into_response());
}

#[tokio::test]
async fn the_end_of_a_token_is_told_without_it() {
    let keep = Keep::default();
    let tokens = StaticTokens::new();
    tokens.insert(SECRET, Principal::new("alice")).unwrap();
    let layer = RequireToken::new("api", tokens.clone()).unwrap();
    layer.layer(keep.clone()).oneshot(presenting(TokenLocation::Bearer).await).await.unwrap();
    let ended = keep.last().extensions().get::<Authenticated>().unwrap().ended();
    assert!(tokens.remove(SECRET));
    assert_clean("server::TokenEnd", &ended.await);
    assert_clean("validate::Revocation", &Revocation::new());
}

#[tokio::test]
async fn an_upload_that_is_read_after_its_refusal_does_not_show() {
    let layer = DrainRefused::new();
    assert_clean("server::DrainRefused", &layer);
    let inner = service_fn(async |request: Request<_>| {
        assert_clean("server::DrainRefusedBody", request.body());
        Ok::<_, Infallible>(Response::new(()))
    });
    let mut service = layer.layer(inner);
    assert_clean("server::DrainRefusedService", &service);
    let request = get("/r").map(|_: Body| Full::new(Bytes::from_static(SECRET.as_bytes())));
    let answer = call(&mut service, request).await;
    assert_clean("server::DrainRefusedFuture", &answer);
    answer.await.unwrap();

    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(Full::new(Bytes::from_static(SECRET.as_bytes()))).unwrap();
    let inner = service_fn(async |request: Request<_>| {
        assert_clean("server::BufferFormBody", request.body());
        Ok::<_, Infallible>(Response::new(()))
    });
    BufferForm::default().layer(inner).oneshot(form).await.unwrap();
}

#[tokio::test]
async fn a_body_that_ends_with_its_token_does_not_show_it() {
    let layer = EndWithToken::new();
    assert_clean("server::EndWithToken", &layer);
    let mut service = layer.layer(guard(false).layer(Keep::default()));
    assert_clean("server::EndWithTokenService", &service);
    let answer = call(&mut service, presenting(TokenLocation::Query).await).await;
    assert_clean("server::EndWithTokenFuture", &answer);
    let body = answer.await.unwrap().into_body();
    assert_clean("server::EndWithTokenBody", &body);
}
