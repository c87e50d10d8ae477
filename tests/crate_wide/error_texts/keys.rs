//! What is wrong with keys: to sign with, and to judge by.

use super::{assert_said, text};
use std::time::Duration;
use tower_oauth2::{Algorithm, SigningKey, Transport, validate::Jwks};

/// The public half of the example key of RFC 8037.
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

#[test]
fn what_is_wrong_with_a_jwk_to_sign_with_is_said() {
    let jwk = |json: &str| {
        let said = text(SigningKey::from_jwk(json));
        said.strip_prefix("the JWK cannot sign: ").unwrap_or("?").to_owned()
    };
    let okp = |members: &str| jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519"{members}}}"#));
    let short = "AQAB".repeat(42);
    let long = format!("{}AQAB", "AQAB".repeat(345));
    let rsa = |n: &str, e: &str| jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#));
    let modulus = format!("_{}Q", "A".repeat(340));
    let even = format!("_{}", "A".repeat(341));
    assert_said([
        ("a PEM", jwk("-----BEGIN PRIVATE KEY-----"), "it is not JSON"),
        ("a list", jwk("[]"), "it is not an object"),
        ("no type", jwk("{}"), "it has no type (kty)"),
        ("another type", jwk(r#"{"kty":"DSA"}"#), "its type is not supported (kty)"),
        (
            "ML-DSA",
            jwk(r#"{"kty":"AKP","alg":"ML-DSA-44"}"#),
            "it is an ML-DSA key, which is not supported (kty)",
        ),
        (
            "Ed448",
            jwk(&format!(r#"{{"kty":"OKP","crv":"Ed448","d":"{X}","x":"{X}"}}"#)),
            "it is an Ed448 key, which is not supported (crv)",
        ),
        (
            "a key to agree on keys",
            jwk(&format!(r#"{{"kty":"OKP","crv":"X25519","d":"{X}","x":"{X}"}}"#)),
            "its curve is for encryption alone (crv)",
        ),
        ("a number", jwk(r#"{"kty":1}"#), "a member is of the wrong type"),
        ("a member twice", jwk(r#"{"kty":"OKP","kty":"OKP"}"#), "a member is repeated"),
        ("to encrypt", okp(r#","use":"enc""#), "it is not for signatures (use)"),
        ("to verify", okp(r#","key_ops":["verify"]"#), "it is not for signatures (key_ops)"),
        (
            "another algorithm",
            okp(&format!(r#","alg":"ES256","d":"{X}","x":"{X}""#)),
            "its algorithm is not one for this key (alg)",
        ),
        (
            "an algorithm that is none",
            okp(r#","alg":"none""#),
            "its algorithm is not one for this key (alg)",
        ),
        ("a public key", okp(&format!(r#","x":"{X}""#)), "a member is missing"),
        ("another alphabet", okp(r#","d":"a+b/""#), "a member is not base64url"),
        (
            "a short point",
            okp(&format!(r#","d":"{X}","x":"AQAB""#)),
            "a coordinate has not the size of its curve",
        ),
        (
            "two halves of two keys",
            okp(&format!(r#","d":"{X}","x":"{X}""#)),
            "its members are not an Ed25519 key, or not of the same one",
        ),
        (
            "a point of order 2",
            okp(&format!(r#","d":"{X}","x":"{}A""#, "A".repeat(42))),
            "its point has a small order, so that signatures can be forged",
        ),
        ("another curve", jwk(r#"{"kty":"EC","crv":"P-192"}"#), "its curve is not supported (crv)"),
        (
            "no point of the curve",
            jwk(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{X}","d":"{X}"}}"#)),
            "its members are not a key of its curve, or not of the same one",
        ),
        ("no number", rsa("", "AQAB"), "a number is empty or zero"),
        ("1007 bits", rsa(&short, "AQAB"), "its modulus is shorter than 2048 bits"),
        ("8281 bits", rsa(&long, "AQAB"), "its modulus is longer than 8192 bits"),
        ("1 as exponent", rsa(&modulus, "AQ"), "its exponent is even, too small or too large"),
        ("an even modulus", rsa(&even, "AQAB"), "its modulus is even"),
        ("no private half", rsa(&modulus, "AQAB"), "a member is missing"),
        (
            "a secret for whatever",
            jwk(r#"{"kty":"oct","k":"aHVudGVyMg"}"#),
            "a shared secret needs its algorithm (alg)",
        ),
        (
            "a secret for ECDSA",
            jwk(r#"{"kty":"oct","alg":"ES256","k":"aHVudGVyMg"}"#),
            "a shared secret is for HS256, HS384 or HS512",
        ),
        (
            "a short secret",
            jwk(r#"{"kty":"oct","alg":"HS256","k":"aHVudGVyMg"}"#),
            "the shared secret is shorter than the 32, 48 or 64 bytes of HS256, HS384 or HS512",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_pem_to_sign_with_is_said() {
    let convert = "the private key is not in PKCS#8: convert it, with `openssl pkcs8 -topk8 \
                   -nocrypt` for example";
    let pem = |pem: &str| {
        let said = text(SigningKey::from_pkcs8_pem(Algorithm::Es256, pem));
        said.strip_prefix("the PEM cannot sign: ").unwrap_or("?").to_owned()
    };
    let block = |inner: &str| {
        pem(&format!("-----BEGIN PRIVATE KEY-----\n{inner}\n-----END PRIVATE KEY-----"))
    };
    let symmetric = SigningKey::from_pkcs8_pem(
        Algorithm::Hs256,
        "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----",
    );
    assert_said([
        ("a JWK", pem("{}"), "it does not begin with -----BEGIN PRIVATE KEY-----"),
        ("EC", pem("-----BEGIN EC PRIVATE KEY-----"), convert),
        ("RSA", pem("-----BEGIN RSA PRIVATE KEY-----"), convert),
        (
            "one with a password",
            pem("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "the private key is encrypted: decrypt it, with `openssl pkcs8` for example",
        ),
        (
            "a public key",
            pem("-----BEGIN PUBLIC KEY-----"),
            "it is a public key, which cannot sign",
        ),
        (
            "a certificate",
            pem("-----BEGIN CERTIFICATE-----"),
            "it is a certificate, which cannot sign",
        ),
        (
            "half of one",
            pem("-----BEGIN PRIVATE KEY-----\nYWJj"),
            "it does not end with -----END PRIVATE KEY-----",
        ),
        ("no base64", block("hunter2!"), "it is not base64, or more than one block"),
        (
            "no key",
            block("YWJj"),
            "it is not a key for this algorithm, or not of 2048 to 8192 bits",
        ),
        (
            "a shared secret",
            text(symmetric),
            "the PEM cannot sign: PKCS#8 has no shared secrets: use SigningKey::from_secret",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_pem_to_judge_by_is_said() {
    let pem = |pem: &str| {
        let said = text(Jwks::from_pem(pem));
        said.strip_prefix("the PEM cannot be used: ").unwrap_or("?").to_owned()
    };
    let block = |label: &str, base64: &str| {
        pem(&format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----"))
    };
    assert_said([
        ("nothing", pem(""), "it has no block -----BEGIN PUBLIC KEY-----"),
        (
            "a private key",
            block("PRIVATE KEY", "hunter2"),
            "block 1: it is a private key: give the public one, as `openssl pkey -pubout` writes it",
        ),
        (
            "a request",
            block("CERTIFICATE REQUEST", ""),
            "block 1: it is not a PUBLIC KEY, an RSA PUBLIC KEY or a CERTIFICATE",
        ),
        ("half of one", pem("-----BEGIN PUBLIC KEY-----"), "block 1: it has no end of its name"),
        (
            "no base64",
            block("PUBLIC KEY", "hunter2!"),
            "block 1: it is not base64, or more than one block",
        ),
        ("no key", block("PUBLIC KEY", "YWJj"), "block 1: it is not a public key in DER"),
        (
            "no RSA key",
            block("RSA PUBLIC KEY", "YWJj"),
            "block 1: it is not an RSA public key in DER",
        ),
        (
            "no certificate",
            block("CERTIFICATE", "YWJj"),
            "block 1: it is not an X.509 certificate in DER",
        ),
        (
            "RSA of 32 bits",
            block("RSA PUBLIC KEY", "MAoCBQD/////AgED"),
            "block 1: its modulus is shorter than 2048 bits",
        ),
        (
            "a key to agree on keys",
            block("PUBLIC KEY", "MCowBQYDK2VuAyEAa2XJcHF0oLOLB9W8D9f+9iaek+K6c25lKWV23VT/t3I="),
            "block 1: its type is not supported: RSA, EC and Ed25519 are",
        ),
        (
            "RSA for PSS",
            block("PUBLIC KEY", "MBEwCwYJKoZIhvcNAQEKAwIAAA=="),
            "block 1: it is an RSA key for RSASSA-PSS alone: give it as a JWK, with its alg",
        ),
        (
            "another curve",
            block("PUBLIC KEY", "MBkwFAYHKoZIzj0CAQYJKyQDAwIIAQEHAwEA"),
            "block 1: its curve is not supported",
        ),
        (
            "a curve without a name",
            block("PUBLIC KEY", "MBAwCwYHKoZIzj0CATAAAwEA"),
            "block 1: its curve is given by parameters, not by name",
        ),
        (
            "a compressed point",
            block("PUBLIC KEY", "MBowEwYHKoZIzj0CAQYIKoZIzj0DAQcDAwACAA=="),
            "block 1: its point is compressed: convert it, with `openssl ec -pubin` for example",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_keys_to_judge_by_is_said() {
    let fixed = |json: &str| text(Jwks::from_json(json));
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 101].join(","));
    let between = |min, max| {
        let keys = Jwks::from_url("https://as.example/jwks", Transport::https()).unwrap();
        text(keys.with_refresh_between(Duration::from_secs(min), Duration::from_secs(max)))
    };
    assert_said([
        (
            "a path alone",
            text(Jwks::from_url("/jwks", Transport::https())),
            "the URL of the key set is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "plain http",
            text(Jwks::from_url("http://as.example/jwks", Transport::https())),
            "the URL of the key set is plain http to another machine; \
             Transport::allow_plain_http takes it",
        ),
        (
            "an issuer by its name",
            text(Jwks::from_issuer("as.example", Transport::https())),
            "the issuer is no absolute http(s) URL, such as https://as.example/path",
        ),
        (
            "no JSON",
            fixed("hunter2"),
            "the key set cannot be used: it is not a JSON object without repeated members and with a \
             list of keys",
        ),
        ("no keys", fixed("{}"), "the key set cannot be used: it has no member `keys`"),
        ("an empty set", fixed(r#"{"keys":[]}"#), "the key set cannot be used: it is empty"),
        ("many keys", fixed(&many), "the key set cannot be used: it has more than 100 keys"),
        (
            "a shared secret, and a private key",
            fixed(&format!(
                r#"{{"keys":[{{"kty":"oct","k":"aHVudGVyMg"}},
                    {{"kty":"OKP","crv":"Ed25519","kid":"a","d":"{X}","x":"{X}"}}]}}"#
            )),
            "the key set cannot be used: key 0, without a kid: it is a shared secret; key 1, kid \
             'a': it holds a private key",
        ),
        (
            "a short secret",
            text(Jwks::from_secret(Algorithm::Hs256, "hunter2")),
            "the shared secret cannot be used: the shared secret is shorter than the 32, 48 or 64 \
             bytes of HS256, HS384 or HS512",
        ),
        (
            "a public key as a secret",
            text(Jwks::from_secret(Algorithm::Hs256, "-----BEGIN PUBLIC KEY-----")),
            "the shared secret cannot be used: the shared secret is the text of a key or a \
             certificate, which is no secret",
        ),
        (
            "no secret",
            text(Jwks::from_secrets(Algorithm::Hs256, [[1; 32]; 0])),
            "there is no shared secret: from_secrets got none",
        ),
        (
            "many secrets",
            text(Jwks::from_secrets(Algorithm::Hs256, [[1; 32]; 5])),
            "more than four keys are for HS256: give the keys names, in a JWK set",
        ),
        (
            "a secret for ECDSA",
            text(Jwks::from_secret(Algorithm::Es256, "hunter2")),
            "the shared secret cannot be used: a shared secret is for HS256, HS384 or HS512",
        ),
        (
            "the later before the earlier",
            between(2, 1),
            "a refresh between 2s and 1s: min is at least 1s, and at most max",
        ),
    ]);
}
