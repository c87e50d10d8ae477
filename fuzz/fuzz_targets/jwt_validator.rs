//! A whole token against a validator with a key of each type: none is good but those that their
//! keys signed, whoever asks, and no refusal repeats the token.
#![no_main]

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Request;
use libfuzzer_sys::fuzz_target;
use std::{sync::LazyLock, time::Duration};
use tower_oauth2::{
    Answer, RequestHead,
    validate::{CacheSupport, Cached, Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

const CLAIMS: &str = r#"{"iss":"https://as.example","aud":"https://api.example","exp":9999999999,"iat":1,"sub":"alice","client_id":"c1","jti":"j1","scope":"read"}"#;

struct Fixture {
    strict: JwtValidator,
    lenient: JwtValidator,
    /// Knows the good ones.
    cached: Cached<JwtValidator>,
    good: Vec<String>,
}

/// What an input can say instead of a token that it could not make: `@0` is the first good one,
/// and what follows is put in the place of as many of its bytes from an offset on.
fn token(input: &str, good: &[String]) -> Option<String> {
    let Some(edit) = input.strip_prefix('@') else { return Some(input.to_owned()) };
    let (which, edit) = edit.split_at_checked(1)?;
    let token = good.get(which.parse::<usize>().ok()?)?;
    let (offset, edit) = edit.split_at_checked(3)?;
    let offset = offset.parse::<usize>().ok()?.min(token.len());
    let end = offset.saturating_add(edit.len()).min(token.len());
    Some(format!("{}{edit}{}", &token[..offset], &token[end..]))
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(curve: &'static EcdsaSigningAlgorithm, crv: &str, alg: &str) -> (String, String) {
    let pair = EcdsaKeyPair::generate(curve).expect("a key");
    // 0x04, then both coordinates.
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (encoded(x), encoded(y));
    let jwk = format!(r#"{{"kty":"EC","crv":"{crv}","kid":"{alg}","x":"{x}","y":"{y}"}}"#);
    let sign = |text: &[u8]| pair.sign(&SystemRandom::new(), text).expect("a signature");
    (jwk, signed(alg, |text| sign(text).as_ref().to_vec()))
}

fn ed25519() -> (String, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let x = encoded(pair.public_key());
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"EdDSA","x":"{x}"}}"#);
    (jwk, signed("EdDSA", |text| pair.sign(text).as_ref().to_vec()))
}

fn signed(alg: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{alg}"}}"#);
    let input = format!("{}.{}", encoded(header), encoded(CLAIMS));
    let signature = encoded(sign(input.as_bytes()));
    format!("{input}.{signature}")
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let (p256, by_p256) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", "ES256");
    let (p384, by_p384) = ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384");
    let (ed25519, by_ed25519) = ed25519();
    // Nobody has the other half of it.
    let rsa = format!(r#"{{"kty":"RSA","kid":"RS256","n":"{}","e":"AQAB"}}"#, encoded([0xab; 256]));
    let set = format!(r#"{{"keys":[{p256},{p384},{ed25519},{rsa}]}}"#);
    let keys = Jwks::from_json(&set).expect("keys");
    let issuer = TrustedIssuer::new("https://as.example", keys);
    let issuer = issuer.with_audience(["https://api.example"]);
    let strict = JwtValidator::new(issuer.clone()).expect("a validator");
    // All that can be loosened at once.
    let lenient = issuer
        .allow_other_profiles()
        .allow_numeric_subjects()
        .allow_missing_issuer()
        .dangerous_allow_id_tokens(["c1"]);
    let lenient = JwtValidator::new(lenient).expect("a validator");
    let good = vec![by_p256, by_p384, by_ed25519];
    let cached = Cached::new(strict.clone()).with_ttl(Duration::from_secs(24 * 60 * 60));
    for token in &good {
        let Answer::Ready(Ok(_)) = cached.validate(token, RequestHead::from_request(&Request::new(())))
        else {
            panic!("a good token is good");
        };
    }
    Fixture { strict, lenient, cached, good }
});

fuzz_target!(|input: &str| {
    let Fixture { strict, lenient, cached, good } = &*FIXTURE;
    let Some(token) = token(input, good) else { return };
    assert_eq!(cached.recall(token.as_bytes()).is_some(), good.contains(&token));
    let request = Request::new(());
    for validator in [strict, lenient] {
        let Answer::Ready(verdict) = validator.validate(&token, RequestHead::from_request(&request)) else {
            panic!("the keys are fixed");
        };
        match verdict {
            Ok(_) => assert!(good.contains(&token), "nobody signed it"),
            Err(rejection) => {
                assert!(!good.contains(&token), "{rejection}");
                assert!(token.len() < 40 || !rejection.to_string().contains(&token));
                assert_eq!(rejection.kind().error_code(), Some("invalid_token"));
            }
        }
        // It is split behind a dot, or not at all.
        let (public, _) = token.split_at(validator.split_at(token.as_bytes()));
        assert!(public.is_empty() || public.ends_with('.'));
    }
});
