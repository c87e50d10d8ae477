//! What becomes of odd claims is one table for JWTs and introspection: the rows are those of
//! `docs/guide/odd_tokens.md`.

use crate::api::{NOW, clock, encoded};
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use std::{convert::Infallible, future::ready, sync::Arc};
use tower::service_fn;
use tower_oauth2::{
    Algorithm, ClientAuthentication, RequestHead, Transport,
    validate::{
        Introspection, Jwks, JwtValidator, Principal, Rejection, RejectionKind, TrustedIssuer,
        ValidateToken, Validated,
    },
};

const TABLE: &str = include_str!("../../docs/guide/odd_tokens.md");
const ISSUER: &str = "https://as.example";
const SECRET: &str = "a secret of at least 32 bytes, really";

pub(crate) type Verdict = Result<Principal, Rejection>;

fn verdict(judged: Result<Arc<Validated>, Rejection>) -> Verdict {
    judged.map(|validated| validated.principal().clone())
}

pub(crate) fn trusted() -> TrustedIssuer {
    let keys = Jwks::from_secret(Algorithm::Hs256, SECRET).unwrap();
    TrustedIssuer::new(ISSUER, keys).allow_other_profiles()
}

fn signed(payload: &str) -> String {
    let input = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{input}.{}", encoded(hmac::sign(&key, input.as_bytes())))
}

pub(crate) async fn as_a_jwt(issuer: TrustedIssuer, payload: &str) -> Verdict {
    let validator = JwtValidator::new(issuer).unwrap().with_clock(clock());
    let request = Request::new(());
    let head = RequestHead::from_request(&request);
    verdict(validator.validate(&signed(payload), head).wait().await)
}

pub(crate) fn asking(answer: String) -> Introspection {
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer.clone())))))
    });
    let client = ClientAuthentication::basic("api", "s3cr3t");
    let introspection =
        Introspection::new("https://as.example/introspect", client, Transport::new(service));
    introspection.unwrap().with_issuer(ISSUER).with_clock(clock())
}

pub(crate) async fn introspected(validator: Introspection) -> Verdict {
    let request = Request::new(());
    let head = RequestHead::from_request(&request);
    verdict(validator.validate("opaque", head).wait().await)
}

fn claims(name: &str, value: Option<&Value>) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": "api", "sub": "alice", "exp": NOW + 600, "iat": NOW - 1,
        "client_id": "app", "scope": "read", "jti": "1", "active": true,
    });
    match value {
        Some(value) => claims[name] = value.clone(),
        None => drop(claims.as_object_mut().unwrap().remove(name)),
    }
    claims.to_string()
}

async fn both(payload: &str) -> (Verdict, Verdict) {
    let jwt = as_a_jwt(trusted().with_audience(["api"]), payload).await;
    (jwt, introspected(asking(payload.to_owned()).with_audience(["api"])).await)
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A claim, its value and what the table says of it.
fn rows() -> Vec<(&'static str, Option<Value>, &'static str)> {
    let mut rows = Vec::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, values, becomes] = cells[..] else { panic!("{line}") };
        for name in code(names) {
            let absent = values.starts_with("absent").then_some((name, None, becomes));
            rows.extend(absent);
            for value in code(values) {
                rows.push((name, Some(serde_json::from_str(value).unwrap()), becomes));
            }
        }
    }
    rows
}

/// 401, and the log says which claim.
fn is_refused(name: &str, row: &str, verdict: Verdict) {
    let rejection = verdict.expect_err(row);
    let kind = rejection.kind();
    assert!(matches!(kind, RejectionKind::Invalid | RejectionKind::Expired), "{row}: {rejection}");
    let (told, public) = (rejection.description(), rejection.public_description());
    assert!(told.starts_with(&format!("{name}: expected ")), "{row}: {told}");
    assert!(told.contains(", found ") && !public.contains("expected"), "{row}: {told} {public}");
}

