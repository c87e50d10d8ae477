//! An access token against validators with a key of each type. Input: a whole token; or `@` and an
//! edit of a good one; or a line for a header, then a payload, which are signed here by the key
//! that the header asks for. Before it there may be letters and `|`: the settings of a further
//! validator. None is good that the keys did not sign, or that does not say what an access token has
//! to, whoever asks, and no refusal repeats the token.
#![no_main]

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use http::Request;
use libfuzzer_sys::fuzz_target;
use std::{sync::LazyLock, time::Duration};
use tower_oauth2::{
    Algorithm, Answer, RequestHead,
    validate::{
        CacheSupport, Cached, Jwks, JwtValidator, Principal, Rejection, TrustedIssuer,
        ValidateToken, Verdict,
    },
};
use tower_oauth2_fuzz::{
    Json,
    claims::{
        ISSUER, encoded, is_access_token, is_complete, is_confirmation, is_for, is_in_time,
        is_of_another_kind,
    },
    clock,
};

/// The issuer whose key is a shared secret.
const SHARING: &str = "https://hs.example";
const SHARED: &str = "a-secret-of-thirty-two-bytes-or-more";
const AUDIENCE: &str = "https://api.example";
const CLAIMS: &str = r#"{"iss":"https://as.example","aud":"https://api.example","exp":9999999999,"iat":1,"sub":"alice","client_id":"c1","jti":"j1","scope":"read"}"#;

/// The client whose ID tokens may be taken.
const CLIENT: &str = "c1";

struct Fixture {
    signers: Signers,
    keys: [Jwks; 2],
    /// Those of the issuer with key pairs, then those of the one with a secret.
    strict: [JwtValidator; 2],
    lenient: [JwtValidator; 2],
    /// Knows the good ones.
    cached: Cached<JwtValidator>,
    good: Vec<String>,
}

struct Signers {
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    shared: hmac::Key,
}

impl Signers {
    fn new() -> Self {
        let ec =
            |curve: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(curve).expect("a key");
        Self {
            p256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"),
            shared: hmac::Key::new(hmac::HMAC_SHA256, SHARED.as_bytes()),
        }
    }

    fn sign(&self, alg: &str, header: &[u8], payload: &[u8]) -> String {
        let input = format!("{}.{}", encoded(header), encoded(payload));
        let text = input.as_bytes();
        let by = |pair: &EcdsaKeyPair| {
            let signature = pair.sign(&SystemRandom::new(), text).expect("a signature");
            signature.as_ref().to_vec()
        };
        let signature = match alg {
            "ES256" => by(&self.p256),
            "ES384" => by(&self.p384),
            "HS256" => hmac::sign(&self.shared, text).as_ref().to_vec(),
            _ => self.ed25519.sign(text).as_ref().to_vec(),
        };
        format!("{input}.{}", encoded(signature))
    }

    /// The public ones, and one that nobody has the other half of.
    fn key_set(&self) -> String {
        let (p256, p384) =
            (ec_jwk(&self.p256, "P-256", "ES256"), ec_jwk(&self.p384, "P-384", "ES384"));
        let x = encoded(self.ed25519.public_key());
        let ed25519 = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"EdDSA","x":"{x}"}}"#);
        let n = encoded([0xab; 256]);
        let rsa = format!(r#"{{"kty":"RSA","kid":"RS256","n":"{n}","e":"AQAB"}}"#);
        format!(r#"{{"keys":[{p256},{p384},{ed25519},{rsa}]}}"#)
    }
}

