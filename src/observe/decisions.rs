//! Decisions of the server layers.

use super::{Outcome, facade::event, metrics};

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
    event!(
        target: "tower_oauth2::server",
        tracing::Level::DEBUG,
        outcome = outcome.as_str(),
        reason,
        source,
        description = description().as_str(),
        "access token checked"
    );
}

/// Logs that an authorization server does not answer introspection requests. The text is fit for one
/// line.
pub(crate) fn not_introspected(error: &str) {
    event!(target: "tower_oauth2::server", tracing::Level::WARN, error, "tokens not introspected");
}
