//! Which answers reject the token: the table in the docs of `AddBearer`, row by row.

use crate::resource::{AnswerBody, BoxError, HOME, Issuer, Resource, body_of};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use std::time::Duration;
use tower::{Layer, ServiceExt, util::BoxCloneService};
use tower_oauth2::{
    TokenLocation,
    client::{AddBearer, InsufficientScope, InsufficientUserAuthentication},
};

type Text = Full<Bytes>;
type Client = BoxCloneService<Request<Text>, Response<AnswerBody>, BoxError>;

/// What becomes of a token that got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is rejected, and the call repeated.
    Rejected,
    /// It stays, and the answer is the caller's.
    Kept,
}
use Verdict::{Kept, Rejected};

/// What `with_strict_recovery` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Default,
    Strict,
}

const BOTH: [Rule; 2] = [Rule::Default, Rule::Strict];
const BEARER: TokenLocation = TokenLocation::Bearer;
const CHALLENGE: &str = "www-authenticate";
const STEP_UP: &str =
    r#"Bearer error="insufficient_user_authentication", acr_values="mfa  pwd", max_age=300"#;

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().copied().map(line) {
        headers.append(name, value);
    }
    headers
}

fn answering(status: u16, lines: &[(&'static str, &'static str)]) -> Resource {
    let headers = headers(lines);
    // The second token, in each of the forms in which it is sent.
    Resource::accepting(["T2", "VDI6"]).refusing_with(move || {
        let mut response = Response::new(body_of("refused"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers.clone();
        response
    })
}

fn get() -> Request<Text> {
    Request::get(format!("{HOME}/calls")).body(Text::default()).unwrap()
}

/// Sends a token to `location`, where it gets this answer.
async fn verdict(
    rule: Rule,
    location: &TokenLocation,
    status: u16,
    lines: &[(&'static str, &'static str)],
) -> Verdict {
    let (issuer, resource) = (Issuer::of(["T1", "T2"]), answering(status, lines));
    let layer = match rule {
        Rule::Default => issuer.layer(),
        Rule::Strict => issuer.layer().with_strict_recovery(),
    };
    let layer = layer.with_location(location.clone());
    let response = layer.layer(resource.clone()).oneshot(get()).await.unwrap();
    let is_usable = layer.cache().status().is_usable();
    assert!(is_usable, "a token is there: the first or the next");
    match (resource.seen().len(), issuer.requests()) {
        (1, 1) => {
            assert_eq!(response.status().as_u16(), status);
            Kept
        }
        (2, 2) => {
            assert_eq!(response.status(), StatusCode::OK);
            Rejected
        }
        counts => panic!("{counts:?} requests"),
    }
}

/// Expects `verdict` of every one of `lines`, as the one challenge of a 401.
async fn expect(
    rule: Rule,
    location: &TokenLocation,
    expected: Verdict,
    challenges: &[&'static str],
) {
    for challenge in challenges {
        let got = verdict(rule, location, 401, &[(CHALLENGE, challenge)]).await;
        assert_eq!(got, expected, "{rule:?}, {location:?}: {challenge}");
    }
}

// case: r401-11
#[tokio::test]
async fn a_401_without_a_challenge_rejects_the_token_unless_the_rule_is_strict() {
    for (rule, expected) in [(Rule::Default, Rejected), (Rule::Strict, Kept)] {
        assert_eq!(verdict(rule, &BEARER, 401, &[]).await, expected);
        expect(rule, &BEARER, expected, &["", " ,"]).await;
    }
}

// case: r401-11
#[tokio::test]
async fn a_401_with_invalid_token_rejects_the_token_in_every_location_and_by_every_rule() {
    let locations = [
        BEARER,
        TokenLocation::Query,
        TokenLocation::BasicUserName,
        TokenLocation::header("x-api-key").unwrap(),
        TokenLocation::header_with_scheme("authorization", "Token").unwrap(),
    ];
    let challenges =
        ["Bearer error=\"invalid_token\"", "Basic realm=\"x\", bearer ERROR=invalid_token"];
    for location in locations {
        for rule in BOTH {
            expect(rule, &location, Rejected, &challenges).await;
        }
    }
}

// case: r401-11
#[tokio::test]
async fn a_401_with_a_challenge_of_the_tokens_scheme_rejects_it_unless_the_rule_is_strict() {
    let token = TokenLocation::header_with_scheme("authorization", "Token").unwrap();
    let key = TokenLocation::header("x-api-key").unwrap();
    let own = [
        (BEARER, ["Bearer", "Basic realm=\"x\", bearer error=\"invalid_request\""]),
        (TokenLocation::Query, ["Bearer", "Negotiate, BEARER realm=\"x\""]),
        (TokenLocation::BasicUserName, ["basic realm=\"x\"", "Bearer, Basic realm=\"x\""]),
        (token, ["token", "Basic realm=\"x\", TOKEN realm=\"y\""]),
        (key, ["Bearer", "Basic realm=\"x\", Bearer"]),
    ];
    for (location, challenges) in own {
        expect(Rule::Default, &location, Rejected, &challenges).await;
        expect(Rule::Strict, &location, Kept, &challenges).await;
    }
}

#[tokio::test]
async fn a_401_with_challenges_of_other_schemes_alone_keeps_the_token() {
    let token = TokenLocation::header_with_scheme("authorization", "Token").unwrap();
    let key = TokenLocation::header("x-api-key").unwrap();
    let others = [
        (BEARER, ["Basic realm=\"x\"", "Negotiate, DPoP error=\"invalid_token\""]),
        (TokenLocation::Query, ["Basic realm=\"x\"", "Digest nonce=\"x\""]),
        (TokenLocation::BasicUserName, ["Bearer", "Digest nonce=\"x\""]),
        (token, ["Bearer realm=\"x\"", "Basic realm=\"x\""]),
        (key, ["Basic realm=\"x\"", "ApiKey"]),
    ];
    for (location, challenges) in others {
        for rule in BOTH {
            expect(rule, &location, Kept, &challenges).await;
        }
    }
}

#[tokio::test]
async fn each_line_of_challenges_counts_and_a_malformed_one_by_its_scheme() {
    let basic = (CHALLENGE, "Basic realm=\"x\"");
    // No comma between its parameters.
    let bearer = (CHALLENGE, "Bearer realm=\"x\" error=\"invalid_token\"");
    for lines in [&[basic, (CHALLENGE, "Bearer")][..], &[bearer], &[basic, bearer]] {
        assert_eq!(verdict(Rule::Default, &BEARER, 401, lines).await, Rejected, "{lines:?}");
    }
    expect(Rule::Default, &BEARER, Kept, &["Basic realm=\"x", "Bearers realm=\"x"]).await;
}

#[tokio::test]
async fn a_401_that_asks_for_another_authentication_of_the_user_keeps_the_token() {
    for rule in BOTH {
        let challenges =
            [STEP_UP, "Basic realm=\"x\", Bearer ERROR=insufficient_user_authentication"];
        expect(rule, &BEARER, Kept, &challenges).await;
    }
    let lines = [(CHALLENGE, STEP_UP), (CHALLENGE, "Bearer error=\"invalid_token\"")];
    assert_eq!(verdict(Rule::Default, &BEARER, 401, &lines).await, Rejected);
}

#[tokio::test]
async fn no_other_status_rejects_the_token_whatever_its_challenge() {
    for status in [200, 400, 403, 404, 407, 500, 503] {
        for rule in BOTH {
            let lines = [(CHALLENGE, "Bearer error=\"invalid_token\"")];
            assert_eq!(verdict(rule, &BEARER, status, &lines).await, Kept, "{status}");
        }
    }
}

// case: r401-13
#[tokio::test]
async fn unauthenticated_in_an_answer_of_grpc_rejects_the_token() {
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC;charset=utf-8",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ] {
        for rule in BOTH {
            let lines = [("content-type", content_type), ("grpc-status", "16")];
            assert_eq!(verdict(rule, &BEARER, 200, &lines).await, Rejected, "{content_type}");
        }
    }
}

#[tokio::test]
async fn a_grpc_status_in_an_answer_of_another_content_type_keeps_the_token() {
    for content_type in ["application/json", "application/grpcx", "text/plain; application/grpc"] {
        let lines = [("content-type", content_type), ("grpc-status", "16")];
        assert_eq!(verdict(Rule::Default, &BEARER, 200, &lines).await, Kept, "{content_type}");
    }
    let alone = [("grpc-status", "16")];
    assert_eq!(verdict(Rule::Default, &BEARER, 200, &alone).await, Kept);
    // With two lines of it, a reader may go by either.
    let (grpc, json) = (("content-type", "application/grpc"), ("content-type", "application/json"));
    let two = [grpc, json, ("grpc-status", "16")];
    assert_eq!(verdict(Rule::Default, &BEARER, 200, &two).await, Kept);
}

/// Every way of an answer to the caller: a fixed token, one that is kept, and one without recovery.
fn clients(resource: &Resource) -> [Client; 3] {
    let issuer = Issuer::of(["T1"; 4]);
    [
        AddBearer::bearer("T1", HOME).unwrap().layer(resource.clone()).boxed_clone(),
        issuer.layer().layer(resource.clone()).boxed_clone(),
        issuer.layer().without_recovery().layer(resource.clone()).boxed_clone(),
    ]
}

#[tokio::test]
async fn a_401_says_which_authentication_it_wants_on_every_way() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (challenge, acr_values, max_age) in [
        (STEP_UP, &["mfa", "pwd"][..], seconds(300)),
        (
            "Basic realm=\"x\", DPoP error=insufficient_user_authentication, max_age=0",
            &[],
            seconds(0),
        ),
        ("Bearer error=\"insufficient_user_authentication\", max_age=\"+5\"", &[], None),
        ("Bearer error=insufficient_user_authentication, max_age=99999999999999999999", &[], None),
    ] {
        let resource = answering(401, &[(CHALLENGE, challenge)]);
        // The second round has its tokens.
        for _ in 0..2 {
            for client in clients(&resource) {
                let response = client.oneshot(get()).await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                let wanted = response.extensions().get::<InsufficientUserAuthentication>().unwrap();
                assert!(wanted.acr_values().eq(acr_values.iter().copied()), "{challenge}");
                assert_eq!(wanted.max_age(), max_age, "{challenge}");
                assert!(response.extensions().get::<InsufficientScope>().is_none());
            }
        }
    }
}

#[tokio::test]
async fn no_other_answer_asks_for_an_authentication_of_the_user() {
    for (status, challenge) in
        [(403, STEP_UP), (200, STEP_UP), (401, "Bearer acr_values=\"mfa\", max_age=5"), (401, "")]
    {
        for client in clients(&answering(status, &[(CHALLENGE, challenge)])) {
            let response = client.oneshot(get()).await.unwrap();
            assert!(response.extensions().get::<InsufficientUserAuthentication>().is_none());
        }
    }
}
