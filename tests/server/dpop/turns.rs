//! Bound tokens whose requests wait: for the validator, for the memory of proofs, and for their turn
//! at the inner service.

use super::*;
use crate::judge::Judge;
use tokio_test::{assert_pending, assert_ready, task};
use tower::limit::GlobalConcurrencyLimitLayer;

type Call = task::Spawn<
    tower::util::Oneshot<
        tower::util::BoxCloneService<Request<()>, Response<String>, Infallible>,
        Request<()>,
    >,
>;

/// Begins a call over an inner service for `turns` requests at a time.
fn begin<V: ValidateToken>(
    layer: &RequireToken<V>,
    turns: &Arc<Semaphore>,
    request: Request<()>,
) -> Call {
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(turns.clone());
    let service = layer.layer(limit.layer(service_fn(who)));
    task::spawn(ServiceExt::<Request<()>>::boxed_clone(service).oneshot(request))
}

fn bound_to(key: &Key) -> Principal {
    Principal::new("alice").with_confirmation(Confirmation::from_key(key.thumbprint()))
}

/// A layer over a validator and a memory that both take their time.
fn slow(fixture: &Fixture) -> (RequireToken<Judge>, Judge, Memory) {
    let (judge, memory) = (Judge::slow(), Memory::slow());
    judge.say(BOUND, Ok(bound_to(&fixture.key)));
    let layer = RequireToken::new("api", judge.clone()).unwrap().with_clock(fixture.clock.clock());
    let layer = layer.with_dpop(dpop().with_replay(memory.clone()));
    (layer, judge, memory)
}

#[tokio::test]
async fn a_request_holds_no_turn_while_its_token_is_judged_and_its_proof_looked_up() {
    let fixture = Fixture::new();
    let (layer, judge, memory) = slow(&fixture);
    let turns = Arc::new(Semaphore::new(1));
    let mut call = begin(&layer, &turns, request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    assert_eq!((turns.available_permits(), memory.asked().len()), (1, 0));
    judge.let_answer();
    assert_pending!(call.poll());
    assert_eq!((turns.available_permits(), memory.asked().len()), (1, 1));
    memory.let_answer();
    assert_eq!(Reply::of(assert_ready!(call.poll()).unwrap()).who, "alice");
}

#[tokio::test]
async fn a_verdict_that_is_there_at_once_waits_for_the_memory_without_a_turn() {
    let fixture = Fixture::new();
    let memory = Memory::slow();
    let layer = fixture.plain().with_dpop(dpop().with_replay(memory.clone()));
    let turns = Arc::new(Semaphore::new(1));
    let mut call = begin(&layer, &turns, request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    assert_eq!(turns.available_permits(), 1);
    memory.let_answer();
    assert_eq!(Reply::of(assert_ready!(call.poll()).unwrap()).who, "alice");
    // A refusal of the memory takes no turn either.
    memory.say(Ok(FirstUse::Replayed));
    memory.let_answer();
    let mut call = begin(&layer, &turns, request(BOUND, &fixture.proof()));
    let reply = Reply::of(assert_ready!(call.poll()).unwrap());
    assert_eq!((reply.kind, turns.available_permits()), (Some(RejectionKind::InvalidProof), 1));
}

#[tokio::test]
async fn a_verdict_of_the_current_generation_is_not_judged_again_after_the_memory() {
    let fixture = Fixture::new();
    let (judge, memory) = (Judge::default(), Memory::slow());
    judge.new_generation();
    judge.say(BOUND, Ok(bound_to(&fixture.key)));
    let layer = RequireToken::new("api", judge.clone()).unwrap().with_clock(fixture.clock.clock());
    let layer = layer.with_dpop(dpop().with_replay(memory.clone()));
    let mut call = begin(&layer, &Arc::new(Semaphore::new(1)), request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    memory.let_answer();
    assert_eq!(Reply::of(assert_ready!(call.poll()).unwrap()).who, "alice");
    assert_eq!(judge.asked(), 1);
}

#[tokio::test]
async fn a_token_that_is_judged_again_keeps_its_proof_and_asks_the_memory_once() {
    let fixture = Fixture::new();
    let (layer, judge, memory) = slow(&fixture);
    let turns = Arc::new(Semaphore::new(1));
    let mut call = begin(&layer, &turns, request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    judge.let_answer();
    memory.let_answer();
    let turn = turns.try_acquire_owned().unwrap();
    assert_pending!(call.poll());
    judge.new_generation();
    // The proof is too old by now, and was good when it was checked.
    fixture.clock.advance(seconds(61));
    drop(turn);
    assert_pending!(call.poll());
    assert_eq!(judge.asked(), 2);
    judge.let_answer();
    assert_eq!(Reply::of(assert_ready!(call.poll()).unwrap()).who, "alice");
    assert_eq!(memory.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_judged_again_and_bound_to_another_key_by_then_is_refused() {
    let fixture = Fixture::new();
    for principal in [bound_to(&Key::new()), Principal::new("alice")] {
        let (layer, judge, memory) = slow(&fixture);
        let turns = Arc::new(Semaphore::new(1));
        let layer = layer.dangerous_pass_bad_tokens_as_anonymous();
        let mut call = begin(&layer, &turns, request(BOUND, &fixture.proof()));
        assert_pending!(call.poll());
        judge.let_answer();
        memory.let_answer();
        let turn = turns.clone().try_acquire_owned().unwrap();
        assert_pending!(call.poll());
        judge.new_generation();
        judge.say(BOUND, Ok(principal));
        judge.let_answer();
        drop(turn);
        let reply = Reply::of(assert_ready!(call.poll()).unwrap());
        assert_eq!(
            (reply.kind, reply.errors()),
            (Some(RejectionKind::Invalid), vec!["invalid_token"])
        );
        assert_eq!((memory.asked().len(), turns.available_permits()), (1, 1));
    }
}

#[tokio::test]
async fn a_token_that_ends_while_its_proof_is_looked_up_is_refused() {
    let fixture = Fixture::new();
    let (layer, judge, memory) = slow(&fixture);
    let expiry = SystemTime::UNIX_EPOCH + seconds(NOW + 5);
    judge.say(BOUND, Ok(bound_to(&fixture.key).with_expiry(expiry)));
    let mut call = begin(&layer, &Arc::new(Semaphore::new(1)), request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    judge.let_answer();
    assert_pending!(call.poll());
    fixture.clock.advance(seconds(5));
    memory.let_answer();
    let reply = Reply::of(assert_ready!(call.poll()).unwrap());
    assert_eq!(reply.kind, Some(RejectionKind::Expired));
}

#[tokio::test]
async fn the_time_of_the_validator_and_of_the_memory_is_one() {
    let fixture = Fixture::new();
    let (layer, judge, _) = slow(&fixture);
    let layer = layer.with_validator_timeout(seconds(10));
    let mut call = begin(&layer, &Arc::new(Semaphore::new(1)), request(BOUND, &fixture.proof()));
    assert_pending!(call.poll());
    fixture.clock.advance(seconds(6));
    judge.let_answer();
    assert_pending!(call.poll());
    fixture.clock.advance(seconds(4));
    assert_eq!(Reply::of(assert_ready!(call.poll()).unwrap()).status, 503);
}
