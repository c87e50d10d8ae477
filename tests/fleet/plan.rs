//! Everything that decides a run.

use crate::{faults::Fault, store::Flaw};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    None,
    Sound,
    Flawed(Flaw),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) replicas: usize,
    pub(crate) users: u32,
    /// How many of them, the last, have signed in: their refresh tokens rotate.
    pub(crate) sessions: u32,
    pub(crate) lasts: Duration,
    /// The mean time from one call of a replica to its next.
    pub(crate) calls_every: Duration,
    /// All replicas call for the user 0 at these times.
    pub(crate) herds: Vec<Duration>,
    pub(crate) lifetime: Duration,
    pub(crate) server_takes: Duration,
    pub(crate) patience: Duration,
    /// How far the wall clocks of replicas are off, at most.
    pub(crate) skew: Duration,
    pub(crate) store: Store,
    pub(crate) faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn new(seed: u64, replicas: usize, lasts: Duration) -> Self {
        Self {
            seed,
            replicas,
            users: 4,
            sessions: 0,
            lasts,
            calls_every: Duration::from_secs(30),
            herds: Vec::new(),
            lifetime: Duration::from_secs(600),
            server_takes: Duration::from_millis(40),
            patience: Duration::from_secs(5),
            skew: Duration::from_secs(2),
            store: Store::Sound,
            faults: Vec::new(),
        }
    }

    pub(crate) fn has_session(&self, user: u32) -> bool {
        user + self.sessions >= self.users
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.store != Store::None
    }
}
