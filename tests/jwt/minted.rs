//! The tokens that the runner of the cases mints are what the cases say: checked with the library
//! alone, over the key set as it is served.

use crate::{
    der,
    issuers::{self, Issuer, issuers},
    mint::Mint,
};
use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey, RsaPublicKeyComponents},
};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

const NOW: u64 = 1_767_225_600;

fn configured(config: &Value) -> Vec<Issuer> {
    issuers(config.as_object().unwrap()).unwrap()
}

fn minted(issuers: &[Issuer], recipe: &Value) -> Result<String, String> {
    Mint { issuers, now: NOW }.token(recipe)
}

fn decoded(segment: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(segment).unwrap()
}

/// The signing input, the header, the payload and the signature.
fn parts(token: &str) -> (&str, Value, Vec<u8>, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let header = serde_json::from_slice(&decoded(header)).unwrap();
    (input, header, decoded(payload), decoded(signature))
}

/// Whether the key of `jwk` made the signature.
fn is_by(jwk: &Value, algorithm: &str, input: &str, signature: &[u8]) -> bool {
    let bytes = |name: &str| decoded(jwk[name].as_str().unwrap());
    let point = || [&[4], &bytes("x")[..], &bytes("y")].concat();
    let rsa = |algorithm: &'static signature::RsaParameters| {
        let key = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
        key.to_parsed_public_key(algorithm)
    };
    let key = match algorithm {
        "ES256" => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point()),
        "ES384" => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point()),
        "ES512" => ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, point()),
        "EdDSA" => ParsedPublicKey::new(&signature::ED25519, bytes("x")),
        "RS256" => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&signature::RSA_PSS_2048_8192_SHA512),
        "HS256" => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes("k"));
            return hmac::verify(&key, input.as_bytes(), signature).is_ok();
        }
        other => panic!("{other}"),
    };
    key.unwrap().verify_sig(input.as_bytes(), signature).is_ok()
}

