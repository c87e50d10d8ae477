//! Public keys: what is refused when it is parsed, and what is refused of a good one.

use super::*;
use aws_lc_rs::hmac;

const EC: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::Es256K];

#[track_caller]
fn assert_refused(jwk: &Value, reason: &str) {
    let error = parse(jwk).err().unwrap_or_else(|| panic!("it is taken: {jwk}"));
    assert!(error.contains(reason), "{error}: {jwk}");
}

/// Member `name` of `jwk` as bytes, changed and written again.
fn changed(mut jwk: Value, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut bytes = base64url::decode(jwk[name].as_str().unwrap()).unwrap();
    change(&mut bytes);
    jwk[name] = base64url::encode(&bytes).into();
    jwk
}

#[test]
fn a_key_checks_what_its_other_half_signed_and_nothing_under_another_algorithm() {
    for algorithm in algorithms() {
        let (pair, stranger) = (key(algorithm), SigningKey::generate(algorithm).unwrap());
        let key = pair.verifying_key().unwrap();
        let signature = pair.signature(b"message").unwrap();
        for other in algorithms() {
            assert_eq!(key.supports(other), other == algorithm, "{algorithm} {other}");
            let verifies = key.verify(other, b"message", &signature);
            assert_eq!(verifies, other == algorithm, "{algorithm} {other}");
        }
        assert!(!key.verify(algorithm, b"massage", &signature), "{algorithm}");
        assert!(!stranger.verifying_key().unwrap().verify(algorithm, b"message", &signature));
    }
}

#[test]
fn without_an_alg_rsa_is_for_all_of_its_algorithms_and_a_curve_for_its_own() {
    for named in Algorithm::ASYMMETRIC {
        let key = parse(&public(named)).unwrap();
        for other in algorithms() {
            let expected = if is_rsa(named) { is_rsa(other) } else { other == named };
            assert_eq!(key.supports(other), expected, "{named} {other}");
        }
    }
    for algorithm in Algorithm::ASYMMETRIC.into_iter().filter(|algorithm| is_rsa(*algorithm)) {
        let all = parse(&public(algorithm)).unwrap();
        assert!(all.verify(algorithm, b"message", &key(algorithm).signature(b"message").unwrap()));
    }
}

#[test]
fn ed25519_goes_by_both_of_its_names() {
    for name in ["EdDSA", "Ed25519"] {
        let key = parse(&with(public(Algorithm::EdDsa), "alg", name)).unwrap();
        assert!(key.supports(Algorithm::EdDsa));
    }
}

#[test]
fn an_alg_for_another_type_of_key_or_curve_or_for_none_is_refused() {
    for algorithm in Algorithm::ASYMMETRIC {
        let fits = |name: &str| match is_rsa(algorithm) {
            true => Algorithm::named(name).is_some_and(is_rsa),
            false => Algorithm::named(name).map(Algorithm::checked_as) == Some(algorithm),
        };
        let names = algorithms().map(Algorithm::as_str);
        for name in names.chain(["none", "", "rs256", "RSA-OAEP", "ES256k", "Ed448", "ML-DSA-44"]) {
            if !fits(name) {
                assert_refused(&with(public(algorithm), "alg", name), "algorithm");
            }
        }
    }
}

#[test]
fn a_short_long_or_even_rsa_modulus_is_refused() {
    let rsa = || public(Algorithm::Rs256);
    assert_refused(&changed(rsa(), "n", |n| n.truncate(128)), "shorter than 2048 bits");
    // 2047 bits, in as many bytes as 2048.
    assert_refused(&changed(rsa(), "n", |n| n[0] &= 0x7f), "shorter than 2048 bits");
    assert_refused(&changed(rsa(), "n", |n| n.resize(1025, 1)), "longer than 8192 bits");
    assert_refused(&changed(rsa(), "n", |n| n[255] &= 0xfe), "even");
    assert_refused(&changed(rsa(), "n", Vec::clear), "empty");
    assert_refused(&changed(rsa(), "n", |n| n.fill(0)), "empty or zero");
    // Zeros before it do not make it long enough.
    assert_refused(&changed(rsa(), "n", |n| n[..100].fill(0)), "shorter than 2048 bits");
    parse(&changed(rsa(), "n", |n| n.resize(1024, 1))).unwrap();
}

