//! One session among replicas: the steps around the sending of its refresh token.

use super::{
    record::{SessionRecord, Turn},
    sessions::{SharedSessions, Swap},
    tokens::RefreshTokens,
};
use crate::{
    ClientSecret,
    client::{
        Error, ErrorKind, RefreshPolicy, StoreKey, TokenResponse, Version,
        token_cache::store::{Looks, digest},
        token_endpoint::token_response::Unusable,
    },
    observe::tokens::{Instrument, Span},
    vocabulary::{bond::Prove, clock::Now, deadline::Deadline, race::before},
};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::task::yield_now;

/// What other replicas have of a session too. Nothing, by default.
#[derive(Default)]
pub(super) struct Replicas(Option<Arc<SharedSession>>);

struct SharedSession {
    sessions: SharedSessions,
    key: StoreKey,
    policy: RefreshPolicy,
    /// The key that the tokens are bound to.
    proof: Option<Arc<dyn Prove>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The digest of the access token that this replica had last.
    had: Option<[u8; 32]>,
    /// What was written ahead, while nothing was sent after it.
    ahead: Option<Version>,
    /// What came of the latest sending, until it is saved.
    unsaved: Option<Arc<Unsaved>>,
}

struct Unsaved {
    from: Version,
    to: Option<(Version, SessionRecord)>,
    since: Now,
}

/// What this replica sends, if there are others.
pub(super) struct Sending(Option<Ahead>);

/// A refresh token that this replica sends.
struct Ahead {
    shared: Arc<SharedSession>,
    /// What was written ahead.
    version: Version,
    /// Names what comes of it.
    next: Version,
    record: SessionRecord,
    since: Now,
}

/// A store that is down for longer has lost more than this.
const LONGEST_SAVE: Duration = Duration::from_secs(60 * 60);

impl Replicas {
    /// Those that have the session `name` of `sessions`.
    pub(super) fn new(
        sessions: &SharedSessions,
        name: &str,
        policy: &RefreshPolicy,
        proof: Option<Arc<dyn Prove>>,
    ) -> Self {
        let (sessions, key) = (sessions.clone(), sessions.key(name));
        let (policy, memory) = (policy.clone(), Mutex::default());
        Self(Some(Arc::new(SharedSession { sessions, key, policy, proof, memory })))
    }

    pub(super) fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a renewal: waits for another replica that sends, then finds its token, or writes ahead that
    /// this one sends.
    ///
    /// # Errors
    ///
    /// If the store fails, or there is no session in it that can be renewed now.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was written ahead is remembered.
    pub(super) async fn begin(&self) -> Result<ControlFlow<Box<TokenResponse>, Sending>, Error> {
        match &self.0 {
            Some(shared) => shared.begin().await,
            None => Ok(ControlFlow::Continue(Sending(None))),
        }
    }

    /// Ends the session for all replicas, and returns its newest refresh token.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(super) async fn end(&self) -> Result<Option<ClientSecret>, Error> {
        let Some(shared) = &self.0 else { return Ok(None) };
        let unsaved = shared.memory().unsaved.clone();
        // If that fails, the others need what is not saved yet: what they have was used.
        let kept = shared.sessions.end(&shared.key).await?;
        shared.memory().unsaved = None;
        let newest = unsaved.and_then(|unsaved| unsaved.to.as_ref()?.1.refresh_token.clone());
        Ok(newest.or(kept))
    }
}

impl SharedSession {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(self: &Arc<Self>) -> Result<ControlFlow<Box<TokenResponse>, Sending>, Error> {
        let mut looks = Looks::default();
        loop {
            self.save().await?;
            let Some(found) = self.sessions.read(&self.key).await? else {
                return Err(Error::sign_in_needed());
            };
            let mut record = found.record.ok_or_else(unreadable)?;
            let (had, ahead) = {
                let memory = self.memory();
                (memory.had, memory.ahead.clone())
            };
            if ahead.as_ref() == Some(&found.version) {
                record = record.not_sent();
            }
            let wait = match record.turn(had, &self.policy, self.proof.as_ref()) {
                Turn::Use(token) => {
                    self.memory().had = Some(digest(token.access_token()));
                    let left = token.lifetime();
                    return Ok(ControlFlow::Break(token.into_response(left).into()));
                }
                Turn::Wait(left) => left,
                Turn::SignIn => return Err(Error::sign_in_needed()),
                Turn::ForeignKey => return Err(foreign_key()),
                Turn::Spare(left) => return Err(lost_twice(left)),
                Turn::Send => match self.write_ahead(found.version, record).await? {
                    Some(ahead) => return Ok(ControlFlow::Continue(Sending(Some(ahead)))),
                    None => Duration::MAX,
                },
            };
            let clock = self.sessions.clock();
            clock.sleep(looks.next(wait, clock.fraction())).await;
        }
    }

