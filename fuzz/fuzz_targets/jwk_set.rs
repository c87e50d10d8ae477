//! A JWK set: entries are taken or skipped, what is reported is a bounded line, and a token is good
//! only by a key that is in it for signatures.
#![no_main]

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use bytes::Bytes;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tower_oauth2::{
    RequestHead,
    validate::{Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};
use tower_oauth2_fuzz::{
    Json, Peer,
    claims::{ISSUER, encoded},
    clock, runtime,
};

const CLAIMS: &str = r#"{"iss":"https://as.example","aud":"a","exp":9999999999,"iat":1,"sub":"alice","client_id":"c1","jti":"j1"}"#;
/// The secret of one of the seeds, which a set must not make a key.
const SHARED: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMko";

struct Tokens {
    /// By the key of the seeds, with no name and with the name `k`.
    ed25519: [String; 2],
    hs256: String,
    x: String,
}

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let headers =
        [r#"{"alg":"EdDSA","typ":"at+jwt"}"#, r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k"}"#];
    let ed25519 = headers.map(|header| signed(header, |text| pair.sign(text).as_ref().to_vec()));
    let shared = hmac::Key::new(hmac::HMAC_SHA256, SHARED.as_bytes());
    let hs256 = signed(r#"{"alg":"HS256","typ":"at+jwt"}"#, |text| {
        hmac::sign(&shared, text).as_ref().to_vec()
    });
    Tokens { ed25519, hs256, x: encoded(pair.public_key()) }
});

fn signed(header: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encoded(header), encoded(CLAIMS));
    let signature = encoded(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fuzz_target!(|input: &str| {
    let fixed = Jwks::from_json(input);
    if let Err(error) = &fixed {
        check_line(&error.to_string(), 600);
    }
    // What is fetched may have keys of no use beside others.
    let peer = Peer::answering([Response::new(Bytes::copy_from_slice(input.as_bytes()))]);
    let set = Jwks::from_url("https://as.example/k", peer.transport()).expect("a URL");
    let set = set.with_clock(clock().clock());
    let fetched = runtime().block_on(set.warm_up());
    assert!(fetched.is_ok() || fixed.is_err());
    if let Err(error) = fetched {
        return check_line(&error.to_string(), 600);
    }
    let status = set.status();
    let json = input.strip_prefix('\u{feff}').unwrap_or(input);
    // It may have half a surrogate where nobody reads it, which is JSON and no text.
    let Some(json) = Json::parse(json.as_bytes()) else { return };
    let Some(Json::List(entries)) = json.get("keys") else { panic!("a set has keys") };
    assert!(json.members().iter().filter(|(name, _)| name == "keys").count() == 1);
    assert!(entries.len() <= 100 && status.keys() + status.skipped().len() <= entries.len());
    status.skipped().iter().for_each(|line| check_line(line, 200));
    let issuer = TrustedIssuer::new(ISSUER, set).with_audience(["a"]);
    let validator = JwtValidator::new(issuer).expect("a validator").with_clock(clock().clock());
    let request = Request::new(());
    let is_good = |token: &str| {
        let validated = validator.validate(token, RequestHead::from_request(&request));
        runtime().block_on(validated.wait()).is_ok()
    };
    let Tokens { ed25519: [nameless, named], hs256, .. } = &*TOKENS;
    assert!(!is_good(hs256), "no secret comes out of a set");
    let own: Vec<_> = entries.iter().filter(|entry| is_own(entry)).collect();
    assert!(!is_good(nameless) || !own.is_empty());
    assert!(!is_good(named) || own.iter().any(|entry| entry.text("kid") == Some("k")));
    if let [Json::Object(members)] = &**entries {
        let is_plain = members.len() == 4 && own.len() == 1;
        assert!(!is_plain || is_good(nameless), "a plain key is taken");
    }
});

fn check_line(line: &str, bound: usize) {
    assert!(line.len() < bound && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
}

/// Returns `true` if it is the key of the seeds, and for signatures.
fn is_own(entry: &Json) -> bool {
    let is = |name, value: &str| match entry.get(name) {
        None | Some(Json::Null) => true,
        _ => entry.text(name) == Some(value),
    };
    entry.text("kty") == Some("OKP")
        && entry.text("crv") == Some("Ed25519")
        && entry.text("x") == Some(&TOKENS.x)
        && is("use", "sig")
        && (is("alg", "EdDSA") || is("alg", "Ed25519"))
        && (entry.lacks("key_ops") || entry.names("key_ops", "verify"))
        && entry.is_without_repeats()
}
