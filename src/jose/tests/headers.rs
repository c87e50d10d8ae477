use super::*;

#[test]
fn a_header_is_read_and_what_it_brings_along_is_not() {
    let json = br#"{"alg":"ES256","typ":"at+jwt","kid":"k\u0031","cty":"x","jku":"https://x",
        "x5u":"https://x","x5t":"a","x5t#S256":"b","x5c":["a","b"],"jwk":{"kty":"oct","k":""},
        "b64":false,"unknown":[{"alg":1}]}"#;
    let header = Header::parse(json).unwrap();
    assert_eq!(header.algorithm, Ok(Algorithm::Es256));
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.kid, Some(KeyId::Kid("k1".into())));
    assert!(!header.is_critical);
}

#[test]
fn an_algorithm_that_there_is_not_is_told_by_its_kind() {
    let jwe = "one of encrypted tokens (JWE), which are not supported";
    for (name, expected) in [
        ("none", "none"),
        ("None", "another"),
        ("", "another"),
        ("RS1", "another"),
        ("es256", "another"),
        ("HS256 ", "another"),
        ("Ed448", "Ed448, which is not supported"),
        ("ML-DSA-44", "ML-DSA, which is not supported"),
        ("ML-DSA-87", "ML-DSA, which is not supported"),
        ("RSA1_5", jwe),
        ("RSA-OAEP-256", jwe),
        ("A128KW", jwe),
        ("A256GCMKW", jwe),
        ("dir", jwe),
        ("ECDH-ES+A128KW", jwe),
        ("PBES2-HS256+A128KW", jwe),
    ] {
        let header = json!({ "alg": name }).to_string();
        assert_eq!(Header::parse(header.as_bytes()).unwrap().algorithm, Err(expected), "{name}");
    }
    for algorithm in algorithms() {
        let header = json!({ "alg": algorithm.as_str() }).to_string();
        assert_eq!(Header::parse(header.as_bytes()).unwrap().algorithm, Ok(algorithm));
    }
    let header = Header::parse(br#"{"alg":"Ed25519"}"#).unwrap();
    assert_eq!(header.algorithm, Ok(Algorithm::EdDsa), "as its signatures are checked");
}

#[test]
fn a_key_is_named_by_kid_and_else_by_a_thumbprint_of_its_certificate() {
    let kid = Some(KeyId::Kid("k".into()));
    let by = |text: &'static str| Some(KeyId::Thumbprint(text.into()));
    for (members, expected) in [
        (json!({"kid": "k", "x5t": "a", "x5t#S256": "b"}), kid),
        (json!({"kid": "", "x5t": "a", "x5t#S256": "b"}), by("b")),
        (json!({"x5t": "a"}), by("a")),
        (json!({"x5t": "a", "x5t#S256": ""}), by("a")),
        (json!({"kid": "", "x5t": ""}), None),
        (json!({}), None),
    ] {
        let header = with(members, "alg", "ES256").to_string();
        assert_eq!(Header::parse(header.as_bytes()).unwrap().kid, expected, "{header}");
    }
}

#[test]
fn a_crit_counts_whatever_it_is() {
    for value in [json!([]), json!(["exp"]), json!(null), json!(1), json!("b64"), json!({"a": 1})] {
        let header = json!({"alg": "ES256", "crit": value}).to_string();
        assert!(Header::parse(header.as_bytes()).unwrap().is_critical, "{header}");
    }
}

#[test]
fn a_header_without_alg_or_with_a_member_of_the_wrong_type_is_none() {
    for wrong in [r#"{}"#, r#"{"typ":"JWT"}"#, "", "[]", r#""alg""#, r#"{"alg":"ES256"}x"#] {
        assert!(Header::parse(wrong.as_bytes()).is_none(), "{wrong}");
    }
    let names = ["alg", "typ", "kid", "cty", "jku", "x5u", "x5t", "x5t#S256", "x5c", "jwk"];
    for name in names {
        for value in [json!(1), json!(null), json!(true), json!([1]), json!(["a", null])] {
            let header = with(json!({"alg": "ES256"}), name, value).to_string();
            assert!(Header::parse(header.as_bytes()).is_none(), "{header}");
        }
        let other = if name == "x5c" || name == "jwk" { json!("a") } else { json!(["a"]) };
        let header = with(json!({"alg": "ES256"}), name, other).to_string();
        assert!(Header::parse(header.as_bytes()).is_none(), "{header}");
    }
}

#[test]
fn a_header_with_a_member_twice_at_any_depth_is_none() {
    for twice in [
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","a\u006cg":"none"}"#,
        r#"{"alg":"ES256","x":1,"x":1}"#,
        r#"{"alg":"ES256","jwk":{"kty":"EC","kty":"RSA"}}"#,
        r#"{"alg":"ES256","crit":{"a":1,"a":1}}"#,
        r#"{"alg":"ES256","x":[{"y":{"z":1,"z":1}}]}"#,
    ] {
        assert!(Header::parse(twice.as_bytes()).is_none(), "{twice}");
    }
}
