//! Decisions of the server layers.

use super::{Outcome, facade::event, metrics};

/// Counts and logs one decision of a [`RequireToken`](crate::server::RequireToken).
///
/// `reason` is the kind of a refusal, `source` the place of the token. `suppressed` is that of
/// [`Repeats`](super::Repeats). `description` is fit for one line, and is called only where it is
/// logged.
pub(crate) fn decided(
    outcome: Outcome,
    reason: Option<&'static str>,
    source: Option<&'static str>,
    suppressed: Option<u64>,
    description: impl FnOnce() -> String,
) {
    let (reason, source) = (reason.unwrap_or("none"), source.unwrap_or("none"));
    metrics::count_decision(outcome, reason, source);
    macro_rules! checked {
        ($level:ident) => {
            event!(
                target: "tower_oauth2::server",
                tracing::Level::$level,
                outcome = outcome.as_str(),
                reason,
                source,
                suppressed,
                description = description().as_str(),
                "access token checked"
            );
        };
    }
    // A layer is missing or in the wrong place, or a validator is broken: no request will pass.
    if reason == "internal" {
        checked!(ERROR);
    } else if suppressed.is_some() {
        checked!(INFO);
    } else {
        checked!(DEBUG);
    }
}

/// Logs that an authorization server does not answer introspection requests. The text is fit for one
/// line.
pub(crate) fn not_introspected(error: &str) {
    event!(target: "tower_oauth2::server", tracing::Level::WARN, error, "tokens not introspected");
}