#[test]
fn zeros_before_the_numbers_of_an_rsa_key_do_not_count() {
    let pair = key(Algorithm::Rs256);
    let signature = pair.signature(b"message").unwrap();
    let own = pair.verifying_key().unwrap();
    for zeros in [1, 2, 70] {
        let padded =
            |name, jwk| changed(jwk, name, |bytes| drop(bytes.splice(..0, vec![0; zeros])));
        let jwk = with(padded("n", padded("e", public(Algorithm::Rs256))), "alg", "RS256");
        let parsed = parse(&jwk).unwrap();
        assert!(parsed.verify(Algorithm::Rs256, b"message", &signature));
        assert!(parsed.is_same(&own), "it is the same key");
    }
}

#[test]
fn an_rsa_exponent_that_is_none_is_refused() {
    for wrong in [&[1][..], &[2], &[4], &[2, 0, 0, 0, 1], &[1; 6], &[1; 300], &[0, 1], &[0], &[]] {
        let reason = if wrong.iter().all(|byte| *byte == 0) { "zero" } else { "exponent" };
        assert_refused(&changed(public(Algorithm::Rs256), "e", |e| *e = wrong.to_vec()), reason);
    }
    parse(&changed(public(Algorithm::Rs256), "e", |e| *e = vec![3])).unwrap();
}

#[test]
fn a_coordinate_that_is_not_of_the_size_of_its_curve_is_refused() {
    for algorithm in EC {
        for name in ["x", "y"] {
            for change in [
                |bytes: &mut Vec<u8>| bytes.insert(0, 0),
                |bytes: &mut Vec<u8>| bytes.push(0),
                |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
                |bytes: &mut Vec<u8>| bytes.clear(),
            ] {
                assert_refused(&changed(public(algorithm), name, change), "size of its curve");
            }
        }
    }
    for len in [0, 31, 33, 44, 57, 64] {
        let odd = changed(public(Algorithm::EdDsa), "x", |x| x.resize(len, 7));
        assert_refused(&odd, "size of its curve");
    }
}

#[test]
fn a_point_that_is_not_on_its_curve_is_refused() {
    for algorithm in EC {
        let wrong = changed(public(algorithm), "y", |y| y[0] ^= 1);
        assert_refused(&wrong, "not on its curve");
        let zero = changed(public(algorithm), "x", |x| x.fill(0));
        assert_refused(&changed(zero, "y", |y| y.fill(0)), "not on its curve");
        assert_refused(&changed(public(algorithm), "x", |x| x.fill(0xff)), "not on its curve");
    }
}

#[test]
fn a_curve_that_is_another_or_none_is_refused() {
    assert_refused(&with(public(Algorithm::Es256), "crv", "P-384"), "size of its curve");
    assert_refused(&with(public(Algorithm::Es384), "crv", "P-256"), "size of its curve");
    assert_refused(&with(public(Algorithm::Es256), "crv", "P-521"), "size of its curve");
    assert_refused(&with(public(Algorithm::Es256), "crv", "secp256k1"), "not on its curve");
    for curve in ["Ed25519", "X25519", "p-256", "P-256K", ""] {
        assert_refused(&with(public(Algorithm::Es256), "crv", curve), "curve is not supported");
    }
    for (curve, reason) in [
        ("X25519", "for encryption alone"),
        ("X448", "for encryption alone"),
        ("Ed448", "Ed448 key, which is not supported"),
        ("P-256", "curve is not supported"),
        ("ed25519", "curve is not supported"),
    ] {
        assert_refused(&with(public(Algorithm::EdDsa), "crv", curve), reason);
    }
    let ml_dsa = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"});
    assert_refused(&ml_dsa, "ML-DSA key, which is not supported");
}