#[tokio::test]
async fn each_row_of_the_table_gets_its_one_verdict_from_both_validators() {
    let rows = rows();
    assert!(rows.len() > 150, "{}", rows.len());
    for (name, value, becomes) in rows {
        let row = format!("{name} {value:?}");
        let (jwt, introspected) = both(&claims(name, value.as_ref())).await;
        let as_a_jwt = becomes.strip_prefix("as a JWT ").unwrap_or(becomes);
        let by_answer = becomes.split("; introspected ").last().unwrap();
        match (as_a_jwt.starts_with("accepted"), by_answer.starts_with("accepted")) {
            (true, true) => assert_eq!(jwt.expect(&row), introspected.expect(&row), "{row}"),
            (false, true) => {
                is_refused(name, &row, jwt);
                assert_eq!(introspected.expect(&row).subject(), Some("alice"), "{row}");
            }
            (jwt_good, _) => {
                assert!(!jwt_good && by_answer.starts_with("refused"), "{row}");
                is_refused(name, &row, jwt);
                is_refused(name, &row, introspected);
            }
        }
    }
}

#[tokio::test]
async fn an_odd_claim_that_costs_nothing_is_not_in_the_principal() {
    let of = async |name: &str, value: Value| both(&claims(name, Some(&value))).await.1.unwrap();
    assert_eq!(of("sub", json!("")).await.subject(), None);
    assert_eq!(of("client_id", json!("")).await.client_id(), None);
    assert_eq!(of("jti", json!([])).await.token_id(), None);
    assert_eq!(of("acr", json!(1)).await.acr(), None);
    assert_eq!(of("auth_time", json!("2025-01-01T00:00:00Z")).await.authenticated_at(), None);
    for (scope, granted) in [
        (json!(["read", "a b", ""]), "read"),
        (json!("r\u{e9}ad write"), "write"),
        (json!(["may not admin"]), ""),
    ] {
        assert_eq!(of("scope", scope.clone()).await.scopes().to_string(), granted, "{scope}");
    }
    let without_client = json!({
        "iss": ISSUER, "aud": "api", "exp": NOW + 600, "azp": "zap", "client_id": null, "active": true,
    });
    let (jwt, introspected) = both(&without_client.to_string()).await;
    assert_eq!(jwt.unwrap().client_id(), Some("zap"));
    assert_eq!(introspected.unwrap().client_id(), Some("zap"));
    let odd = without_client.to_string().replace("\"zap\"", "5");
    let (jwt, introspected) = both(&odd).await;
    is_refused("azp", "where it is read", jwt);
    is_refused("azp", "where it is read", introspected);
}

#[tokio::test]
async fn a_setting_takes_what_the_table_says_that_it_takes() {
    for aud in [json!(null), json!(""), json!([])] {
        let payload = claims("aud", Some(&aud));
        let open = || trusted().with_audience(["api"]).dangerous_allow_missing_audience();
        assert!(as_a_jwt(open(), &payload).await.is_ok(), "{aud}");
        let asked = asking(payload).with_audience(["api"]).dangerous_allow_missing_audience();
        assert!(introspected(asked).await.is_ok(), "{aud}");
        let payload = claims("aud", Some(&json!("other")));
        is_refused("aud", "of another API", as_a_jwt(open(), &payload).await);
    }
    let issuer = || trusted().with_audience(["api"]);
    for (value, subject) in
        [(json!(42), "42"), (json!(-1), "-1"), (json!(u64::MAX), "18446744073709551615")]
    {
        let payload = claims("sub", Some(&value));
        let principal = as_a_jwt(issuer().allow_numeric_subjects(), &payload).await.unwrap();
        assert_eq!(principal.subject(), Some(subject));
        let principal = introspected(asking(payload).allow_numeric_subjects()).await.unwrap();
        assert_eq!(principal.subject(), Some(subject));
    }
    for value in [json!(1.5), json!(1e300), json!([42])] {
        let payload = claims("sub", Some(&value));
        let refused = as_a_jwt(issuer().allow_numeric_subjects(), &payload).await;
        is_refused("sub", "no whole number", refused);
    }
    for value in [None, Some(json!(null))] {
        let payload = claims("iss", value.as_ref());
        let principal = as_a_jwt(issuer().allow_missing_issuer(), &payload).await.unwrap();
        assert_eq!(principal.issuer(), Some(ISSUER));
    }
    for value in [json!(""), json!([]), json!(5), json!("https://other.example")] {
        let payload = claims("iss", Some(&value));
        is_refused("iss", "named", as_a_jwt(issuer().allow_missing_issuer(), &payload).await);
    }
}

