//! A store as a cache asks it: each question is a task of its own with a deadline, so that a store
//! that is late, fails or panics costs time only, and no more than that.

use super::{
    Begun, Holder, LONGEST, Lease, StoreError, StoreKey, StorePolicy, StoredValue, TokenStore,
    Version,
};
use crate::{
    Clock,
    observe::tokens::{self, Instrument, Span},
    vocabulary::{clock::after, deadline::Deadline},
};
use std::{
    future::{Future, pending},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, task::JoinSet};

/// So many failures in a row spare the next fetches a wait for the store.
const FAILURES: u32 = 3;
const SPARED: Duration = Duration::from_secs(5);

/// A store, and the key of one cache.
pub(super) struct Backend {
    store: Arc<dyn TokenStore>,
    pub(super) key: StoreKey,
    pub(super) policy: StorePolicy,
    pub(super) clock: Clock,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    count: u64,
    in_a_row: u32,
    /// The store is not asked before.
    spared_until: Option<Instant>,
}

/// One fetch's use of the store.
pub(super) struct Visit {
    pub(super) holder: Holder,
    /// The store failed, and is not asked again.
    pub(super) is_down: bool,
}

impl Backend {
    pub(super) fn new(
        store: Arc<dyn TokenStore>,
        key: StoreKey,
        policy: StorePolicy,
        clock: Clock,
    ) -> Self {
        Self { store, key, policy, clock, failures: Mutex::default() }
    }

    /// Returns how often the store failed.
    pub(super) fn failed(&self) -> u64 {
        self.failures().count
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a fetch. `None`: the system has no random numbers.
    pub(super) fn visit(&self) -> Option<Visit> {
        let holder = Holder::random(&self.clock)?;
        let failures = self.failures();
        let now = self.clock.monotonic();
        let is_down = failures.spared_until.is_some_and(|until| now < until);
        Some(Visit { holder, is_down })
    }

    pub(super) async fn begin(
        self: &Arc<Self>,
        visit: &mut Visit,
        had: Vec<Version>,
    ) -> Option<Begun> {
        let (this, holder) = (self.clone(), visit.holder.clone());
        let begin = async move {
            let begun = this.store.begin(&this.key, &holder, this.policy.lease, &had).await?;
            match &begun {
                Begun::Found(value) if had.contains(&value.version) => Err("of no use".into()),
                // No replica asks for that long.
                Begun::Taken { left } | Begun::Paused { left } if *left > LONGEST => {
                    Err("too long".into())
                }
                _ => Ok(begun),
            }
        };
        self.ask(visit, "begin", begin).await
    }

    /// Counts a value that no key opens.
    pub(super) fn does_not_open(&self) {
        self.failures().count += 1;
        tokens::store_unreadable();
    }

    /// Renews the lease of `visit` again and again. Does not end.
    pub(super) async fn keep_lease(self: &Arc<Self>, visit: &mut Visit) {
        loop {
            self.clock.sleep(self.policy.lease / 3).await;
            let (this, holder) = (self.clone(), visit.holder.clone());
            let renew =
                async move { this.store.renew(&this.key, &holder, this.policy.lease).await };
            if self.ask(visit, "renew", renew).await != Some(Lease::Held) {
                // Lost, or the store is away: what was fetched is good all the same.
                visit.is_down = false;
                pending::<()>().await;
            }
        }
    }

    pub(super) async fn finish(
        self: &Arc<Self>,
        visit: &mut Visit,
        value: StoredValue,
        pause: Duration,
    ) {
        let (this, holder) = (self.clone(), visit.holder.clone());
        let finish = async move { this.store.finish(&this.key, &holder, &value, pause).await };
        self.ask(visit, "finish", finish).await;
    }

    pub(super) async fn release(self: &Arc<Self>, visit: &mut Visit, pause: Duration) {
        let (this, holder) = (self.clone(), visit.holder.clone());
        let release = async move { this.store.release(&this.key, &holder, pause).await };
        self.ask(visit, "release", release).await;
    }

    pub(super) async fn remove(self: &Arc<Self>, visit: &mut Visit, version: Version) {
        let this = self.clone();
        let remove = async move { this.store.remove(&this.key, &version).await };
        self.ask(visit, "remove", remove).await;
    }

    /// Returns the answer of the store, or `None` if it fails, panics or is late.
    async fn ask<T: Send + 'static>(
        &self,
        visit: &mut Visit,
        operation: &'static str,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Option<T> {
        if visit.is_down {
            return None;
        }
        // Ends what it runs when it is dropped, also with the fetch.
        let mut task = JoinSet::new();
        if let Ok(runtime) = Handle::try_current() {
            // The error is the store's too: it is dropped in the task.
            let question = async move { question.await.map_err(drop) };
            task.spawn_on(question.instrument(Span::current()), &runtime);
        }
        let answer = Deadline::new(&self.clock, self.policy.deadline).bound(task.join_next()).await;
        let late = answer.is_none();
        let mut failures = self.failures();
        if let Some(Some(Ok(Ok(answer)))) = answer {
            failures.in_a_row = 0;
            return Some(answer);
        }
        visit.is_down = true;
        failures.count += 1;
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        if failures.in_a_row >= FAILURES {
            failures.spared_until = Some(after(self.clock.monotonic(), SPARED));
        }
        drop(failures);
        tokens::store_failed(operation, late);
        None
    }
}
