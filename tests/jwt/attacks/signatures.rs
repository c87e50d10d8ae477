//! Attacks by a signature that nobody made, or that is of something else.

use crate::{
    api::{
        Api, ISSUER, OTHER, Web, claims, clock, decoded, encoded, entries, good, header, key_of,
        sealed, signed, token, with,
    },
    der,
};
use http::StatusCode;
use serde_json::json;
use tower_oauth2::validate::{Cached, JwtValidator, Revocations};

/// The orders of the groups of P-256 and P-384, and of edwards25519.
const P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                    581a0db248b0a77aecec196accc52973";
const ED25519: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// `left - right`, both of one length.
fn difference(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let digits = left.iter().zip(right).rev().map(|(left, right)| {
        let digit = i16::from(*left) - i16::from(*right) - borrow;
        borrow = i16::from(digit < 0);
        u8::try_from(digit.rem_euclid(256)).unwrap()
    });
    let mut digits: Vec<_> = digits.collect();
    digits.reverse();
    digits
}

/// `left + right`, both of one length, where that is as long.
fn sum(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let digits = left.iter().zip(right).rev().map(|(left, right)| {
        let digit = u16::from(*left) + u16::from(*right) + carry;
        carry = digit >> 8;
        u8::try_from(digit & 0xff).unwrap()
    });
    let mut digits: Vec<_> = digits.collect();
    digits.reverse();
    (carry == 0).then_some(digits)
}

/// The signing input of a token, and its signature.
fn halves(token: &str) -> (&str, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    (input, decoded(signature))
}

/// The token with the second half of its ES256 signature taken from the order of the group, which
/// anybody can do, and which makes another signature of the same text.
fn mirrored(token: &str) -> String {
    let (input, signature) = halves(token);
    let (r, s) = signature.split_at(32);
    format!("{input}.{}", encoded([r, &difference(&bytes(P256), s)].concat()))
}

#[tokio::test]
async fn psychic_and_other_signatures_of_special_numbers() {
    let api = Api::new();
    for (kid, order) in [("k1", P256), ("p3", P384)] {
        let (order, token) = (bytes(order), good(kid));
        let (input, signature) = halves(&token);
        let (r, s) = signature.split_at(order.len());
        let zero = vec![0; order.len()];
        let [mut one, mut less] = [zero.clone(), order.clone()];
        *one.last_mut().unwrap() = 1;
        *less.last_mut().unwrap() -= 1;
        let most = vec![0xff; order.len()];
        let special = [&zero[..], &one, &less, &order, &most];
        let mut forged = Vec::new();
        for left in special.into_iter().chain([r]) {
            for right in special.into_iter().chain([s]) {
                forged.push([left, right].concat());
            }
        }
        // The last is the signature itself.
        assert_eq!(forged.pop(), Some(signature.clone()));
        // Numbers that are the same by the order of the group.
        forged.extend(sum(r, &order).map(|r| [&r, s].concat()));
        forged.extend(sum(s, &order).map(|s| [r, &s].concat()));
        for signature in forged {
            api.refuses(kid, &format!("{input}.{}", encoded(signature))).await;
        }
    }
}

#[tokio::test]
async fn a_second_spelling_of_an_ed25519_signature() {
    let (api, token) = (Api::new(), good("e1"));
    api.takes("as it is", &token).await;
    let (input, signature) = halves(&token);
    let (point, scalar) = signature.split_at(32);
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
    let more = reversed(&sum(&reversed(scalar), &bytes(ED25519)).expect("both are small"));
    for (name, forged) in [
        ("with the order added", [point, &more].concat()),
        ("of zeros", vec![0; 64]),
        ("of the neutral point", [&[1], &[0; 63][..]].concat()),
        ("of the highest bits", [point, &[0xff; 32]].concat()),
        ("one too long", [&signature[..], &[0]].concat()),
    ] {
        api.refuses(name, &format!("{input}.{}", encoded(forged))).await;
    }
}

#[tokio::test]
async fn an_rsa_signature_that_is_a_special_number_or_of_another_length() {
    let (api, token) = (Api::new(), good("r1"));
    let (input, signature) = halves(&token);
    let modulus = key_of(ISSUER, "r1").members()["n"].as_str().map(decoded).unwrap();
    let mut one = vec![0; 256];
    one[255] = 1;
    let mut forged = vec![
        ("zero", vec![0; 256]),
        ("the modulus", modulus.clone()),
        ("the modulus less one", difference(&modulus, &one)),
        ("with a zero before", [&[0], &signature[..]].concat()),
        ("with a zero after", [&signature[..], &[0]].concat()),
        ("without the first byte", signature[1..].to_vec()),
        ("without the last byte", signature[..255].to_vec()),
        ("as long as any key's", vec![1; 1024]),
        ("longer than any key's", vec![1; 1025]),
        ("longer than a buffer", vec![1; 8 * 1024]),
        ("one", one),
    ];
    forged.extend(sum(&signature, &modulus).map(|sum| ("with the modulus added", sum)));
    for (name, signature) in forged {
        api.refuses(name, &format!("{input}.{}", encoded(signature))).await;
    }
}

