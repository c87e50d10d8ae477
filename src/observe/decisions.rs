//! Decisions of the server layers.

use super::{
    Outcome, Repeats,
    facade::{enabled, event},
    metrics,
};
use std::time::Instant;

/// Counts and logs one decision of a [`RequireToken`](crate::server::RequireToken).
///
/// `reason` is the kind of a refusal, `source` the place of the token. `description` is fit for one
/// line, and is called only where it is logged.
pub(crate) fn decided(
    outcome: Outcome,
    reason: Option<&'static str>,
    source: Option<&'static str>,
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
                description = description().as_str(),
                "access token checked"
            );
        };
    }
    // A layer is missing or in the wrong place, or a validator is broken: no request will pass.
    if reason == "internal" {
        checked!(ERROR);
    } else {
        checked!(DEBUG);
    }
}

/// Logs a refusal where operators look, unless `repeats` has one for the same reason of a short time
/// ago. `description` may be any text; `plain` makes it fit for one line.
#[cold]
pub(crate) fn refused(
    reason: &'static str,
    description: &str,
    plain: impl FnOnce(&str) -> String,
    repeats: &Repeats,
    now: impl FnOnce() -> Instant,
) {
    // These are logged as errors, each of them.
    if reason == "internal" || !enabled!(target: "tower_oauth2::server", tracing::Level::INFO) {
        return;
    }
    let Some(suppressed) = repeats.next(reason, description, now()) else { return };
    event!(
        target: "tower_oauth2::server",
        tracing::Level::INFO,
        reason,
        suppressed,
        description = plain(description).as_str(),
        "access token refused"
    );
}

/// Logs that an authorization server does not answer introspection requests. The text is fit for one
/// line.
pub(crate) fn not_introspected(error: &str) {
    event!(target: "tower_oauth2::server", tracing::Level::WARN, error, "tokens not introspected");
}
