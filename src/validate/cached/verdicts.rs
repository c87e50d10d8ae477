//! The verdicts that the clones of a cache share.

use super::{
    digest::{Digest, Digests},
    flights::{Entered, Flights, Land},
    settings::Settings,
    table::{Asked, Entry, Stamp, Table},
};
use crate::validate::{Rejection, Validated, Verdict};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

type Good<C> = Arc<Entry<Arc<Validated<C>>>>;

pub(super) struct Verdicts<C> {
    pub(super) good: Table<Arc<Validated<C>>>,
    /// Apart, so that a flood of bad tokens evicts no good one.
    pub(super) bad: Table<Rejection>,
    pub(super) digests: Digests,
    pub(super) settings: Settings,
    flights: Flights<C>,
    epoch: AtomicU64,
}

/// A cached verdict.
pub(super) enum Found<C> {
    Good(Good<C>),
    Bad(Arc<Entry<Rejection>>),
}

/// A token by its digest, and when it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Question<'t> {
    /// Compared byte for byte.
    pub(super) public: &'t [u8],
    /// The digest of the rest.
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

    /// Digests a token whose secret part begins at `secret_at`.
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

    pub(super) fn find_bad(&self, whole: Digest, asked: Asked) -> Option<Arc<Entry<Rejection>>> {
        self.bad.find(whole, b"", asked).filter(|kept| kept.verdict.holds(asked.at))
    }

    /// Joins the validation in flight of this token, or starts one.
    pub(super) fn enter(
        self: &Arc<Self>,
        question: Question<'_>,
        whole: Digest,
    ) -> Entered<C, Found<C>> {
        let asked = question.asked;
        let find = || {
            // A verdict that was cached meanwhile may have been asked for later than this.
            let asked = Asked { at: self.settings.clock.wall(), ..asked };
            let good = self.find_good(Question { asked, ..question }).map(Found::Good);
            good.or_else(|| self.find_bad(whole, asked).map(Found::Bad))
        };
        let land = || -> Land<C> {
            let filing = Filing::new(self.clone(), question, whole);
            Box::new(|result| {
                let verdict = result.unwrap_or_else(|| Err(aborted()));
                let (verdicts, id) = (filing.verdicts.clone(), (filing.whole, filing.asked.stamp));
                // Cached first: a request that finds no flight finds the verdict.
                filing.keep(&verdict);
                verdicts.flights.end(id);
                verdict
            })
        };
        self.flights.enter((whole, asked.stamp), find, land)
    }

    pub(super) fn clear(&self) {
        // A verdict that was asked for before this and arrives later is of another epoch.
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.good.clear();
        self.bad.clear();
    }
}

/// The place in the tables for a verdict that is awaited.
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

    /// Caches `verdict` if it is one on the token, and replaces the one before.
    pub(super) fn keep(self, verdict: &Verdict<C>) {
        let Self { verdicts, public, key, whole, asked } = self;
        if verdicts.epoch.load(Ordering::Acquire) != asked.stamp.epoch {
            return;
        }
        match verdict {
            Ok(validated) => {
                verdicts.bad.remove(whole, b"");
                verdicts.good.insert(key, public, asked, validated.clone(), 0);
            }
            Err(rejection) if rejection.is_cacheable() => {
                verdicts.good.remove(key, &public);
                let bytes = rejection.description().len();
                verdicts.bad.insert(whole, Box::default(), asked, rejection.clone(), bytes);
            }
            Err(_) => {}
        }
    }
}

pub(super) fn aborted() -> Rejection {
    Rejection::internal("the validation was aborted: its runtime was shut down, or it panicked")
}
