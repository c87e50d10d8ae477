//! One fetch and those who wait for it.

use super::{Listener, Next, Shared, fetcher::Fetch};
use crate::{
    AccessToken, Clock, Sleep,
    client::{Error, ErrorKind, TokenResponse},
    observe::tokens::{Instrument, Span},
    vocabulary::race::before,
};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::watch};

/// What a fetch brought, for everybody who waited for it.
type Outcome = Result<AccessToken, Error>;

/// A place among those who wait.
pub(in crate::client) type Joined = watch::Receiver<Option<Outcome>>;

/// A fetch that belongs to no caller, before it is on its way. It ends with the cache: when that
/// is shut down, or nobody holds it any more. What a [session](crate::client::token_cache::session) has sent does not.
pub(in crate::client) struct Launch {
    handle: Handle,
    landing: Landing,
    end: Listener,
    clock: Clock,
    deadline: Duration,
}

impl Launch {
    pub(in crate::client) fn new(
        handle: Handle,
        shared: &Arc<Shared>,
        end: Listener,
    ) -> (Self, Joined) {
        let (sender, joined) = watch::channel(None);
        let landing = Landing { shared: Arc::downgrade(shared), sender, landed: false };
        let (clock, deadline) = (shared.clock().clone(), shared.fetch_deadline());
        (Self { handle, landing, end, clock, deadline }, joined)
    }

    pub(in crate::client) fn spawn(self, span: Span) {
        let Self { handle, mut landing, end, clock, deadline } = self;
        let fetching = async move {
            // Made in here, so that a panic of the source is one of this task.
            let Some(fetch) = landing.fetch() else { return };
            let in_time = async {
                before(fetch, clock.sleep(deadline)).await.unwrap_or_else(|| Err(too_long()))
            };
            if let Some(result) = before(in_time, end.closed()).await {
                landing.land(result);
            }
        };
        handle.spawn(fetching.instrument(span));
    }
}

/// Ends the fetch for its waiters, whatever ends the task: its result, a panic, a runtime that
/// is shut down.
struct Landing {
    /// Not held: a fetch that nobody could use is not worth its time.
    shared: Weak<Shared>,
    sender: watch::Sender<Option<Outcome>>,
    landed: bool,
}

impl Landing {
    fn fetch(&self) -> Option<Fetch> {
        Some(self.shared.upgrade()?.fetcher().fetch())
    }

    fn land(&mut self, result: Result<TokenResponse, Error>) {
        self.landed = true;
        let Some(shared) = self.shared.upgrade() else { return };
        let outcome = shared.landed(result);
        self.sender.send_replace(Some(outcome));
        // After those who waited for it have it: they need not ask again.
        shared.tell_landed();
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.landed {
            self.land(Err(aborted()));
        }
    }
}

/// The deadline of a fetch is over.
pub(in crate::client) fn too_long() -> Error {
    Error::new(ErrorKind::Transport, "the token request took too long")
}

pub(in crate::client) fn aborted() -> Error {
    let text = "the token request was aborted: its runtime was shut down, or it panicked";
    Error::new(ErrorKind::Aborted, text)
}

/// Where a fetch, and the timers of those who wait for one, run.
pub(in crate::client) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        let text = "a token has to be fetched, which needs a tokio runtime: call from within one";
        Error::new(ErrorKind::NoRuntime, text)
    })
}

/// A caller without a token.
pub(in crate::client) struct Waiter {
    shared: Arc<Shared>,
    give_up: Instant,
    /// Waits for the fetch in flight however long it takes, and for nothing else.
    one_fetch: bool,
}

/// What ended the wait for a fetch.
enum Ended {
    Landed(Outcome),
    /// There is a reason to ask again.
    Called,
    /// The patience is over.
    GivenUp,
}

impl Waiter {
    pub(in crate::client) fn new(shared: Arc<Shared>, give_up: Instant, one_fetch: bool) -> Self {
        Self { shared, give_up, one_fetch }
    }

    pub(in crate::client) async fn token(self) -> Outcome {
        let next = self.ask();
        self.wait(next).await
    }

    /// Goes on from `next`, which was told just now.
    pub(in crate::client) async fn wait(self, mut next: Next) -> Outcome {
        let mut looked = false;
        loop {
            if !matches!(next, Next::Take(_) | Next::LookAtSecret(_)) {
                // Not where the call was made: this may be polled elsewhere.
                runtime()?;
            }
            match next {
                Next::Take(outcome) => return outcome,
                Next::LookAtSecret(error) => {
                    // Once a call: a secret that is refused too is no reason to go on.
                    if looked || !self.shared.fetcher().has_another_secret() {
                        return Err(error);
                    }
                    looked = true;
                    self.shared.credential_changed();
                }
                Next::AskAgainAt(instant, news) => {
                    before(self.shared.clock().sleep_until(instant), news.called()).await;
                }
                Next::Wait(joined, news) => match self.join(joined, news).await {
                    Ended::Landed(Err(error)) if error.is_transient() && !self.is_over() => {
                        // Where the next try is too far away, this is the error of this attempt.
                        next = match self.ask() {
                            Next::Take(Err(_)) => return Err(self.annotated(&error)),
                            next => next,
                        };
                        continue;
                    }
                    Ended::Landed(outcome) => {
                        return outcome.map_err(|error| self.annotated(&error));
                    }
                    Ended::Called => {}
                    Ended::GivenUp => {
                        let text = "no token came within the caller's patience";
                        return Err(Error::new(ErrorKind::Transport, text));
                    }
                },
            }
            next = self.ask();
        }
    }

    /// Whether the patience has ended: whoever was slow to look keeps the error of the attempt
    /// that it waited for, and causes no other.
    fn is_over(&self) -> bool {
        self.shared.now().monotonic >= self.give_up
    }

    fn ask(&self) -> Next {
        self.shared.next(self.shared.now(), self.give_up)
    }

    fn annotated(&self, error: &Error) -> Error {
        match self.shared.next_try() {
            Some(next_try) => error.with_next_try(next_try),
            None => error.clone(),
        }
    }

    async fn join(&self, mut joined: Joined, news: Listener) -> Ended {
        let clock = self.shared.clock();
        let give_up = if self.one_fetch { Sleep::never() } else { clock.sleep_until(self.give_up) };
        let landed = async move {
            match joined.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(aborted())),
                Err(_) => Err(aborted()),
            }
        };
        match before(before(landed, news.called()), give_up).await {
            Some(Some(outcome)) => Ended::Landed(outcome),
            Some(None) => Ended::Called,
            None => Ended::GivenUp,
        }
    }
}
