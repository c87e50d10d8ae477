//! Nonces of the server: the first call, rotation, replicas.

use super::*;
use tower_oauth2::{ClientSecret, server::DpopNonces};

fn with_nonces(fixture: &Fixture, nonces: &DpopNonces) -> RequireToken<StaticTokens> {
    fixture.plain().with_dpop(dpop().with_nonces(nonces.clone()))
}

/// The nonce that a first call learns.
async fn learnt(fixture: &Fixture, layer: &RequireToken<StaticTokens>) -> String {
    let reply = send(layer, request(BOUND, &fixture.proof())).await;
    assert_eq!((reply.status.as_u16(), reply.kind), (401, Some(RejectionKind::NonceNeeded)));
    assert_eq!(reply.errors(), ["use_dpop_nonce"]);
    reply.nonce.unwrap()
}

#[tokio::test]
async fn the_second_call_passes_with_the_nonce_of_the_first_refusal() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let nonce = learnt(&fixture, &layer).await;
    for _ in 0..2 {
        let reply = send(&layer, request(BOUND, &fixture.proof().claim("nonce", &*nonce))).await;
        assert_eq!((&*reply.who, reply.nonce), ("alice", None));
    }
}

#[tokio::test]
async fn a_response_brings_the_next_nonce_before_the_old_one_ends() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let first = learnt(&fixture, &layer).await;
    let call = |nonce: &str| request(BOUND, &fixture.proof().claim("nonce", nonce));
    fixture.clock.advance(seconds(60));
    let reply = send(&layer, call(&first)).await;
    let second = reply.nonce.unwrap();
    assert_eq!(reply.who, "alice");
    assert_ne!(second, first);
    fixture.clock.advance(seconds(60));
    let third = send(&layer, call(&first)).await.nonce.unwrap();
    assert_eq!(send(&layer, call(&second)).await.nonce, Some(third.clone()));
    fixture.clock.advance(seconds(60));
    let reply = send(&layer, call(&first)).await;
    assert_eq!((reply.kind, reply.nonce.is_some()), (Some(RejectionKind::NonceNeeded), true));
    assert_eq!(send(&layer, call(&third)).await.who, "alice");
}

/// RFC 9449 §8.2: a stored response would bring an old nonce later.
#[tokio::test]
async fn a_response_with_a_nonce_is_not_stored_and_one_without_stays_as_it_is() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let first = learnt(&fixture, &layer).await;
    let cacheable = |_: Request<()>| async {
        let response = Response::builder().header("cache-control", "max-age=600");
        let response = response.header("cache-control", "must-understand");
        Ok::<_, Infallible>(response.body(String::new()).unwrap())
    };
    for expected in [&["max-age=600", "must-understand"][..], &["no-store"]] {
        let call = request(BOUND, &fixture.proof().claim("nonce", &*first));
        let reply = Reply::of(layer.layer(service_fn(cacheable)).oneshot(call).await.unwrap());
        assert_eq!(reply.nonce.is_some(), expected == ["no-store"]);
        let directives: Vec<_> = reply.headers.get_all("cache-control").iter().collect();
        assert_eq!(directives, expected);
        fixture.clock.advance(seconds(60));
    }
}

#[tokio::test]
async fn pages_of_other_origins_can_read_the_next_nonce_too() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap()).with_exposed_challenges();
    let first = learnt(&fixture, &layer).await;
    let call = || request(BOUND, &fixture.proof().claim("nonce", &*first));
    let exposed = |reply: &Reply| reply.headers.get("access-control-expose-headers").cloned();
    assert_eq!(exposed(&send(&layer, call()).await), None);
    fixture.clock.advance(seconds(60));
    let reply = send(&layer, call()).await;
    assert_eq!((&*reply.who, reply.nonce.is_some()), ("alice", true));
    assert_eq!(exposed(&reply).unwrap(), "DPoP-Nonce");
}