#[test]
fn an_ed25519_point_that_anybody_can_sign_for_is_refused() {
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let order_8 = order_8.map(|hex| {
        let byte = |place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap();
        std::array::from_fn::<u8, 32, _>(byte)
    });
    let mut weak = order_8.to_vec();
    weak.extend([0, 1].map(|low| {
        let mut y = [0; 32];
        y[0] = low;
        y
    }));
    // From that of order 2 to the largest that can be written, none of which is reduced.
    weak.extend((0xec..=0xff).map(|low| {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (low, 0x7f);
        y
    }));
    for mut point in weak {
        for sign in [0, 0x80] {
            point[31] ^= sign;
            let jwk = changed(public(Algorithm::EdDsa), "x", |x| *x = point.to_vec());
            assert_refused(&jwk, "small order");
        }
    }
    // Under the point of order 1 the signature of every message is this one.
    let identity = std::array::from_fn::<u8, 32, _>(|place| u8::from(place == 0));
    let key = aws_lc_rs::signature::ParsedPublicKey::new(&aws_lc_rs::signature::ED25519, identity);
    let everybodys = [identity, [0; 32]].concat();
    assert!(key.unwrap().verify_sig(b"any message", &everybodys).is_ok(), "the library takes it");
}

#[test]
fn a_key_for_something_else_than_checking_signatures_is_refused() {
    for algorithm in Algorithm::ASYMMETRIC {
        for usage in ["enc", "", "SIG"] {
            assert_refused(&with(public(algorithm), "use", usage), "(use)");
        }
        for operations in [json!(["sign"]), json!([""]), json!(["encrypt", "Verify"])] {
            assert_refused(&with(public(algorithm), "key_ops", operations), "(key_ops)");
        }
        let both = with(public(algorithm), "key_ops", json!(["sign", "verify"]));
        parse(&with(both, "use", "sig")).unwrap();
        parse(&with(public(algorithm), "key_ops", json!([]))).unwrap();
    }
}

#[test]
fn a_published_private_key_or_shared_secret_is_refused() {
    for jwk in [vectors::RSA, vectors::EC, vectors::OKP] {
        let error = VerifyingKey::from_jwk(jwk.as_bytes()).err();
        assert_eq!(error, Some("it holds a private key"));
    }
    let crt = with(public(Algorithm::Rs256), "qi", "AQ");
    assert_refused(&crt, "private key");
    let oct = json!({"kty": "oct", "k": base64url::encode(&[1; 64]), "alg": "HS256"});
    assert_refused(&oct, "shared secret");
}

#[test]
fn a_member_that_is_missing_or_of_the_wrong_type_is_refused() {
    let members = ["kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e", "d", "k"];
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        for name in members {
            for wrong in [json!(1), json!(true), json!({"a": 1}), json!(["a", 1]), json!([null])] {
                assert_refused(&with(public(algorithm), name, wrong), "wrong type");
            }
            if name != "key_ops" {
                assert_refused(&with(public(algorithm), name, json!([])), "wrong type");
            }
            let is_needed = ["kty", "crv", "x", "y", "n", "e"].contains(&name)
                && public(algorithm).get(name).is_some();
            let parsed = parse(&with(public(algorithm), name, json!(null)));
            assert_eq!(parsed.is_ok(), !is_needed, "{algorithm} {name}");
        }
        for name in ["kty", "crv", "x", "y", "n", "e"] {
            let mut jwk = public(algorithm);
            if jwk.as_object_mut().unwrap().remove(name).is_some() {
                assert!(parse(&jwk).is_err(), "{name}");
            }
        }
        assert_refused(&with(public(algorithm), "kty", "rsa"), "type is not supported");
        assert_refused(&with(public(algorithm), "key_ops", "verify"), "wrong type");
    }
}

#[test]
fn a_member_that_is_there_twice_is_refused() {
    for name in ["alg", "kid", "kty", "unknown", "k\\u0069d"] {
        let jwk = public(Algorithm::Es256).to_string();
        let jwk =
            jwk.replacen('{', &format!("{{\"kid\":\"a\",\"{name}\":\"b\",\"{name}\":\"b\","), 1);
        let error = VerifyingKey::from_jwk(jwk.as_bytes()).err();
        assert_eq!(error, Some("a member is repeated"), "{name}");
    }
}

