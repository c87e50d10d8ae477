//! The validations in flight, one for each token.

use super::{digest::Digest, table::Stamp};
use crate::{
    validate::Verdict,
    vocabulary::flight::{Joined, Launch},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The digest of a whole token, and what else decides its verdict: a request after a change does not
/// wait for a validation from before it.
pub(super) type FlightId = (Digest, Stamp);

pub(super) type Land<C> = Box<dyn FnOnce(Option<Verdict<C>>) -> Verdict<C> + Send>;

/// A validation, before the validator is called.
pub(super) type Start<C> = Launch<Verdict<C>, Verdict<C>, Land<C>>;

pub(super) struct Flights<C> {
    in_flight: Mutex<HashMap<FlightId, Joined<Verdict<C>>>>,
    limit: usize,
}

/// How a request gets its verdict.
pub(super) enum Entered<C, F> {
    /// The verdict has been cached by now.
    Found(F),
    /// A validation is in flight.
    Joins(Joined<Verdict<C>>),
    /// The caller validates, and others may join.
    Starts(Start<C>, Joined<Verdict<C>>),
    /// The caller validates for itself alone: too many validations are in flight.
    Full,
}

impl<C> Flights<C> {
    pub(super) fn new(limit: usize) -> Self {
        Self { in_flight: Mutex::default(), limit }
    }

    /// `find` looks once more for a verdict, since a validation may have ended after the last look.
    /// `land` ends the validation that starts, and must call [`end`](Self::end).
    pub(super) fn enter<F>(
        &self,
        id: FlightId,
        find: impl FnOnce() -> Option<F>,
        land: impl FnOnce() -> Land<C>,
    ) -> Entered<C, F> {
        let mut in_flight = self.lock();
        if let Some(joined) = in_flight.get(&id) {
            return Entered::Joins(joined.clone());
        }
        if let Some(found) = find() {
            return Entered::Found(found);
        }
        if in_flight.len() >= self.limit {
            return Entered::Full;
        }
        let (start, joined) = Launch::new(land());
        in_flight.insert(id, joined.clone());
        Entered::Starts(start, joined)
    }

    pub(super) fn end(&self, id: FlightId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlightId, Joined<Verdict<C>>>> {
        // A panic leaves the map consistent.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
