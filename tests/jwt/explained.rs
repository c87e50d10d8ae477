//! A refusal tells the operator which claim it is for, what was expected and what was found; and its
//! caller no more than that the token is not good, or which rule it breaks.

use crate::api::{AUDIENCE, ISSUER, KEYS, NOW, claims, entries, header, key_of, signed, with};
use http::{Request, Response, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    server::RequireToken,
    testing::ManualClock,
    validate::{Cached, Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

fn validator(clock: &ManualClock) -> JwtValidator {
    let keys = Jwks::from_json(&json!({"keys": entries(ISSUER)}).to_string()).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
    JwtValidator::new(issuer).unwrap().with_clock(clock.clock())
}

fn clock() -> ManualClock {
    ManualClock::from_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

fn token(header: &Value, claims: &Value) -> String {
    signed(&key_of(ISSUER, "k1"), header.to_string(), claims.to_string())
}

/// What the audit event says of a refused token, and what its caller gets.
async fn explained<V: ValidateToken>(validator: V, token: &str) -> (String, String) {
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let audit = heard.clone();
    let layer = RequireToken::new("api", validator)
        .unwrap()
        .with_audit(move |event| audit.lock().unwrap().push(event.description.to_owned()));
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    let response = layer.layer(inner).oneshot(request.body(()).unwrap()).await.unwrap();
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    let description = heard.lock().unwrap().pop().unwrap();
    (description, challenge)
}

#[tokio::test]
async fn a_refusal_names_the_claim_and_what_was_expected_and_found() {
    let good = header("ES256", "k1");
    let typed = |typ: &str| with(good.clone(), json!({"typ": typ}));
    let unverified = |text: &str| format!("{text} (signature not verified)");
    let not_good = "the access token is not good";
    let no_claim = "the access token has no client_id (RFC 9068 section 2.2)";
    for (header, more, told, public) in [
        (typed("JWT"), json!({}), unverified("typ: expected 'at+jwt', found 'JWT'"), not_good),
        (
            good.clone(),
            json!({"aud": ["a", "b", "c", "d", "e"]}),
            unverified("aud: expected 'https://api.example', found 'a', 'b', 'c', 'd', ..."),
            not_good,
        ),
        (
            good.clone(),
            json!({"exp": "soon"}),
            unverified("exp: expected a number, found 'soon'"),
            not_good,
        ),
        (
            good.clone(),
            json!({"exp": 1}),
            unverified(&format!("exp: expected a date after {NOW}, found 1")),
            not_good,
        ),
        (good.clone(), json!({"sub": 42}), unverified("sub: expected a text, found 42"), not_good),
        (
            good.clone(),
            json!({"client_id": null}),
            "client_id: expected a value, found nothing".into(),
            no_claim,
        ),
        (
            good.clone(),
            json!({"scope": ["read"]}),
            "scope: expected scopes of RFC 6749 section 3.3 in one text, found a list".into(),
            "the scope of the access token is malformed",
        ),
        (
            good.clone(),
            json!({"scope": "a\\b"}),
            "scope: expected scopes of RFC 6749 section 3.3 in one text, found 'a/b'".into(),
            "the scope of the access token is malformed",
        ),
        (
            good.clone(),
            json!({"typ": "ID"}),
            "typ: expected the kind of an access token, found 'ID'".into(),
            "the token is not an access token",
        ),
        (
            good.clone(),
            json!({"events": {}}),
            "events: expected nothing, found a value".into(),
            "the token is not an access token",
        ),
        (
            good.clone(),
            json!({"cnf": {"kid": "x"}}),
            "cnf: expected a thumbprint of a key or certificate, found an object".into(),
            "the access token is bound in a way that is not supported",
        ),
    ] {
        let token = token(&header, &with(claims(), more));
        let (description, challenge) = explained(validator(&clock()), &token).await;
        assert_eq!(description, told);
        assert!(challenge.ends_with(&format!("error_description=\"{public}\"")), "{challenge}");
    }
}

#[tokio::test]
async fn an_age_a_lifetime_and_an_expiry_in_a_cache_are_told_in_numbers() {
    let (clock, minute) = (clock(), Duration::from_secs(60));
    let good = token(&header("ES256", "k1"), &claims());
    let short = validator(&clock).with_max_lifetime(minute);
    let (told, _) = explained(short, &good).await;
    assert_eq!(told, "lifetime from iat to exp: expected at most 60 s, found 310 s");
    let cached = Cached::new(validator(&clock)).with_ttl(60 * minute).with_clock(clock.clock());
    let request = Request::new(());
    let head = tower_oauth2::RequestHead::from_request(&request);
    assert!(cached.validate(&good, head).wait().await.is_ok());
    clock.advance(Duration::from_secs(120));
    let (told, _) = explained(validator(&clock).with_max_token_age(minute), &good).await;
    assert_eq!(told, "age since iat: expected at most 90 s, found 130 s");
    clock.advance(Duration::from_secs(300));
    let (told, _) = explained(cached, &good).await;
    assert_eq!(told, format!("exp: expected a date after {}, found {}", NOW + 420, NOW + 300));
}

#[tokio::test]
async fn what_is_found_is_cut_and_the_token_is_never_repeated() {
    let long = "x".repeat(9000);
    for (kid, algorithm) in KEYS {
        for claim in ["iss", "aud", "exp", "typ", "token_use", "scope", "sub", "client_id"] {
            for value in [json!(long), json!([long]), json!({"a": long}), json!(vec!["yy"; 2000])] {
                let claims = with(claims(), json!({claim: value}));
                let header = header(algorithm, kid).to_string();
                let token = signed(&key_of(ISSUER, kid), header, claims.to_string());
                let request = Request::new(());
                let head = tower_oauth2::RequestHead::from_request(&request);
                let verdict = validator(&clock()).validate(&token, head).wait().await;
                // A long text is as good as any where nothing is compared with it.
                let Err(rejection) = verdict else { continue };
                let told = rejection.description();
                assert!(told.len() <= 512 && told.starts_with(claim), "{claim}: {told}");
                assert!(!told.contains(&token[..40]), "{told}");
            }
        }
    }
}
