//! What the client half tells of its tokens.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
#[cfg(not(feature = "tracing"))]
#[path = "no_tracing.rs"]
mod tracing;
#[cfg(feature = "tracing")]
mod tracing;

use crate::client::Error;
pub(crate) use metrics::Uses;
use std::time::Duration;
pub(crate) use tracing::{Span, possible_reuse, store_failed};

/// What becomes of tokens, beside being [used](Uses).
#[derive(Clone, Copy)]
enum Event {
    Fetched,
    Failed,
    Retried,
    Rejected,
}

/// How the fetches of a cache are called: nothing secret, and the same for its whole life.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(dead_code, reason = "only facades read it")
)]
pub(crate) struct Source {
    /// The URL without its query.
    pub(crate) endpoint: Option<String>,
    pub(crate) grant_type: Option<String>,
}

/// Tells of one cache.
pub(crate) struct Teller {
    expiry: metrics::Expiry,
    fetches: tracing::Fetches,
}

impl Teller {
    pub(crate) fn new(source: Source) -> Self {
        Self { expiry: metrics::Expiry::new(&source), fetches: tracing::Fetches::new(source) }
    }

    /// A fetch begins, the nth since one brought a token.
    pub(crate) fn started(&self, attempt: u64) -> Span {
        let span = self.fetches.span(attempt);
        if attempt > 1 {
            metrics::count(Event::Retried);
            self.fetches.retried(&span, attempt);
        }
        span
    }

    pub(crate) fn fetched(&self) {
        metrics::count(Event::Fetched);
        self.fetches.fetched();
    }

    pub(crate) fn failed(&self, error: &Error) {
        metrics::count(Event::Failed);
        self.fetches.failed(error);
    }

    /// A resource rejected the token that is held.
    pub(crate) fn rejected(&self) {
        metrics::count(Event::Rejected);
        self.fetches.rejected();
    }

    /// How long the token that is held is good; nothing where that is not known.
    #[inline]
    pub(crate) fn expires_in(&self, expires_in: Option<Duration>) {
        self.expiry.set(expires_in);
    }
}
