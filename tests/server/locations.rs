//! Tokens in other locations than `Authorization: Bearer`, and beside one another.

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::convert::Infallible;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth2::{
    AccessToken, Challenge, TokenLocation,
    server::{BufferForm, RequireToken},
    validate::{Principal, Rejection, RejectionKind, StaticTokens, Validated},
};

type Body = Full<Bytes>;

const TOKEN: &str = "mF_9.B5f-4.1JqM";
const LONGEST: usize = 16 * 1024;

/// Answers as a service whose answers may be stored by every cache.
async fn public<B>(_: Request<B>) -> Result<Response<Body>, Infallible> {
    let response = Response::builder().header(header::CACHE_CONTROL, "public, max-age=60");
    Ok(response.body(Body::default()).unwrap())
}

async fn answer(layer: &RequireToken<StaticTokens>, request: Request<Body>) -> Response<Body> {
    let layers = ServiceBuilder::new().layer(BufferForm::new(1024 * 1024)).layer(layer.clone());
    layers.service(service_fn(public)).oneshot(request).await.unwrap()
}

fn layer<const N: usize>(locations: [TokenLocation; N]) -> RequireToken<StaticTokens> {
    let tokens = StaticTokens::new();
    tokens.insert(TOKEN, Principal::new("alice")).unwrap();
    RequireToken::new("api", tokens).unwrap().with_locations(locations).unwrap()
}

fn locations() -> [TokenLocation; 11] {
    [
        TokenLocation::Bearer,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
        TokenLocation::BasicUserName,
        TokenLocation::basic_password("x").unwrap(),
        TokenLocation::Query,
        TokenLocation::query_parameter("jwt").unwrap(),
        TokenLocation::Form,
        TokenLocation::cookie("at").unwrap(),
        TokenLocation::websocket_protocol("bearer.").unwrap(),
        TokenLocation::websocket_protocol_pair("bearer").unwrap(),
    ]
}

fn base64(text: &str) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text)
}

/// A request with `token` in `location`.
fn request(location: &TokenLocation, token: &str) -> Request<Body> {
    let with = |name, value: String| {
        let mut request = Request::new(Body::default());
        let name: HeaderName = name;
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let upgrade = |protocols: String| {
        let mut request = with(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        request.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
        request.headers_mut().insert(header::UPGRADE, "websocket".parse().unwrap());
        request
    };
    match location {
        TokenLocation::Bearer => with(header::AUTHORIZATION, format!("Bearer {token}")),
        TokenLocation::Header(own) if *own.name() == header::AUTHORIZATION => {
            with(header::AUTHORIZATION, format!("Token {token}"))
        }
        TokenLocation::Header(own) => with(own.name().clone(), token.to_owned()),
        TokenLocation::BasicUserName => {
            with(header::AUTHORIZATION, format!("Basic {}", base64(&format!("{token}:"))))
        }
        TokenLocation::BasicPassword(_) => {
            with(header::AUTHORIZATION, format!("Basic {}", base64(&format!("x:{token}"))))
        }
        TokenLocation::Query | TokenLocation::QueryParameter(_) => {
            let name = if *location == TokenLocation::Query { "access_token" } else { "jwt" };
            let mut request = Request::new(Body::default());
            *request.uri_mut() = format!("/r?{name}={token}").parse().unwrap();
            request
        }
        TokenLocation::Form => {
            let mut request =
                with(header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned());
            *request.method_mut() = Method::POST;
            *request.body_mut() = Body::from(format!("access_token={token}"));
            request
        }
        TokenLocation::Cookie(_) => with(header::COOKIE, format!("a=b; at={token}; c=d")),
        TokenLocation::WebSocketProtocol(_) => {
            let encoded = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, token);
            upgrade(format!("bearer.{encoded}, chat"))
        }
        TokenLocation::WebSocketProtocolPair(_) => upgrade(format!("bearer, {token}, chat")),
        _ => panic!("another location"),
    }
}

/// RFC 9111 §3.5 keeps shared caches from storing answers to requests with `Authorization`, and no
/// others.
#[tokio::test]
async fn an_answer_to_a_token_outside_of_authorization_is_private() {
    for location in locations() {
        let response = answer(&layer([location.clone()]), request(&location, TOKEN)).await;
        assert_eq!(response.status(), StatusCode::OK, "{location:?}");
        let is_protected = request(&location, TOKEN).headers().contains_key(header::AUTHORIZATION);
        let expected = if is_protected { "public, max-age=60" } else { "private, max-age=60" };
        assert_eq!(response.headers()[header::CACHE_CONTROL], expected, "{location:?}");
    }
}

#[tokio::test]
async fn an_answer_to_a_verdict_that_was_waited_for_is_private_too() {
    let judge = async |_: AccessToken| {
        tokio::task::yield_now().await;
        Ok::<_, Rejection>(Validated::from(Principal::new("alice")))
    };
    let location = TokenLocation::cookie("at").unwrap();
    let layer = RequireToken::new("api", judge).unwrap().with_locations([location.clone()]);
    let service = layer.unwrap().layer(service_fn(public));
    let response = service.oneshot(request(&location, TOKEN)).await.unwrap();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "private, max-age=60");
}