fn ec_jwk(pair: &EcdsaKeyPair, crv: &str, kid: &str) -> String {
    // 0x04, then both coordinates.
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (encoded(x), encoded(y));
    format!(r#"{{"kty":"EC","crv":"{crv}","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
}

/// What an input can say instead of a token that it could not make: `@0` is the first good one,
/// and what follows is put in the place of as many of its bytes from an offset on.
fn edited(edit: &str, good: &[String]) -> Option<String> {
    let (which, edit) = edit.split_at_checked(1)?;
    let token = good.get(which.parse::<usize>().ok()?)?;
    let (offset, edit) = edit.split_at_checked(3)?;
    let offset = offset.parse::<usize>().ok()?.min(token.len());
    let end = offset.saturating_add(edit.len()).min(token.len());
    Some(format!("{}{edit}{}", &token[..offset], &token[end..]))
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let signers = Signers::new();
    let keys = [
        Jwks::from_json(&signers.key_set()).expect("keys"),
        Jwks::from_secret(Algorithm::Hs256, SHARED).expect("a key"),
    ];
    let (signing, sharing) = (|| issuer(ISSUER, &keys[0]), || issuer(SHARING, &keys[1]));
    let strict = [validator(signing()), validator(sharing())];
    let lenient =
        [validator(signing().allow_other_profiles()), validator(sharing().allow_other_profiles())];
    let good = ["ES256", "ES384", "EdDSA"].map(|alg| {
        let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{alg}"}}"#);
        signers.sign(alg, header.as_bytes(), CLAIMS.as_bytes())
    });
    let cached = Cached::new(strict[0].clone()).with_ttl(Duration::from_secs(24 * 60 * 60));
    for token in &good {
        assert!(judged(&cached, token).is_ok(), "a good token is good");
    }
    Fixture { signers, keys, strict, lenient, cached, good: good.into() }
});

fn issuer(name: &str, keys: &Jwks) -> TrustedIssuer {
    TrustedIssuer::new(name, keys.clone()).with_audience([AUDIENCE])
}

fn validator(issuer: TrustedIssuer) -> JwtValidator {
    JwtValidator::new(issuer).expect("a validator").with_clock(clock().clock())
}

/// The settings of one validator, a letter each, in their order.
#[derive(Clone, Copy, Default)]
struct Settings<'a>(&'a str);

impl Settings<'_> {
    fn has(self, letter: char) -> bool {
        self.0.contains(letter)
    }

    fn validator(self, name: &str, keys: &Jwks) -> JwtValidator {
        let set = |issuer: TrustedIssuer, letter| match letter {
            'p' => issuer.allow_other_profiles(),
            't' => issuer.with_types(["at+jwt", "logout+jwt", "JWT"]),
            'y' => issuer.allow_missing_type(),
            'r' => issuer.with_required_claims([]).expect("none"),
            'z' => issuer.allow_azp_as_client_id(),
            's' => issuer.allow_other_scopes(),
            'n' => issuer.allow_numeric_subjects(),
            'i' => issuer.allow_missing_issuer(),
            // Not both: they contradict each other.
            'd' => issuer.dangerous_allow_id_tokens([CLIENT, AUDIENCE]),
            'a' if !self.has('d') => issuer.dangerous_allow_missing_audience(),
            'c' => issuer.with_client_ids([CLIENT]),
            'k' => issuer.with_client_claims(["azp", "client_id"]),
            'o' => issuer.with_role_claims(["/a/0", "roles"]).expect("roles").allow_role_objects(),
            'x' => issuer.with_actor().with_session_claims(),
            _ => issuer,
        };
        validator(self.0.chars().fold(issuer(name, keys), set))
    }

    /// What holds of each token that is taken, whatever the settings are.
    fn check(self, principal: &Principal, header: &Json, claims: &Json, issuer: &str) {
        assert!(is_signed(header, issuer) && header.get("crit").is_none());
        assert!(claims.number("exp").is_some() && is_in_time(claims));
        assert!(is_confirmation(principal.confirmation(), claims));
        assert!(claims.get("events").is_none_or(|events| *events == Json::Null));
        assert!(!is_of_another_kind(claims) || self.has('d'));
        let is_unnamed = matches!(claims.get("iss"), None | Some(Json::Null));
        assert!(claims.text("iss") == Some(issuer) || (self.has('i') && is_unnamed));
        let clients = [CLIENT, AUDIENCE];
        assert!(match claims.lacks("aud") {
            true => self.has('a') && !self.has('d'),
            false =>
                claims.names("aud", AUDIENCE) || (self.has('d') && claims.names("aud", CLIENT)),
        });
        if self.has('d') && ["at_hash", "c_hash"].iter().any(|hash| !claims.lacks(hash)) {
            assert!(principal.audience().all(|one| clients.contains(&one)));
            assert!(
                claims.lacks("azp") || clients.iter().any(|one| claims.text("azp") == Some(one))
            );
        }
        let is_named = self.has('p') || self.has('t') || self.has('y');
        assert!(is_access_token(header, false) || is_named);
        assert!(claims.filled("sub").is_some() || "prn".chars().any(|letter| self.has(letter)));
        if self.has('c') {
            assert_eq!(principal.client_id(), Some(CLIENT));
        }
        if self.has('k') {
            let named = claims.filled("azp").or(claims.filled("client_id"));
            assert_eq!(principal.client_id(), named);
        }
        assert!(principal.roles().count() <= 256);
        let has_actor = matches!(claims.get("act"), Some(Json::Object(_)));
        assert_eq!(principal.actor().is_some(), has_actor && self.has('x'));
    }

    /// Returns `true` if the settings loosen rules and tighten none.
    fn are_loose(self) -> bool {
        !["c", "k", "x"].iter().any(|tight| self.0.contains(tight))
    }
}

