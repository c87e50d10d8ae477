//! What happens to a cache, told to those who wait for it.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Tells what happens. It is told after the lock of the cache is released: who hears of it sees
/// it.
///
/// No `watch` channel, which is eight times as large: a pool has one of these for each user.
pub(in crate::client::token_cache) struct News(Arc<Board>);

#[derive(Default)]
struct Board {
    told: Mutex<Told>,
    changed: Notify,
}

#[derive(Default)]
struct Told {
    /// Everything that happened.
    events: u64,
    /// What was done to the cache, and gives a caller who waits a reason to ask again.
    calls: u64,
    closed: bool,
    /// Nothing more will be told.
    gone: bool,
}

impl Board {
    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics between two writes, so a poisoned state is a whole one.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told());
        self.changed.notify_waiters();
    }
}

impl News {
    pub(in crate::client::token_cache) fn new() -> Self {
        Self(Arc::default())
    }

    /// How much has happened so far.
    pub(in crate::client::token_cache) fn events(&self) -> u64 {
        self.0.told().events
    }

    /// A fetch began or ended.
    pub(in crate::client::token_cache) fn happened(&self) {
        self.0.tell(|told| told.events = told.events.wrapping_add(1));
    }

    /// Somebody changed what callers wait for.
    pub(in crate::client::token_cache) fn call(&self) {
        self.0.tell(|told| {
            told.events = told.events.wrapping_add(1);
            told.calls = told.calls.wrapping_add(1);
        });
    }

    /// The end.
    pub(in crate::client::token_cache) fn close(&self) {
        self.0.tell(|told| told.closed = true);
        self.call();
    }

    /// Hears of what comes from now on.
    pub(in crate::client::token_cache) fn listen(&self) -> Listener {
        let calls = self.0.told().calls;
        Listener { board: self.0.clone(), calls }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.0.tell(|told| told.gone = true);
    }
}

/// Hears of what happens. A clone hears the same.
#[derive(Clone)]
pub(in crate::client) struct Listener {
    board: Arc<Board>,
    calls: u64,
}

impl Listener {
    /// Waits until there is a reason to ask again.
    pub(in crate::client) async fn called(self) {
        self.until(|told| told.calls != self.calls).await;
    }

    /// Waits until the cache is shut down, or nobody holds it any more.
    pub(in crate::client) async fn closed(self) {
        self.until(|told| told.closed).await;
    }

    /// Waits until something has happened since there were so many `events`.
    pub(in crate::client::token_cache) async fn changed(self, events: u64) {
        self.until(|told| told.events != events).await;
    }

    async fn until(&self, heard: impl Fn(&Told) -> bool) {
        loop {
            let mut changed = pin!(self.board.changed.notified());
            // Before the look: what is told after it is not missed.
            changed.as_mut().enable();
            let over = {
                let told = self.board.told();
                told.gone || heard(&told)
            };
            if over {
                return;
            }
            changed.await;
        }
    }
}
