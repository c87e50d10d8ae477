//! What the clones of a cache share.

use super::{
    digest::{Digest, Digests},
    flights::{Entered, Flights, Land},
    settings::Settings,
    table::{Asked, Kept, Stamp, Table},
};
use crate::validate::{Rejection, Validated, Verdict};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

type Good<C> = Arc<Kept<Arc<Validated<C>>>>;

pub(super) struct Verdicts<C> {
    pub(super) good: Table<Arc<Validated<C>>>,
    /// Apart, so that no flood of bad tokens takes the place of good ones.
    pub(super) bad: Table<Rejection>,
    pub(super) digests: Digests,
    pub(super) settings: Settings,
    flights: Flights<C>,
    epoch: AtomicU64,
}

/// A verdict that was kept.
pub(super) enum Found<C> {
    Good(Good<C>),
    Bad(Arc<Kept<Rejection>>),
}

/// A token as the tables know it, and when it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Question<'t> {
    /// Compared byte for byte.
    pub(super) public: &'t [u8],
    /// Of the rest.
    pub(super) key: Digest,
    pub(super) asked: Asked,
}

impl<C: Send + Sync + 'static> Verdicts<C> {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            good: Table::new(settings.capacity, settings.ttl),
            bad: Table::new(settings.negative_capacity, settings.negative_ttl),
            digests: Digests::new(),
            flights: Flights::new(settings.flights),
            epoch: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) fn now(&self, generation: u64) -> Asked {
        let epoch = self.epoch.load(Ordering::Acquire);
        Asked { at: self.settings.clock.wall(), stamp: Stamp { generation, epoch } }
    }

    /// A token whose secret part begins at `secret_at`. None of a token that is all public is kept.
    pub(super) fn question<'t>(
        &self,
        token: &'t [u8],
        secret_at: usize,
        asked: Asked,
    ) -> Question<'t> {
        match token.split_at_checked(secret_at) {
            Some((public, secret)) if !public.is_empty() && !secret.is_empty() => {
                Question { public, key: self.digests.of_signature(secret), asked }
            }
            _ => Question { public: b"", key: self.digests.of_token(token), asked },
        }
    }

    pub(super) fn find_good(&self, question: Question<'_>) -> Option<Good<C>> {
        self.good.find(question.key, question.public, question.asked)
    }

    pub(super) fn find_bad(&self, whole: Digest, asked: Asked) -> Option<Arc<Kept<Rejection>>> {
        self.bad.find(whole, b"", asked)
    }

    /// Joins those who wait for a verdict on this token, or begins with it.
    pub(super) fn enter(
        self: &Arc<Self>,
        question: Question<'_>,
        whole: Digest,
    ) -> Entered<C, Found<C>> {
        let asked = question.asked;
        let landed = || {
            // What landed meanwhile may have been asked for after this was.
            let asked = Asked { at: self.settings.clock.wall(), ..asked };
            let good = self.find_good(Question { asked, ..question }).map(Found::Good);
            good.or_else(|| self.find_bad(whole, asked).map(Found::Bad))
        };
        let land = || -> Land<C> {
            let filing = Filing::new(self.clone(), question, whole);
            Box::new(|result| {
                let verdict = result.unwrap_or_else(|| Err(aborted()));
                let (verdicts, id) = (filing.verdicts.clone(), (filing.whole, filing.asked.stamp));
                // Kept first: whoever finds the flight gone finds its verdict.
                filing.keep(&verdict);
                verdicts.flights.end(id);
                verdict
            })
        };
        self.flights.enter((whole, asked.stamp), landed, land)
    }

    pub(super) fn clear(&self) {
        // What is asked before this and kept after it is of another epoch.
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.good.clear();
        self.bad.clear();
    }
}

/// The place of a verdict that is not there yet.
pub(super) struct Filing<C> {
    verdicts: Arc<Verdicts<C>>,
    public: Box<[u8]>,
    key: Digest,
    whole: Digest,
    asked: Asked,
}

impl<C> Filing<C> {
    pub(super) fn new(verdicts: Arc<Verdicts<C>>, question: Question<'_>, whole: Digest) -> Self {
        let Question { public, key, asked } = question;
        Self { verdicts, public: public.into(), key, whole, asked }
    }

    /// Keeps `verdict` where it is one on the token, in the place of what was kept of it.
    pub(super) fn keep(self, verdict: &Verdict<C>) {
        let Self { verdicts, public, key, whole, asked } = self;
        if verdicts.epoch.load(Ordering::Acquire) != asked.stamp.epoch {
            return;
        }
        match verdict {
            Ok(validated) => {
                verdicts.bad.forget(whole, b"");
                verdicts.good.keep(key, public, asked, validated.clone(), 0);
            }
            Err(rejection) if rejection.is_cacheable() => {
                verdicts.good.forget(key, &public);
                let bytes = rejection.description().len();
                verdicts.bad.keep(whole, Box::default(), asked, rejection.clone(), bytes);
            }
            Err(_) => {}
        }
    }
}

pub(super) fn aborted() -> Rejection {
    Rejection::internal("the validation was aborted: its runtime was shut down, or it panicked")
}
