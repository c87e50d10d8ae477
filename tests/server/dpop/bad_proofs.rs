//! What attackers and broken clients send as a proof.

use super::*;
use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    hmac,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, Ed25519KeyPair},
};

async fn refusal(fixture: &Fixture, proof: impl AsRef<[u8]>) -> (Option<RejectionKind>, String) {
    let mut request = by("DPoP", BOUND);
    let value = http::HeaderValue::from_bytes(proof.as_ref()).unwrap();
    request.headers_mut().insert("dpop", value);
    let reply = send(&fixture.layer(), request).await;
    (reply.kind, reply.challenges.last().cloned().unwrap_or_default())
}

/// Checks that `proof` is refused, for the reason that `says`.
async fn assert_refused(fixture: &Fixture, proof: impl AsRef<[u8]>, says: &str) {
    let (kind, challenge) = refusal(fixture, proof).await;
    assert_eq!(kind, Some(RejectionKind::InvalidProof), "{says}");
    assert!(challenge.contains(says), "{says}: {challenge}");
}

const HEADER: &str = "the header of the proof is malformed";
const CLAIMS: &str = "the claims of the proof are malformed";
const KEY: &str = "the key of the proof cannot be used";

#[tokio::test]
async fn long_and_shapeless_proofs_are_refused_unread() {
    let fixture = Fixture::new();
    for long in [4097, 1024 * 1024] {
        assert_refused(&fixture, "a".repeat(long), "longer than 4 KiB").await;
        let padded = fixture.proof().claim("padding", "p".repeat(long)).text();
        assert_refused(&fixture, padded, "longer than 4 KiB").await;
    }
    let good = fixture.proof().text();
    let (input, _) = good.rsplit_once('.').unwrap();
    for proof in [
        "",
        " ",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c.d",
        "\u{e9}.b.c",
        input,
        &format!("{good}."),
        &format!("{good}.x"),
        &good.replace('.', ":"),
    ] {
        let (kind, challenge) = refusal(&fixture, proof).await;
        assert_eq!(kind, Some(RejectionKind::InvalidProof), "{proof}: {challenge}");
    }
    assert_refused(&fixture, [b'a', 0xff, b'.', b'.'], "is not a JWS").await;
    // Space around it is that of the header.
    let padded = format!("  {good}\t");
    let reply = send(&fixture.layer(), with_proof(by("DPoP", BOUND), &padded)).await;
    assert_eq!(reply.who, "alice");
}

#[tokio::test]
async fn json_that_two_readers_could_read_in_two_ways_is_refused() {
    let fixture = Fixture::new();
    let key = &fixture.key;
    let (header, claims) = (fixture.proof().header.to_string(), fixture.proof().claims.to_string());
    let twice = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    for member in [r#""typ":"dpop+jwt""#, r#""alg":"ES256""#, r#""jwk":{}"#] {
        assert_refused(&fixture, key.sign(&twice(&header, member), &claims), HEADER).await;
    }
    let twin_in_key = header.replace(r#""kty":"EC""#, r#""kty":"EC","kty":"EC""#);
    assert_refused(&fixture, key.sign(&twin_in_key, &claims), KEY).await;
    for member in [
        r#""jti":"a""#,
        r#""htm":"GET""#,
        r#""htu":"https://api.example/r""#,
        r#""ath":"a""#,
        r#""nonce":"a","nonce":"b""#,
        r#""iat":1"#,
        r#""j\u0074i":"a""#,
    ] {
        assert_refused(&fixture, key.sign(&header, &twice(&claims, member)), CLAIMS).await;
    }
    for odd in ["", "{", "[]", "null", "1", "\"a\"", "{}{}", "{\"jti\":\"\\ud800\"}", "\u{feff}{}"]
    {
        assert_refused(&fixture, key.sign(odd, &claims), "the ").await;
        assert_refused(&fixture, key.sign(&header, odd), "the ").await;
    }
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    assert_refused(&fixture, key.sign(&header, &deep), CLAIMS).await;
}

#[tokio::test]
async fn members_of_another_type_are_refused() {
    let fixture = Fixture::new();
    for name in ["jti", "htm", "htu", "ath", "nonce", "iat"] {
        for value in [json!(true), json!([]), json!({}), json!(["GET"])] {
            let proof = fixture.proof().claim(name, value.clone());
            let (kind, challenge) = refusal(&fixture, proof.text()).await;
            assert_eq!(kind, Some(RejectionKind::InvalidProof), "{name} {value}: {challenge}");
        }
    }
    for name in ["typ", "alg", "jwk"] {
        for value in [json!(1), json!([]), json!(null)] {
            let mut proof = fixture.proof();
            proof.header[name] = value.clone();
            let (kind, _) = refusal(&fixture, proof.text()).await;
            assert_eq!(kind, Some(RejectionKind::InvalidProof), "{name} {value}");
        }
    }
    for typ in ["DPOP+JWT", "application/dpop+jwt", "jwt", "at+jwt", ""] {
        assert_refused(&fixture, fixture.proof().member("typ", typ).text(), "the typ").await;
    }
}

#[tokio::test]
async fn a_key_that_is_not_public_alone_is_refused() {
    let fixture = Fixture::new();
    let d = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&fixture.key.0.private_key()).unwrap();
    let mut private = fixture.key.jwk();
    private["d"] = encoded(d.as_ref()).into();
    assert_refused(&fixture, fixture.proof().member("jwk", private).text(), KEY).await;
    for secret in
        [json!({ "kty": "oct", "k": encoded(SECRET) }), json!({ "kty": "oct" }), json!({})]
    {
        assert_refused(&fixture, fixture.proof().member("jwk", secret).text(), KEY).await;
    }
    assert_refused(&fixture, fixture.proof().member("jwk", Value::Null).text(), KEY).await;
    for member in ["jku", "x5u", "x5c", "crit"] {
        let proof = fixture.proof().member(member, json!(["https://other.example"]));
        assert_refused(&fixture, proof.text(), HEADER).await;
    }
    // A name of the key decides nothing.
    let named = fixture.proof().member("kid", "k1").member("x5t", "x").text();
    let reply = send(&fixture.layer(), with_proof(by("DPoP", BOUND), &named)).await;
    assert_eq!(reply.who, "alice");
}

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

