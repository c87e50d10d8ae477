//! The store in front of a grant: the steps of one fetch that looks into it first.

use super::{Acquired, StoreFuture, StoreKey, StorePolicy, StoredToken, TokenStore};
use crate::{
    AccessToken, Clock,
    client::{Error, RefreshPolicy, TokenResponse},
    observe::tokens,
    vocabulary::{clock::after, race::before},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How many tokens that this cache had are remembered.
const HAD: usize = 8;
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// A store, and what one cache remembers of it.
pub(in crate::client::token_cache) struct Level {
    store: Arc<dyn TokenStore>,
    key: StoreKey,
    policy: StorePolicy,
    refresh: RefreshPolicy,
    clock: Clock,
    /// Digests of the tokens that this cache had, the newest last: rejected ones among them.
    had: Mutex<VecDeque<[u8; 32]>>,
    failures: AtomicU64,
}

/// One fetch's use of the store.
struct Visit {
    /// The store failed, and is not asked again.
    is_down: bool,
}

/// Which replica fetches.
enum Turn {
    /// Another did, and this is its token.
    Other(TokenResponse),
    /// This one, as this holder if the store granted that.
    Own(Option<String>),
}

impl Level {
    pub(in crate::client::token_cache) fn new(
        store: Arc<dyn TokenStore>,
        key: StoreKey,
        policy: StorePolicy,
        refresh: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let (had, failures) = (Mutex::default(), AtomicU64::new(0));
        Self { store, key, policy, refresh, clock, had, failures }
    }

    /// Returns a good token of the store, or else the answer of `fetch`, which it saves.
    pub(in crate::client::token_cache) async fn fetch(
        &self,
        fetch: impl Future<Output = Result<TokenResponse, Error>>,
    ) -> Result<TokenResponse, Error> {
        let mut visit = Visit { is_down: false };
        if let Some(found) = self.look(&mut visit).await {
            return Ok(found);
        }
        let holder = match self.turn(&mut visit).await {
            Turn::Other(found) => return Ok(found),
            Turn::Own(holder) => holder,
        };
        let asked_at = self.clock.wall();
        let result = fetch.await;
        if let Ok(response) = &result {
            let lifetime = response.lifetime().unwrap_or(self.refresh.default_lifetime);
            let stored = StoredToken::of(response, asked_at, lifetime);
            let left = stored.remaining(self.clock.wall());
            if !left.is_zero() {
                let save = || self.store.save(&self.key, &stored, left);
                self.ask(&mut visit, "save", save).await;
            }
        }
        if let Some(holder) = holder {
            self.ask(&mut visit, "release", || self.store.release(&self.key, &holder)).await;
        }
        result
    }

    /// Removes `token` from the store, but no newer one.
    pub(in crate::client::token_cache) async fn withdraw(&self, token: &AccessToken) {
        let mut visit = Visit { is_down: false };
        let found = self.ask(&mut visit, "load", || self.store.load(&self.key)).await.flatten();
        if let Some(found) = found.filter(|found| found.access_token().has_text_of(token)) {
            self.ask(&mut visit, "remove", || self.store.remove(&self.key, &found)).await;
        }
    }

    /// Returns a token of the store that need not be renewed yet and that this cache did not have.
    async fn look(&self, visit: &mut Visit) -> Option<TokenResponse> {
        let stored = self.ask(visit, "load", || self.store.load(&self.key)).await??;
        let left = stored.remaining(self.clock.wall());
        let lead = stored.lifetime().mul_f64(self.refresh.lead_ratio).min(self.refresh.lead_cap);
        let good = left > lead && !self.had(stored.access_token());
        good.then(|| stored.response(left))
    }

    /// Asks to be the replica that fetches, and waits a while for another that is.
    async fn turn(&self, visit: &mut Visit) -> Turn {
        let Some(holder) = self.clock.secret() else { return Turn::Own(None) };
        let holder = BASE64_URL_SAFE_NO_PAD.encode(holder);
        let give_up = after(self.clock.monotonic(), self.policy.wait);
        loop {
            let acquire = || self.store.acquire(&self.key, &holder, self.policy.guard);
            match self.ask(visit, "acquire", acquire).await {
                None => return Turn::Own(None),
                Some(Acquired::Yours) => {
                    // Another may have fetched between the look and this.
                    return match self.look(visit).await {
                        None => Turn::Own(Some(holder)),
                        Some(found) => {
                            let release = || self.store.release(&self.key, &holder);
                            self.ask(visit, "release", release).await;
                            Turn::Other(found)
                        }
                    };
                }
                Some(Acquired::Taken { look_again }) => {
                    let left = give_up.saturating_duration_since(self.clock.monotonic());
                    if left.is_zero() {
                        return Turn::Own(None);
                    }
                    self.clock.sleep(look_again.clamp(LOOK_MIN, LOOK_MAX).min(left)).await;
                    if let Some(found) = self.look(visit).await {
                        return Turn::Other(found);
                    }
                }
            }
        }
    }

    /// Returns in how many fetches the store failed.
    pub(in crate::client::token_cache) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the answer of the store, or `None` if it fails or is late.
    async fn ask<'a, T>(
        &'a self,
        visit: &mut Visit,
        operation: &'static str,
        question: impl FnOnce() -> StoreFuture<'a, T>,
    ) -> Option<T> {
        if visit.is_down {
            return None;
        }
        let answer = before(question(), self.clock.sleep(self.policy.deadline)).await;
        let late = answer.is_none();
        if let Some(Ok(answer)) = answer {
            return Some(answer);
        }
        visit.is_down = true;
        self.failures.fetch_add(1, Ordering::Relaxed);
        tokens::store_failed(operation, late);
        None
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
