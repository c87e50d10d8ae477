//! The JWK of a key that signs: what is taken signs so that its public half verifies, and no
//! secret of it is shown.
#![no_main]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use tower_oauth2::{
    Answer, ClientAuthentication, RequestHead, SigningKey,
    client::{Grant, TokenEndpoint},
    validate::{Jwks, JwtValidator, TrustedIssuer, ValidateToken},
};
use tower_oauth2_fuzz::{Json, Peer, clock, now, tokens::pairs};

const ENDPOINT: &str = "https://as.example/t";

fuzz_target!(|input: &str| {
    let key = match SigningKey::from_jwk(input) {
        Ok(key) => key,
        Err(error) => return check_text(&error.to_string(), input),
    };
    check_text(&format!("{key:?}"), input);
    // It may have half a surrogate where nobody reads it, which is JSON and no text.
    let Some(given) = Json::parse(input.as_bytes()) else { return };
    assert!(given.is_without_repeats() && is_for_signing(&given));
    let public = key.public_jwk();
    let is_shared = key.algorithm().as_str().starts_with("HS");
    assert_eq!(public.is_none(), is_shared);
    let assertion = assertion(key.clone());
    check_text(&assertion, input);
    let Some(public) = public else { return };
    let json = Json::unique(public.as_bytes()).expect("a JWK");
    assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|name| json.get(name).is_none()));
    assert_eq!(json.filled("kid"), key.key_id());
    for name in ["kty", "crv", "x", "y"] {
        assert_eq!(json.text(name), given.text(name), "{name}");
    }
    for name in ["n", "e"] {
        assert_eq!(number(&json, name), number(&given, name), "{name}");
    }
    let keys = Jwks::from_json(&format!(r#"{{"keys":[{public}]}}"#)).expect("a set");
    assert_eq!(keys.status().keys(), 1, "{public}");
    let client = TrustedIssuer::new("app", keys).with_audience([ENDPOINT]);
    let validator = JwtValidator::new(client.allow_other_profiles()).expect("a validator");
    let validator = validator.with_clock(clock().clock());
    match validator.validate(&assertion, RequestHead::from_request(&Request::new(()))) {
        Answer::Ready(Ok(_)) => {}
        Answer::Ready(Err(rejection)) => panic!("{rejection}"),
        _ => panic!("the keys are fixed"),
    }
});

fn is_for_signing(jwk: &Json) -> bool {
    (matches!(jwk.get("use"), None | Some(Json::Null)) || jwk.text("use") == Some("sig"))
        && (jwk.lacks("key_ops") || jwk.names("key_ops", "sign"))
}

/// The octets of a number without zeros before it.
fn number(jwk: &Json, name: &str) -> Option<Vec<u8>> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(jwk.text(name)?).ok()?;
    Some(octets.into_iter().skip_while(|octet| *octet == 0).collect())
}

/// What a client that has the key authenticates with.
fn assertion(key: SigningKey) -> String {
    let client = match key.algorithm().as_str().starts_with("HS") {
        true => return String::new(),
        false => ClientAuthentication::private_key_jwt("app", key).expect("a client"),
    };
    let client = client.with_assertion_audience(ENDPOINT);
    let peer = Peer::answering([Response::default()]);
    let endpoint = TokenEndpoint::new(ENDPOINT, client, peer.transport()).expect("an endpoint");
    let endpoint = endpoint.with_clock(clock().clock());
    now(endpoint.fetch(&Grant::client_credentials())).expect_err("an empty answer");
    let form = pairs(peer.asked()[0].body(), true);
    let assertion = form.into_iter().find(|(name, _)| name == "client_assertion");
    assertion.expect("an assertion").1
}

fn check_text(text: &str, jwk: &str) {
    let json = Json::parse(jwk.as_bytes()).unwrap_or(Json::Null);
    for name in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        // Words of ours may stand in a text that is no base64url.
        let is_encoded = |text: &&str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let secret = json.text(name).filter(|secret| secret.len() > 12).filter(is_encoded);
        assert!(secret.is_none_or(|secret| !text.contains(secret)), "{name}");
    }
}