fn judged<V: ValidateToken>(validator: &V, token: &str) -> Verdict<V::Claims> {
    match validator.validate(token, RequestHead::from_request(&Request::new(()))) {
        Answer::Ready(verdict) => verdict,
        _ => panic!("the keys are fixed"),
    }
}

fuzz_target!(|input: &str| {
    let Fixture { good, .. } = &*FIXTURE;
    let is_letters = |letters: &str| letters.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_set = |letters: &str| letters.len() < 20 && is_letters(letters);
    let set = input.split_once('|').filter(|(letters, _)| is_set(letters));
    let (letters, input) = set.unwrap_or(("", input));
    let settings = Settings(letters);
    if let Some((header, payload)) = input.split_once('\n') {
        return signed(header, payload, settings);
    }
    let token = match input.strip_prefix('@') {
        Some(edit) => edited(edit, good),
        None => Some(input.to_owned()),
    };
    token.into_iter().for_each(|token| unsigned(&token, settings));
});

/// Whatever it says, it is good only if it is one of those that were signed.
fn unsigned(token: &str, settings: Settings<'_>) {
    let Fixture { keys, strict, lenient, cached, good, .. } = &*FIXTURE;
    let is_good = good.iter().any(|own| own == token);
    assert_eq!(cached.recall(token.as_bytes()).is_some(), is_good);
    let set = [settings.validator(ISSUER, &keys[0]), settings.validator(SHARING, &keys[1])];
    for (validator, is_good) in [&strict, &lenient, &set]
        .into_iter()
        .flat_map(|[signing, sharing]| [(signing, is_good), (sharing, false)])
    {
        match judged(validator, token) {
            Ok(_) => assert!(is_good, "nobody signed it"),
            Err(rejection) => {
                assert!(!is_good, "{rejection}");
                check_rejection(&rejection, token);
            }
        }
        // It is split behind a dot, or not at all.
        let (public, _) = token.split_at(validator.split_at(token.as_bytes()));
        assert!(public.is_empty() || public.ends_with('.'));
    }
}

fn check_rejection(rejection: &Rejection, token: &str) {
    assert!(token.len() < 40 || !rejection.to_string().contains(token));
    assert_eq!(rejection.kind().error_code(), Some("invalid_token"));
}

