//! A store as a cache asks it: each question is a task of its own with a deadline, so that a store
//! that is late, fails or panics costs time only, and no more than that.

use super::{Acquired, StoreError, StoreKey, StorePolicy, StoredToken, TokenStore};
use crate::{
    Clock,
    observe::tokens::{self, Instrument, Span},
    vocabulary::{bond::Prove, deadline::Deadline},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{runtime::Handle, task::JoinSet};

/// A store, and the key of one cache.
pub(super) struct Backend {
    store: Arc<dyn TokenStore>,
    key: StoreKey,
    pub(super) policy: StorePolicy,
    pub(super) clock: Clock,
    /// The key that its tokens are bound to.
    proof: Option<Arc<dyn Prove>>,
    failures: AtomicU64,
}

/// One fetch's use of the store.
#[derive(Default)]
pub(super) struct Visit {
    /// The store failed, and is not asked again.
    pub(super) is_down: bool,
    /// The name under which this fetch acquired the key.
    pub(super) holder: Option<String>,
}

impl Backend {
    pub(super) fn new(
        store: Arc<dyn TokenStore>,
        key: StoreKey,
        policy: StorePolicy,
        clock: Clock,
        proof: Option<Arc<dyn Prove>>,
    ) -> Self {
        Self { store, key, policy, clock, proof, failures: AtomicU64::new(0) }
    }

    /// Returns in how many fetches the store failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the token of the store. One that is bound to another key counts as none.
    pub(super) async fn load(self: &Arc<Self>, visit: &mut Visit) -> Option<StoredToken> {
        let this = self.clone();
        let load = async move { this.store.load(&this.key).await };
        self.ask(visit, "load", load).await??.with_key(self.proof.as_ref())
    }

    /// Saves `token` unless it has expired.
    pub(super) async fn save(self: &Arc<Self>, visit: &mut Visit, token: StoredToken) {
        let (this, left) = (self.clone(), token.remaining(self.clock.wall()));
        if !left.is_zero() {
            let save = async move { this.store.save(&this.key, &token, left).await };
            self.ask(visit, "save", save).await;
        }
    }

    pub(super) async fn remove(self: &Arc<Self>, visit: &mut Visit, token: StoredToken) {
        let this = self.clone();
        let remove = async move { this.store.remove(&this.key, &token).await };
        self.ask(visit, "remove", remove).await;
    }

    pub(super) async fn acquire(
        self: &Arc<Self>,
        visit: &mut Visit,
        holder: &str,
    ) -> Option<Acquired> {
        let (this, holder) = (self.clone(), holder.to_owned());
        let ttl = self.policy.guard;
        let acquire = async move { this.store.acquire(&this.key, &holder, ttl).await };
        self.ask(visit, "acquire", acquire).await
    }

    /// Releases the key if this fetch acquired it.
    pub(super) async fn release(self: &Arc<Self>, visit: &mut Visit) {
        let Some(holder) = visit.holder.take() else { return };
        let this = self.clone();
        let release = async move { this.store.release(&this.key, &holder).await };
        self.ask(visit, "release", release).await;
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
        if let Some(Some(Ok(Ok(answer)))) = answer {
            return Some(answer);
        }
        visit.is_down = true;
        self.failures.fetch_add(1, Ordering::Relaxed);
        tokens::store_failed(operation, late);
        None
    }
}