#[tokio::test]
async fn a_symmetric_signature_or_none_is_refused() {
    let fixture = Fixture::new();
    let good = fixture.proof();
    for alg in ["HS256", "HS512"] {
        let header = good.clone().member("alg", alg).header.to_string();
        let input = format!("{}.{}", encoded(header), encoded(good.claims.to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        let proof = format!("{input}.{}", encoded(hmac::sign(&key, input.as_bytes())));
        assert_refused(&fixture, proof, "the algorithm of the proof is not accepted").await;
    }
    for alg in ["none", "None", "", "RS256", "ES256K", "es256"] {
        let text = good.clone().member("alg", alg).text();
        let unsigned = format!("{}.", text.rsplit_once('.').unwrap().0);
        for proof in [text, unsigned] {
            assert_refused(&fixture, proof, "the algorithm of the proof is not accepted").await;
        }
    }
    let text = good.text();
    let unsigned = format!("{}.", text.rsplit_once('.').unwrap().0);
    assert_refused(&fixture, unsigned, "the signature of the proof is wrong").await;
    let zeros = format!("{}.{}", text.rsplit_once('.').unwrap().0, encoded([0; 64]));
    assert_refused(&fixture, zeros, "the signature of the proof is wrong").await;
}

/// The fixture's token, bound to the key of `jwk`.
fn bind(fixture: &Fixture, canonical: &str) {
    let confirmation = Confirmation::from_key(digest(canonical));
    let alice = Principal::new("alice").with_confirmation(confirmation);
    fixture.tokens.insert(BOUND, alice).unwrap();
}

#[tokio::test]
async fn a_key_off_its_curve_or_of_another_spelling_is_refused() {
    let fixture = Fixture::new();
    let jwk = fixture.key.jwk();
    let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
    let zero = encoded([0; 32]);
    let padded = format!("{x}=");
    let long = encoded([&[0; 1], &*BASE64_URL_SAFE_NO_PAD.decode(x).unwrap()].concat());
    for (curve, x, y) in [
        ("P-256", x, &*zero),
        ("P-256", &*zero, &*zero),
        ("P-256", y, x),
        ("P-384", x, y),
        ("secp256k1", x, y),
        ("P-256", &padded, y),
        ("P-256", &long, y),
        ("P-256", "", ""),
    ] {
        // Even where the token is bound to the very key.
        bind(&fixture, &format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let jwk = json!({ "kty": "EC", "crv": curve, "x": x, "y": y });
        let (kind, challenge) = refusal(&fixture, fixture.proof().member("jwk", jwk).text()).await;
        assert_eq!(kind, Some(RejectionKind::InvalidProof), "{curve} {x} {y}: {challenge}");
    }
    let injected = json!({ "kty": "EC", "crv": "P-256", "x": format!(r#"{x}","y":"{y}"#), "y": y });
    assert_refused(&fixture, fixture.proof().member("jwk", injected).text(), KEY).await;
}

/// A proof that is signed by `sign` for an `alg` and a `jwk`.
fn foreign(fixture: &Fixture, alg: &str, jwk: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let proof = fixture.proof().member("alg", alg).member("jwk", jwk.clone());
    let input =
        format!("{}.{}", encoded(proof.header.to_string()), encoded(proof.claims.to_string()));
    format!("{input}.{}", encoded(sign(input.as_bytes())))
}

#[tokio::test]
async fn keys_of_the_other_kinds_sign_proofs_too_and_for_their_own_algorithm_alone() {
    let fixture = Fixture::new();
    let ed = Ed25519KeyPair::generate().unwrap();
    let x = encoded(ed.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    bind(&fixture, &format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    let sign = |message: &[u8]| ed.sign(message).as_ref().to_vec();
    for (alg, who) in [("EdDSA", "alice"), ("ES256", ""), ("PS256", "")] {
        let proof = foreign(&fixture, alg, &jwk, sign);
        let reply = send(&fixture.layer(), with_proof(by("DPoP", BOUND), &proof)).await;
        assert_eq!(reply.who, who, "{alg}: {reply:?}");
    }
    let ec = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let point = &ec.public_key().as_ref()[1..];
    let (x, y) = point.split_at(48);
    let (x, y) = (encoded(x), encoded(y));
    let jwk = json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y });
    bind(&fixture, &format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#));
    let sign = |message: &[u8]| ec.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    for (alg, who) in [("ES384", "alice"), ("ES256", ""), ("EdDSA", "")] {
        let proof = foreign(&fixture, alg, &jwk, sign);
        let reply = send(&fixture.layer(), with_proof(by("DPoP", BOUND), &proof)).await;
        assert_eq!(reply.who, who, "{alg}: {reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_repeats_nothing_of_the_proof() {
    let fixture = Fixture::new();
    for name in ["jti", "htm", "htu", "ath"] {
        let marker = "marker\u{e9}\"\\";
        let proof = fixture.proof().claim(name, marker).claim("htm", marker);
        let (_, challenge) = refusal(&fixture, proof.text()).await;
        assert!(!challenge.contains("marker"), "{challenge}");
    }
    let reply =
        send(&fixture.layer(), request("unknown", &fixture.proof().member("alg", "marker"))).await;
    assert!(!format!("{reply:?}").contains("marker"));
}