#[test]
fn every_algorithm_signs_what_the_served_key_verifies() {
    for (key, algorithm) in [
        ("ES256", "ES256"),
        ("ES384", "ES384"),
        ("ES512", "ES512"),
        ("EdDSA", "EdDSA"),
        ("RS256", "RS256"),
        ("RS256", "RS384"),
        ("RS256", "RS512"),
        ("RS256", "PS256"),
        ("RS256", "PS384"),
        ("RS256", "PS512"),
        ("HS256", "HS256"),
    ] {
        let issuers = configured(&json!({
            "issuer": "https://as.example", "jwks": [format!("k:{key}")],
        }));
        let header = json!({"alg": algorithm, "kid": "k"});
        let recipe = json!({"header": header, "claims": {"sub": "a"}, "signed_by": "k"});
        let token = minted(&issuers, &recipe).unwrap();
        let (input, told, payload, signature) = parts(&token);
        assert_eq!((told, &payload[..]), (header, &br#"{"sub":"a"}"#[..]));

        let set = issuers[0].key_set().unwrap();
        let jwk = &set["keys"][0];
        assert_eq!([&jwk["kid"], &jwk["alg"], &jwk["use"]], ["k", key, "sig"]);
        assert!(is_by(jwk, algorithm, input, &signature), "{algorithm}");
        assert!(!is_by(jwk, algorithm, &format!("{input}A"), &signature), "{algorithm}");
    }
}

#[test]
fn now_is_a_number_and_a_text_is_asked_for_by_name() {
    let recipe = json!({"header": {"alg": "none"}, "signed_by": "none", "claims": {
        "a": "now", "b": "now+300", "c": "now-10", "d": "now+300.5", "e": {"$string": "now+1"},
        "f": "nowhere", "g": "now+", "h": 1e300, "i": ["now"], "j": "{{repeat:x:3}}", "k": "now +1",
    }});
    let token = minted(&[], &recipe).unwrap();
    let (_, _, payload, signature) = parts(&token);
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert!(signature.is_empty());
    assert_eq!(
        claims,
        json!({
            "a": 1_767_225_600, "b": 1_767_225_900, "c": 1_767_225_590, "d": 1_767_225_900.5,
            "e": "now+1", "f": "nowhere", "g": "now+", "h": 1e300, "i": [1_767_225_600],
            "j": "xxx", "k": "now +1",
        })
    );
}

#[test]
fn a_key_is_the_same_in_every_case_and_another_at_every_issuer() {
    let case = |issuer: &str| configured(&json!({ "issuers": { issuer: ["k:ES256"] } }));
    let set = |issuer: &str| case(issuer)[0].key_set().unwrap();
    assert_eq!(set("https://a.example"), set("https://a.example"));
    assert_ne!(set("https://a.example"), set("https://b.example"));
}

#[test]
fn several_issuers_have_an_address_each_and_a_name_of_theirs_is_told_apart() {
    for issuers in [
        json!({"https://a.example": ["k:ES256"], "https://b.example": {"jwks": ["k:ES256"]}}),
        json!([
            {"issuer": "https://a.example", "jwks": ["k:ES256"]},
            {"issuer": "https://b.example", "jwks": ["k:ES256"], "audience": ["b"]},
        ]),
    ] {
        let issuers = configured(&json!({ "issuers": issuers }));
        assert_eq!(issuers[0].address, "https://a.example/jwks");
        assert_eq!(issuers[1].address, "https://b.example/jwks");
        for (iss, signed_by, signer) in [
            ("https://a.example", "k", 0),
            ("https://b.example", "k", 1),
            ("https://a.example", "k of https://b.example", 1),
            ("https://c.example", "k", 0),
        ] {
            let recipe =
                json!({"header": {"alg": "ES256"}, "claims": {"iss": iss}, "signed_by": signed_by});
            let token = minted(&issuers, &recipe).unwrap();
            let (input, _, _, signature) = parts(&token);
            let set = issuers[signer].key_set().unwrap();
            assert!(is_by(&set["keys"][0], "ES256", input, &signature), "{iss} {signed_by}");
        }
    }
    let slash =
        json!({"issuers": {"https://a.example": ["k:ES256"], "https://a.example/": ["k:ES256"]}});
    let slash = configured(&slash);
    assert_ne!(slash[0].address, slash[1].address);
}

#[test]
fn whoever_is_no_issuer_signs_with_a_key_that_is_in_no_set() {
    let issuers = configured(&json!({}));
    let set = issuers[0].key_set().unwrap();
    for name in ["evil", "embedded"] {
        for algorithm in ["ES256", "PS256", "EdDSA"] {
            let header = json!({"alg": algorithm, "jwk": {"kty": "EC"}});
            let recipe = json!({"header": header, "claims": {}, "signed_by": name});
            let token = minted(&issuers, &recipe).unwrap();
            let (input, header, _, signature) = parts(&token);
            if algorithm == "ES256" {
                assert!(!is_by(&set["keys"][0], algorithm, input, &signature));
            }
            assert_eq!(header["jwk"]["kty"], "EC");
            if name == "embedded" {
                assert!(is_by(&header["jwk"], algorithm, input, &signature), "{algorithm}");
            } else {
                assert_eq!(header["jwk"].as_object().unwrap().len(), 1);
            }
        }
    }
}

#[test]
fn a_public_key_is_taken_for_a_secret_as_the_bytes_of_its_file() {
    let issuers = configured(&json!({"issuer": "https://as.example", "jwks": ["r1:RS256"]}));
    for (algorithm, hash) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
        let recipe = json!({
            "header": {"alg": algorithm}, "claims": {}, "signed_by": "hmac_with_public_key_of:r1",
        });
        let token = minted(&issuers, &recipe).unwrap();
        let (input, _, _, signature) = parts(&token);
        let key = issuers[0].key(issuers[0].keys_named("r1").next().unwrap()).unwrap();
        let pem = key.spki_pem().unwrap();
        let secret = hmac::Key::new(hash, pem.as_bytes());
        assert!(hmac::verify(&secret, input.as_bytes(), &signature).is_ok());

        let lines: Vec<_> = pem.lines().collect();
        assert_eq!(lines[0], "-----BEGIN PUBLIC KEY-----");
        let der = BASE64_STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        let modulus = decoded(key.members()["n"].as_str().unwrap());
        assert!(der.windows(modulus.len()).any(|window| window == modulus));
        assert!(lines[1..lines.len() - 1].iter().all(|line| line.len() <= 64));
    }
}

#[test]
fn raw_changes_are_what_they_are_called() {
    let issuers = configured(&json!({}));
    let set = issuers[0].key_set().unwrap();
    let jwk = &set["keys"][0];
    let mint = |raw: &str| {
        let claims = json!({"sub": "alice", "scope": "read"});
        let recipe =
            json!({"header": {"alg": "ES256"}, "claims": claims, "signed_by": "k1", "raw": raw});
        minted(&issuers, &recipe).unwrap()
    };
    let token = mint("payload has \"sub\" twice");
    let (input, _, payload, signature) = parts(&token);
    assert_eq!(payload, br#"{"sub":"mallory","scope":"read","sub":"alice"}"#);
    assert!(is_by(jwk, "ES256", input, &signature));

    let token = mint("payload is a DEFLATE stream of the claims");
    let (input, _, payload, signature) = parts(&token);
    let text = br#"{"scope":"read","sub":"alice"}"#;
    assert_eq!(payload[..5], [1, 30, 0, 225, 255]);
    assert_eq!(&payload[5..], text);
    assert!(is_by(jwk, "ES256", input, &signature));

    let token = mint("append '==' to signature segment");
    let (input, _, _, signature) = parts(token.strip_suffix("==").unwrap());
    assert!(is_by(jwk, "ES256", input, &signature));

    let token = mint("flip unused trailing bits of signature segment");
    let (input, segment) = token.rsplit_once('.').unwrap();
    assert!(BASE64_URL_SAFE_NO_PAD.decode(segment).is_err());
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let signature = GeneralPurpose::new(&URL_SAFE, lenient).decode(segment).unwrap();
    assert!(is_by(jwk, "ES256", input, &signature));

    let token = mint("signature encoded as DER");
    let (input, _, _, signature) = parts(&token);
    let bytes = |name: &str| decoded(jwk[name].as_str().unwrap());
    let point = [&[4], &bytes("x")[..], &bytes("y")].concat();
    let key = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).unwrap();
    assert!(key.verify_sig(input.as_bytes(), &signature).is_ok());

    let token = mint("r=s=0");
    assert_eq!(parts(&token).3, [0; 64]);
}

#[test]
fn halves_of_all_sizes_become_the_integers_that_they_are() {
    let encoded = |first: &[u8], second: &[u8]| der::sequence_of_halves(&[first, second].concat());
    assert_eq!(encoded(&[0, 0], &[0, 0x80]), [0x30, 7, 2, 1, 0, 2, 2, 0, 0x80]);
    assert_eq!(encoded(&[0x7f, 1], &[0, 1]), [0x30, 7, 2, 2, 0x7f, 1, 2, 1, 1]);
    let long = encoded(&[0xff; 66], &[0xff; 66]);
    assert_eq!(long[..3], [0x30, 0x81, 138]);
    assert_eq!(der::two_integers(&long), [&[0xff; 66][..], &[0xff; 66]]);
}

#[test]
fn what_is_not_known_is_an_error() {
    let issuers = configured(&json!({}));
    let good = json!({"header": {"alg": "ES256"}, "claims": {}, "signed_by": "k1"});
    assert!(minted(&issuers, &good).is_ok());
    for (member, value) in [
        ("signed_by", json!("k3")),
        ("signed_by", json!("hmac_with_public_key_of:k3")),
        ("signed_by", json!(1)),
        ("signed_by", Value::Null),
        ("raw", json!("something else")),
        ("claims", json!({"exp": {"$string": 1}})),
        ("literal", json!("a.b.c")),
        ("other", json!(1)),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value;
        let error = minted(&issuers, &wrong).unwrap_err();
        assert!(error.starts_with("expected "), "{error}");
    }
    assert!(minted(&issuers, &json!("a.b.c")).is_err());
    assert_eq!(minted(&issuers, &json!({"literal": "a.b.c"})), Ok("a.b.c".into()));
    for wrong in [
        json!({"issuer": "i", "jwks": ["k1"]}),
        json!({"issuers": {"i": ["k1:ES999"]}}),
        json!({"issuers": [{"issuer": "i"}]}),
        json!({"issuers": [{"jwks": ["k1:ES256"]}]}),
        json!({"issuers": {"i": {"jwks": [], "other": 1}}}),
        json!({"issuers": 1}),
    ] {
        let issuers = issuers::issuers(wrong.as_object().unwrap());
        let set = issuers.and_then(|issuers| issuers[0].key_set());
        assert!(set.is_err(), "{wrong}");
    }
}