#[tokio::test]
async fn a_dpop_token_beside_a_token_in_another_location_is_a_second_credential() {
    for location in locations() {
        if request(&location, TOKEN).headers().contains_key(header::AUTHORIZATION) {
            continue;
        }
        for layer in [
            layer([location.clone()]),
            layer([TokenLocation::Bearer, location.clone()]),
            layer([location.clone()]).allow_anonymous(),
            layer([location.clone()]).dangerous_pass_bad_tokens_as_anonymous(),
        ] {
            for token in [TOKEN, "tok-unknown"] {
                for authorization in
                    ["DPoP abc", "dpop  abc", "DPoP", "Digest x, DPoP abc", ",dpop abc"]
                {
                    let mut request = request(&location, token);
                    let value = authorization.parse().unwrap();
                    request.headers_mut().insert(header::AUTHORIZATION, value);
                    let response = answer(&layer, request).await;
                    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{location:?}");
                    let challenge = &Challenge::from_headers(response.headers())[0];
                    assert_eq!(challenge.param("error"), Some("invalid_request"));
                }
            }
        }
        // Others are not ours to read.
        let mut request = request(&location, TOKEN);
        request.headers_mut().insert(header::AUTHORIZATION, "DPoPx abc".parse().unwrap());
        assert_eq!(answer(&layer([location]), request).await.status(), StatusCode::OK);
    }
}

/// A token that is too long is refused as such, whatever it is made of: nothing looks at it.
#[tokio::test]
async fn the_length_of_a_token_comes_before_its_grammar() {
    for location in locations() {
        let layer = layer([location.clone()]);
        let kind = async |token: &str| {
            let response = answer(&layer, request(&location, token)).await;
            response.extensions().get().map(Rejection::kind)
        };
        // Nothing but the grammar decides here.
        let (good, bad) = ("a".repeat(LONGEST), format!("{}\"", "a".repeat(LONGEST - 1)));
        assert_eq!(kind(&good).await, Some(RejectionKind::Invalid), "{location:?}");
        if !matches!(location, TokenLocation::Query | TokenLocation::QueryParameter(_)) {
            assert_eq!(kind(&bad).await, Some(RejectionKind::Malformed), "{location:?}");
            for bad in [bad + "\"", "=".repeat(LONGEST + 1), "a\"".repeat(3 * LONGEST)] {
                assert_eq!(kind(&bad).await, Some(RejectionKind::Invalid), "{location:?}");
            }
        }
        for bad in [format!("a={}", "a".repeat(LONGEST)), "a+".repeat(30_000)] {
            assert_eq!(kind(&bad).await, Some(RejectionKind::Invalid), "{location:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_even_base64_is_refused_for_its_length() {
    let prefix = TokenLocation::websocket_protocol("bearer.").unwrap();
    for (location, name, value) in [
        (TokenLocation::BasicUserName, header::AUTHORIZATION, "Basic "),
        (prefix.clone(), header::SEC_WEBSOCKET_PROTOCOL, "chat, bearer."),
    ] {
        for (length, kind) in
            [(20_000, RejectionKind::Malformed), (100_000, RejectionKind::Invalid)]
        {
            let mut request = request(&prefix, TOKEN);
            let value = format!("{value}{}", "~".repeat(length)).parse().unwrap();
            request.headers_mut().insert(name.clone(), value);
            let response = answer(&layer([location.clone()]), request).await;
            assert_eq!(response.extensions().get().map(Rejection::kind), Some(kind));
        }
    }
}
