//! Keys that are given, not fetched: in PEM, as secrets, and as a key set.

use crate::{
    api::{AUDIENCE, Api, ISSUER, Web, claims, clock, encoded, header, signed, with},
    keys::{Key, authenticated},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::StatusCode;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, RsaKeySize};
use serde_json::{Value, json};
use tower_oauth2::{
    Algorithm, SigningKey,
    testing::AuthorizationServer,
    validate::{Jwks, JwtValidator, TrustedIssuer},
};

const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
    "EdDSA", "Ed25519",
];

/// An API that takes tokens by `keys`.
fn api(keys: Jwks) -> Api {
    let issuer = TrustedIssuer::new(ISSUER, keys).with_audience([AUDIENCE]);
    Api::over(JwtValidator::new(issuer).unwrap().with_clock(clock()), Web::default())
}

fn key(algorithm: &str) -> std::sync::Arc<Key> {
    Key::of(&format!("a fixed key for {algorithm}"), algorithm).unwrap()
}

fn nameless(algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt"})
}

fn by(key: &Key, header: &Value) -> String {
    signed(key, header.to_string(), claims().to_string())
}

/// What a server signs with `key`.
fn minted(key: &SigningKey) -> String {
    let server = AuthorizationServer::new();
    server.rotate_key(key.clone());
    server.mint("at+jwt", &claims().to_string()).unwrap()
}

/// The block `label` of these bytes.
fn block(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der).into_bytes();
    let lines: Vec<_> = text.chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn private(pair: &KeyPair) -> String {
    block("PRIVATE KEY", &pair.serialize_der())
}

/// What is in the first block of `pem`.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    BASE64_STANDARD.decode(lines.collect::<String>()).unwrap()
}

