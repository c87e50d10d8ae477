//! The validations that are under way, one a token.

use super::{digest::Digest, table::Stamp};
use crate::{
    validate::Verdict,
    vocabulary::flight::{Joined, Launch},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A token, by its digest as a whole, and what else decides the verdict: who asks after a change
/// does not wait for an answer from before.
pub(super) type FlightId = (Digest, Stamp);

pub(super) type Land<C> = Box<dyn FnOnce(Option<Verdict<C>>) -> Verdict<C> + Send>;

/// A validation, before the validator is asked.
pub(super) type Start<C> = Launch<Verdict<C>, Verdict<C>, Land<C>>;

pub(super) struct Flights<C> {
    under_way: Mutex<HashMap<FlightId, Joined<Verdict<C>>>>,
    limit: usize,
}

/// What becomes of one who asks.
pub(super) enum Entered<C, F> {
    /// There is a verdict by now.
    Landed(F),
    /// Another is asking already.
    Waits(Joined<Verdict<C>>),
    /// Is to ask, and others will wait for it.
    Asks(Start<C>, Joined<Verdict<C>>),
    /// Is to ask for itself alone: there are too many.
    Full,
}

impl<C> Flights<C> {
    pub(super) fn new(limit: usize) -> Self {
        Self { under_way: Mutex::default(), limit }
    }

    /// `landed` looks once more for a verdict, since a flight may have landed after the last look;
    /// `land` is what ends the flight that begins, and has to [`end`](Self::end) it.
    pub(super) fn enter<F>(
        &self,
        id: FlightId,
        landed: impl FnOnce() -> Option<F>,
        land: impl FnOnce() -> Land<C>,
    ) -> Entered<C, F> {
        let mut under_way = self.lock();
        if let Some(joined) = under_way.get(&id) {
            return Entered::Waits(joined.clone());
        }
        if let Some(found) = landed() {
            return Entered::Landed(found);
        }
        if under_way.len() >= self.limit {
            return Entered::Full;
        }
        let (start, joined) = Launch::new(land());
        under_way.insert(id, joined.clone());
        Entered::Asks(start, joined)
    }

    pub(super) fn end(&self, id: FlightId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlightId, Joined<Verdict<C>>>> {
        // A map is whole between two calls of its methods.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