#[tokio::test]
async fn a_document_that_is_none_is_no_verdict_of_a_server() {
    let good = claims("x", Some(&json!(1)));
    let (jwt, introspected) = both(&format!("\u{feff}{good}")).await;
    assert_eq!(jwt.unwrap(), introspected.unwrap());
    for odd in [
        good.replace("\"x\":1", "\"x\":{\"a\":1,\"a\":2}"),
        good.replace("\"x\":1", "\"x\":1e999"),
        good.replace("\"x\":1", "\"x\":\"\\ud800\""),
        format!("{good}x"),
        format!("[{good}]"),
    ] {
        let (jwt, introspected) = both(&odd).await;
        assert_eq!(jwt.unwrap_err().kind(), RejectionKind::Invalid, "{odd}");
        assert_eq!(introspected.unwrap_err().kind(), RejectionKind::Unavailable, "{odd}");
    }
    let (_, odd) = both(&good.replace("\"active\":true", "\"active\":\"true\"")).await;
    assert_eq!(odd.unwrap_err().kind(), RejectionKind::Unavailable);
}

/// Claims as these issuers send them; what is in them is made up.
#[tokio::test]
async fn the_shapes_that_providers_send_are_taken_by_two_or_three_settings() {
    let times = json!({"iss": ISSUER, "iat": NOW - 10, "exp": NOW + 600});
    let of = |claims: Value| {
        let mut all = times.clone();
        claims.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        all.to_string()
    };
    let dex = of(json!({
        "sub": "CgNib2I", "aud": "web", "at_hash": "8kdYW3ArNEX5mdWb4mRsmQ", "nonce": "n",
        "groups": ["admins"],
    }));
    let google = of(json!({
        "sub": "1137", "aud": "web", "azp": "android", "at_hash": "abc", "email_verified": true,
    }));
    let hydra = of(json!({"sub": "c", "aud": [], "client_id": "", "ext": {}, "jti": "j"}));
    let adfs = of(json!({"aud": "api", "appid": "1269", "auth_time": "2025-12-31T08:50:55.546Z"}));
    let devise = of(json!({"sub": 42, "aud": null, "scp": "user", "jti": "j"}));
    let devise = devise.replace(&format!("\"iss\":\"{ISSUER}\","), "");
    let clients = || trusted().dangerous_allow_id_tokens(["web", "android"]);
    let open = || trusted().dangerous_allow_missing_audience();
    let rails = open().allow_missing_issuer().allow_numeric_subjects();
    for (name, issuer, payload, subject) in [
        ("Dex", clients(), dex, Some("CgNib2I")),
        ("Google", clients(), google, Some("1137")),
        ("Hydra", open(), hydra, Some("c")),
        ("AD FS", trusted().with_audience(["api"]), adfs, None),
        ("devise-jwt", rails, devise, Some("42")),
    ] {
        let principal = as_a_jwt(issuer, &payload).await.expect(name);
        assert_eq!(principal.subject(), subject, "{name}");
        assert!(as_a_jwt(trusted().with_audience(["x"]), &payload).await.is_err(), "{name}");
    }
}