#[track_caller]
fn assert_refused(name: &str, pem: &str, reason: &str) {
    let error = Jwks::from_pem(pem).err().unwrap_or_else(|| panic!("{name} is taken"));
    let error = error.to_string();
    assert!(
        error.starts_with("the PEM cannot be used: ") && error.contains(reason),
        "{name}: {error}"
    );
    for line in pem.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
        assert!(!error.contains(line), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_key_in_pem_verifies_tokens_of_its_algorithm_whatever_they_name() {
    for algorithm in ALGORITHMS {
        let (own, evil) = (key(algorithm), Key::of("evil", algorithm).unwrap());
        let api = api(Jwks::from_pem(&own.spki_pem().unwrap()).unwrap());
        let named = with(header(algorithm, "any"), json!({"x5t": "another"}));
        for header in [nameless(algorithm), header(algorithm, "any"), header(algorithm, ""), named]
        {
            api.takes(algorithm, &by(&own, &header)).await;
            let seen = api.sees(&by(&evil, &header)).await;
            assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{algorithm}");
        }
        for other in ALGORITHMS {
            let fits = own.sign(other, b"").len() == own.sign(algorithm, b"").len()
                && (other.starts_with(['R', 'P']) && algorithm.starts_with(['R', 'P'])
                    || other == algorithm
                    || other.starts_with("Ed") && algorithm.starts_with("Ed"));
            let input = format!(
                "{}.{}",
                encoded(nameless(other).to_string()),
                encoded(claims().to_string())
            );
            let token = format!("{input}.{}", encoded(own.sign(other, input.as_bytes())));
            let expected = if fits { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(api.sees(&token).await.status, expected, "{other} by a key for {algorithm}");
        }
    }
}

#[tokio::test]
async fn several_blocks_are_several_keys_with_any_text_around_them() {
    let keys = ["ES256", "RS256", "EdDSA", "ES512"].map(key);
    let second = Key::of("a second one", "ES256").unwrap();
    let pem: Vec<_> = keys.iter().chain([&second]).map(|key| key.spki_pem().unwrap()).collect();
    let pem = format!(
        "\u{feff}Bag Attributes\r\n    friendlyName: a\n{}\nthe end\n",
        pem.join("\n# next\n")
    );
    for pem in [pem.clone(), pem.replace('\n', "\r\n"), format!("{pem}{pem}")] {
        let jwks = Jwks::from_pem(&pem).unwrap();
        assert_eq!(jwks.status().keys(), 5);
        assert!(jwks.status().is_ready() && jwks.status().skipped().is_empty());
        let api = api(jwks);
        for (key, algorithm) in keys.iter().zip(["ES256", "RS256", "EdDSA", "ES512"]) {
            api.takes(algorithm, &by(key, &header(algorithm, "any"))).await;
        }
        api.takes("the second", &by(&second, &nameless("ES256"))).await;
    }
}

#[tokio::test]
async fn the_key_of_a_certificate_verifies_tokens_and_so_does_an_rsa_public_key() {
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    for (pair, algorithm) in [
        (&rsa, Algorithm::Rs256),
        (&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(), Algorithm::Es256),
        (&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), Algorithm::Es384),
        (&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(), Algorithm::Es512),
        (&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), Algorithm::Ed25519),
    ] {
        let certificate = CertificateParams::new(["as.example".to_owned()]).unwrap();
        let certificate = certificate.self_signed(pair).unwrap();
        let key = SigningKey::from_pkcs8_pem(algorithm, &private(pair)).unwrap();
        let token = minted(&key);
        let keys = Jwks::from_pem(&block("CERTIFICATE", certificate.der())).unwrap();
        api(keys).takes(algorithm.as_str(), &token).await;
        let half = block("PUBLIC KEY", &pair.subject_public_key_info());
        api(Jwks::from_pem(&half).unwrap()).takes("the key alone", &token).await;
    }
    let key = SigningKey::from_pkcs8_pem(Algorithm::Ps384, &private(&rsa)).unwrap();
    let token = minted(&key);
    api(Jwks::from_pem(&block("RSA PUBLIC KEY", rsa.public_key_raw())).unwrap())
        .takes("PKCS#1", &token)
        .await;
}

#[test]
fn keys_that_a_key_set_would_not_have_are_refused_in_pem_too() {
    for (name, pem, reason) in [
        ("RSA of 1024 bits", RSA_1024, "shorter than 2048 bits"),
        ("RSA for PSS alone", RSA_PSS, "RSASSA-PSS"),
        ("RSA for PSS with parameters", RSA_PSS_SHA256, "RSASSA-PSS"),
        ("P-256, written out", EXPLICIT, "by parameters"),
        ("P-256, compressed", COMPRESSED, "compressed"),
        ("Brainpool", BRAINPOOL, "curve is not supported"),
        ("X25519", X25519, "type is not supported"),
        ("Ed448", ED448, "Ed448"),
    ] {
        assert_refused(name, pem, reason);
        assert_refused(name, &format!("{}{pem}", key("ES256").spki_pem().unwrap()), "block 2: ");
    }
    let ml_dsa = [
        &[0x30, 0x12, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12][..],
        &[3, 3, 0, 1, 1],
    ];
    assert_refused("ML-DSA-65", &block("PUBLIC KEY", &ml_dsa.concat()), "ML-DSA");
}

#[test]
fn a_private_key_in_pem_is_an_error_that_asks_for_the_public_one() {
    let secret = encoded([7; 60]);
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    ] {
        let pem = format!("-----BEGIN {label}-----\n{secret}\n-----END {label}-----\n");
        assert_refused(label, &pem, "give the public one");
        assert_refused(
            label,
            &format!("{}{pem}", key("ES256").spki_pem().unwrap()),
            "give the public one",
        );
        assert_refused(label, pem.split_once("\n---").unwrap().0, "give the public one");
    }
}

