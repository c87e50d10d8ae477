//! The store in front of a grant: the steps of one fetch that asks it first.

use super::{
    Begun, LONGEST, SharedStore, StoreKey, StoreKeys, StoredValue, Version,
    backend::{Backend, Visit},
    machine::{self, Looks},
    record::StoredToken,
    seal::Kind,
};
use crate::{
    AccessToken, Clock,
    client::{Error, ErrorKind, RefreshPolicy, TokenResponse},
    observe::tokens::{Instrument, Span},
    vocabulary::{
        bond::Prove,
        clock::Now,
        flight::{Joined, Launch},
        race::before,
    },
};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, task::yield_now};

/// How many versions that this cache had are remembered.
const HAD: usize = 8;

/// A store, and what one cache remembers of it.
pub(in crate::client::token_cache) struct Level {
    backend: Arc<Backend>,
    keys: StoreKeys,
    refresh: RefreshPolicy,
    /// The key that the tokens are bound to.
    proof: Option<Arc<dyn Prove>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// What this cache had, the newest last: rejected tokens among them.
    had: VecDeque<Had>,
    /// Since when no replica gets a token.
    failing_since: Option<Instant>,
    /// The end of the latest visit, which saves and releases.
    leaving: Option<Joined<()>>,
}

struct Had {
    version: Version,
    /// The digest of the token, if it could be opened.
    token: Option<[u8; 32]>,
    /// Another replica fetched it.
    is_found: bool,
}

/// How the fetch of one replica begins.
enum Turn {
    Found(TokenResponse),
    Paused(Duration),
    /// It is the one that fetches.
    Held,
    /// Without the store.
    Alone,
}

impl Memory {
    fn remember(&mut self, version: Version, token: Option<&AccessToken>, is_found: bool) {
        if self.had.len() == HAD {
            self.had.pop_front();
        }
        self.had.push_back(Had { version, token: token.map(digest), is_found });
    }

    /// Returns the newest value that had `token`.
    fn had(&self, token: &AccessToken) -> Option<&Had> {
        let digest = Some(digest(token));
        self.had.iter().rev().find(|had| had.token == digest)
    }
}

fn paused(left: Duration) -> Error {
    let text = "a replica failed to fetch a token, or has just fetched one: the next is not due";
    Error::new(ErrorKind::Paused, text).with_retry_after(left)
}

