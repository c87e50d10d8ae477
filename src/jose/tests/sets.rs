use super::*;

fn set(keys: &[Value]) -> KeySet {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn named(algorithm: Algorithm, kid: &str) -> Value {
    with(public(algorithm), "kid", kid)
}

#[test]
fn a_bad_entry_is_skipped_and_the_others_are_kept() {
    let oct = json!({"kty": "oct", "k": base64url::encode(&[1; 64]), "kid": "secret"});
    let set = set(&[
        named(Algorithm::Es256, "a"),
        json!(null),
        json!([[{}], 1]),
        json!("x"),
        json!({"kty": ["RSA", {"kty": "RSA"}], "kid": "b"}),
        oct,
        named(Algorithm::EdDsa, "c"),
        json!({}),
    ]);
    assert_eq!(set.len(), 2);
    assert!(set.knows("a") && set.knows("c") && !set.knows("b") && !set.knows("secret"));
    assert_eq!(
        set.skipped(),
        [
            "key 1, without a kid: it is not an object",
            "key 2, without a kid: it is not an object",
            "key 3, without a kid: it is not an object",
            "key 4, kid \"b\": a member is of the wrong type",
            "key 5, kid \"secret\": it is a shared secret",
            "key 7, without a kid: it has no type (kty)",
        ]
    );
}

/// Keys of sets in use hold members of other specifications.
#[test]
fn what_is_not_known_is_read_over_in_a_set_and_in_an_entry() {
    let jwk = named(Algorithm::Es256, "a").to_string();
    let jwk = jwk.replacen('{', r#"{"x5c":["a",1],"x":{"y":[1e999,{"z":1,"z":2}]},"#, 1);
    let jwk = jwk.replacen(r#""x":{"#, r#""unknown":{"#, 1);
    let set = format!(r#"{{"issuer":{{"keys":[]}},"keys":[{jwk}],"more":[1,{{}}]}}"#);
    assert_eq!(KeySet::from_json(set.as_bytes()).unwrap().len(), 1);
}

#[test]
fn the_report_of_an_entry_is_one_bounded_line() {
    let kids = ["x".repeat(100_000), "\n\r\0\u{1b}[2J\u{202e}\"\\\u{e9}".repeat(50), String::new()];
    for kid in kids {
        let set = set(&[json!({"kty": "none", "kid": kid})]);
        let [line] = set.skipped() else { panic!("one line") };
        assert!(line.len() < 160, "{line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
}

#[test]
fn the_same_key_is_kept_once_and_another_under_the_same_name_too() {
    let (a, b) = (named(Algorithm::Es256, "a"), named(Algorithm::Es256, "a"));
    let elsewhere = with(a.clone(), "kid", "b");
    let set = set(&[a.clone(), b, a.clone(), elsewhere, a]);
    assert_eq!(set.len(), 3);
    let a = KeyId::Kid("a".into());
    assert_eq!(set.candidates(Some(&a), Algorithm::Es256).count(), 2);
    assert_eq!(set.skipped(), [""; 0]);
}

#[test]
fn candidates_are_of_the_name_and_for_the_algorithm() {
    let set = set(&[
        named(Algorithm::Es256, "a"),
        named(Algorithm::EdDsa, "a"),
        public(Algorithm::Es256),
        named(Algorithm::Rs256, "b"),
    ]);
    for (kid, algorithm, count) in [
        (Some("a"), Algorithm::Es256, 1),
        (Some("a"), Algorithm::EdDsa, 1),
        (Some("a"), Algorithm::Es384, 0),
        (Some("a"), Algorithm::Rs256, 0),
        (Some("b"), Algorithm::Ps512, 1),
        (Some("b"), Algorithm::Hs256, 0),
        (Some("c"), Algorithm::Es256, 0),
        (Some(""), Algorithm::Es256, 0),
        (None, Algorithm::Es256, 1),
        (None, Algorithm::Rs256, 1),
        (None, Algorithm::Es384, 0),
    ] {
        let id = kid.map(|kid: &str| KeyId::Kid(kid.into()));
        assert_eq!(set.candidates(id.as_ref(), algorithm).count(), count, "{kid:?} {algorithm}");
    }
}

#[test]
fn a_thumbprint_names_the_keys_of_its_certificate_and_none_where_no_key_has_it() {
    let x5c = json!(["MAA=", "odd"]);
    let computed = "5PYNCqbX89O2pklLHIYbmfZJxvnsUauvIBsg8pcyfJU";
    let entries = [
        with(with(public(Algorithm::Es256), "x5t", "sha1"), "x5t#S256", "sha256"),
        with(public(Algorithm::Es256), "x5c", x5c.clone()),
        with(with(public(Algorithm::Es256), "x5c", x5c), "x5t#S256", "said"),
        with(public(Algorithm::Es256), "kid", "by name"),
        with(public(Algorithm::EdDsa), "x5t", "ed"),
    ];
    let set = set(&entries);
    for (text, algorithm, places) in [
        ("sha1", Algorithm::Es256, &[0][..]),
        ("sha256", Algorithm::Es256, &[0]),
        (computed, Algorithm::Es256, &[1, 2]),
        ("said", Algorithm::Es256, &[2]),
        ("by name", Algorithm::Es256, &[0, 1, 2]),
        ("other", Algorithm::Es256, &[0, 1, 2]),
        ("other", Algorithm::EdDsa, &[4]),
        ("ed", Algorithm::EdDsa, &[4]),
        ("ed", Algorithm::Es256, &[]),
    ] {
        let id = KeyId::Thumbprint(text.into());
        let found: Vec<_> = set.candidates(Some(&id), algorithm).collect();
        let expected: Vec<_> =
            places.iter().map(|place| parse(&entries[*place]).unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{text}");
        assert!(found.iter().zip(expected).all(|(one, other)| one.is_same(&other)), "{text}");
    }
    assert!(!set.knows("sha1"));
}

#[test]
fn what_only_helps_to_find_a_key_does_not_spoil_it() {
    for odd in
        [json!(1), json!(null), json!(true), json!({"a": 1}), json!([]), json!([1]), json!("?")]
    {
        for name in ["x5c", "x5t", "x5t#S256", "x5u"] {
            assert_eq!(set(&[with(named(Algorithm::Es256, "a"), name, odd.clone())]).len(), 1);
        }
    }
}

#[test]
fn a_byte_order_mark_may_stand_before_a_set() {
    let set = json!({"keys": [named(Algorithm::Es256, "a")]}).to_string();
    assert_eq!(KeySet::from_json(format!("\u{feff}{set}").as_bytes()).unwrap().len(), 1);
    for wrong in [format!("\u{feff}\u{feff}{set}"), format!("{set}\u{feff}")] {
        assert!(KeySet::from_json(wrong.as_bytes()).is_err());
    }
}

#[test]
fn a_name_that_is_empty_is_none() {
    let set = set(&[named(Algorithm::Es256, ""), json!({"kty": "x", "kid": ""})]);
    assert!(!set.knows(""));
    assert_eq!(set.candidates(None, Algorithm::Es256).count(), 1);
    assert_eq!(set.skipped(), ["key 1, without a kid: its type is not supported (kty)"]);
}

#[test]
fn a_set_of_more_than_100_entries_is_refused_whatever_they_are() {
    let of = |len| json!({"keys": vec![json!({}); len]}).to_string();
    assert_eq!(KeySet::from_json(of(100).as_bytes()).unwrap().skipped().len(), 100);
    let error = KeySet::from_json(of(101).as_bytes()).err();
    assert_eq!(error, Some("it has more than 100 keys"));
}

#[test]
fn what_is_no_set_is_refused() {
    for wrong in [
        "",
        "null",
        "[]",
        "{",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":"a"}"#,
        r#"{"Keys":[]}"#,
        r#"{"keys":[]}{}"#,
        r#"{"keys":[{]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[],"k\u0065ys":[]}"#,
        r#"{"keys":[],"a":1,"a":1}"#,
        r#"{"kty":"RSA"}"#,
    ] {
        assert!(KeySet::from_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let empty = KeySet::from_json(br#"{"keys":[]}"#).unwrap();
    assert!(empty.len() == 0 && empty.is_same(&KeySet::default()));
}

#[test]
fn sets_are_the_same_where_keys_names_and_algorithms_are() {
    for algorithm in Algorithm::ASYMMETRIC {
        let jwk = named(algorithm, "a");
        let one = set(std::slice::from_ref(&jwk));
        assert!(one.is_same(&set(&[with(jwk.clone(), "unknown", 1), json!({})])), "{algorithm}");
        let stranger = SigningKey::generate(algorithm).unwrap().with_key_id("a");
        let stranger = serde_json::from_str(&stranger.public_jwk().unwrap()).unwrap();
        for other in [
            set(&[with(jwk.clone(), "kid", "b")]),
            set(&[public(algorithm)]),
            set(&[stranger]),
            set(&[jwk.clone(), public(algorithm)]),
            set(&[]),
        ] {
            assert!(!one.is_same(&other) && !other.is_same(&one), "{algorithm}");
        }
        if is_rsa(algorithm) {
            assert!(!one.is_same(&set(&[with(jwk, "alg", algorithm.as_str())])));
        }
    }
    let shared = || VerifyingKey::symmetric(Algorithm::Hs256, &[7; 32]).unwrap();
    let one = KeySet::of([shared()]);
    assert!(one.is_same(&one.clone()) && !one.is_same(&KeySet::of([shared()])));
}
