//! The checks of one request, in their order.

use super::*;
use tower_oauth2::server::DpopNonces;

/// What is refused, and how: the status, the challenges, and whether a nonce comes along where
/// proofs have one.
struct Row {
    what: &'static str,
    request: Request<()>,
    status: u16,
    challenges: Vec<String>,
    brings_nonce: bool,
}

fn error(challenge: &str, error: &str, description: &str) -> String {
    format!(r#"{challenge}, error="{error}", error_description="{description}""#)
}

/// A refusal for the proof.
fn bad_proof(what: &'static str, request: Request<()>, description: &str) -> Row {
    let dpop = error(DPOP, "invalid_dpop_proof", description);
    Row { what, request, status: 401, challenges: vec![BEARER.into(), dpop], brings_nonce: true }
}

/// A refusal for the token, which came by `scheme`.
fn bad_token(what: &'static str, request: Request<()>, scheme: &str, description: &str) -> Row {
    let is_dpop = scheme == DPOP;
    let used = error(scheme, "invalid_token", description);
    let challenges = match is_dpop {
        true => vec![BEARER.into(), used],
        false => vec![used, DPOP.into()],
    };
    Row { what, request, status: 401, challenges, brings_nonce: is_dpop }
}

fn rows(fixture: &Fixture) -> Vec<Row> {
    let proof = || fixture.proof();
    let other = Key::new();
    let joined = format!("{}, {}", proof().text(), proof().text());
    let twice = with_proof(request(BOUND, &proof()), &proof().text());
    let malformed = |what, request, challenge, description| Row {
        what,
        request,
        status: 400,
        challenges: vec![error(challenge, "invalid_request", description)],
        brings_nonce: false,
    };
    let beside = "a proof came with a token that is not DPoP";
    let mut tampered = proof().text();
    // Another last letter of the claims is other claims.
    let at = tampered.rfind('.').unwrap() - 2;
    let letter = if tampered.as_bytes()[at] == b'x' { "y" } else { "x" };
    tampered.replace_range(at..=at, letter);
    let mut wrong_signature = proof().text();
    let at = wrong_signature.len() - 10;
    let letter = if wrong_signature.as_bytes()[at] == b'x' { "y" } else { "x" };
    wrong_signature.replace_range(at..=at, letter);
    let bound = "the access token is bound to a key, and came without a proof";
    let unbound = "the access token is not bound to a key, so DPoP proves nothing";
    let certificate = "the access token is bound to a certificate that the client did not use";
    let other_key = "the proof is of another key than the access token is bound to";
    let long = proof().claim("padding", "p".repeat(4096));
    vec![
        malformed("no proof", by("DPoP", BOUND), DPOP, "the DPoP token came without a proof"),
        bad_proof("two headers", twice, "more than one proof was presented"),
        bad_proof(
            "two proofs in one header",
            with_proof(by("DPoP", BOUND), &joined),
            "more than one proof was presented",
        ),
        malformed(
            "a proof beside a Bearer token",
            with_proof(by("Bearer", UNBOUND), &proof().text()),
            BEARER,
            beside,
        ),
        bad_token(
            "an unknown token",
            request("unknown-token", &fixture.key.proof("unknown-token")),
            DPOP,
            "the access token is not known",
        ),
        bad_token("a downgrade", by("Bearer", BOUND), BEARER, bound),
        bad_token(
            "DPoP with a token that is not bound",
            request(UNBOUND, &fixture.key.proof(UNBOUND)),
            DPOP,
            unbound,
        ),
        bad_token("no certificate", by("Bearer", CERTIFIED), BEARER, certificate),
        bad_token(
            "another certificate",
            with_certificate(by("Bearer", CERTIFIED), b"another"),
            BEARER,
            certificate,
        ),
        bad_proof("too long", request(BOUND, &long), "the proof is longer than 4 KiB"),
        bad_proof("no JWS", with_proof(by("DPoP", BOUND), "a.b"), "the proof is not a JWS"),
        bad_proof(
            "no type",
            request(BOUND, &proof().member("typ", Value::Null)),
            "the typ of the proof is not dpop+jwt",
        ),
        bad_proof(
            "an algorithm that is not listed",
            request(BOUND, &proof().member("alg", "RS256")),
            "the algorithm of the proof is not accepted",
        ),
        bad_proof(
            "crit",
            request(BOUND, &proof().member("crit", json!(["exp"]))),
            "the header of the proof is malformed",
        ),
        bad_proof(
            "no jti",
            request(BOUND, &proof().claim("jti", Value::Null)),
            "the proof has no jti of 1 to 256 bytes",
        ),
        bad_proof(
            "another method",
            request(BOUND, &proof().claim("htm", "get")),
            "the proof is for another method (htm)",
        ),
        bad_proof(
            "another URL",
            request(BOUND, &proof().claim("htu", "https://api.example/s")),
            "the proof is for another URL (htu)",
        ),
        bad_proof(
            "another token",
            request(BOUND, &proof().claim("ath", digest("another"))),
            "the proof is for another token (ath)",
        ),
        bad_proof(
            "no date",
            request(BOUND, &proof().claim("iat", Value::Null)),
            "the proof has no date (iat)",
        ),
        bad_proof(
            "too old",
            request(BOUND, &proof().claim("iat", NOW - 60)),
            "the proof is too old (iat)",
        ),
        bad_proof(
            "of the future",
            request(BOUND, &proof().claim("iat", NOW + 31)),
            "the proof is of the future (iat)",
        ),
        bad_token("another key", request(BOUND, &other.proof(BOUND)), DPOP, other_key),
        bad_proof(
            "another signature",
            with_proof(by("DPoP", BOUND), &wrong_signature),
            "the signature of the proof is wrong",
        ),
    ]
}

#[tokio::test]
async fn each_check_has_its_status_and_challenges() {
    let fixture = Fixture::new();
    for row in rows(&fixture) {
        let reply = send(&fixture.layer(), row.request).await;
        assert_eq!(reply.status, row.status, "{}: {reply:?}", row.what);
        assert_eq!(reply.challenges, row.challenges, "{}", row.what);
        assert_eq!((reply.nonce, &*reply.who), (None, ""), "{}", row.what);
        assert_eq!(reply.headers["cache-control"], "no-store", "{}", row.what);
    }
    let reply = send(&fixture.layer(), request(BOUND, &fixture.proof())).await;
    assert_eq!((&*reply.who, reply.nonce, reply.challenges), ("alice", None, Vec::new()));
}

#[tokio::test]
async fn a_refusal_that_another_proof_would_cure_brings_the_nonce_for_it() {
    let fixture = Fixture::new();
    let nonces = DpopNonces::random().unwrap();
    let layer = fixture.plain().with_dpop(dpop().with_nonces(nonces));
    let needed = "the proof needs a nonce of this server";
    for row in rows(&fixture) {
        let reply = send(&layer, row.request).await;
        assert_eq!(reply.status, row.status, "{}: {reply:?}", row.what);
        assert_eq!(reply.nonce.is_some(), row.brings_nonce, "{}", row.what);
        let reached_nonce = ["too old", "of the future", "another key", "another signature"];
        if reached_nonce.contains(&row.what) {
            assert_eq!(reply.challenges, [BEARER, &error(DPOP, "use_dpop_nonce", needed)]);
        } else {
            assert_eq!(reply.challenges, row.challenges, "{}", row.what);
        }
    }
}

/// Each request has the faults of all checks from one on, so that the first of them decides.
#[tokio::test]
async fn the_checks_come_in_their_order() {
    let fixture = Fixture::new();
    let seen = Memory::default();
    seen.say(Ok(FirstUse::Replayed));
    let layer = fixture.plain().with_dpop(dpop().with_replay(seen.clone()));
    let other = Key::new();
    let proof = fixture.proof();
    let mut replies = vec![("the proof was used before", request(BOUND, &proof))];
    let mut text = proof.text();
    text.truncate(text.len() - 2);
    replies.push(("the signature of the proof is wrong", with_proof(by("DPoP", BOUND), &text)));
    // All below is signed by another key, and wrongly.
    let proof = Proof { key: &Key::new(), ..other.proof(BOUND) };
    let other_key = "the proof is of another key than the access token is bound to";
    replies.push((other_key, request(BOUND, &proof)));
    let proof = proof.claim("iat", NOW - 60);
    replies.push(("the proof is too old (iat)", request(BOUND, &proof)));
    let proof = proof.claim("ath", "other");
    replies.push(("the proof is for another token (ath)", request(BOUND, &proof)));
    let proof = proof.claim("htu", "https://other.example/r");
    replies.push(("the proof is for another URL (htu)", request(BOUND, &proof)));
    let proof = proof.claim("htm", "PUT");
    replies.push(("the proof is for another method (htm)", request(BOUND, &proof)));
    let proof = proof.claim("jti", "");
    replies.push(("the proof has no jti of 1 to 256 bytes", request(BOUND, &proof)));
    let proof = proof.claim("iat", "a text");
    replies.push(("the claims of the proof are malformed", request(BOUND, &proof)));
    let proof = proof.member("alg", "none");
    replies.push(("the algorithm of the proof is not accepted", request(BOUND, &proof)));
    let proof = proof.member("typ", "JWT");
    replies.push(("the typ of the proof is not dpop+jwt", request(BOUND, &proof)));
    let proof = proof.member("jku", "https://other.example");
    replies.push(("the header of the proof is malformed", request(BOUND, &proof)));
    let unbound = "the access token is not bound to a key, so DPoP proves nothing";
    replies.push((unbound, request(UNBOUND, &proof)));
    let certificate = "the access token is bound to a certificate that the client did not use";
    replies.push((certificate, request(CERTIFIED, &proof)));
    replies.push(("the access token is not known", request("unknown", &proof)));
    let twice = with_proof(request("unknown", &proof), "x");
    replies.push(("more than one proof was presented", twice));
    for (description, request) in replies {
        let reply = send(&layer, request).await;
        let says = reply.challenges.join(", ");
        assert!(says.contains(&format!("error_description=\"{description}\"")), "{says}");
    }
    // Nothing is remembered of a proof before all of it is good.
    assert_eq!(seen.asked().len(), 1);
}
