//! A proof counts once.

use super::*;
use tokio_test::{assert_pending, assert_ready, task};
use tower_oauth2::server::SeenProofs;

#[tokio::test]
async fn a_proof_counts_once_for_its_key() {
    let fixture = Fixture::new();
    let layer = fixture.layer();
    let text = fixture.proof().text();
    let call = || with_proof(by("DPoP", BOUND), &text);
    assert_eq!(send(&layer, call()).await.who, "alice");
    let reply = send(&layer.clone(), call()).await;
    assert_eq!(
        (reply.kind, reply.errors()),
        (Some(RejectionKind::InvalidProof), vec!["invalid_dpop_proof"])
    );
    // Another proof of the same name is the same one.
    let again = |key: &Key| key.proof(BOUND).claim("jti", "one name").text();
    let call = |proof: String| with_proof(by("DPoP", BOUND), &proof);
    assert_eq!(send(&layer, call(again(&fixture.key))).await.who, "alice");
    assert_eq!(send(&layer, call(again(&fixture.key))).await.status, 401);
    // Whatever date it has.
    for iat in [NOW - 59, NOW - 20, NOW - 1, NOW + 1, NOW + 30] {
        let again = fixture.proof().claim("jti", "one name").claim("iat", iat);
        assert_eq!(send(&layer, request(BOUND, &again)).await.status, 401, "{iat}");
    }
    // The names of another key are its own.
    let other = Key::new();
    let bob = Principal::new("bob").with_confirmation(Confirmation::from_key(other.thumbprint()));
    fixture.tokens.insert("of-bob", bob).unwrap();
    let proof = other.proof("of-bob").claim("jti", "one name");
    assert_eq!(send(&layer, request("of-bob", &proof)).await.who, "bob");
}

#[tokio::test]
async fn the_default_memory_goes_by_the_clock_of_the_layer_whichever_was_set_first() {
    let fixture = Fixture::new();
    let first = RequireToken::new("api", fixture.tokens.clone()).unwrap();
    for layer in [
        first.clone().with_clock(fixture.clock.clock()).with_dpop(dpop()),
        first.with_dpop(dpop()).with_clock(fixture.clock.clock()),
    ] {
        let text = fixture.proof().text();
        let call = || with_proof(by("DPoP", BOUND), &text);
        assert_eq!(send(&layer, call()).await.who, "alice");
        assert_eq!(send(&layer, call()).await.kind, Some(RejectionKind::InvalidProof));
    }
}

#[tokio::test]
async fn a_full_memory_refuses_with_503_and_forgets_nothing() {
    let fixture = Fixture::new();
    // One for each of its 16 parts.
    let seen = SeenProofs::new_with_clock(1, fixture.clock.clock());
    let layer = fixture.plain().with_dpop(dpop().with_replay(seen));
    let (mut passed, mut full) = (Vec::new(), 0);
    for _ in 0..300 {
        let text = fixture.proof().text();
        match send(&layer, with_proof(by("DPoP", BOUND), &text)).await.status.as_u16() {
            200 => passed.push(text),
            503 => full += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((passed.len(), full), (16, 284));
    for text in &passed {
        let reply = send(&layer, with_proof(by("DPoP", BOUND), text)).await;
        assert_eq!(reply.kind, Some(RejectionKind::InvalidProof));
    }
    let reply = send(&layer, request(BOUND, &fixture.proof())).await;
    assert_eq!((reply.status.as_u16(), reply.challenges.len()), (503, 0));
    assert!(reply.headers.contains_key("retry-after"));
    // Room is made by time alone.
    fixture.clock.advance(seconds(80));
    let later = fixture.proof().claim("iat", NOW + 80);
    assert_eq!(send(&layer, request(BOUND, &later)).await.who, "alice");
    for text in &passed {
        assert_eq!(send(&layer, with_proof(by("DPoP", BOUND), text)).await.status, 401);
    }
}

#[tokio::test]
async fn a_memory_that_cannot_tell_refuses_with_503_and_its_words_stay_inside() {
    let fixture = Fixture::new();
    let memory = Memory::default();
    memory.say(Err("redis said: no such host"));
    let layer = fixture.plain().with_dpop(dpop().with_replay(memory));
    let response = layer.layer(service_fn(who)).oneshot(request(BOUND, &fixture.proof()));
    let response = response.await.unwrap();
    assert!(!format!("{:?}", response.headers()).contains("redis"));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert!(format!("{rejection:?}").contains("redis said"), "{rejection:?}");
    assert_eq!(Reply::of(response).status, 503);
}

#[tokio::test]
async fn a_memory_is_told_until_when_a_proof_could_be_used_again() {
    let fixture = Fixture::new();
    let memory = Memory::default();
    let layer = fixture.plain().with_dpop(dpop().with_replay(memory.clone()));
    for iat in [NOW, NOW - 59, NOW + 30] {
        send(&layer, request(BOUND, &fixture.proof().claim("iat", iat))).await;
        let (_, until) = *memory.asked().last().unwrap();
        assert_eq!(until, SystemTime::UNIX_EPOCH + seconds(iat + 60));
    }
    let ids: std::collections::HashSet<_> = memory.asked().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn replays_are_allowed_by_name_alone() {
    let fixture = Fixture::new();
    let layer = fixture.plain().with_dpop(dpop().dangerous_allow_replay());
    let text = fixture.proof().text();
    for _ in 0..2 {
        assert_eq!(send(&layer, with_proof(by("DPoP", BOUND), &text)).await.who, "alice");
    }
}

#[tokio::test]
async fn a_request_waits_for_the_memory_and_not_for_longer_than_for_the_validator() {
    let fixture = Fixture::new();
    for (answer, who, status) in [
        (Some(Ok(FirstUse::First)), "alice", 200),
        (Some(Ok(FirstUse::Replayed)), "", 401),
        (Some(Err("down")), "", 503),
        (None, "", 503),
    ] {
        let memory = Memory::slow();
        let layer = fixture.plain().with_dpop(dpop().with_replay(memory.clone()));
        let layer = layer.with_validator_timeout(seconds(2));
        if let Some(answer) = answer {
            memory.say(answer);
        }
        let service = layer.layer(service_fn(self::who));
        let mut call = task::spawn(service.oneshot(request(BOUND, &fixture.proof())));
        assert_pending!(call.poll());
        fixture.clock.advance(seconds(1));
        assert_pending!(call.poll());
        match answer {
            Some(_) => memory.let_answer(),
            None => fixture.clock.advance(seconds(1)),
        }
        assert!(call.is_woken());
        let reply = Reply::of(assert_ready!(call.poll()).unwrap());
        assert_eq!((&*reply.who, reply.status.as_u16()), (who, status));
        fixture.clock.set_wall(SystemTime::UNIX_EPOCH + seconds(NOW));
    }
}

#[tokio::test]
async fn a_caller_who_leaves_while_the_memory_is_asked_has_used_the_proof() {
    let fixture = Fixture::new();
    let memory = Memory::slow();
    let layer = fixture.plain().with_dpop(dpop().with_replay(memory.clone()));
    let text = fixture.proof().text();
    let begin = || {
        let call = with_proof(by("DPoP", BOUND), &text);
        task::spawn(layer.layer(service_fn(who)).oneshot(call))
    };
    let mut call = begin();
    assert_pending!(call.poll());
    drop(call);
    memory.let_answer();
    let mut call = begin();
    let reply = Reply::of(assert_ready!(call.poll()).unwrap());
    assert_eq!(reply.kind, Some(RejectionKind::InvalidProof));
}