/// Its signature is good: it is as good as what it says.
fn signed(header: &str, payload: &str, settings: Settings<'_>) {
    let Fixture { signers, keys, strict, lenient, .. } = &*FIXTURE;
    let (own, claims) = (Json::unmarked(header.as_bytes()), Json::unique(payload.as_bytes()));
    let (own, claims) = (own.unwrap_or(Json::Null), claims.unwrap_or(Json::Null));
    let alg = own.text("alg").unwrap_or_default();
    let token = signers.sign(alg, header.as_bytes(), payload.as_bytes());
    for (validators, is_lenient) in [(strict, false), (lenient, true)] {
        for (validator, issuer) in validators.iter().zip([ISSUER, SHARING]) {
            let is_good = is_good(&own, &claims, issuer, is_lenient);
            match judged(validator, &token) {
                Ok(validated) => {
                    assert!(is_good);
                    check_principal(validated.principal(), &claims, is_lenient);
                }
                Err(rejection) => {
                    assert!(!(is_good && is_plain(&own, &claims)), "{rejection}");
                    check_rejection(&rejection, &token);
                }
            }
        }
    }
    for ((keys, strict), issuer) in keys.iter().zip(strict).zip([ISSUER, SHARING]) {
        match judged(&settings.validator(issuer, keys), &token) {
            Ok(validated) => settings.check(validated.principal(), &own, &claims, issuer),
            Err(rejection) => {
                assert!(!settings.are_loose() || judged(strict, &token).is_err(), "{rejection}");
                check_rejection(&rejection, &token);
            }
        }
    }
}

fn is_good(header: &Json, claims: &Json, issuer: &str, is_lenient: bool) -> bool {
    is_signed(header, issuer)
        && is_access_token(header, is_lenient)
        && header.get("crit").is_none()
        && is_for(claims, issuer, AUDIENCE)
        && !is_of_another_kind(claims)
        && (is_lenient || is_complete(claims))
}

/// Returns `true` if the key that signed it is one of `issuer`, for this algorithm and of this name.
fn is_signed(header: &Json, issuer: &str) -> bool {
    let algorithms: &[&str] = match issuer {
        SHARING => &["HS256"],
        _ => &["ES256", "ES384", "EdDSA", "Ed25519"],
    };
    let Some(alg) = header.text("alg").filter(|alg| algorithms.contains(alg)) else { return false };
    // Each key is named as its algorithm, and a secret has no name.
    let kid = if alg == "Ed25519" { "EdDSA" } else { alg };
    let is_named = header.lacks("kid") || header.text("kid") == Some(kid);
    issuer == SHARING || is_named
}

/// A token that nobody can misread.
fn is_plain(header: &Json, claims: &Json) -> bool {
    let names = ["iss", "aud", "exp", "iat", "sub", "client_id", "jti", "azp", "nbf"];
    header.has_only(&["alg", "typ"])
        && claims.has_only(&names)
        && claims.text("aud").is_some()
        && claims.members().iter().all(|(name, value)| {
            matches!(value, Json::Text(text) if text.len() < 99)
                || ["exp", "iat", "nbf"].contains(&&**name)
        })
}

fn check_principal(principal: &Principal, claims: &Json, is_lenient: bool) {
    assert_eq!(principal.issuer(), claims.text("iss"));
    assert!(is_confirmation(principal.confirmation(), claims));
    assert_eq!(principal.subject(), claims.filled("sub"));
    assert_eq!(principal.token_id(), claims.filled("jti"));
    let client = claims.filled("client_id").or(claims.filled("azp").filter(|_| is_lenient));
    assert_eq!(principal.client_id(), client);
    assert!(principal.expires_at().is_some());
    assert!(principal.audience().all(|one| claims.names("aud", one)));
    let scope = claims.text("scope").unwrap_or_default();
    let is_named = |one| claims.names("scope", one) || scope.split(' ').any(|own| own == one);
    assert!(principal.scopes().iter().all(is_named));
}
