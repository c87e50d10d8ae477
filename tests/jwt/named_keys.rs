//! Which keys of a set a token is verified with, and sets as servers write them.

use crate::{
    api::{AUDIENCE, Api, ISSUER, Web, claims, clock, encoded, header, signed, with},
    keys::Key,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth2::{
    Transport,
    server::RequireToken,
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

fn keys(algorithm: &str, count: usize) -> Vec<Arc<Key>> {
    (0..count).map(|n| Key::of(&format!("in a set, {n}"), algorithm).unwrap()).collect()
}

/// The entry of a key without a name.
fn nameless(key: &Key) -> Value {
    without(key.jwk(""), "kid")
}

fn without(mut jwk: Value, member: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(member);
    jwk
}

fn by(key: &Key, header: &Value) -> String {
    signed(key, header.to_string(), claims().to_string())
}

fn unnamed(algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt"})
}

/// An API whose issuer shows these entries.
fn api(entries: Vec<Value>) -> Api {
    let web = Web::default();
    web.publish(ISSUER, entries);
    let validator = JwtValidator::new(web.issuer(ISSUER)).unwrap().with_clock(clock());
    Api::over(validator, web)
}

async fn assert_unauthorized(api: &Api, name: &str, token: &str) {
    assert_eq!(api.sees(token).await.status, StatusCode::UNAUTHORIZED, "{name}");
}

/// AD FS, for example, while it changes its key.
#[tokio::test]
async fn a_token_that_names_no_key_is_by_one_of_the_first_four_without_a_name_that_fit() {
    let keys = keys("ES256", 5);
    let other = Key::of("of another algorithm", "RS256").unwrap();
    let mut entries: Vec<_> = keys.iter().map(|key| nameless(key)).collect();
    entries.insert(0, nameless(&other));
    let named = Key::of("with a name", "ES256").unwrap();
    entries.insert(0, named.jwk("a name"));
    let api = api(entries);
    for header in [unnamed("ES256"), header("ES256", "")] {
        for key in &keys[..4] {
            api.takes("one of four", &by(key, &header)).await;
        }
        assert_unauthorized(&api, "the fifth", &by(&keys[4], &header)).await;
        assert_unauthorized(&api, "one that has a name", &by(&named, &header)).await;
    }
    api.takes("of another algorithm", &by(&other, &unnamed("RS256"))).await;
    let evil = Key::of("evil", "ES256").unwrap();
    for _ in 0..10 {
        assert_unauthorized(&api, "a stranger", &by(&evil, &unnamed("ES256"))).await;
    }
    // The keys, and one look for a new one within the cool-down.
    assert_eq!(api.web.asked().len(), 2);
}

#[tokio::test]
async fn a_new_key_without_a_name_is_found_among_several() {
    let keys = keys("ES256", 3);
    let api = api(keys[..2].iter().map(|key| nameless(key)).collect());
    api.takes("an old one", &by(&keys[1], &unnamed("ES256"))).await;
    api.web.publish(ISSUER, keys[1..].iter().map(|key| nameless(key)).collect());
    api.takes("the new one", &by(&keys[2], &unnamed("ES256"))).await;
    assert_eq!(api.web.asked().len(), 2);
    assert_unauthorized(&api, "the withdrawn one", &by(&keys[0], &unnamed("ES256"))).await;
}

/// Ory Hydra.
#[tokio::test]
async fn an_empty_name_is_none() {
    let own = &keys("RS256", 1)[0];
    for entry in [own.jwk("a name"), own.jwk(""), nameless(own)] {
        let api = api(vec![entry]);
        for header in [header("RS256", ""), unnamed("RS256")] {
            api.takes("by the one key", &by(own, &header)).await;
        }
        assert_eq!(api.web.asked().len(), 1);
    }
    let api = api(vec![own.jwk("")]);
    assert_unauthorized(&api, "another name", &by(own, &header("RS256", "a name"))).await;
}

/// AD FS.
#[tokio::test]
async fn a_token_without_a_name_of_its_key_names_it_by_the_thumbprint_of_its_certificate() {
    let keys = keys("ES256", 10);
    let (sha1, sha256) = (|n: usize| format!("sha1 of {n}"), |n: usize| format!("sha256 of {n}"));
    let entries = keys.iter().enumerate().map(|(n, key)| {
        with(key.jwk(&format!("k{n}")), json!({"x5t": sha1(n), "x5t#S256": sha256(n)}))
    });
    let api = api(entries.collect());
    for (n, key) in keys.iter().enumerate() {
        for thumbprint in [
            json!({"x5t": sha1(n)}),
            json!({"x5t#S256": sha256(n)}),
            json!({"x5t": "another", "x5t#S256": sha256(n), "kid": ""}),
        ] {
            api.takes("by its thumbprint", &by(key, &with(unnamed("ES256"), thumbprint))).await;
        }
        let both = with(header("ES256", &format!("k{n}")), json!({"x5t": sha1(9 - n)}));
        api.takes("by its name, whatever else", &by(key, &both)).await;
    }
    assert_eq!(api.web.asked().len(), 1);
    for (name, thumbprint) in [("of another", sha1(1)), ("of none", "x".to_owned())] {
        let token = by(&keys[9], &with(unnamed("ES256"), json!({"x5t": thumbprint})));
        assert_unauthorized(&api, name, &token).await;
    }
    assert!(api.web.asked().len() <= 3, "{:?}", api.web.asked());
}

#[tokio::test]
async fn the_thumbprint_of_a_certificate_in_the_key_set_is_computed() {
    let keys = keys("ES256", 6);
    let certificate = |n: u8| [0x30, 0x03, 0x02, 0x01, n];
    let entries = keys.iter().zip(0..).map(|(key, n)| {
        with(nameless(key), json!({"x5c": [BASE64_STANDARD.encode(certificate(n)), "MAA="]}))
    });
    let api = api(entries.collect());
    let last = certificate(5);
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &last);
    let header = with(unnamed("ES256"), json!({"x5t#S256": encoded(thumbprint)}));
    api.takes("by the last", &by(&keys[5], &header)).await;
    assert_unauthorized(
        &api,
        "the first under its name",
        &by(&keys[0], &with(unnamed("ES256"), json!({"x5t#S256": encoded(thumbprint)}))),
    )
    .await;
}

/// The header of a token may have a thumbprint where the set has none.
#[tokio::test]
async fn a_thumbprint_that_no_key_has_leaves_the_token_without_a_name() {
    let keys = keys("ES256", 2);
    let api = api(keys.iter().map(|key| nameless(key)).collect());
    for key in &keys {
        let header = with(unnamed("ES256"), json!({"x5t": "dGVzdA"}));
        api.takes("by its key", &by(key, &header)).await;
    }
    assert_eq!(api.web.asked().len(), 1);
}

#[tokio::test]
async fn tokens_by_every_algorithm_are_verified_with_the_keys_of_a_set() {
    let algorithms = ["RS512", "PS384", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"];
    let keys = algorithms.map(|algorithm| Key::of("of a set", algorithm).unwrap());
    for alg in [json!({}), json!({"alg": null})] {
        let entries = keys.iter().zip(algorithms).map(|(key, name)| {
            let jwk = key.jwk(name);
            if alg.get("alg").is_some() { with(jwk, alg.clone()) } else { jwk }
        });
        let api = api(entries.collect());
        for (key, algorithm) in keys.iter().zip(algorithms) {
            api.takes(algorithm, &by(key, &header(algorithm, algorithm))).await;
            for other in algorithms.into_iter().filter(|other| *other != algorithm) {
                let is_same = algorithm.starts_with("Ed") && other.starts_with("Ed")
                    || algorithm.starts_with(['R', 'P']) && other.starts_with(['R', 'P']);
                if !is_same {
                    let token = by(key, &header(other, algorithm));
                    assert_unauthorized(&api, &format!("{algorithm} as {other}"), &token).await;
                }
            }
        }
    }
    // One algorithm by two names: who allows the one allows the other.
    for allowed in ["EdDSA", "Ed25519"] {
        let web = Web::default();
        web.publish(ISSUER, vec![keys[6].jwk("k")]);
        let issuer = web.issuer(ISSUER).with_algorithms([allowed.parse().unwrap()]).unwrap();
        let api = Api::over(JwtValidator::new(issuer).unwrap().with_clock(clock()), web);
        for name in ["EdDSA", "Ed25519"] {
            api.takes(name, &by(&keys[6], &header(name, "k"))).await;
        }
    }
}

/// Azure Key Vault and Jenkins write zeros before the numbers, others write what is absent as `null`.
#[tokio::test]
async fn a_key_set_is_read_as_servers_write_it() {
    let own = Key::of("as it is written", "RS256").unwrap();
    let padded = |name: &str| {
        let number = crate::api::decoded(own.members()[name].as_str().unwrap());
        encoded([&[0], &number[..]].concat())
    };
    let absent = ["alg", "use", "key_ops", "d", "crv", "k", "x5c", "x5t", "x5t#S256", "x5u", "oth"];
    let null = absent.map(|name| json!({name: null}));
    let other = [
        json!({"n": padded("n"), "e": padded("e")}),
        json!({"key_ops": [], "x5c": []}),
        json!({"key_ops": ["verify", "sign"]}),
        json!({"x5c": [""], "x5t": ""}),
        json!({"x5c": "MAA=", "x5t": 1, "x5t#S256": ["a"]}),
    ];
    for change in null.into_iter().chain(other) {
        for bom in ["", "\u{feff}"] {
            let set = json!({"keys": [with(own.jwk("k"), change.clone())], "more": null});
            let text = format!("{bom}{set}");
            let transport = Transport::new(service_fn(move |_| {
                std::future::ready(Ok::<_, Infallible>(Response::new(text.clone())))
            }));
            let fetched = Jwks::from_url("https://as.example/jwks", transport).unwrap();
            for keys in [fetched, Jwks::from_json(&format!("{bom}{set}")).unwrap()] {
                let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
                let validator = JwtValidator::new(issuer).unwrap().with_clock(clock());
                let api = Api::over(validator, Web::default());
                api.takes(&change.to_string(), &by(&own, &header("RS256", "k"))).await;
            }
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_supported_is_called_so_in_the_log() {
    let own = Key::of("of a set", "ES256").unwrap();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let web = Web::default();
    web.publish(ISSUER, vec![own.jwk("k")]);
    let validator = JwtValidator::new(web.issuer(ISSUER)).unwrap().with_clock(clock());
    let log = told.clone();
    let layer = RequireToken::new("api", validator).unwrap().with_audit(move |event| {
        log.lock().unwrap().push(event.description.to_owned());
    });
    let inner =
        service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::new(String::new()))));
    let service = layer.layer(inner);
    for (algorithm, expected) in [
        ("none", "found none"),
        ("Ed448", "Ed448, which is not supported"),
        ("ML-DSA-65", "ML-DSA, which is not supported"),
        ("RSA-OAEP-256", "encrypted tokens (JWE), which are not supported"),
        ("dir", "encrypted tokens (JWE), which are not supported"),
        ("x\r\ny", "found another"),
    ] {
        let token = by(&own, &header(algorithm, "k"));
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        let response = service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{algorithm}");
        let cause = told.lock().unwrap().pop().unwrap();
        assert!(cause.contains(expected), "{algorithm}: {cause}");
    }
}
