//! A caller who waits for a token.

use super::{
    engine::{Engine, Next, runtime},
    state::Outcome,
};
use crate::{
    AccessToken, Answer, ScopeSet, Sleep,
    client::{BoxTokenFuture, Error, ErrorKind, TokenEndpoint},
    vocabulary::{
        clock::{Now, after},
        flight::Joined,
        race::before,
    },
};
use std::{future::ready, sync::Arc, time::Instant};

/// Returns the token, or the wait for one.
pub(super) fn token(engine: &Arc<Engine>) -> Answer<BoxTokenFuture> {
    let now = engine.setup().clock.now();
    let patience = Patience::of(engine, now);
    match engine.next(now, patience.ends_at) {
        Next::Take(outcome) => Answer::Ready(outcome),
        next => {
            let caller = Caller { engine: engine.clone(), patience };
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
    let patience = Patience::of(engine, setup.clock.now());
    let caller = Caller { engine: engine.clone(), patience };
    let (held, scopes) = (held.clone(), scopes.clone());
    Some(Box::pin(async move {
        runtime(&caller.engine.setup().clock)?;
        let wider = caller.wider(joined, &held, &scopes);
        before(wider, caller.patience()).await.unwrap_or_else(|| Err(Error::aborted()))
    }))
}

struct Caller {
    engine: Arc<Engine>,
    patience: Patience,
}

#[derive(Clone, Copy)]
struct Patience {
    ends_at: Instant,
    /// Waits for the fetch in flight however long it takes, and for nothing else.
    one_fetch: bool,
}

impl Patience {
    fn of(engine: &Engine, now: Now) -> Self {
        let patience = engine.setup().patience;
        Self { ends_at: after(now.monotonic, patience), one_fetch: patience.is_zero() }
    }
}

impl Caller {
    /// Goes on from `next`, which the engine has just answered.
    async fn wait(self, mut next: Next) -> Outcome {
        let setup = self.engine.setup();
        let mut compared = false;
        loop {
            if !matches!(next, Next::Take(_) | Next::CompareSecret(_)) {
                // Not where the call was made: this may be polled elsewhere.
                runtime(&setup.clock)?;
            }
            match next {
                Next::Take(outcome) => return outcome,
                Next::CompareSecret(error) => {
                    // Once a call: a secret that is refused too is no reason to go on.
                    let endpoint = setup.source.endpoint();
                    if compared || !endpoint.is_some_and(TokenEndpoint::has_another_secret) {
                        return Err(error);
                    }
                    compared = true;
                    self.engine.credential_changed();
                }
                Next::AskAgainAt(instant, seen) => {
                    before(setup.clock.sleep_until(instant), self.engine.intervened(seen)).await;
                }
                Next::Join(joined, seen) => {
                    let ended = before(fetched(joined), self.engine.intervened(seen));
                    match before(ended, self.patience()).await {
                        Some(Some(Err(error))) if error.is_transient() && !self.is_impatient() => {
                            // If the next try is too far away, this is the error of this attempt.
                            next = match self.ask() {
                                Next::Take(Err(_)) => return Err(self.annotated(&error)),
                                next => next,
                            };
                            continue;
                        }
                        Some(Some(outcome)) => {
                            return outcome.map_err(|error| self.annotated(&error));
                        }
                        // The user changed something: ask again.
                        Some(None) => {}
                        None => {
                            let text = "no token came within the caller's patience";
                            return Err(Error::new(ErrorKind::Transport, text));
                        }
                    }
                }
            }
            next = self.ask();
        }
    }

    fn ask(&self) -> Next {
        self.engine.next(self.engine.setup().clock.now(), self.patience.ends_at)
    }

    /// Returns `true` if the patience has ended: a caller that was polled late keeps the error of the
    /// attempt that it waited for, and starts no other.
    fn is_impatient(&self) -> bool {
        self.engine.setup().clock.monotonic() >= self.patience.ends_at
    }

    fn annotated(&self, error: &Error) -> Error {
        let next_try = self.engine.lock().next_try();
        match next_try {
            Some(next_try) => error.with_next_try(next_try),
            None => error.clone(),
        }
    }

    fn patience(&self) -> Sleep {
        match self.patience.one_fetch {
            true => Sleep::never(),
            false => self.engine.setup().clock.sleep_until(self.patience.ends_at),
        }
    }

    async fn wider(
        &self,
        joined: Joined<Outcome>,
        held: &AccessToken,
        scopes: &ScopeSet,
    ) -> Outcome {
        fetched(joined).await?;
        if let Some(wider) = self.engine.lock().wider_than(held, scopes) {
            return Ok(wider);
        }
        // A fetch that was in flight already may have asked for less.
        let step_up = self.engine.setup().source.step_up();
        let is_asked = step_up.is_none_or(|step_up| step_up.asked_for(scopes));
        let again = if is_asked { None } else { self.engine.fetch_wider() };
        fetched(again.ok_or_else(Error::aborted)?).await?;
        self.engine.lock().wider_than(held, scopes).ok_or_else(Error::aborted)
    }
}

async fn fetched(joined: Joined<Outcome>) -> Outcome {
    joined.wait().await.unwrap_or_else(|| Err(Error::aborted()))
}