#[tokio::test]
async fn a_signature_in_der_or_of_another_length() {
    let api = Api::new();
    for kid in ["k1", "p3"] {
        let token = good(kid);
        let (input, signature) = halves(&token);
        let (r, s) = signature.split_at(signature.len() / 2);
        for (name, forged) in [
            ("DER", der::sequence_of_halves(&signature)),
            ("none", Vec::new()),
            ("half", r.to_vec()),
            ("swapped", [s, r].concat()),
            ("longer halves", [&[0], r, &[0], s].concat()),
            ("a byte more", [&signature[..], &[0]].concat()),
            ("a byte less", signature[1..].to_vec()),
            ("twice", [&signature[..], &signature].concat()),
        ] {
            api.refuses(&format!("{kid}: {name}"), &format!("{input}.{}", encoded(forged))).await;
        }
    }
}

#[tokio::test]
async fn a_signature_by_a_key_of_another_curve() {
    let api = Api::new();
    let (p256, p384) = (key_of(ISSUER, "k1"), key_of(ISSUER, "p3"));
    let body = claims().to_string();
    for kid in ["k1", "p3"] {
        for algorithm in ["ES256", "ES384"] {
            for (name, key) in [("P-256", &p256), ("P-384", &p384)] {
                let token = signed(key, header(algorithm, kid).to_string(), &body);
                match (kid, algorithm, name) {
                    ("k1", "ES256", "P-256") | ("p3", "ES384", "P-384") => {
                        api.takes(name, &token).await;
                    }
                    _ => api.refuses(&format!("{algorithm} {kid} by {name}"), &token).await,
                }
            }
        }
    }
}

#[tokio::test]
async fn a_signature_of_another_token_and_parts_that_are_swapped() {
    let api = Api::new();
    let (alice, bob) = (good("k1"), crate::api::claiming(json!({"sub": "bob", "jti": "j2"})));
    let [alice, bob] = [&alice, &bob].map(|token| token.split('.').collect::<Vec<_>>());
    for (name, parts) in [
        ("the signature of another", [alice[0], alice[1], bob[2]]),
        ("the payload of another", [alice[0], bob[1], alice[2]]),
        ("the payload for the header", [alice[1], alice[0], alice[2]]),
        ("the header twice", [alice[0], alice[0], alice[2]]),
        ("the signature for the payload", [alice[0], alice[2], alice[1]]),
    ] {
        api.refuses(name, &parts.join(".")).await;
    }
    // The dot is elsewhere, and the signed bytes are the same but for it.
    let (head, tail) = alice[1].split_at(4);
    for (name, token) in [
        ("a part more", format!("{}.{head}.{tail}.{}", alice[0], alice[2])),
        ("a part less", format!("{}{}.{}", alice[0], alice[1], alice[2])),
        ("the dot moved", format!("{}{head}.{tail}.{}", alice[0], alice[2])),
        ("five parts", format!("{0}.{0}.{0}.{0}.{0}", alice[0])),
        ("no parts", "..".to_owned()),
        ("an empty header", format!(".{}.{}", alice[1], alice[2])),
        ("an empty payload", format!("{}..{}", alice[0], alice[2])),
    ] {
        api.refuses(name, &token).await;
    }
    // What was signed as something else than a token.
    let key = key_of(ISSUER, "k1");
    let other = with(header("ES256", "k1"), json!({"typ": "dpop+jwt"}));
    api.refuses("a proof", &token(&other, &claims())).await;
    api.refuses("without a payload", &sealed(&key, "", &format!("{}.", alice[0]))).await;
}

/// ECDSA has two signatures of each text, and whoever has the one can make the other. It says the
/// same; but what is known of the one has to be known of the other.
#[tokio::test]
async fn the_mirrored_signature_of_a_destroyed_token_is_destroyed_as_well() {
    let web = Web::default();
    web.publish(ISSUER, entries(ISSUER));
    let validator = JwtValidator::new(web.issuer(ISSUER)).unwrap().with_clock(clock());
    let list = Revocations::new().with_clock(clock());
    let cached = Cached::new(validator).with_clock(clock());
    let api = Api::over(list.guard(cached), web);
    let token = crate::api::claiming(json!({"jti": "j2"}));
    api.takes("the token", &token).await;
    api.takes("the other signature of the same text", &mirrored(&token)).await;
    list.revoke_token(&token, None).unwrap();
    for (name, destroyed) in [("as it was", token.clone()), ("mirrored", mirrored(&token))] {
        let seen = api.sees(&destroyed).await;
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{name}");
        api.stands(name).await;
    }
}

#[tokio::test]
async fn a_key_signs_for_its_own_issuer_alone() {
    let api = Api::new();
    for kid in ["k1", "p3", "r1", "e1"] {
        let (_, algorithm) = crate::api::KEYS.iter().find(|(name, _)| *name == kid).unwrap();
        let header = header(algorithm, kid).to_string();
        for (issuer, key, fits) in [
            (ISSUER, ISSUER, true),
            (OTHER, OTHER, true),
            (ISSUER, OTHER, false),
            (OTHER, ISSUER, false),
        ] {
            let claims = with(claims(), json!({"iss": issuer})).to_string();
            let token = signed(&key_of(key, kid), &header, claims);
            match fits {
                true => api.takes(issuer, &token).await,
                false => api.refuses(&format!("{kid}: {issuer} by {key}"), &token).await,
            }
        }
    }
}
