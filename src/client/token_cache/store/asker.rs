//! A store as it is asked: each question is a task of its own with a deadline, so that a store that is
//! late, fails or panics costs time only, and no more than that.

use super::StoreError;
use crate::{
    Clock,
    observe::tokens::{self, Instrument, Span},
    vocabulary::{clock::after, deadline::Deadline},
};
use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, task::JoinSet};

/// So many failures in a row spare the next fetches a wait for the store.
const FAILURES: u32 = 3;
const SPARED: Duration = Duration::from_secs(5);

pub(in crate::client::token_cache) struct Asker {
    pub(in crate::client::token_cache) clock: Clock,
    deadline: Duration,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    count: u64,
    in_a_row: u32,
    /// The store is not asked before.
    spared_until: Option<Instant>,
}

impl Asker {
    pub(in crate::client::token_cache) fn new(clock: Clock, deadline: Duration) -> Self {
        Self { clock, deadline, failures: Mutex::default() }
    }

    /// Returns how often the store failed.
    pub(super) fn failures(&self) -> u64 {
        self.lock().count
    }

    /// Counts a value that no key opens.
    pub(in crate::client::token_cache) fn does_not_open(&self) {
        self.lock().count += 1;
        tokens::store_unreadable();
    }

    /// Returns `true` while the store is not asked, since it failed again and again.
    pub(in crate::client::token_cache) fn is_spared(&self) -> bool {
        let now = self.clock.monotonic();
        self.lock().spared_until.is_some_and(|until| now < until)
    }

    /// Returns the answer of the store, or `None` if it fails, panics or is late.
    pub(in crate::client::token_cache) async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Option<T> {
        // Ends what it runs when it is dropped, also with the fetch.
        let mut task = JoinSet::new();
        if let Ok(runtime) = Handle::try_current() {
            // The error is the store's too: it is dropped in the task.
            let question = async move { question.await.map_err(drop) };
            task.spawn_on(question.instrument(Span::current()), &runtime);
        }
        let answer = Deadline::new(&self.clock, self.deadline).bound(task.join_next()).await;
        let late = answer.is_none();
        let mut failures = self.lock();
        if let Some(Some(Ok(Ok(answer)))) = answer {
            failures.in_a_row = 0;
            return Some(answer);
        }
        failures.count += 1;
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        if failures.in_a_row >= FAILURES {
            failures.spared_until = Some(after(self.clock.monotonic(), SPARED));
        }
        drop(failures);
        tokens::store_failed(operation, late);
        None
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
