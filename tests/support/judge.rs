//! A validator that does as it is told, and counts.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is the verdict of a test")]

use http::Request;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;
use tower_oauth2::{
    Answer, RequestHead,
    validate::{
        BoxVerdictFuture, CacheSupport, Principal, Rejection, RejectionKind, Revocation,
        ValidateToken, Validated, Verdict,
    },
};

/// Finds tokens that begin with `good` good, unless told otherwise, and splits them at their last
/// dot.
#[derive(Clone, Default)]
pub(crate) struct Judge(Arc<State>);

#[derive(Default)]
struct State {
    says: Mutex<HashMap<String, Result<Principal, Rejection>>>,
    revocations: Mutex<HashMap<String, Revocation>>,
    asked: AtomicUsize,
    generation: AtomicU64,
    leeway: Duration,
    takes_expired: AtomicBool,
    /// One permit for each answer; nothing where answers are there at once.
    gate: Option<Arc<Semaphore>>,
    changes: bool,
    /// Where it splits every token, instead of at its last dot.
    splits_at: Option<usize>,
}

impl Judge {
    fn of(state: State) -> Self {
        Self(Arc::new(state))
    }

    /// One whose answers wait until they are [let](Self::let_answer).
    pub(crate) fn slow() -> Self {
        Self::of(State { gate: Some(Arc::new(Semaphore::new(0))), ..State::default() })
    }

    pub(crate) fn with_leeway(self, leeway: Duration) -> Self {
        Self::of(State { leeway, ..State::default() })
    }

    pub(crate) fn changing_while_it_judges(self) -> Self {
        Self::of(State { changes: true, ..State::default() })
    }

    pub(crate) fn splitting_at(self, place: usize) -> Self {
        Self::of(State { splits_at: Some(place), ..State::default() })
    }

    pub(crate) fn say(&self, token: &str, verdict: Result<Principal, Rejection>) {
        self.0.says.lock().unwrap().insert(token.to_owned(), verdict);
    }

    pub(crate) fn revoke_by(&self, token: &str, revocation: Revocation) {
        self.0.revocations.lock().unwrap().insert(token.to_owned(), revocation);
    }

    pub(crate) fn new_generation(&self) {
        self.0.generation.fetch_add(1, SeqCst);
    }

    /// Finds expired tokens good, and refuses them at each recheck.
    pub(crate) fn take_expired_tokens(&self) {
        self.0.takes_expired.store(true, SeqCst);
    }

    pub(crate) fn let_answer(&self) {
        self.0.gate.as_ref().unwrap().add_permits(1);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    pub(crate) fn verdict(&self, token: &str) -> Verdict<()> {
        let said = self.0.says.lock().unwrap().get(token).cloned();
        let principal = match said {
            Some(said) => said?,
            None if token.starts_with("panic") => panic!("of the validator"),
            None if token.starts_with("good") => Principal::new("alice"),
            None => return Err(Rejection::unknown()),
        };
        let mut validated = Validated::from(principal);
        if self.0.takes_expired.load(SeqCst) {
            validated = validated.with_good_until(None);
        }
        if let Some(revocation) = self.0.revocations.lock().unwrap().get(token) {
            validated = validated.with_revocation(revocation.clone());
        }
        Ok(Arc::new(validated))
    }
}

impl ValidateToken for Judge {
    type Claims = ();
    type Future = BoxVerdictFuture<()>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        self.0.asked.fetch_add(1, SeqCst);
        if self.0.changes {
            self.new_generation();
        }
        let Some(gate) = self.0.gate.clone() else {
            return Answer::Ready(self.verdict(token));
        };
        let (this, token) = (self.clone(), token.to_owned());
        Answer::Pending(Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            this.verdict(&token)
        }))
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for Judge {
    fn split_at(&self, token: &[u8]) -> usize {
        let after_dot = token.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
        self.0.splits_at.unwrap_or(after_dot)
    }

    fn recheck(&self, validated: &Validated, now: SystemTime) -> Result<(), Rejection> {
        match validated.principal().expires_at() {
            Some(expiry) if now >= expiry + self.0.leeway => Err(Rejection::expired()),
            _ => Ok(()),
        }
    }

    fn generation(&self) -> u64 {
        self.0.generation.load(SeqCst)
    }
}

pub(crate) fn bearer(token: &str) -> Request<()> {
    Request::get("/r").header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

/// What `validator` finds of `token`.
pub(crate) async fn validate<V: ValidateToken>(validator: &V, token: &str) -> Verdict<V::Claims> {
    let request = bearer(token);
    let answer = validator.validate(token, RequestHead::from_request(&request));
    answer.wait().await
}

pub(crate) fn kind<T>(verdict: &Result<T, Rejection>) -> Option<RejectionKind> {
    verdict.as_ref().err().map(Rejection::kind)
}

/// Lets every task that can go on do so.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
