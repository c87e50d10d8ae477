//! One session among replicas: the steps around the sending of its refresh token.

use super::{
    record::{SessionRecord, Turn},
    sessions::{SharedSessions, Swap},
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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::task::yield_now;

pub(super) struct SharedSession {
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

/// How a renewal begins.
pub(super) enum Begun {
    /// Another replica has renewed.
    Found(Box<TokenResponse>),
    Sending(Sending),
}

/// A refresh token that this replica sends.
pub(super) struct Sending {
    shared: Arc<SharedSession>,
    /// What was written ahead.
    version: Version,
    pub(super) record: SessionRecord,
    since: Now,
}

impl SharedSession {
    pub(super) fn new(
        sessions: &SharedSessions,
        name: &str,
        policy: &RefreshPolicy,
        proof: Option<Arc<dyn Prove>>,
    ) -> Self {
        let (sessions, key) = (sessions.clone(), sessions.key(name));
        Self { sessions, key, policy: policy.clone(), proof, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for another replica that sends, then finds its token, or writes ahead that this one sends.
    ///
    /// # Errors
    ///
    /// If the store fails, or there is no session in it that can be renewed now.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was written ahead is remembered.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<Begun, Error> {
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
            let wait = match record.turn(
                had,
                self.policy.values().margin.unwrap_or_default(),
                self.proof.as_ref(),
            ) {
                Turn::Use(token) => {
                    self.memory().had = Some(digest(token.access_token()));
                    let left = token.lifetime();
                    return Ok(Begun::Found(token.into_response(left).into()));
                }
                Turn::Wait(left) => left,
                Turn::SignIn => return Err(Error::sign_in_needed()),
                Turn::ForeignKey => return Err(foreign_key()),
                Turn::Spare(left) => return Err(lost_twice(left)),
                Turn::Send => {
                    let version = self.sessions.version()?;
                    self.memory().ahead = Some(version.clone());
                    let to = (version.clone(), record.ahead(self.policy.values().fetch_deadline));
                    let since = self.sessions.clock().now();
                    if self.sessions.swap(&self.key, Some(found.version), Some(to)).await?
                        == Swap::Done
                    {
                        self.memory().ahead = None;
                        let shared = self.clone();
                        return Ok(Begun::Sending(Sending { shared, version, record, since }));
                    }
                    Duration::MAX
                }
            };
            let clock = self.sessions.clock();
            clock.sleep(looks.next(wait, clock.fraction())).await;
        }
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

    /// Ends the session for all replicas, and returns its newest refresh token.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(super) async fn end(&self) -> Result<Option<ClientSecret>, Error> {
        let unsaved = self.memory().unsaved.take();
        let kept = self.sessions.end(&self.key).await?;
        let newest = unsaved.and_then(|unsaved| unsaved.to.as_ref()?.1.refresh_token.clone());
        Ok(newest.or(kept))
    }
}

impl Sending {
    /// Takes the answer, and saves it after the callers have it: in a task, which tries for as long as the
    /// request might have taken.
    pub(super) fn ended(self, answer: &Result<TokenResponse, Unusable>) {
        let Self { shared, version: from, record, since } = self;
        let (now, values) = (shared.sessions.clock().now(), shared.policy.values());
        let lifetime = answer.as_ref().ok().map(|response| {
            shared.memory().had = Some(digest(response.access_token()));
            response.lifetime_at(now.wall).unwrap_or(values.default_lifetime)
        });
        let age = now.since(since);
        let lifetime = lifetime.unwrap_or_default().saturating_sub(age);
        let record = record.ahead(Duration::ZERO).aged(age).answered(answer, lifetime);
        let to = match (record, shared.sessions.version()) {
            (None, _) => None,
            (Some(record), Ok(version)) => Some((version, record)),
            // Without random numbers nothing else works either; it counts as lost.
            (Some(_), Err(_)) => return,
        };
        shared.memory().unsaved = Some(Unsaved { from, to, since: now }.into());
        let mut deadline = Deadline::new(shared.sessions.clock(), values.fetch_deadline);
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
    Error::new(ErrorKind::Source, text).with_retry_after(left)
}
