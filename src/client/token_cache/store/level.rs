//! A fetcher that looks into a store first.

use super::{Acquired, StoreFuture, StoreKey, StorePolicy, StoredToken, TokenStore};
use crate::{
    AccessToken, Clock, ScopeSet,
    client::{
        Error, RefreshPolicy, TokenResponse,
        token_cache::{
            fetcher::{Fetch, Fetcher, Withdrawal},
            machine,
        },
    },
    observe::tokens::{self, Labels},
    vocabulary::{race::before, random},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How many tokens are remembered that this cache had.
const HAD: usize = 8;
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);

pub(in crate::client::token_cache::store) struct Stored {
    level: Arc<Level>,
}

pub(in crate::client::token_cache::store) struct Level {
    fetcher: Box<dyn Fetcher>,
    store: Arc<dyn TokenStore>,
    key: StoreKey,
    policy: StorePolicy,
    refresh: RefreshPolicy,
    clock: Clock,
    /// Digests of the tokens that this cache had, the newest last: rejected ones among them.
    had: Mutex<VecDeque<[u8; 32]>>,
    failures: AtomicU64,
}

/// What one fetch knows of the store.
struct Visit {
    /// It was asked and failed: it is not asked again.
    is_down: bool,
}

/// Whose turn it is.
enum Turn {
    /// Another's, whose token came.
    Came(TokenResponse),
    /// This one's, as this holder, where somebody keeps count.
    Own(Option<String>),
}

impl Stored {
    pub(in crate::client::token_cache::store) fn new(level: Level) -> Self {
        Self { level: Arc::new(level) }
    }
}

/// What has a [`Fetcher::store_key`] is no session and asks for the same whatever a resource says.
impl Fetcher for Stored {
    fn fetch(&self) -> Fetch {
        let level = self.level.clone();
        Box::pin(async move { level.fetch().await })
    }

    fn scopes(&self) -> Option<ScopeSet> {
        self.level.fetcher.scopes()
    }

    fn source(&self) -> Labels {
        self.level.fetcher.source()
    }

    fn accept(&self, response: &TokenResponse) -> bool {
        self.level.remember(response.access_token());
        self.level.fetcher.accept(response)
    }

    fn rotates_its_secret(&self) -> bool {
        self.level.fetcher.rotates_its_secret()
    }

    fn has_another_secret(&self) -> bool {
        self.level.fetcher.has_another_secret()
    }

    fn withdraw<'a>(&'a self, token: &'a AccessToken) -> Withdrawal<'a> {
        Box::pin(self.level.withdraw(token))
    }

    fn store_failures(&self) -> u64 {
        self.level.failures.load(Ordering::Relaxed)
    }
}

impl Level {
    pub(in crate::client::token_cache::store) fn new(
        fetcher: Box<dyn Fetcher>,
        store: Arc<dyn TokenStore>,
        key: StoreKey,
        policy: StorePolicy,
        refresh: RefreshPolicy,
        clock: Clock,
    ) -> Self {
        let (had, failures) = (Mutex::default(), AtomicU64::new(0));
        Self { fetcher, store, key, policy, refresh, clock, had, failures }
    }

    async fn fetch(&self) -> Result<TokenResponse, Error> {
        let mut visit = Visit { is_down: false };
        if let Some(found) = self.look(&mut visit).await {
            return Ok(found);
        }
        let holder = match self.turn(&mut visit).await {
            Turn::Came(found) => return Ok(found),
            Turn::Own(holder) => holder,
        };
        let asked_at = self.clock.wall();
        let result = self.fetcher.fetch().await;
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

    /// Removes `token`; that of a replica which has fetched another since then stays.
    async fn withdraw(&self, token: &AccessToken) {
        let mut visit = Visit { is_down: false };
        let found = self.ask(&mut visit, "load", || self.store.load(&self.key)).await.flatten();
        if let Some(found) = found.filter(|found| found.access_token().has_text_of(token)) {
            self.ask(&mut visit, "remove", || self.store.remove(&self.key, &found)).await;
        }
    }

    /// A token in the store that need not be renewed yet, and that this cache did not have.
    async fn look(&self, visit: &mut Visit) -> Option<TokenResponse> {
        let stored = self.ask(visit, "load", || self.store.load(&self.key)).await??;
        let left = stored.remaining(self.clock.wall());
        let lead = stored.lifetime().mul_f64(self.refresh.lead_ratio).min(self.refresh.lead_cap);
        let good = left > lead && !self.had(stored.access_token());
        good.then(|| stored.response(left))
    }

    /// Asks to be the one that fetches, and waits a while for whoever is.
    async fn turn(&self, visit: &mut Visit) -> Turn {
        let Some(holder) = random::secret() else { return Turn::Own(None) };
        let holder = BASE64_URL_SAFE_NO_PAD.encode(holder);
        let give_up = machine::after(self.clock.monotonic(), self.policy.wait);
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
                            Turn::Came(found)
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
                        return Turn::Came(found);
                    }
                }
            }
        }
    }

    /// What the store says, or nothing where it fails.
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

    fn remember(&self, token: &AccessToken) {
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
