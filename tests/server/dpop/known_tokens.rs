//! Remembered verdicts are about the token; a proof is about the request.

use super::*;
use crate::judge::Judge;
use tower_oauth2::{server::DpopNonces, validate::Cached};

/// A layer over remembered verdicts, one good token bound to the key, and one bound to nothing.
fn cached(fixture: &Fixture) -> (RequireToken<Cached<Judge>>, Judge) {
    let judge = Judge::default();
    let to_key = Confirmation::from_key(fixture.key.thumbprint());
    judge.say(BOUND, Ok(Principal::new("alice").with_confirmation(to_key)));
    let to_certificate = Confirmation::from_certificate(digest(CERTIFICATE));
    judge.say(CERTIFIED, Ok(Principal::new("alice").with_confirmation(to_certificate)));
    judge.say(UNBOUND, Ok(Principal::new("alice")));
    let cached = Cached::new(judge.clone()).with_clock(fixture.clock.clock());
    let layer = RequireToken::new("api", cached).unwrap().with_clock(fixture.clock.clock());
    (layer, judge)
}

#[tokio::test]
async fn a_remembered_verdict_never_stands_for_a_proof() {
    let fixture = Fixture::new();
    let (plain, judge) = cached(&fixture);
    let layer = plain.clone().with_dpop(dpop());
    for round in 0..2 {
        let proof = fixture.proof().text();
        let call = || with_proof(by("DPoP", BOUND), &proof);
        assert_eq!(send(&layer, call()).await.who, "alice", "{round}");
        assert_eq!(send(&layer, call()).await.kind, Some(RejectionKind::InvalidProof));
        assert_eq!(send(&layer, by("DPoP", BOUND)).await.status, 400);
        for layer in [&layer, &plain] {
            assert_eq!(send(layer, by("Bearer", BOUND)).await.errors(), ["invalid_token"]);
            assert_eq!(send(layer, by("Bearer", CERTIFIED)).await.errors(), ["invalid_token"]);
            let other = with_certificate(by("Bearer", CERTIFIED), b"another");
            assert_eq!(send(layer, other).await.errors(), ["invalid_token"]);
            let request = with_certificate(by("Bearer", CERTIFIED), CERTIFICATE);
            assert_eq!(send(layer, request).await.who, "alice");
        }
    }
    // Once for each token.
    assert_eq!(judge.asked(), 2);
}

#[tokio::test]
async fn a_proof_beside_a_remembered_bearer_token_is_refused() {
    let fixture = Fixture::new();
    let (plain, judge) = cached(&fixture);
    let layer = plain.with_dpop(dpop());
    for _ in 0..2 {
        assert_eq!(send(&layer, by("Bearer", UNBOUND)).await.who, "alice");
        let stray = with_proof(by("Bearer", UNBOUND), &fixture.key.proof(UNBOUND).text());
        assert_eq!(send(&layer, stray).await.status, 400);
        let reply = send(&layer, request(UNBOUND, &fixture.key.proof(UNBOUND))).await;
        assert_eq!(reply.errors(), ["invalid_token"]);
    }
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn a_refusal_for_the_proof_is_not_remembered_for_the_token() {
    let fixture = Fixture::new();
    let (plain, judge) = cached(&fixture);
    let layer = plain.with_dpop(dpop().with_nonces(DpopNonces::random().unwrap()));
    let nonce = send(&layer, request(BOUND, &fixture.proof())).await.nonce.unwrap();
    let reply =
        send(&layer, request(BOUND, &Key::new().proof(BOUND).claim("nonce", &*nonce))).await;
    assert_eq!(reply.kind, Some(RejectionKind::Invalid));
    let reply = send(&layer, request(BOUND, &fixture.proof().claim("nonce", &*nonce))).await;
    assert_eq!(reply.who, "alice");
    assert_eq!(judge.asked(), 1);
}