    /// Saves in the place of `from` that this replica sends, or returns `None` if another was faster.
    async fn write_ahead(
        self: &Arc<Self>,
        from: Version,
        record: SessionRecord,
    ) -> Result<Option<Ahead>, Error> {
        let (version, next) = (self.sessions.version()?, self.sessions.version()?);
        self.memory().ahead = Some(version.clone());
        let (clock, deadline) = (self.sessions.clock(), self.policy.values().fetch_deadline);
        let (since, to) = (clock.now(), (version.clone(), record.ahead(deadline)));
        let swap = self.sessions.swap(&self.key, Some(from), Some(to)).await?;
        // A process that stood still may find that others no longer wait for it.
        if swap == Swap::Lost || clock.now().since(since) > deadline / 2 {
            return Ok(None);
        }
        self.memory().ahead = None;
        Ok(Some(Ahead { shared: self.clone(), version, next, record, since }))
    }

    /// Saves what came of the latest sending, if it is not saved yet.
    async fn save(&self) -> Result<(), Error> {
        let Some(unsaved) = self.memory().unsaved.clone() else { return Ok(()) };
        let age = self.sessions.clock().now().since(unsaved.since);
        let to = unsaved.to.clone().map(|(version, record)| (version, record.aged(age)));
        // If that is lost, it is saved already, or another replica went on from what was written ahead.
        self.sessions.swap(&self.key, Some(unsaved.from.clone()), to).await?;
        self.memory().unsaved.take_if(|latest| Arc::ptr_eq(latest, &unsaved));
        Ok(())
    }
}

impl Sending {
    /// Lets the refresh tokens of this process go on from where the replicas are.
    pub(super) fn adopt(&self, tokens: &mut RefreshTokens) {
        if let Some(Ahead { record, .. }) = &self.0 {
            tokens.replace(record.refresh_token.clone(), &record.resources);
            tokens.adopt(record.unanswered, record.rotates == Some(true));
        }
    }

    /// Takes the answer, and saves it after the callers have it: in a task, which tries for as long as the
    /// access token is good, an hour at most, or as the request might have taken.
    pub(super) fn ended(self, answer: &Result<TokenResponse, Unusable>) {
        let Some(Ahead { shared, version: from, next, record, since }) = self.0 else { return };
        let (now, values) = (shared.sessions.clock().now(), shared.policy.values());
        let lifetime = answer.as_ref().ok().map(|response| {
            shared.memory().had = Some(digest(response.access_token()));
            response.lifetime_at(now.wall).unwrap_or(values.default_lifetime)
        });
        let age = now.since(since);
        let lifetime = lifetime.unwrap_or_default().saturating_sub(age);
        let record = record.ahead(Duration::ZERO).aged(age).answered(answer, lifetime);
        let to = record.map(|record| (next, record));
        shared.memory().unsaved = Some(Unsaved { from, to, since: now }.into());
        let limit = values.fetch_deadline.max(lifetime.min(LONGEST_SAVE));
        let mut deadline = Deadline::new(shared.sessions.clock(), limit);
        let saves = async move {
            // Callers first, also where all tasks share a thread.
            yield_now().await;
            while shared.save().await.is_err() {
                shared.sessions.clock().sleep(Duration::from_secs(1)).await;
            }
        };
        let saves = async move {
            before(saves, deadline.passed(|_| {})).await;
        };
        drop(tokio::spawn(saves.instrument(Span::current())));
    }
}

fn unreadable() -> Error {
    let text = "the session in the store does not open: it was sealed by none of the StoreKeys, or damaged";
    Error::new(ErrorKind::Source, text)
}

pub(super) fn not_in_time() -> Error {
    let text = "another replica renews the session, and did not end in time";
    Error::new(ErrorKind::Aborted, text)
}

fn foreign_key() -> Error {
    let text = "the session in the store is bound to another proof key than that of the endpoint";
    Error::new(ErrorKind::Source, text)
}

fn lost_twice(left: Duration) -> Error {
    let text = "the answers to the refresh token were lost; it is not sent again while its access token lives";
    Error::new(ErrorKind::Paused, text).with_retry_after(left)
}
