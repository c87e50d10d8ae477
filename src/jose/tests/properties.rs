//! Whatever a peer sends, there is an answer.

use super::*;
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use std::sync::LazyLock;

/// One public JWK of each type, with every member that counts.
static GOOD: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
    let full = |algorithm: Algorithm| {
        let jwk = with(public(algorithm), "alg", algorithm.as_str());
        with(with(jwk, "kid", "a"), "key_ops", json!(["verify"]))
    };
    all.into_iter().map(full).collect()
});

/// JSON that is nearly something.
const NEARLY: &str = r#"([\[\]{}:,"]|\\u00|"keys":\[|"kty":"(RSA|EC|OKP|oct)"|"alg":"ES256"|"[a-z]"|[0-9e.-]|null| ){0,40}"#;

fn read_all(input: &[u8]) {
    let _ = Header::parse(input);
    let _ = VerifyingKey::from_jwk(input);
    if let Ok(set) = KeySet::from_json(input) {
        assert!(set.is_same(&set));
        assert!(set.len() + set.skipped().len() <= 100);
    }
    let text = String::from_utf8_lossy(input);
    let _ = SigningKey::from_jwk(&text);
    let _ = SigningKey::from_pkcs8_pem(Algorithm::Es256, &text);
    let _ = KeySet::from_pem(&text);
    for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
        let body = BASE64_STANDARD.encode(input);
        let _ = KeySet::from_pem(&format!("-----BEGIN {label}-----{body}-----END {label}-----"));
    }
    if let Some(token) = Compact::parse(&text) {
        assert_eq!(token.signing_input, format!("{}.{}", token.header, token.payload));
        assert_eq!(text, format!("{}.{}", token.signing_input, token.signature));
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_have_an_answer(input in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&input);
    }

    #[test]
    fn what_is_nearly_json_has_an_answer(input in NEARLY, token in r"[a-zA-Z0-9_.-]{0,40}") {
        read_all(input.as_bytes());
        read_all(token.as_bytes());
    }

    #[test]
    fn a_changed_key_has_an_answer_and_checks_no_signature_by_chance(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        signature in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut jwk = GOOD[which].to_string().into_bytes();
        for (place, byte) in changes {
            let place = place.index(jwk.len());
            jwk[place] = byte;
        }
        read_all(&jwk);
        if let Ok(key) = VerifyingKey::from_jwk(&jwk) {
            for algorithm in algorithms() {
                prop_assert!(!key.verify(algorithm, b"message", &signature));
            }
        }
    }

    #[test]
    fn a_member_of_a_key_may_be_anything(
        which in 0..4_usize,
        name in prop::sample::select(&["kty", "alg", "crv", "x", "y", "n", "e", "kid"][..]),
        value in prop_oneof!["[A-Za-z0-9_-]{0,90}", ".{0,20}"],
    ) {
        let jwk = with(GOOD[which].clone(), name, value);
        read_all(json!({"keys": [jwk]}).to_string().as_bytes());
        let _ = parse(&jwk);
    }
}
