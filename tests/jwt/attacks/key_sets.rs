//! Attacks that come with the key set of an issuer.

use crate::{
    api::{
        Api, ISSUER, Seen, Web, claims, clock, encoded, entries, good, header, key_of, signed, with,
    },
    keys::{Key, authenticated},
};
use http::StatusCode;
use serde_json::{Value, json};
use tower_oauth2::validate::JwtValidator;

/// The modulus of an RSA key of 1024 bits, and a token that it signed, good but for that.
const SHORT: &str = "zKSYKAix5jkGzO5XS5gv1xirVksVSvgAZpc1Q7_6OsDxhjcMBQE12B8bkqa02FjeQ-W8787wySUz\
    f6m9A9IzA3k4KOq1UQGv_B2q8iWuk2u-Ekz1pp5qJurQioRTgafMhayCGRHIWmvnaJzRcbyjQIKnee2T73eAO7mSYZiLTtk";
const BY_SHORT: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InNob3J0In0.eyJpc3MiOiJodHRw\
    czovL2FzLmV4YW1wbGUiLCJhdWQiOiJodHRwczovL2FwaS5leGFtcGxlIiwiZXhwIjoxNzY3MjI1OTAwLCJpYXQiOjE3Njcy\
    MjU1OTAsInN1YiI6ImFsaWNlIiwiY2xpZW50X2lkIjoiYzEiLCJqdGkiOiJqMSJ9.ll7M-ksqYbJAHf_WYSCHu2BfD3xJANE\
    YPYpxXX_O7fQN_Mo22Oqoif4VLdv3z1CcW1aS7jWx68a9RgTKPCjvwceoU-0zRwgMb2FKzbvaFeCsu038rvB0VFVJFBWjBFH\
    6g05qW5rsfoSRyykHLT0w_h6AtRv_jehqTkspMwKaSgs";

/// An API whose issuer shows these entries after its own, and the lines about what it skipped.
async fn beside(more: Vec<Value>) -> (Api, Vec<String>) {
    let web = Web::default();
    web.publish(ISSUER, entries(ISSUER).into_iter().chain(more).collect());
    let keys = web.jwks(ISSUER);
    let issuer = tower_oauth2::validate::TrustedIssuer::new(ISSUER, keys.clone());
    let issuer = issuer.with_audience([crate::api::AUDIENCE]);
    let api = Api::over(JwtValidator::new(issuer).unwrap().with_clock(clock()), web);
    api.stands("a key set with further entries").await;
    (api, keys.status().skipped().to_vec())
}

#[tokio::test]
async fn a_short_rsa_key_is_skipped_and_reported_and_its_token_refused() {
    let short = json!({"kty": "RSA", "n": SHORT, "e": "AQAB", "kid": "short", "alg": "RS256"});
    let (api, skipped) = beside(vec![short]).await;
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("short") && skipped[0].contains("2048"), "{skipped:?}");
    api.refuses("by 1024 bits", BY_SHORT).await;
}

#[tokio::test]
async fn a_shared_secret_in_a_key_set_is_nobodys_key() {
    let secret = Key::of("a secret", "HS256").unwrap();
    let (api, skipped) = beside(vec![secret.jwk("h1")]).await;
    assert_eq!(skipped.len(), 1);
    let k = secret.members()["k"].clone();
    assert!(!skipped[0].contains(k.as_str().unwrap()));
    let input =
        format!("{}.{}", encoded(header("HS256", "h1").to_string()), encoded(claims().to_string()));
    let tag = authenticated("HS256", &crate::api::decoded(k.as_str().unwrap()), input.as_bytes());
    api.refuses("by the secret", &format!("{input}.{}", encoded(tag))).await;
}

#[tokio::test]
async fn a_key_that_is_not_for_signatures_or_not_secret_any_more() {
    let spoiled = [
        json!({"use": "enc"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": "verify"}),
        json!({"d": encoded([1; 32])}),
        json!({"k": encoded([1; 32])}),
        json!({"alg": "ES384"}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"crv": "P-384"}),
        json!({"crv": "secp256k1"}),
        json!({"crv": "P-521"}),
        json!({"crv": null}),
        json!({"kty": "RSA"}),
        json!({"x": encoded([0; 32])}),
        json!({"y": encoded([0; 32])}),
        json!({"x": encoded([0xff; 32])}),
    ];
    let key = Key::of("not for this", "ES256").unwrap();
    let more = spoiled.iter().map(|change| with(key.jwk("x1"), change.clone()));
    let (api, skipped) = beside(more.collect()).await;
    assert_eq!(skipped.len(), spoiled.len(), "{skipped:?}");
    let token = signed(&key, header("ES256", "x1").to_string(), claims().to_string());
    api.refuses("by a key that is skipped", &token).await;
}

/// Keys of one name beyond a few are not tried: a token would cost as many verifications.
#[tokio::test]
async fn a_hundred_keys_of_one_name_cost_no_more_than_a_few() {
    let own = Key::of("the last of many", "ES256").unwrap();
    let many: Vec<_> =
        (0..60).map(|number| Key::of(&format!("many {number}"), "ES256").unwrap()).collect();
    let more = many.iter().chain([&own]).map(|key| key.jwk("many"));
    let (api, skipped) = beside(more.collect()).await;
    assert!(skipped.is_empty());
    let body = claims().to_string();
    let by = |key: &Key| signed(key, header("ES256", "many").to_string(), &body);
    api.takes("by the first", &by(&many[0])).await;
    api.refuses("by the last", &by(&own)).await;
}

#[tokio::test]
async fn a_set_of_a_thousand_keys_is_no_set_and_nobody_can_tell() {
    let web = Web::default();
    let jwk = key_of(ISSUER, "k1").jwk("k1");
    web.publish(ISSUER, vec![jwk; 1000]);
    let validator = JwtValidator::new(web.issuer(ISSUER)).unwrap().with_clock(clock());
    let api = Api::over(validator, web);
    let Seen { status, subject, .. } = api.sees(&good("k1")).await;
    assert_eq!((status, subject), (StatusCode::SERVICE_UNAVAILABLE, None));
    for token in [good("r1"), good("k1")] {
        assert_eq!(api.sees(&token).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(api.web.asked().len(), 1, "the next try is not due");
}
