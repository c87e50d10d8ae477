//! A [`TokenStore`] as one cache asks it.

use super::{
    Begun, Holder, LONGEST, Lease, StoreError, StoreKey, StorePolicy, StoredValue, TokenStore,
    Version, asker::Asker,
};
use crate::Clock;
use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

/// A store, and the key of one cache.
pub(super) struct Backend {
    store: Arc<dyn TokenStore>,
    pub(super) key: StoreKey,
    pub(super) policy: StorePolicy,
    asker: Asker,
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
        let asker = Asker::new(clock, policy.deadline);
        Self { store, key, policy, asker }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.asker.clock
    }

    /// Returns how often the store failed.
    pub(super) fn failed(&self) -> u64 {
        self.asker.failures()
    }

    /// Begins a fetch. `None`: the system has no random numbers.
    pub(super) fn visit(&self) -> Option<Visit> {
        let holder = Holder::random(self.clock())?;
        Some(Visit { holder, is_down: self.asker.is_spared() })
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
        self.asker.does_not_open();
    }

    /// Renews the lease of `visit` again and again. Does not end.
    pub(super) async fn keep_lease(self: &Arc<Self>, visit: &mut Visit) {
        loop {
            self.clock().sleep(self.policy.lease / 3).await;
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
        let answer = self.asker.ask(operation, question).await;
        visit.is_down = answer.is_none();
        answer
    }
}