#[test]
fn what_is_no_pem_or_no_key_is_an_error() {
    let pem = key("ES256").spki_pem().unwrap();
    let cut = pem.replace("-----END PUBLIC KEY-----", "");
    let crossed = pem.replace("END PUBLIC", "END RSA PUBLIC");
    for (name, wrong, reason) in [
        ("nothing", "", "it has no block"),
        ("a text", "hunter2", "it has no block"),
        ("a key set", r#"{"keys":[]}"#, "it has no block"),
        ("no end", &*cut, "no end"),
        ("another end", &crossed, "no end"),
        ("a request", &block("CERTIFICATE REQUEST", &[0x30, 0]), "block 1: it is not a PUBLIC KEY"),
        ("no base64", &pem.replace("\nM", "\n!"), "not base64"),
        ("nothing within", &block("PUBLIC KEY", b""), "not a public key in DER"),
        ("the key as a certificate", &pem.replace("PUBLIC KEY", "CERTIFICATE"), "X.509"),
        ("the key as PKCS#1", &pem.replace("PUBLIC KEY", "RSA PUBLIC KEY"), "RSA public key"),
    ] {
        assert_refused(name, wrong, reason);
    }
    let many: String = (0..5)
        .map(|n| Key::of(&format!("of many {n}"), "ES256").unwrap().spki_pem().unwrap())
        .collect();
    let error = Jwks::from_pem(&many).unwrap_err().to_string();
    assert!(error.contains("more than four keys are for ES256"), "{error}");
}

/// Each is cut and changed at each byte.
#[test]
fn a_key_that_is_cut_or_changed_is_another_key_or_none() {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let rsa = der(&key("RS256").spki_pem().unwrap());
    for (label, good) in [
        ("PUBLIC KEY", der(&key("ES512").spki_pem().unwrap())),
        ("PUBLIC KEY", der(&key("EdDSA").spki_pem().unwrap())),
        ("RSA PUBLIC KEY", rsa[24..].to_vec()),
        ("PUBLIC KEY", rsa),
        ("CERTIFICATE", certificate.der().to_vec()),
    ] {
        assert!(Jwks::from_pem(&block(label, &good)).is_ok());
        for len in 0..good.len() {
            assert!(Jwks::from_pem(&block(label, &good[..len])).is_err(), "{label} {len}");
        }
        let longer = [&good[..], &[0]].concat();
        assert!(Jwks::from_pem(&block(label, &longer)).is_err(), "{label}");
        for place in 0..good.len() {
            for bit in [0x01, 0x80, 0xff] {
                let mut other = good.clone();
                other[place] ^= bit;
                let _ = Jwks::from_pem(&block(label, &other));
            }
        }
    }
}

/// RFC 7515 A.1.
#[tokio::test]
async fn a_secret_may_be_any_bytes() {
    let secret = crate::api::decoded(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    assert!(str::from_utf8(&secret).is_err(), "it is no text");
    let made = |algorithm: &str| {
        let input = format!(
            "{}.{}",
            encoded(nameless(algorithm).to_string()),
            encoded(claims().to_string())
        );
        format!("{input}.{}", encoded(authenticated(algorithm, &secret, input.as_bytes())))
    };
    for (name, algorithm) in
        [("HS256", Algorithm::Hs256), ("HS384", Algorithm::Hs384), ("HS512", Algorithm::Hs512)]
    {
        for keys in
            [Jwks::from_secret(algorithm, &secret), Jwks::from_secret(algorithm, secret.clone())]
        {
            api(keys.unwrap()).takes(name, &made(name)).await;
        }
        let key = SigningKey::from_secret(algorithm, &secret).unwrap();
        assert_eq!(minted(&key), made(name));
    }
}

#[tokio::test]
async fn while_a_secret_is_changed_tokens_by_the_old_and_the_new_are_good() {
    let secrets = [[1_u8; 32], [2; 32], [0xff; 32]];
    let made = |secret: &[u8], header: &Value| {
        let input = format!("{}.{}", encoded(header.to_string()), encoded(claims().to_string()));
        format!("{input}.{}", encoded(authenticated("HS256", secret, input.as_bytes())))
    };
    let api = api(Jwks::from_secrets(Algorithm::Hs256, secrets).unwrap());
    for header in [nameless("HS256"), header("HS256", "any")] {
        for secret in secrets {
            api.takes("one of them", &made(&secret, &header)).await;
        }
        assert_eq!(api.sees(&made(&[3; 32], &header)).await.status, StatusCode::UNAUTHORIZED);
    }
    let of = |count| Jwks::from_secrets(Algorithm::Hs256, vec![[1; 32]; count]);
    assert!(of(1).is_ok() && of(4).is_ok());
    assert!(of(0).unwrap_err().to_string().contains("no shared secret"));
    assert!(of(5).unwrap_err().to_string().contains("more than four"));
    assert!(Jwks::from_secrets(Algorithm::Hs256, [&[1; 32][..], &[2; 31]]).is_err());
    assert!(Jwks::from_secrets(Algorithm::Hs512, [[1; 63]]).is_err());
}

#[test]
fn a_public_key_given_as_a_secret_is_an_error_in_whatever_form() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let key = key(algorithm);
        let pem = key.spki_pem().unwrap();
        let jwk = key.jwk("k");
        for secret in [
            pem.clone().into_bytes(),
            pem.trim_end().into(),
            pem.replace('\n', "\r\n").into(),
            format!("\n \u{feff}{pem}").into(),
            pem.replace("PUBLIC KEY", "CERTIFICATE").into(),
            pem.replace("PUBLIC KEY", "PRIVATE KEY").into(),
            format!("# the key\n{pem}").into(),
            der(&pem),
            pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().into(),
            pem.split("-----").nth(2).unwrap().into(),
            jwk.to_string().into(),
            serde_json::to_vec_pretty(&jwk).unwrap(),
            json!({"keys": [jwk]}).to_string().into(),
            format!("ssh-ed25519 {}", encoded([7; 60])).into(),
            format!("ecdsa-sha2-nistp256 {}", encoded([7; 60])).into(),
        ] {
            if secret.len() < 64 {
                continue;
            }
            for algorithm in [Algorithm::Hs256, Algorithm::Hs512] {
                let errors = [
                    Jwks::from_secret(algorithm, &secret).map(drop).unwrap_err(),
                    Jwks::from_secrets(algorithm, [&[1; 64][..], &secret]).map(drop).unwrap_err(),
                    SigningKey::from_secret(algorithm, &secret).map(drop).unwrap_err(),
                ];
                for error in errors.map(|error| error.to_string()) {
                    assert!(error.contains("key or a certificate"), "{error}");
                }
            }
        }
    }
    for good in [
        "a secret of characters that is no key, -----BEGIN",
        "{a secret in braces, which is no JSON}",
    ] {
        assert!(Jwks::from_secret(Algorithm::Hs256, good).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn an_entry_of_a_given_set_that_cannot_be_used_is_skipped_and_reported() {
    let own = key("ES256");
    let secret = json!({"kty": "oct", "kid": "s", "k": encoded([1; 32])});
    let set =
        json!({"keys": [secret, own.jwk("k"), {"kty": "AKP", "kid": "q", "alg": "ML-DSA-44"}]});
    let keys = Jwks::from_json(&set.to_string()).unwrap();
    assert_eq!(
        keys.status().skipped(),
        [
            "key 0, kid \"s\": it is a shared secret",
            "key 2, kid \"q\": it is an ML-DSA key, which is not supported (kty)"
        ]
    );
    assert_eq!(keys.status().keys(), 1);
    api(keys).takes("by the good one", &by(&own, &header("ES256", "k"))).await;
    let error = Jwks::from_json(&json!({"keys": [secret]}).to_string()).unwrap_err().to_string();
    assert!(
        error.contains("it is a shared secret") && !error.contains(&encoded([1; 32])),
        "{error}"
    );
}

/// Public keys that OpenSSL wrote, of kinds that are refused.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCljwrVFyzzTWPI7DuyZTR8/dDV
RnSWGDlFBl6KhAEiXnLCFo8DTclGVk8wu/7RjvintkZu26IQbENicdYSRo0avCVj
J6bIbtNgfHD1Hcc+am7DutxyvFxU96rSRjZcBFyI+QsVbdWOa8rIuh37DUjOoMRF
SJ9oQvL6eibUzZYF7QIDAQAB
-----END PUBLIC KEY-----
";
const RSA_PSS: &str = "-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAJC4bDa7/jyzqHoTUw7/WPzp
w1kHbNFtiJwc+SBjWgr5DpIKBU4Qhw5A2kGdomlbZtUTthgOaShM/1QvGertpb9v
by1za3TDS3PYkRBsUCKIjFy6fTv5dWYW8ZXjKeBZEpzdIZmAD1Fr35AGHJ/GcRZJ
OWElZuZaAC91l1u0IOIY9VjxwNFWGuofQD3lIg87ElWYyJk5rm7WElLc7JqcQQb1
kzdlHwtN97UHQLXBc9ur8wo8gjsYv40Vo4TJKx7vugZ/kt1cPsU9VLGQD6bie/PH
IgKrzkDcPP1w7AZTqFaZ3NOY3B5vNybfCA2VzOYPxMLmqTcetXEQdiZpczISRPkC
AwEAAQ==
-----END PUBLIC KEY-----
";
const RSA_PSS_SHA256: &str = "-----BEGIN PUBLIC KEY-----
MIIBVjBBBgkqhkiG9w0BAQowNKAPMA0GCWCGSAFlAwQCAQUAoRwwGgYJKoZIhvcN
AQEIMA0GCWCGSAFlAwQCAQUAogMCASADggEPADCCAQoCggEBALeZz35dLonRXXZy
llzbj5aMIoylnE/9C+/qgv4xLFAu7hWHHwwdLuUcXLQIMhhr+DHuDUPvyQDEDLPE
itabWTRpqQGxuMmmCq0cMc824ch1BqASGvccbfDe3CjIPf4gqQAa2Uttt3rin10m
q5EhtfMyKytnEoqOybOBBdQKD5M1ADSpxXIrRHx6Nw1k262QCJBdLqceVYfpJPs1
P6L6jwTbrPvOXRZoPCAgH8oppo+mB6O4JgZZJIhrGkYTYtVmm0IxxDODsfPj2PaW
6pv+2V5q/yiWDF5uUaA/D5NWgDrl5flsiHXb7GKfq1nCKrjfamay2bRgOZLfaWZo
VceiLwMCAwEAAQ==
-----END PUBLIC KEY-----
";
const EXPLICIT: &str = "-----BEGIN PUBLIC KEY-----
MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA
AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////
///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd
NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5
RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA
//////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABENIj2NaCO9Fu/sgPrWp1C75
W40mxYHPe1qWNAev9NdJGLfk/5w5wcUsF4Od90C5tsD3eUhFoNMMc3pYJ0DrM3s=
-----END PUBLIC KEY-----
";
const COMPRESSED: &str = "-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACIh51j7dkil/sWKmFi/pzfN9RGm1H
8aD8pbh/z417RpM=
-----END PUBLIC KEY-----
";
const BRAINPOOL: &str = "-----BEGIN PUBLIC KEY-----
MFowFAYHKoZIzj0CAQYJKyQDAwIIAQEHA0IABG7oDeHg/JjUH/NYXJ49eqZ5Ybm4
YaY3vTxrBNd2Zlp4pF2ataKmV90lAI2iUk7D+gykFqZ8NOqI2uK1AkVhFlA=
-----END PUBLIC KEY-----
";
const X25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAa2XJcHF0oLOLB9W8D9f+9iaek+K6c25lKWV23VT/t3I=
-----END PUBLIC KEY-----
";
const ED448: &str = "-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoAuCt+J17z21GfH6OzrwNxX75kDA3m3Vd4zCc4mfQjN43AJJrF
zq9N54k75F3f48T7mstS0AzDIN8A
-----END PUBLIC KEY-----
";
