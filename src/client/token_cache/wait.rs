//! A caller who waits for a token.

use super::{
    engine::{Engine, Next},
    machine::Need,
    state::Outcome,
};
use crate::{
    AccessToken, Answer, RequestHead, ScopeSet,
    client::{BoxTokenFuture, Error, ErrorKind},
    vocabulary::{
        clock::{MAX_LIFETIME, after},
        deadline::Deadline,
        flight::Joined,
        race::before,
    },
};
use std::{future::ready, sync::Arc};

/// Returns the token, or the wait for one.
pub(super) fn token(engine: &Arc<Engine>, need: Need) -> Answer<BoxTokenFuture> {
    let setup = engine.setup();
    let now = setup.clock.now();
    match engine.next(now, after(now.monotonic, setup.patience()), need) {
        Next::Take(outcome) => Answer::Ready(outcome),
        next => {
            let caller = Caller::new(engine, need);
            Answer::Pending(Box::pin(caller.wait(next)))
        }
    }
}

/// Returns the wait for a token with `scopes`, for lack of which a resource refused `held`, or `None`
/// if there is no way to get one. Other callers go on with `held` meanwhile.
pub(super) fn widen(
    engine: &Arc<Engine>,
    held: &AccessToken,
    scopes: &ScopeSet,
) -> Option<BoxTokenFuture> {
    let setup = engine.setup();
    let step_up = setup.source.step_up().filter(|step_up| step_up.allows(scopes))?;
    if let Some(wider) = engine.lock().wider_than(held, scopes) {
        return Some(Box::pin(ready(Ok(wider))));
    }
    let granted = engine.lock().granted.clone();
    if !step_up.widen(scopes, granted.as_ref()) {
        return None;
    }
    // At once: a caller who cannot repeat the call does not wait, and the next call has it.
    let joined = engine.fetch_wider()?;
    let mut caller = Caller::new(engine, Need::Any);
    let (held, scopes) = (held.clone(), scopes.clone());
    Some(Box::pin(async move {
        caller.engine.setup().runtime()?;
        let wider = wider(&caller.engine, joined, &held, &scopes);
        before(wider, caller.patience.passed(|_| {})).await.unwrap_or_else(|| Err(Error::aborted()))
    }))
}

struct Caller {
    engine: Arc<Engine>,
    patience: Deadline,
    /// Waits for the fetch in flight however long it takes, and for nothing else.
    one_fetch: bool,
    need: Need,
}

impl Need {
    /// Returns what the call with this head needs.
    pub(super) fn of(request: RequestHead<'_>) -> Self {
        match request.rejected_token() {
            Some(_) => Self::Another,
            None if request.is_repeatable() => Self::Repeatable,
            None => Self::Any,
        }
    }
}

impl Caller {
    fn new(engine: &Arc<Engine>, need: Need) -> Self {
        let setup = engine.setup();
        let (length, one_fetch) = (setup.patience(), setup.patience().is_zero());
        let length = if one_fetch { MAX_LIFETIME } else { length };
        let patience = Deadline::new(&setup.clock, length);
        Self { engine: engine.clone(), patience, one_fetch, need }
    }

    /// Goes on from `next`, which the engine has just answered.
    async fn wait(mut self, mut next: Next) -> Outcome {
        let engine = self.engine.clone();
        let setup = engine.setup();
        let mut compared = false;
        loop {
            if !matches!(next, Next::Take(_) | Next::CompareSecret(_)) {
                // Not where the call was made: this may be polled elsewhere.
                setup.runtime()?;
            }
            match next {
                Next::Take(outcome) => return outcome,
                Next::CompareSecret(error) => {
                    // Once a call: a secret that is refused too is no reason to go on.
                    if compared || !setup.source.has_another_secret() {
                        return Err(error);
                    }
                    compared = true;
                    engine.credential_changed();
                }
                Next::AskAgainAt(instant, seen) => {
                    before(setup.clock.sleep_until(instant), engine.intervened(seen)).await;
                }
                Next::Join(joined, look_at, seen) => {
                    let ended = before(fetched(joined), engine.intervened(seen));
                    let ended = before(ended, setup.clock.sleep_until(look_at));
                    match before(ended, self.patience.passed(|_| {})).await {
                        Some(Some(Some(Err(error)))) if error.is_transient() && self.may_wait() => {
                            // If the next try is too far away, this is the error of this attempt.
                            next = match self.ask() {
                                Next::Take(Err(_)) => return Err(self.annotated(&error)),
                                next => next,
                            };
                            continue;
                        }
                        Some(Some(Some(outcome))) => {
                            let error = match outcome {
                                Ok(token) => return Ok(token),
                                Err(error) => self.annotated(&error),
                            };
                            return match error.kind() {
                                // The engine has kept it from those who need another.
                                ErrorKind::Paused => {
                                    engine.lock().usable_or(setup.clock.now(), error)
                                }
                                _ => Err(error),
                            };
                        }
                        // The user changed something, or the fetch is overdue: ask again.
                        Some(_) => {}
                        None => {
                            let text = "no token came within the caller's patience";
                            let error = Error::new(ErrorKind::Transport, text);
                            return engine.lock().usable_or(setup.clock.now(), error);
                        }
                    }
                }
            }
            next = self.ask();
        }
    }

    fn ask(&self) -> Next {
        let now = self.engine.setup().clock.now();
        let give_up = if self.one_fetch { now.monotonic } else { self.patience.ends_at() };
        self.engine.next(now, give_up, self.need)
    }

    /// Returns `true` if there is patience left for another attempt: a caller that was polled late
    /// keeps the error of the attempt that it waited for.
    fn may_wait(&self) -> bool {
        !self.one_fetch && self.engine.setup().clock.monotonic() < self.patience.ends_at()
    }

    fn annotated(&self, error: &Error) -> Error {
        let next_try = self.engine.lock().next_try();
        match next_try {
            Some(next_try) => error.with_retry_after(next_try),
            None => error.clone(),
        }
    }
}

async fn wider(
    engine: &Arc<Engine>,
    joined: Joined<Outcome>,
    held: &AccessToken,
    scopes: &ScopeSet,
) -> Outcome {
    fetched(joined).await?;
    if let Some(wider) = engine.lock().wider_than(held, scopes) {
        return Ok(wider);
    }
    // A fetch that was in flight already may have asked for less.
    let step_up = engine.setup().source.step_up();
    let is_asked = step_up.is_none_or(|step_up| step_up.asked_for(scopes));
    let again = if is_asked { None } else { engine.fetch_wider() };
    fetched(again.ok_or_else(Error::aborted)?).await?;
    engine.lock().wider_than(held, scopes).ok_or_else(Error::aborted)
}

async fn fetched(joined: Joined<Outcome>) -> Outcome {
    joined.wait().await.unwrap_or_else(|| Err(Error::aborted()))
}
