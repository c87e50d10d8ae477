//! A signed answer about a token (RFC 9701): a line for its header, then its payload, which are
//! signed here with the key of the server. A token is good only where both say what they have to.
//! A body of one line stands for itself: nobody signed it.
#![no_main]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tower_oauth2::{
    Answer, ClientAuthentication, RequestHead,
    validate::{Introspection, Jwks, ValidateToken},
};
use tower_oauth2_fuzz::{
    Json, NOW, Peer, SECRET,
    claims::{ISSUER, encoded, is_active},
    clock, lines, now,
};

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"));

static KEYS: LazyLock<Jwks> = LazyLock::new(|| {
    let x = encoded(KEY.public_key());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}}]}}"#);
    Jwks::from_json(&set).expect("keys")
});

fuzz_target!(|input: &[u8]| {
    let (header, payload) = lines(input);
    let is_signed = input.contains(&b'\n');
    let body = if is_signed { signed(header, payload) } else { Bytes::copy_from_slice(input) };
    let answer = Response::builder()
        .header("content-type", "application/token-introspection+jwt")
        .body(body)
        .unwrap();
    let peer = Peer::answering([answer]);
    let client = ClientAuthentication::post("id", SECRET);
    let introspection = Introspection::new("https://as.example/i", client, peer.transport());
    let introspection = introspection.unwrap().with_clock(clock().clock()).with_audience(["a"]);
    let introspection = introspection.with_issuer(ISSUER);
    let introspection = introspection.with_signed_responses(ISSUER, KEYS.clone()).unwrap();
    let request = Request::new(());
    let Answer::Pending(asked) =
        introspection.validate("token", RequestHead::from_request(&request))
    else {
        panic!("nothing was asked yet");
    };
    match now(asked) {
        Ok(_) => assert!(is_signed && is_good(header, payload)),
        Err(rejection) => assert!(!rejection.to_string().contains(SECRET)),
    }
});

fn signed(header: &[u8], payload: &[u8]) -> Bytes {
    let text = format!("{}.{}", encoded(header), encoded(payload));
    let signature = encoded(KEY.sign(text.as_bytes()));
    format!("{text}.{signature}").into()
}

fn is_good(header: &[u8], payload: &[u8]) -> bool {
    let (Some(header), Some(payload)) = (Json::unmarked(header), Json::unique(payload)) else {
        return false;
    };
    let typ = header.text("typ").unwrap_or_default().to_ascii_lowercase();
    typ.rsplit('/').next() == Some("token-introspection+jwt")
        && header.get("crit").is_none()
        && matches!(header.text("alg"), Some("EdDSA" | "Ed25519"))
        && (header.lacks("kid") || header.text("kid") == Some("k"))
        && payload.text("iss") == Some(ISSUER)
        && payload.names("aud", "id")
        && is_issued(&payload)
        && payload.get("token_introspection").is_some_and(is_active)
}

fn is_issued(payload: &Json) -> bool {
    payload.number("iat").is_some_and(|iat| (0.0..=f64::from(NOW) + 30.0).contains(&iat))
}
