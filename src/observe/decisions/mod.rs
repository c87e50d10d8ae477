//! What the server half tells of its decisions.

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

use crate::{TokenLocation, validate::Rejection};

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Anonymous,
    Rejected,
}

impl Outcome {
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        allow(dead_code, reason = "only facades print it")
    )]
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Rejected => "rejected",
        }
    }
}

/// A [`RequireToken`](crate::server::RequireToken) decided about a request.
pub(crate) fn decided(
    outcome: Outcome,
    rejection: Option<&Rejection>,
    location: Option<&TokenLocation>,
) {
    let source = location.map_or("none", TokenLocation::kind);
    metrics::decided(outcome, rejection.map(Rejection::kind), location);
    tracing::decided(outcome, rejection, source);
}
