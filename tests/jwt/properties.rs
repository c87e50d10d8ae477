//! A token is good where a small model of RFC 7515, RFC 7519, RFC 8725 and RFC 9068 says so, and
//! nowhere else; and a good token with a byte changed is good no more.

use crate::api::{AUDIENCE, ISSUER, KEYS, NOW, OTHER, clock, entries, good, key_of, signed};
use http::Request;
use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use tower_oauth2::{
    Answer, RequestHead,
    validate::{Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Profile {
    Strict,
    Lenient,
}

fn validator(profile: Profile) -> JwtValidator {
    let issuer = |issuer| {
        let keys = Jwks::from_json(&json!({"keys": entries(issuer)}).to_string()).unwrap();
        let issuer = TrustedIssuer::new(issuer, keys).with_audience([AUDIENCE]);
        match profile {
            Profile::Strict => issuer,
            Profile::Lenient => issuer.allow_other_profiles(),
        }
    };
    let validator = JwtValidator::new(issuer(ISSUER)).unwrap().with_issuer(issuer(OTHER));
    validator.unwrap().with_clock(clock())
}

static STRICT: LazyLock<JwtValidator> = LazyLock::new(|| validator(Profile::Strict));
static LENIENT: LazyLock<JwtValidator> = LazyLock::new(|| validator(Profile::Lenient));

fn accepts(profile: Profile, token: &str) -> bool {
    let validator = match profile {
        Profile::Strict => &STRICT,
        Profile::Lenient => &LENIENT,
    };
    match validator.validate(token, RequestHead::from_request(&Request::new(()))) {
        Answer::Ready(verdict) => verdict.is_ok(),
        Answer::Pending(_) => panic!("the keys are fixed"),
    }
}

/// What the texts say, read by somebody else: the header, the claims, and who signed.
mod model {
    use super::{AUDIENCE, ISSUER, KEYS, NOW, OTHER, Profile};
    use serde_json::{Map, Value};

    type Object = Map<String, Value>;

    const LEEWAY: f64 = 30.0;
    /// The end of the year 9999.
    const LAST: f64 = 253_402_300_799.0;

    /// Whether a member is of a type, or not there.
    fn all(object: &Object, names: &[&str], is: impl Fn(&Value) -> bool) -> bool {
        names.iter().filter_map(|name| object.get(*name)).all(is)
    }

    fn says<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
        object.get(name).and_then(Value::as_str)
    }

    pub(super) fn accepts(
        profile: Profile,
        header: &Object,
        claims: &Object,
        signer: (&str, &str),
    ) -> bool {
        let claims = &there(claims);
        well_typed(header, claims)
            && is_signed(header, claims, signer)
            && is_in_time(claims)
            && is_for_us(claims)
            && is_access_token(profile, header, claims)
    }

    /// Null and what is empty is absent, but for an issuer and a key that the token is bound to.
    fn there(claims: &Object) -> Object {
        let is_there = |(name, value): &(&String, &Value)| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty() || ["iss", "cnf"].contains(&name.as_str()),
            Value::Array(list) => !list.is_empty() || ["iss", "cnf"].contains(&name.as_str()),
            _ => true,
        };
        let there = claims.iter().filter(is_there);
        there.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// RFC 7515 section 4, RFC 7519 section 4: a member of another type is no absent one.
    fn well_typed(header: &Object, claims: &Object) -> bool {
        let texts = ["iss", "sub", "client_id", "jti", "typ", "token_use"];
        let is_texts = |value: &Value| {
            value.is_string()
                || value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
        };
        all(header, &["alg", "typ", "kid", "cty", "jku", "x5u"], Value::is_string)
            && all(header, &["jwk"], Value::is_object)
            && !header.contains_key("crit")
            && all(claims, &texts, Value::is_string)
            && all(claims, &["aud", "scope"], is_texts)
            && all(claims, &["exp", "nbf", "iat"], |value| {
                value.as_f64().is_some_and(|date| (0.0..=LAST).contains(&date))
            })
    }

    /// RFC 8725 sections 3.1 and 3.8: the key is of this issuer, and for this algorithm.
    fn is_signed(header: &Object, claims: &Object, (of, by): (&str, &str)) -> bool {
        let Some(issuer) = says(claims, "iss").filter(|iss| [ISSUER, OTHER].contains(iss)) else {
            return false;
        };
        let algorithm = match says(header, "alg") {
            Some("Ed25519") => "EdDSA",
            Some(algorithm) => algorithm,
            None => return false,
        };
        let named = |kid: &str| {
            says(header, "kid").filter(|kid| !kid.is_empty()).is_none_or(|named| named == kid)
        };
        let mut fitting = KEYS.iter().filter(|(kid, own)| named(kid) && *own == algorithm);
        fitting.any(|(kid, _)| issuer == of && *kid == by)
    }

    fn is_in_time(claims: &Object) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a date of now")]
        let now = NOW as f64;
        let date = |name: &str| claims.get(name).and_then(Value::as_f64);
        date("exp").is_some_and(|exp| now < exp + LEEWAY)
            && ["nbf", "iat"].iter().filter_map(|name| date(name)).all(|date| date <= now + LEEWAY)
    }

    fn is_for_us(claims: &Object) -> bool {
        match claims.get("aud") {
            Some(Value::String(one)) => one == AUDIENCE,
            Some(Value::Array(several)) => several.iter().any(|one| one == AUDIENCE),
            _ => false,
        }
    }

    /// RFC 9068 sections 2 and 4; and what the lenient profile tells others by.
    fn is_access_token(profile: Profile, header: &Object, claims: &Object) -> bool {
        let typ = says(header, "typ").map(str::to_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        let is_scope = |text: &str| {
            text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
        };
        let scope = match claims.get("scope") {
            Some(Value::String(text)) => profile == Profile::Lenient || is_scope(text),
            Some(_) => profile == Profile::Lenient,
            None => true,
        };
        let other = |name: &str, others: &[&str]| {
            says(claims, name).is_some_and(|value| others.contains(&value))
        };
        let of_profile = match profile {
            Profile::Strict => {
                typ == Some("at+jwt")
                    && ["sub", "client_id", "iat", "jti"]
                        .iter()
                        .all(|one| claims.contains_key(*one))
            }
            Profile::Lenient => {
                matches!(typ, None | Some("jwt" | "at+jwt"))
            }
        };
        of_profile
            && scope
            && !claims.contains_key("at_hash")
            // It is good, and its request has to prove the key.
            && claims.get("cnf").is_none_or(|cnf| cnf["jkt"].is_string())
            && !other("typ", &["ID", "Refresh"])
            && says(claims, "token_use").is_none_or(|one| one == "access")
    }
}

/// `usual` mostly, now and then one of `others` or of another type, or nothing.
fn member(usual: Value, others: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let wrong = [json!(null), json!(1), json!(true), json!({}), json!([]), json!([1]), json!("")];
    prop_oneof![
        30 => Just(Some(usual)),
        4 => select(others).prop_map(Some),
        1 => select(wrong.to_vec()).prop_map(Some),
        1 => Just(None),
    ]
}

/// Nothing mostly, now and then one of `others` or of another type.
fn rare(others: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let wrong = [json!(null), json!(1), json!({}), json!([1]), json!("x")];
    prop_oneof![
        40 => Just(None),
        2 => select(others).prop_map(Some),
        1 => select(wrong.to_vec()).prop_map(Some),
    ]
}

fn dates(around: u64) -> Vec<Value> {
    let around = i64::try_from(around).unwrap();
    let mut dates: Vec<_> = (-31..=31).map(|off| json!(around + off)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a date of now")]
    let halves = [-30.5, -29.5, 29.5, 30.5].map(|off| json!(around as f64 + off));
    dates.extend(halves);
    dates.extend([json!(0), json!(-1), json!(-0.5), json!(1e300), json!(253_402_300_799_u64)]);
    dates.extend([json!(253_402_300_800_u64), json!(u64::MAX), json!(NOW.to_string())]);
    dates
}

fn object(members: Vec<(&'static str, Option<Value>)>) -> Map<String, Value> {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.collect()
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let texts = |own: &str, all: &[&str]| {
        let others = all.iter().map(|one| json!(one)).chain([json!([own]), json!([own, "x"])]);
        member(json!(own), others.collect())
    };
    let who = (
        member(json!(ISSUER), vec![json!(OTHER), json!("https://as.example/"), json!([ISSUER])]),
        texts(AUDIENCE, &["https://api.example/", "x"]),
        member(json!("alice"), vec![json!("\u{e9}"), json!("\u{0}")]),
        member(json!("c1"), vec![json!("c2")]),
        member(json!("j1"), vec![json!("j2")]),
        texts("read write", &["", "a\u{e9}", "a\"b", "a\\b", "a  b", " ", "a\nb"]),
    );
    let when = (
        member(json!(NOW + 300), dates(NOW)),
        member(json!(NOW - 10), dates(NOW)),
        rare(dates(NOW)),
        rare(dates(NOW)),
    );
    let what = (
        rare(vec![json!({"jkt": "x"})]),
        rare(vec![json!("x")]),
        rare(vec![json!("ID"), json!("Refresh"), json!("Bearer")]),
        rare(vec![json!("id"), json!("refresh"), json!("access")]),
        rare(vec![json!({"a": [{"b": 1}]}), json!("\u{1f980}")]),
        rare(vec![json!("loa2")]),
    );
    (who, when, what).prop_map(|(who, when, what)| {
        object(vec![
            ("iss", who.0),
            ("aud", who.1),
            ("sub", who.2),
            ("client_id", who.3),
            ("jti", who.4),
            ("scope", who.5),
            ("exp", when.0),
            ("iat", when.1),
            ("nbf", when.2),
            ("auth_time", when.3),
            ("cnf", what.0),
            ("at_hash", what.1),
            ("typ", what.2),
            ("token_use", what.3),
            ("x", what.4),
            ("acr", what.5),
        ])
    })
}

/// A header, and the issuer and the name of the key that signs.
fn signed_header() -> impl Strategy<Value = (Map<String, Value>, (&'static str, &'static str))> {
    let fitting = select(KEYS.to_vec());
    let algorithms: Vec<_> =
        KEYS.iter().map(|key| key.1).chain(["none", "HS256", "RS512", "Ed25519"]).collect();
    fitting.prop_flat_map(move |(kid, algorithm)| {
        let others = algorithms.iter().map(|one| json!(one)).collect();
        let kids = KEYS.iter().map(|key| json!(key.0)).chain([json!("x"), json!("K1")]).collect();
        let types = ["JWT", "jwt", "application/AT+JWT", "id+jwt", "dpop+jwt", "at+jwt "];
        let brought = vec![json!("https://evil.example/jwks")];
        let members = (
            member(json!(algorithm), others),
            member(json!(kid), kids),
            member(json!("at+jwt"), types.iter().map(|one| json!(one)).collect()),
            rare(vec![json!(["exp"]), json!([])]),
            rare(brought),
            rare(vec![json!({"kty": "oct", "k": "AAAA"})]),
        );
        let of = prop_oneof![9 => Just(ISSUER), 1 => Just(OTHER)];
        let by = prop_oneof![9 => Just(kid), 1 => select(KEYS.to_vec()).prop_map(|key| key.0)];
        (members, of, by).prop_map(|((alg, kid, typ, crit, jku, jwk), of, by)| {
            let header = object(vec![
                ("alg", alg),
                ("kid", kid),
                ("typ", typ),
                ("crit", crit),
                ("jku", jku),
                ("jwk", jwk),
            ]);
            (header, (of, by))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_token_is_good_where_the_model_says_so((header, by) in signed_header(), claims in claims()) {
        let key = key_of(by.0, by.1);
        let token = signed(&key, json!(header).to_string(), json!(claims).to_string());
        for profile in [Profile::Strict, Profile::Lenient] {
            let expected = model::accepts(profile, &header, &claims, by);
            prop_assert_eq!(accepts(profile, &token), expected, "{:?}", profile);
        }
    }

    #[test]
    fn a_good_token_that_is_changed_anywhere_is_good_no_more(
        (kid, _) in select(KEYS.to_vec()),
        place in any::<prop::sample::Index>(),
        (length, with) in (0..3_usize, "[A-Za-z0-9_.=-]{0,3}|\\PC{0,2}"),
    ) {
        let token = good(kid);
        let start = place.index(token.len());
        let end = (start + length).min(token.len());
        let changed = format!("{}{with}{}", &token[..start], &token[end..]);
        for profile in [Profile::Strict, Profile::Lenient] {
            prop_assert_eq!(accepts(profile, &changed), changed == token);
        }
    }
}

#[test]
fn most_generated_tokens_are_refused_for_one_reason_and_some_are_good() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let good = (0..1000).filter(|_| {
        let ((header, by), claims) =
            (signed_header(), claims()).new_tree(&mut runner).unwrap().current();
        model::accepts(Profile::Strict, &header, &claims, by)
    });
    let good = good.count();
    assert!((50..950).contains(&good), "{good} of 1000");
}

#[test]
fn every_digit_of_a_good_token_counts() {
    for (kid, _) in KEYS {
        let token = good(kid);
        for (place, digit) in token.char_indices() {
            for other in ['A', 'B', 'Q', 'g', 'w', '-', '.', '='] {
                let changed = format!("{}{other}{}", &token[..place], &token[place + 1..]);
                let same = other == digit;
                assert_eq!(accepts(Profile::Lenient, &changed), same, "{kid}: {place} {other}");
            }
            assert!(!accepts(Profile::Lenient, &token[..place]), "{kid}: cut at {place}");
        }
    }
}
