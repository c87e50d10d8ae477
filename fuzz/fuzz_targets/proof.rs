//! A proof of possession beside a good token. Input: a whole value of the header `DPoP`; or `@` and an
//! edit of a good one; or a line for a header, then claims, which are signed here. `$KEY` in the header
//! stands for the public key, `$ATH` in the claims for the digest of the token. None is good that the
//! key did not sign for this very request, and none is good twice.
#![no_main]

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use http::{HeaderValue, Request, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    future::ready,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tower::{Layer, Service, service_fn};
use tower_oauth2::{
    Challenge,
    server::{Dpop, RequireToken},
    validate::{Confirmation, Principal, StaticTokens},
};
use tower_oauth2_fuzz::{Json, NOW, claims::encoded, clock, now};

const TOKEN: &str = "mF_9.B5f-4.1JqM";
const URL: &str = "https://api.example";

struct Fixture {
    key: Ed25519KeyPair,
    /// The same proof is good again.
    again: RequireToken<StaticTokens>,
    once: RequireToken<StaticTokens>,
    good: String,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let x = encoded(key.public_key());
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let confirmation = Confirmation::from_key(encoded(digest(&SHA256, canonical.as_bytes())));
    let tokens = StaticTokens::new();
    let alice = Principal::new("alice").with_confirmation(confirmation);
    tokens.insert(TOKEN, alice).expect("a token");
    let layer = RequireToken::new("api", tokens).expect("a layer").with_clock(clock().clock());
    let dpop = || Dpop::new(URL).expect("a URL");
    let again = layer.clone().with_dpop(dpop().dangerous_allow_replay());
    let once = layer.with_dpop(dpop());
    let header = r#"{"typ":"dpop+jwt","alg":"EdDSA","jwk":$KEY}"#;
    let claims =
        r#"{"jti":"1","htm":"GET","htu":"https://api.example/r","iat":2000000000,"ath":"$ATH"}"#;
    let good = signed(&key, header, claims).2;
    Fixture { key, again, once, good }
});

fn ath() -> String {
    encoded(digest(&SHA256, TOKEN.as_bytes()))
}

/// The header and the claims as they are, and the proof.
fn signed(key: &Ed25519KeyPair, header: &str, claims: &str) -> (String, String, String) {
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, encoded(key.public_key()));
    let header = header.replace("$KEY", &jwk);
    let claims = claims.replace("$ATH", &ath());
    let input = format!("{}.{}", encoded(&header), encoded(&claims));
    let proof = format!("{input}.{}", encoded(key.sign(input.as_bytes())));
    (header, claims, proof)
}

fuzz_target!(|input: &str| {
    let Fixture { key, good, .. } = &*FIXTURE;
    if let Some((header, claims)) = input.split_once('\n') {
        let (header, claims, proof) = signed(key, header, claims);
        let own = Json::unmarked(header.as_bytes()).unwrap_or(Json::Null);
        let says = Json::unmarked(claims.as_bytes()).unwrap_or(Json::Null);
        let is_good = proof.len() <= 4096 && has_own_key(&own) && is_for_the_request(&says);
        let is_plain = own.has_only(&["typ", "alg", "jwk"])
            && own.text("alg") == Some("EdDSA")
            && says.has_only(&["jti", "htm", "htu", "ath", "iat"])
            && says.text("htu") == Some("https://api.example/r")
            && own.get("jwk").is_some_and(|jwk| jwk.has_only(&["kty", "crv", "x"]));
        let is_admitted = send(&FIXTURE.again, &proof);
        assert!(is_good || !is_admitted, "{header} {claims}");
        assert!(is_admitted || !(is_good && is_plain), "{header} {claims}");
        send(&FIXTURE.once, &proof);
        assert!(!send(&FIXTURE.once, &proof));
        return;
    }
    let proof = match input.strip_prefix('@') {
        Some(edit) => edited(edit, good),
        None => Some(input.to_owned()),
    };
    let Some(proof) = proof else { return };
    // The header has no space around its value.
    let is_own = proof.trim_matches([' ', '\t']) == good;
    assert_eq!(send(&FIXTURE.again, &proof), is_own);
});

/// The good proof with what follows an offset in the place of as many of its bytes.
fn edited(edit: &str, good: &str) -> Option<String> {
    let (offset, edit) = edit.split_at_checked(3)?;
    let offset = offset.parse::<usize>().ok()?.min(good.len());
    let end = offset.saturating_add(edit.len()).min(good.len());
    Some(format!("{}{edit}{}", &good[..offset], &good[end..]))
}

fn has_own_key(header: &Json) -> bool {
    let x = encoded(FIXTURE.key.public_key());
    let is_own = |jwk: &Json| {
        jwk.text("kty") == Some("OKP")
            && jwk.text("crv") == Some("Ed25519")
            && jwk.text("x") == Some(&x)
            && jwk.get("d").is_none()
    };
    header.text("typ") == Some("dpop+jwt")
        && matches!(header.text("alg"), Some("EdDSA" | "Ed25519"))
        && header.get("jwk").is_some_and(is_own)
        && ["crit", "jku", "x5u", "x5c"].iter().all(|name| header.get(name).is_none())
}

fn is_for_the_request(claims: &Json) -> bool {
    let now = f64::from(NOW);
    claims.text("jti").is_some_and(|jti| (1..=256).contains(&jti.len()))
        && claims.text("htm") == Some("GET")
        && claims.text("htu").is_some_and(is_url)
        && claims.text("ath") == Some(&ath())
        && claims.number("iat").is_some_and(|iat| now < iat + 60.0 && iat <= now + 30.0)
}

/// Returns `true` for a spelling of the URL.
fn is_url(htu: &str) -> bool {
    let end = htu.find(['?', '#']).unwrap_or(htu.len());
    let (origin, path) = htu[..end].split_at(htu[..end].rfind('/').unwrap_or(0));
    let origins = [URL, "https://api.example:443", "https://api.example:"];
    origins.iter().any(|own| own.eq_ignore_ascii_case(origin)) && matches!(path, "/r" | "/%72")
}

/// Returns `true` if the inner service is called.
fn send(layer: &RequireToken<StaticTokens>, proof: &str) -> bool {
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    let Ok(value) = HeaderValue::from_bytes(proof.as_bytes()) else { return false };
    let inner = service_fn(|_: Request<()>| {
        CALLED.fetch_add(1, Relaxed);
        ready(Ok::<_, Infallible>(Response::new(())))
    });
    let request = Request::get("/r").header("authorization", format!("DPoP {TOKEN}"));
    let request = request.header("dpop", value).body(()).expect("a request");
    let before = CALLED.load(Relaxed);
    let response = now(layer.layer(inner).call(request)).expect("an answer");
    let is_called = CALLED.load(Relaxed) > before;
    assert_eq!(is_called, response.status() == StatusCode::OK);
    if !is_called && response.status() != StatusCode::SERVICE_UNAVAILABLE {
        for value in response.headers().get_all("www-authenticate") {
            let challenges = Challenge::parse(value.as_bytes()).expect("what we write can be read");
            assert_eq!(challenges.len(), 1);
        }
    }
    is_called
}