#[test]
fn base64_that_is_not_canonical_is_refused() {
    for (algorithm, name) in
        [(Algorithm::Rs256, "n"), (Algorithm::Es256, "x"), (Algorithm::EdDsa, "x")]
    {
        let jwk = public(algorithm);
        let text = jwk[name].as_str().unwrap();
        let (before, last) = text.split_at(text.len() - 1);
        // The last character stands for bits that no byte has.
        let next = char::from(last.as_bytes()[0] + 1);
        for wrong in [
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{before}+"),
            format!("{before}{next}"),
        ] {
            assert_refused(&with(jwk.clone(), name, wrong), "not base64url");
        }
    }
}

#[test]
fn a_signature_of_zeros_or_of_another_length_is_none() {
    for algorithm in algorithms() {
        let pair = key(algorithm);
        let key = pair.verifying_key().unwrap();
        let good = pair.signature(b"message").unwrap();
        let zeros = vec![0; good.len()];
        let one = [&zeros[1..], &[1]].concat();
        let longer = [&good[..], &[0]].concat();
        let padded = [&[0], &good[..]].concat();
        let shorter = &good[..good.len() - 1];
        for wrong in [&zeros, &one, &longer, &padded, shorter, &[], &vec![0xff; 10_000]] {
            assert!(!key.verify(algorithm, b"message", wrong), "{algorithm} {wrong:?}");
        }
    }
}

#[test]
fn an_ecdsa_signature_as_der_is_none() {
    use aws_lc_rs::{rand::SystemRandom, signature as s};
    let jwk: Value = serde_json::from_str(vectors::EC).unwrap();
    let member = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], member("x"), member("y")].concat();
    let signing = &s::ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = s::EcdsaKeyPair::from_private_key_and_public_key(signing, &member("d"), &point);
    let der = pair.unwrap().sign(&SystemRandom::new(), b"message").unwrap();
    let parsed = s::ParsedPublicKey::new(&s::ECDSA_P256_SHA256_ASN1, &point).unwrap();
    assert!(parsed.verify_sig(b"message", der.as_ref()).is_ok(), "it is one in that form");
    let key = SigningKey::from_jwk(vectors::EC).unwrap().verifying_key().unwrap();
    assert!(!key.verify(Algorithm::Es256, b"message", der.as_ref()));
}

#[test]
fn hmac_under_the_text_of_a_public_key_is_no_signature_by_it() {
    let public = key(Algorithm::Rs256).public_jwk().unwrap();
    let key = VerifyingKey::from_jwk(public.as_bytes()).unwrap();
    for algorithm in SYMMETRIC {
        let hash = match algorithm {
            Algorithm::Hs256 => hmac::HMAC_SHA256,
            Algorithm::Hs384 => hmac::HMAC_SHA384,
            _ => hmac::HMAC_SHA512,
        };
        let forged = hmac::sign(&hmac::Key::new(hash, public.as_bytes()), b"message");
        assert!(!key.supports(algorithm));
        for claimed in algorithms() {
            assert!(!key.verify(claimed, b"message", forged.as_ref()), "{algorithm} {claimed}");
        }
    }
}

#[test]
fn a_shared_secret_shorter_than_its_hash_is_refused() {
    for (algorithm, len) in SYMMETRIC.into_iter().zip([32, 48, 64]) {
        for short in [0, 1, len - 1] {
            assert!(VerifyingKey::symmetric(algorithm, &vec![7; short]).is_err(), "{algorithm}");
        }
        let key = VerifyingKey::symmetric(algorithm, &vec![7; len]).unwrap();
        assert_eq!((key.kid(), key.supports(algorithm)), (None, true));
    }
    for algorithm in Algorithm::ASYMMETRIC {
        assert!(VerifyingKey::symmetric(algorithm, &[7; 64]).is_err(), "{algorithm}");
    }
}
