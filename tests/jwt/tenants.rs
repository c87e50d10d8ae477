//! Tokens of every tenant of one issuer, as Entra issues them.

use crate::api::{AUDIENCE, Api, ISSUER, Web, claims, clock, header, key_of, signed, with};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::convert::Infallible;
use tower::service_fn;
use tower_oauth2::{
    RequestHead, Transport,
    validate::{Cached, Issuers, Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
/// The tenant of personal accounts.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn issuer_of(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// A token by the key of this name.
fn token(kid: &str, more: Value) -> String {
    let key = key_of(ISSUER, kid);
    let algorithm = if kid == "k1" { "ES256" } else { "ES384" };
    signed(&key, header(algorithm, kid).to_string(), with(claims(), more).to_string())
}

fn of(tenant: &str) -> Value {
    json!({"iss": issuer_of(tenant), "tid": tenant})
}

/// The key `k1` is of every tenant, `p3` of personal accounts.
fn key_set() -> String {
    let key =
        |kid: &str, issuer: String| with(key_of(ISSUER, kid).jwk(kid), json!({ "issuer": issuer }));
    json!({"keys": [key("k1", TEMPLATE.to_owned()), key("p3", issuer_of(PERSONAL))]}).to_string()
}

fn trusted(keys: &str) -> TrustedIssuer {
    let keys = Jwks::from_json(keys).unwrap();
    TrustedIssuer::from_template(TEMPLATE, keys).unwrap().with_audience([AUDIENCE])
}

fn api(issuer: TrustedIssuer) -> Api {
    let validator = JwtValidator::new(issuer).unwrap().with_clock(clock());
    Api::over(Cached::new(validator), Web::default())
}

#[tokio::test]
async fn a_token_is_of_the_tenant_that_its_issuer_its_tid_and_its_key_agree_on() {
    let api = api(trusted(&key_set()));
    for (name, token, is_good) in [
        ("any tenant", token("k1", of(TENANT)), true),
        ("personal accounts", token("p3", of(PERSONAL)), true),
        ("personal accounts, by the key of every tenant", token("k1", of(PERSONAL)), true),
        ("a key of personal accounts", token("p3", of(TENANT)), false),
        ("no tid", token("k1", json!({"iss": issuer_of(TENANT)})), false),
        ("another tid", token("k1", with(of(TENANT), json!({"tid": PERSONAL}))), false),
        ("a tid of another type", token("k1", with(of(TENANT), json!({"tid": [TENANT]}))), false),
        ("a null tid", token("k1", with(of(TENANT), json!({"tid": null}))), false),
        ("no GUID", token("k1", of("common")), false),
        ("capitals", token("k1", of(&TENANT.to_uppercase())), false),
        ("the template", token("k1", of("{tenantid}")), false),
        ("the template with a tid", token("k1", json!({"iss": TEMPLATE, "tid": TENANT})), false),
        ("a path too many", token("k1", of(&format!("{TENANT}/{TENANT}"))), false),
        ("no issuer", token("k1", json!({"iss": null, "tid": TENANT})), false),
    ] {
        let expected = if is_good { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(api.sees(&token).await.status, expected, "{name}");
    }
}

#[tokio::test]
async fn the_principal_of_a_tenant_has_the_issuer_of_its_token() {
    let validator = JwtValidator::new(trusted(&key_set())).unwrap().with_clock(clock());
    let head = Request::new(());
    for tenant in [TENANT, PERSONAL] {
        let verdict =
            validator.validate(&token("k1", of(tenant)), RequestHead::from_request(&head));
        let validated = verdict.wait().await.unwrap();
        assert_eq!(validated.principal().issuer(), Some(&*issuer_of(tenant)));
    }
}

#[tokio::test]
async fn tokens_of_other_tenants_than_those_that_are_named_are_refused() {
    let api = api(trusted(&key_set()).with_tenants([TENANT]).unwrap());
    assert_eq!(api.sees(&token("k1", of(TENANT))).await.status, StatusCode::OK);
    let other = token("k1", of(PERSONAL));
    assert_eq!(api.sees(&other).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_without_an_issuer_is_for_every_tenant() {
    let keys = json!({"keys": [key_of(ISSUER, "k1").jwk("k1")]}).to_string();
    let api = api(trusted(&keys));
    assert_eq!(api.sees(&token("k1", of(TENANT))).await.status, StatusCode::OK);
    assert_eq!(api.sees(&token("k1", of(PERSONAL))).await.status, StatusCode::OK);
}

/// The issuer in a key is Entra's: without a template it may mean anything.
#[tokio::test]
async fn the_issuer_of_a_key_concerns_templates_alone() {
    let keys = Jwks::from_json(&key_set()).unwrap();
    let one = TrustedIssuer::new(issuer_of(TENANT), keys).with_audience([AUDIENCE]);
    let api = api(one);
    assert_eq!(api.sees(&token("p3", of(TENANT))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tenant_with_settings_of_its_own_goes_before_the_template() {
    let issuers = Issuers::new();
    issuers.insert(trusted(&key_set())).unwrap();
    let own = TrustedIssuer::new(issuer_of(TENANT), Jwks::from_json(&key_set()).unwrap());
    issuers.insert(own.with_audience(["https://elsewhere.example"])).unwrap();
    let validator = JwtValidator::from_issuers(issuers.clone()).with_clock(clock());
    let api = Api::over(Cached::new(validator), Web::default());
    assert_eq!(api.sees(&token("k1", of(TENANT))).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(api.sees(&token("k1", of(PERSONAL))).await.status, StatusCode::OK);
    assert!(issuers.remove(&issuer_of(TENANT)).is_some());
    assert_eq!(api.sees(&token("k1", of(TENANT))).await.status, StatusCode::OK);
    assert!(issuers.remove(TEMPLATE).is_some());
    assert_eq!(api.sees(&token("k1", of(PERSONAL))).await.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_template_in_the_place_of_an_issuer_says_what_to_use() {
    let keys = || Jwks::from_json(&key_set()).unwrap();
    let plain = TrustedIssuer::new(TEMPLATE, keys()).with_audience([AUDIENCE]);
    let error = JwtValidator::new(plain).unwrap_err().to_string();
    assert!(error.contains("TrustedIssuer::from_template"), "{error}");
    let error = Jwks::from_issuer(TEMPLATE, Transport::https()).unwrap_err().to_string();
    assert!(error.contains("Jwks::from_url with TrustedIssuer::from_template"), "{error}");
    assert!(TrustedIssuer::from_template(issuer_of(TENANT), keys()).is_err());
    let one = TrustedIssuer::new(issuer_of(TENANT), keys());
    assert!(one.with_tenants([TENANT]).is_err());
    assert!(trusted(&key_set()).with_tenants(["contoso.example"]).is_err());
}

/// A token without an issuer is of no tenant.
#[test]
fn a_template_does_not_allow_a_missing_issuer() {
    let issuer = trusted(&key_set()).with_tenants([TENANT]).unwrap().allow_missing_issuer();
    let error = JwtValidator::new(issuer.clone()).unwrap_err().to_string();
    assert!(error.contains("template"), "{error}");
    assert!(Issuers::new().insert(issuer).is_err());
}

#[tokio::test]
async fn metadata_whose_issuer_is_a_template_say_what_to_use() {
    let document =
        json!({"issuer": TEMPLATE, "jwks_uri": "https://login.example/keys"}).to_string();
    let transport = Transport::new(service_fn(move |_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(document.clone())))
    }));
    let keys = Jwks::from_issuer("https://login.example/common/v2.0", transport).unwrap();
    let error = keys.warm_up().await.unwrap_err().to_string();
    assert!(error.contains("TrustedIssuer::from_template"), "{error}");
}
