//! The attacks under every setting of an issuer: each loosens one rule, and no other.

use crate::api::{
    AUDIENCE, Api, ISSUER, NOW, OTHER, Web, claiming, claims, clock, encoded, entries, header,
    key_of, sealed, signed, token, with,
};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_oauth2::{
    Algorithm, Answer, RequestHead,
    validate::{Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

const WEB: &str = "https://web.example";

type Setting = (&'static str, fn(TrustedIssuer) -> TrustedIssuer);

const SETTINGS: [Setting; 20] = [
    ("none", |issuer| issuer),
    ("types", |issuer| issuer.with_types(["at+jwt", "JWT", "logout+jwt"])),
    ("no type", TrustedIssuer::allow_missing_type),
    ("sub", |issuer| issuer.with_required_claims(["client_id", "iat", "jti"]).unwrap()),
    ("client_id", |issuer| issuer.with_required_claims(["sub", "iat", "jti"]).unwrap()),
    ("azp", TrustedIssuer::allow_azp_as_client_id),
    ("scopes", TrustedIssuer::allow_other_scopes),
    ("numbers", TrustedIssuer::allow_numeric_subjects),
    ("no issuer", TrustedIssuer::allow_missing_issuer),
    ("no audience", TrustedIssuer::dangerous_allow_missing_audience),
    ("id tokens", |issuer| issuer.dangerous_allow_id_tokens([WEB, AUDIENCE])),
    ("profiles", TrustedIssuer::allow_other_profiles),
    ("all", |issuer| {
        let issuer = issuer.with_types(["at+jwt", "JWT"]).allow_other_profiles();
        let issuer = issuer.allow_numeric_subjects().allow_missing_issuer();
        issuer.dangerous_allow_id_tokens([WEB, AUDIENCE])
    }),
    ("nothing required", |issuer| issuer.with_required_claims([]).unwrap()),
    ("clients", |issuer| issuer.with_client_ids(["c1", WEB])),
    ("client claims", |issuer| issuer.with_client_claims(["azp", "client_id", "sub"])),
    ("roles", |issuer| {
        let claims = ["/aud", "/cnf/jkt", "events", "/scope/0", "typ"];
        issuer.with_role_claims(claims).unwrap().allow_role_objects()
    }),
    ("actor", TrustedIssuer::with_actor),
    ("session", TrustedIssuer::with_session_claims),
    ("algorithms", |issuer| issuer.with_algorithms([Algorithm::Es256]).unwrap()),
];

fn keys(issuer: &str) -> Jwks {
    Jwks::from_json(&json!({"keys": entries(issuer)}).to_string()).unwrap()
}

fn trusted(keys: Jwks) -> TrustedIssuer {
    TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE])
}

fn api(set: fn(TrustedIssuer) -> TrustedIssuer) -> Api {
    let validator = JwtValidator::new(set(trusted(keys(ISSUER)))).unwrap();
    Api::over(validator.with_clock(clock()), Web::default())
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn typed(typ: &str) -> Value {
    with(header("ES256", "k1"), json!({"typ": typ}))
}

fn untyped() -> Value {
    json!({"alg": "ES256", "kid": "k1"})
}

/// Tokens that are never good, some with every looseness besides.
fn attacks() -> Vec<(String, String)> {
    let mut attacks = Vec::new();
    let loose = json!({"aud": [], "sub": 42, "scope": ["a b"], "azp": WEB, "client_id": null});
    for (name, header, claims) in [
        ("at+jwt", header("ES256", "k1"), claims()),
        ("JWT", typed("JWT"), claims()),
        ("no typ", untyped(), with(claims(), loose)),
        ("no iss", untyped(), without("iss")),
        ("an ID token", untyped(), with(claims(), json!({"aud": WEB, "at_hash": "x"}))),
    ] {
        let (plain, text) = (claims.to_string(), header.to_string());
        let mut add = |attack: &str, token| attacks.push((format!("{attack}, {name}"), token));
        for alg in ["none", "None", ""] {
            let unsigned = with(header.clone(), json!({"alg": alg})).to_string();
            add("unsigned", format!("{}.{}.", encoded(&unsigned), encoded(&plain)));
            add("unsigned", format!("{}.{}.AAAA", encoded(unsigned), encoded(&plain)));
        }
        let evil = key_of(OTHER, "k1");
        for brought in [
            json!({"jwk": evil.members()}),
            json!({"jku": "https://evil.example/jwks"}),
            json!({"x5u": "https://evil.example/cert"}),
            json!({"x5t": "x", "x5t#S256": "x"}),
            json!({"kid": ""}),
            json!({"kid": "k1 of the other"}),
            json!({"kid": null}),
            json!({"kid": "e1"}),
        ] {
            let brought = with(header.clone(), brought);
            add(&brought.to_string(), signed(&evil, brought.to_string(), &plain));
        }
        for typ in ["rt+jwt", "id+jwt", "dpop+jwt", "secevent+jwt", "at+jwt ", ""] {
            add(typ, token(&with(header.clone(), json!({"typ": typ})), &claims));
        }
        let twin = plain.replacen('{', "{\"sub\":\"mallory\",", 1);
        add("twins", signed(&key_of(ISSUER, "k1"), &text, twin.replacen("42", "\"x\"", 1)));
        add("nested", signed(&key_of(ISSUER, "k1"), &text, token(&header, &claims)));
        add("critical", token(&with(header.clone(), json!({"crit": ["exp"]})), &claims));
        add("cut", format!("{}.{}.", encoded(&text), encoded(&plain)));
        add("of a foreign key", signed(&key_of(OTHER, "k1"), &text, &plain));
        let secret = with(header.clone(), json!({"alg": "HS256"})).to_string();
        let input = format!("{}.{}", encoded(secret), encoded(&plain));
        add("by the public key", sealed(&key_of(ISSUER, "k1"), "ES256", &input));
        for spoiled in [
            json!({"exp": NOW - 30}),
            json!({"exp": null}),
            json!({"exp": "9999999999"}),
            json!({"exp": 1e300}),
            json!({"exp": -1}),
            json!({"exp": []}),
            json!({"nbf": NOW + 31}),
            json!({"nbf": 1e300}),
            json!({"iat": NOW + 31}),
            json!({"iss": OTHER}),
            json!({"iss": ""}),
            json!({"iss": []}),
            json!({"iss": [ISSUER]}),
            json!({"iss": "https://as.example/"}),
            json!({"iss": "https://AS.example"}),
            json!({"iss": "https://as.exampl%65"}),
            json!({"iss": "https://as.example:443"}),
            json!({"aud": "https://another.example"}),
            json!({"aud": ["https://another.example", WEB]}),
            json!({"cnf": {"jkt": "x"}}),
            json!({"cnf": {"x5t#S256": "x"}}),
            json!({"cnf": {}}),
            json!({"cnf": []}),
            json!({"cnf": ""}),
            json!({"cnf": false}),
            json!({"token_type": "dpop"}),
            json!({"token_type": "MAC"}),
            json!({"token_type": ["Bearer"]}),
            json!({"token_use": "pop"}),
            json!({"typ": "DPoP"}),
            json!({"events": {}}),
            json!({"events": []}),
            json!({"events": ""}),
            json!({"events": false}),
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
            json!({"typ": "Refresh"}),
            json!({"typ": "Offline"}),
            json!({"typ": "Logout"}),
            json!({"token_use": "refresh"}),
            json!({"token_type": "refresh_token"}),
            json!({"scope": {"admin": true}}),
        ] {
            let spoiled_claims = with(claims.clone(), spoiled.clone());
            add(&spoiled.to_string(), token(&header, &spoiled_claims));
        }
    }
    attacks
}

#[tokio::test]
async fn no_setting_takes_an_unsigned_foreign_expired_or_bound_token_or_one_of_another_kind() {
    let attacks = attacks();
    for (setting, set) in SETTINGS {
        let api = api(set);
        for (attack, token) in &attacks {
            let seen = api.sees(token).await;
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST];
            assert!(refused.contains(&seen.status), "{setting}: {attack}: {token}");
            assert_eq!(seen.subject, None, "{setting}: {attack}");
        }
    }
}

/// Whether it is good as it is: one that is bound to a key needs a proof besides.
fn is_taken(validator: &JwtValidator, token: &str) -> bool {
    match validator.validate(token, RequestHead::from_request(&Request::new(()))) {
        Answer::Ready(verdict) => {
            verdict.is_ok_and(|good| good.principal().confirmation().is_none())
        }
        Answer::Pending(_) => panic!("the keys are fixed"),
    }
}

#[test]
fn no_two_settings_together_take_what_none_of_them_takes() {
    let (attacks, keys) = (attacks(), keys(ISSUER));
    let (good, mut pairs) = (token(&header("ES256", "k1"), &claims()), 0);
    for (place, (one, set)) in SETTINGS.into_iter().enumerate() {
        for (other, set_other) in &SETTINGS[..=place] {
            let contradict = [one, other].contains(&"no audience")
                && ["id tokens", "all"].iter().any(|id_tokens| [one, other].contains(id_tokens));
            let validator = JwtValidator::new(set_other(set(trusted(keys.clone()))));
            assert_eq!(validator.is_err(), contradict, "{one}, {other}");
            let Ok(validator) = validator else { continue };
            let validator = validator.with_clock(clock());
            assert!(is_taken(&validator, &good), "{one}, {other}");
            pairs += 1;
            for (attack, token) in &attacks {
                assert!(!is_taken(&validator, token), "{one}, {other}: {attack}: {token}");
            }
        }
    }
    assert_eq!(pairs, 20 * 21 / 2 - 2);
}

/// What is odd, a token that is so, and the settings that take it.
fn oddities() -> Vec<(&'static str, String, &'static [&'static str])> {
    let plain = header("ES256", "k1");
    let of = |claims: Value| token(&plain, &claims);
    let id = json!({"aud": WEB, "azp": WEB, "at_hash": "x"});
    vec![
        ("another typ", token(&typed("JWT"), &claims()), &["types", "profiles", "all"]),
        ("typ of a log-out token", token(&typed("logout+jwt"), &claims()), &["types"]),
        ("no typ", token(&untyped(), &claims()), &["no type", "profiles", "all"]),
        ("no sub", of(without("sub")), &["sub", "nothing required", "profiles", "all"]),
        (
            "no client_id",
            of(without("client_id")),
            &["client_id", "nothing required", "client claims", "profiles", "all"],
        ),
        (
            "azp",
            of(with(without("client_id"), json!({"azp": "c1"}))),
            &["client_id", "azp", "nothing required", "client claims", "profiles", "all"],
        ),
        ("no jti", of(without("jti")), &["nothing required", "profiles", "all"]),
        ("no iat", of(without("iat")), &["nothing required", "profiles", "all"]),
        ("a list of scopes", claiming(json!({"scope": ["read"]})), &["scopes", "profiles", "all"]),
        ("no scope", claiming(json!({"scope": "a\"b"})), &["scopes", "profiles", "all"]),
        ("a number", claiming(json!({"sub": 42})), &["numbers", "all"]),
        ("no iss", of(without("iss")), &["no issuer", "all"]),
        ("no aud", of(without("aud")), &["no audience"]),
        ("aud null", claiming(json!({"aud": null})), &["no audience"]),
        ("aud []", claiming(json!({"aud": []})), &["no audience"]),
        ("an ID token", claiming(id.clone()), &["id tokens", "all"]),
        ("of two clients", claiming(json!({"aud": [WEB, AUDIENCE]})), &["*"]),
        ("that says so", claiming(with(id.clone(), json!({"typ": "ID"}))), &["id tokens", "all"]),
        ("as Cognito's", claiming(json!({"aud": WEB, "token_use": "id"})), &["id tokens", "all"]),
        ("asked for by another", claiming(with(id.clone(), json!({"azp": "evil"}))), &[]),
        ("asked for by nobody", claiming(with(id.clone(), json!({"azp": 5}))), &[]),
        ("of another client", claiming(with(id.clone(), json!({"aud": "evil"}))), &[]),
        ("of another client too", claiming(with(id, json!({"aud": [WEB, "evil"]}))), &[]),
        ("another's, for this", claiming(json!({"at_hash": "x", "azp": "evil"})), &[]),
    ]
}

#[test]
fn two_settings_hold_in_whatever_order_they_are_made() {
    let (oddities, keys) = (oddities(), keys(ISSUER));
    // Of each of these, the last one holds.
    let alike: [&[&str]; 2] = [&["types", "all"], &["sub", "client_id", "nothing required"]];
    let validator = |issuer| JwtValidator::new(issuer).map(|it| it.with_clock(clock()));
    for (place, (one, set)) in SETTINGS.into_iter().enumerate() {
        for (other, set_other) in SETTINGS.into_iter().take(place) {
            if alike.iter().any(|alike| alike.contains(&one) && alike.contains(&other)) {
                continue;
            }
            let first = validator(set_other(set(trusted(keys.clone()))));
            let last = validator(set(set_other(trusted(keys.clone()))));
            let (Ok(first), Ok(last)) = (first, last) else { continue };
            for (odd, token, _) in &oddities {
                assert_eq!(
                    is_taken(&first, token),
                    is_taken(&last, token),
                    "{one}, {other}: {odd}: {token}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_setting_loosens_its_own_rule_alone() {
    let oddities = oddities();
    for (setting, set) in SETTINGS {
        let api = api(set);
        for (odd, token, takers) in &oddities {
            let seen = api.sees(token).await;
            let taken = takers.contains(&setting) || takers.contains(&"*");
            let status = if taken { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(seen.status, status, "{odd} under {setting}: {token}");
        }
    }
}

#[tokio::test]
async fn a_header_that_is_remembered_is_no_type_of_an_issuer_that_does_not_take_it() {
    let api = Api::trusting(TrustedIssuer::allow_other_profiles);
    let of = |issuer: &str, header: &Value| {
        let claims = with(claims(), json!({"iss": issuer}));
        signed(&key_of(issuer, "k1"), header.to_string(), claims.to_string())
    };
    for header in [typed("JWT"), untyped()] {
        for _ in 0..2 {
            api.takes("of the first", &of(ISSUER, &header)).await;
            api.refuses("of the second", &of(OTHER, &header)).await;
        }
    }
    let strict = header("ES256", "k1");
    for issuer in [OTHER, ISSUER, OTHER] {
        api.takes("of both", &of(issuer, &strict)).await;
    }
}

#[tokio::test]
async fn a_token_without_an_issuer_is_of_the_one_that_allows_it() {
    let issuer = |name| TrustedIssuer::new(name, keys(name)).with_audience([AUDIENCE]);
    let validator = JwtValidator::new(issuer(OTHER)).unwrap();
    let validator = validator.with_issuer(issuer(ISSUER).allow_missing_issuer()).unwrap();
    let api = Api::over(validator.with_clock(clock()), Web::default());
    api.takes("its own", &token(&header("ES256", "k1"), &without("iss"))).await;
    let foreign =
        signed(&key_of(OTHER, "k1"), header("ES256", "k1").to_string(), without("iss").to_string());
    api.refuses("of the other", &foreign).await;
}