#[tokio::test]
async fn a_policy_below_and_a_bad_token_do_not_lose_the_next_nonce() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let first = learnt(&fixture, &layer).await;
    fixture.clock.advance(seconds(60));
    let policy = tower_oauth2::server::RequireScope::all_of(["write"]).unwrap();
    let proof = fixture.proof().claim("nonce", &*first);
    let service = layer.layer(policy.layer(service_fn(who)));
    let reply = Reply::of(service.oneshot(request(BOUND, &proof)).await.unwrap());
    assert_eq!((reply.status.as_u16(), reply.nonce.is_some()), (403, true));
    let reply = send(&layer, request("unknown", &fixture.key.proof("unknown"))).await;
    assert_eq!((reply.status.as_u16(), reply.nonce.is_some()), (401, true));
}

#[tokio::test]
async fn replicas_with_one_secret_take_each_others_nonces_and_nobody_elses() {
    let secret = ClientSecret::new("the secret that all replicas share");
    let [one, other] = [(); 2].map(|()| DpopNonces::from_secret(&secret).unwrap());
    let fixture = Fixture::new();
    let [one, other, stranger] =
        [one, other, DpopNonces::random().unwrap()].map(|nonces| with_nonces(&fixture, &nonces));
    let nonce = learnt(&fixture, &one).await;
    let call = || request(BOUND, &fixture.proof().claim("nonce", &*nonce));
    assert_eq!(send(&other, call()).await.who, "alice");
    let reply = send(&stranger, call()).await;
    assert_eq!(reply.kind, Some(RejectionKind::NonceNeeded));
    assert_ne!(reply.nonce, Some(nonce));
}

#[tokio::test]
async fn with_nonces_the_clock_of_the_client_does_not_matter() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let nonce = learnt(&fixture, &layer).await;
    for iat in [0, NOW - 86_400, NOW + 86_400] {
        let proof = fixture.proof().claim("nonce", &*nonce).claim("iat", iat);
        assert_eq!(send(&layer, request(BOUND, &proof)).await.who, "alice");
    }
    let undated = fixture.proof().claim("nonce", &*nonce).claim("iat", Value::Null);
    assert_eq!(send(&layer, request(BOUND, &undated)).await.errors(), ["invalid_dpop_proof"]);
}

#[tokio::test]
async fn a_nonce_that_was_asked_for_by_nobody_is_ignored_and_a_wrong_one_is_not() {
    let fixture = Fixture::new();
    let proof = fixture.proof().claim("nonce", "of another server");
    assert_eq!(send(&fixture.layer(), request(BOUND, &proof)).await.who, "alice");
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    for nonce in ["", "of another server", &"n".repeat(2000)] {
        let reply = send(&layer, request(BOUND, &fixture.proof().claim("nonce", nonce))).await;
        assert_eq!(reply.kind, Some(RejectionKind::NonceNeeded), "{nonce}");
    }
    let odd = fixture.proof().claim("nonce", 1);
    assert_eq!(send(&layer, request(BOUND, &odd)).await.kind, Some(RejectionKind::InvalidProof));
}

#[tokio::test]
async fn a_proof_counts_once_with_nonces_too_as_long_as_its_nonce_is_good() {
    let fixture = Fixture::new();
    let layer = with_nonces(&fixture, &DpopNonces::random().unwrap());
    let nonce = learnt(&fixture, &layer).await;
    let proof = fixture.proof().claim("nonce", &*nonce).text();
    let call = || with_proof(by("DPoP", BOUND), &proof);
    assert_eq!(send(&layer, call()).await.who, "alice");
    for _ in 0..2 {
        assert_eq!(send(&layer, call()).await.kind, Some(RejectionKind::InvalidProof));
        fixture.clock.advance(seconds(60));
    }
    fixture.clock.advance(seconds(60));
    assert_eq!(send(&layer, call()).await.kind, Some(RejectionKind::NonceNeeded));
}
