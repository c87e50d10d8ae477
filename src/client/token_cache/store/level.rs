//! The store in front of a grant: the steps of one fetch that looks into it first.

use super::{
    Acquired, StoreKey, StorePolicy, StoredToken, TokenStore,
    backend::{Backend, Visit},
};
use crate::{
    AccessToken, Clock,
    client::{Error, RefreshPolicy, TokenResponse},
    observe::tokens::{Instrument, Span},
    vocabulary::{
        bond::Prove,
        clock::after,
        flight::{Joined, Launch},
        race::before,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, task::yield_now};

/// How many tokens that this cache had are remembered.
const HAD: usize = 8;
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// A store, and what one cache remembers of it.
pub(in crate::client::token_cache) struct Level {
    backend: Arc<Backend>,
    refresh: RefreshPolicy,
    /// Digests of the tokens that this cache had, the newest last: rejected ones among them.
    had: Mutex<VecDeque<[u8; 32]>>,
    /// The end of the latest visit, which saves and releases.
    leaving: Mutex<Option<Joined<()>>>,
}

impl Level {
    pub(in crate::client::token_cache) fn new(
        store: Arc<dyn TokenStore>,
        key: StoreKey,
        policy: StorePolicy,
        refresh: RefreshPolicy,
        clock: Clock,
        proof: Option<Arc<dyn Prove>>,
    ) -> Self {
        let backend = Arc::new(Backend::new(store, key, policy, clock, proof));
        Self { backend, refresh, had: Mutex::default(), leaving: Mutex::default() }
    }

    /// Returns a good token of the store, or else the answer of `fetch`, which is saved after the
    /// callers have it.
    pub(in crate::client::token_cache) async fn fetch(
        &self,
        fetch: impl Future<Output = Result<TokenResponse, Error>>,
    ) -> Result<TokenResponse, Error> {
        self.left().await;
        let mut visit = Visit::default();
        let found = match self.look(&mut visit).await {
            None => self.turn(&mut visit).await,
            found => found,
        };
        if let Some(found) = found {
            self.leave(visit, None);
            return Ok(found);
        }
        let asked_at = self.backend.clock.wall();
        let result = fetch.await;
        let fetched = result.as_ref().ok().map(|response| {
            let lifetime = response.lifetime().unwrap_or(self.refresh.values().default_lifetime);
            StoredToken::of(response, asked_at, lifetime)
        });
        self.leave(visit, fetched);
        result
    }

    /// Removes `token` from the store, but no newer one.
    pub(in crate::client::token_cache) async fn withdraw(&self, token: &AccessToken) {
        self.left().await;
        let mut visit = Visit::default();
        let found = self.backend.load(&mut visit).await;
        if let Some(found) = found.filter(|found| found.access_token().has_text_of(token)) {
            self.backend.remove(&mut visit, found).await;
        }
    }

    /// Ends `visit`: saves `fetched` and releases the key. In a task, which takes no longer than two
    /// answers may, so that no caller waits for it.
    fn leave(&self, mut visit: Visit, fetched: Option<StoredToken>) {
        let is_done = visit.is_down || fetched.is_none() && visit.holder.is_none();
        let Some(runtime) = Handle::try_current().ok().filter(|_| !is_done) else { return };
        let (launch, joined) = Launch::new(drop::<Option<()>>);
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(joined);
        let backend = self.backend.clone();
        let task = launch.task(async move {
            // Callers first, also where all tasks share a thread.
            yield_now().await;
            if let Some(fetched) = fetched {
                backend.save(&mut visit, fetched).await;
            }
            backend.release(&mut visit).await;
        });
        drop(runtime.spawn(task.instrument(Span::current())));
    }

    /// Waits for the end of the latest visit: what it saves would replace a newer token, or outlive
    /// its removal.
    async fn left(&self) {
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(leaving) = leaving {
            let Backend { clock, policy, .. } = &*self.backend;
            // It may be on a runtime that is not running.
            before(leaving.wait(), clock.sleep(policy.deadline.saturating_mul(2))).await;
        }
    }

    /// Returns a token of the store that need not be renewed yet and that this cache did not have.
    async fn look(&self, visit: &mut Visit) -> Option<TokenResponse> {
        let stored = self.backend.load(visit).await?;
        let left = stored.remaining(self.backend.clock.wall());
        let lead = stored
            .lifetime()
            .mul_f64(self.refresh.values().lead_ratio)
            .min(self.refresh.values().lead_cap);
        let good = left > lead && !self.had(stored.access_token());
        good.then(|| stored.response(left))
    }

    /// Asks to be the replica that fetches, and waits a while for another that is. Returns the token
    /// of another, or `None` if this one fetches.
    async fn turn(&self, visit: &mut Visit) -> Option<TokenResponse> {
        let (clock, policy) = (&self.backend.clock, &self.backend.policy);
        let holder = BASE64_URL_SAFE_NO_PAD.encode(clock.secret()?);
        let give_up = after(clock.monotonic(), policy.wait);
        loop {
            match self.backend.acquire(visit, &holder).await? {
                Acquired::Yours => {
                    visit.holder = Some(holder);
                    // Another may have fetched between the look and this.
                    return self.look(visit).await;
                }
                Acquired::Taken { look_again } => {
                    let left = give_up.saturating_duration_since(clock.monotonic());
                    if left.is_zero() {
                        return None;
                    }
                    clock.sleep(look_again.clamp(LOOK_MIN, LOOK_MAX).min(left)).await;
                    if let Some(found) = self.look(visit).await {
                        return Some(found);
                    }
                }
            }
        }
    }

    /// Returns in how many fetches the store failed.
    pub(in crate::client::token_cache) fn failures(&self) -> u64 {
        self.backend.failures()
    }

    /// Remembers `token` as one that this cache had: it is not taken from the store again.
    pub(in crate::client::token_cache) fn remember(&self, token: &AccessToken) {
        let digest = Sha256::digest(token.expose()).into();
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        if had.contains(&digest) {
            return;
        }
        if had.len() == HAD {
            had.pop_front();
        }
        had.push_back(digest);
    }

    fn had(&self, token: &AccessToken) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.expose()).into();
        self.had.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest)
    }
}