/// Tells tokens apart.
pub(in crate::client::token_cache) fn digest(token: &AccessToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

impl Level {
    pub(in crate::client::token_cache) fn new(
        SharedStore { store, keys, policy }: SharedStore,
        key: StoreKey,
        refresh: RefreshPolicy,
        clock: Clock,
        proof: Option<Arc<dyn Prove>>,
    ) -> Self {
        let backend = Arc::new(Backend::new(store, key, policy, clock));
        Self { backend, keys, refresh, proof, memory: Mutex::default() }
    }

    /// Returns a good token of the store, or else the answer of `fetch`, which is saved after the
    /// callers have it.
    ///
    /// # Errors
    ///
    /// As `fetch`, or if another replica failed and the next attempt is not due.
    pub(in crate::client::token_cache) async fn fetch(
        &self,
        fetch: impl Future<Output = Result<TokenResponse, Error>>,
    ) -> Result<TokenResponse, Error> {
        self.left().await;
        let Some(mut visit) = self.backend.visit() else { return fetch.await };
        let turn = self.turn(&mut visit).await;
        let asked_at = self.backend.clock().now();
        let result = match turn {
            Turn::Found(found) => {
                self.memory().failing_since = None;
                return Ok(found);
            }
            Turn::Paused(left) => {
                self.memory().failing_since.get_or_insert(asked_at.monotonic);
                return Err(paused(left));
            }
            Turn::Alone => return fetch.await,
            Turn::Held => before(fetch, self.backend.keep_lease(&mut visit)).await,
        };
        let result = result.unwrap_or_else(|| Err(Error::aborted()));
        self.leave(visit, &result, asked_at);
        result
    }

    /// Asks to be the replica that fetches, and waits for another that is.
    async fn turn(&self, visit: &mut Visit) -> Turn {
        let mut looks = Looks::default();
        // As many as are remembered: a store that finds something else each time is of no use.
        let mut useless = 0..HAD;
        loop {
            let had = self.memory().had.iter().map(|had| had.version.clone()).collect();
            match self.backend.begin(visit, had).await {
                None => return Turn::Alone,
                Some(Begun::Yours) => return Turn::Held,
                Some(Begun::Paused { left }) => return Turn::Paused(left),
                Some(Begun::Found(value)) => {
                    if let Some(found) = self.open(value) {
                        return Turn::Found(found);
                    }
                    if useless.next().is_none() {
                        return Turn::Alone;
                    }
                }
                Some(Begun::Taken { left }) => {
                    let clock = self.backend.clock();
                    clock.sleep(looks.next(left, clock.fraction())).await;
                }
            }
        }
    }

    /// Returns the token of `value` if it need not be renewed yet. One that does not open, or is bound to
    /// another key, counts as none.
    fn open(&self, value: StoredValue) -> Option<TokenResponse> {
        let StoredValue { version, sealed, left } = value;
        let name = (&self.backend.key, &version);
        let token = self.keys.open(Kind::Token, name, &sealed, StoredToken::from_json);
        if token.is_none() {
            self.backend.does_not_open();
        }
        let token = token.and_then(|token| token.with_key(self.proof.as_ref()));
        self.memory().remember(version, token.as_ref().map(StoredToken::access_token), true);
        let token = token?;
        let left = left.min(token.lifetime());
        let lead = self.refresh.values().lead(token.lifetime());
        (left > lead).then(|| token.into_response(left))
    }

    /// Ends `visit`: saves what was fetched, or says for how long nobody fetches. In a task, which takes no
    /// longer than two answers may, so that no caller waits for it.
    fn leave(&self, mut visit: Visit, result: &Result<TokenResponse, Error>, asked_at: Now) {
        let fetched = self.ended(result, asked_at);
        let Ok(runtime) = Handle::try_current() else { return };
        let (launch, joined) = Launch::new(drop::<Option<()>>);
        self.memory().leaving = Some(joined);
        let (backend, pause) = (self.backend.clone(), self.refresh.values().min_interval);
        let task = launch.task(async move {
            // Callers first, also where all tasks share a thread.
            yield_now().await;
            match fetched {
                Ok(value) => backend.finish(&mut visit, value, pause.min(LONGEST)).await,
                Err(pause) => backend.release(&mut visit, pause).await,
            }
        });
        drop(runtime.spawn(task.instrument(Span::current())));
    }

    /// Returns the value of what was fetched, or how long nobody fetches again.
    fn ended(
        &self,
        result: &Result<TokenResponse, Error>,
        asked_at: Now,
    ) -> Result<StoredValue, Duration> {
        let (now, mut memory) = (self.backend.clock().now(), self.memory());
        let response = result.as_ref().map_err(|error| {
            let since = *memory.failing_since.get_or_insert(asked_at.monotonic);
            let outage = now.monotonic.saturating_duration_since(since);
            machine::pause(outage, error.retry_after())
        });
        let response = response?;
        memory.failing_since = None;
        let lifetime = response.lifetime().unwrap_or(self.refresh.values().default_lifetime);
        let token = StoredToken::of(response, lifetime);
        let left = token.lifetime().saturating_sub(now.since(asked_at));
        let version = Version::random(self.backend.clock()).filter(|_| !left.is_zero());
        let version = version.ok_or(Duration::ZERO)?;
        let name = (&self.backend.key, &version);
        let sealed = self.keys.seal(Kind::Token, name, token.to_json());
        memory.remember(version.clone(), Some(response.access_token()), false);
        Ok(StoredValue::new(version, sealed.ok_or(Duration::ZERO)?, left))
    }

    /// Waits for the end of the latest visit: what it saves would replace a newer token, or outlive
    /// its removal.
    async fn left(&self) {
        let leaving = self.memory().leaving.take();
        if let Some(leaving) = leaving {
            let limit = self.backend.policy.deadline.saturating_mul(2);
            // It may be on a runtime that is not running.
            before(leaving.wait(), self.backend.clock().sleep(limit)).await;
        }
    }

    /// Removes `token` from the store, but no newer one.
    pub(in crate::client::token_cache) async fn withdraw(&self, token: &AccessToken) {
        self.left().await;
        let version = self.memory().had(token).map(|had| had.version.clone());
        if let (Some(version), Some(mut visit)) = (version, self.backend.visit()) {
            self.backend.remove(&mut visit, version).await;
        }
    }

    /// Returns `true` if `token` is one that another replica fetched.
    pub(in crate::client::token_cache) fn found(&self, token: &AccessToken) -> bool {
        self.memory().had(token).is_some_and(|had| had.is_found)
    }

    /// Returns in how many fetches the store failed.
    pub(in crate::client::token_cache) fn failures(&self) -> u64 {
        self.backend.failed()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
