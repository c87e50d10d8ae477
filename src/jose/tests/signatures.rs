use super::*;
use aws_lc_rs::{
    encoding::AsDer,
    rsa::KeySize,
    signature::{self as library, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};

fn pem(der: &[u8]) -> String {
    let lines: Vec<_> = BASE64_STANDARD.encode(der).into_bytes();
    let lines: Vec<_> = lines.chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[test]
fn what_is_signed_verifies_and_says_what_signed_it() {
    for algorithm in algorithms() {
        let key = key(algorithm).with_key_id("a \"key\"\n\u{e9}");
        let token = key.sign("at+jwt", b"{\"sub\":1}").unwrap();
        let parts = Compact::parse(&token).unwrap();
        let header = base64url::decode(parts.header).unwrap();
        let header = Header::parse(&header).unwrap();
        assert_eq!(header.algorithm, Ok(algorithm));
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(header.kid.as_ref().map(KeyId::as_str), key.key_id());
        assert_eq!(base64url::decode(parts.payload).as_deref(), Some(&b"{\"sub\":1}"[..]));
        let verifying = key.verifying_key().unwrap();
        assert!(verifies(&verifying, &token), "{algorithm}");
        assert_eq!(verifying.kid(), key.key_id().filter(|_| !algorithm.is_symmetric()));
    }
}

#[test]
fn a_private_jwk_signs_with_its_alg_or_what_its_type_stands_for() {
    let without = |jwk: &str| SigningKey::from_jwk(jwk).unwrap().algorithm();
    assert_eq!(without(vectors::RSA), Algorithm::Rs256);
    assert_eq!(without(vectors::EC), Algorithm::Es256);
    assert_eq!(without(vectors::OKP), Algorithm::EdDsa);
    assert_eq!(key(Algorithm::Ps384).algorithm(), Algorithm::Ps384);
    let okp = with(serde_json::from_str(vectors::OKP).unwrap(), "alg", "Ed25519");
    assert_eq!(without(&okp.to_string()), Algorithm::Ed25519);
    let named = with(rsa_private(Algorithm::Ps256), "kid", "a").to_string();
    assert_eq!(SigningKey::from_jwk(&named).unwrap().key_id(), Some("a"));
}

#[test]
fn a_pem_signs_with_the_algorithm_that_it_is_given() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    let p256 = EcdsaKeyPair::generate(&library::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let p384 = EcdsaKeyPair::generate(&library::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let p521 = EcdsaKeyPair::generate(&library::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
    let k256 = EcdsaKeyPair::generate(&library::ECDSA_P256K1_SHA256_FIXED_SIGNING).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let keys = [
        pem(rsa.as_ref()),
        pem(p256.to_pkcs8v1().unwrap().as_ref()),
        pem(p384.to_pkcs8v1().unwrap().as_ref()),
        pem(p521.to_pkcs8v1().unwrap().as_ref()),
        pem(k256.to_pkcs8v1().unwrap().as_ref()),
        pem(ed25519.to_pkcs8v1().unwrap().as_ref()),
        pem(ed25519.to_pkcs8().unwrap().as_ref()),
    ];
    for algorithm in algorithms().chain([Algorithm::Ed25519]) {
        let fitting: &[usize] = match algorithm {
            Algorithm::Es256 => &[1],
            Algorithm::Es384 => &[2],
            Algorithm::Es512 => &[3],
            Algorithm::Es256K => &[4],
            Algorithm::EdDsa | Algorithm::Ed25519 => &[5, 6],
            _ if algorithm.is_symmetric() => &[],
            _ => &[0],
        };
        for (place, pem) in keys.iter().enumerate() {
            match SigningKey::from_pkcs8_pem(algorithm, pem) {
                Ok(key) => {
                    assert!(fitting.contains(&place), "{algorithm}");
                    let token = key.sign("JWT", b"{}").unwrap();
                    assert!(verifies(&key.verifying_key().unwrap(), &token), "{algorithm}");
                }
                Err(error) => assert!(!fitting.contains(&place), "{algorithm}: {error}"),
            }
        }
    }
}

#[test]
fn a_private_jwk_that_cannot_sign_is_an_error_that_does_not_repeat_it() {
    let (rsa, ec) = (rsa_private(Algorithm::Rs256), || serde_json::from_str(vectors::EC).unwrap());
    let mut wrong = vec![
        with(rsa.clone(), "alg", "ES256"),
        with(rsa.clone(), "alg", "none"),
        with(rsa.clone(), "use", "enc"),
        with(rsa.clone(), "key_ops", json!(["verify"])),
        with(rsa.clone(), "d", "AQAB"),
        with(rsa.clone(), "p", rsa["q"].clone()),
        with(ec(), "d", "AQAB"),
        with(ec(), "d", base64url::encode(&[9; 32])),
        with(ec(), "alg", "ES384"),
        with(serde_json::from_str(vectors::OKP).unwrap(), "d", base64url::encode(&[9; 32])),
        with(serde_json::from_str(vectors::OKP).unwrap(), "d", "AQAB"),
        json!({"kty": "oct", "k": base64url::encode(&[9; 64])}),
        json!({"kty": "oct", "k": base64url::encode(&[9; 31]), "alg": "HS256"}),
        json!({"kty": "oct", "k": base64url::encode(&[9; 64]), "alg": "RS256"}),
        public(Algorithm::Es256),
        json!({"kty": "x"}),
        json!({}),
        json!([]),
    ];
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        let mut jwk = rsa.clone();
        jwk.as_object_mut().unwrap().remove(name);
        wrong.push(jwk);
    }
    for jwk in wrong {
        let error = SigningKey::from_jwk(&jwk.to_string()).unwrap_err().to_string();
        assert!(error.starts_with("the JWK cannot sign: "), "{error}");
        for (_, value) in jwk.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            assert!(value.len() < 10 || !error.contains(value), "{error}");
        }
    }
}

#[test]
fn a_secret_is_for_hmac_alone() {
    for algorithm in algorithms() {
        let key = SigningKey::from_secret(algorithm, "x".repeat(64));
        assert_eq!(key.is_ok(), algorithm.is_symmetric(), "{algorithm}");
    }
    assert!(SigningKey::from_secret(Algorithm::Hs256, "x".repeat(31)).is_err());
}

#[test]
fn ed25519_is_written_under_the_name_that_was_asked_for() {
    for (algorithm, name) in [(Algorithm::EdDsa, "EdDSA"), (Algorithm::Ed25519, "Ed25519")] {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let token = key.sign("JWT", b"{}").unwrap();
        let header = base64url::decode(Compact::parse(&token).unwrap().header).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["alg"], name);
        let jwk: Value = serde_json::from_str(&key.public_jwk().unwrap()).unwrap();
        assert_eq!(jwk["alg"], name);
        assert!(verifies(&key.verifying_key().unwrap(), &token));
    }
}

#[test]
fn a_header_that_is_given_is_signed_as_it_is() {
    let key = key(Algorithm::EdDsa);
    let header = json!({"alg": "none", "crit": ["x"]});
    let token = key.sign_with_header(header.as_object().unwrap(), b"").unwrap();
    let parts = Compact::parse(&token).unwrap();
    let read: Value = serde_json::from_slice(&base64url::decode(parts.header).unwrap()).unwrap();
    assert_eq!(read, header);
    let signature = base64url::decode(parts.signature).unwrap();
    let message = parts.signing_input.as_bytes();
    assert!(key.verifying_key().unwrap().verify(Algorithm::EdDsa, message, &signature));
}
