use super::Outcome;
use crate::{back_channel::scrub, validate::Rejection};
use tracing::{Level, enabled, event};

/// Logs one decision at debug level. A description is the validator's text, so it is made fit for
/// one line.
pub(super) fn decided(outcome: Outcome, rejection: Option<&Rejection>, source: &'static str) {
    if !enabled!(target: "tower_oauth2::server", Level::DEBUG) {
        return;
    }
    let outcome = outcome.as_str();
    let reason = rejection.map_or("none", |rejection| rejection.kind().as_str());
    let description = scrub::description(rejection.map_or("", Rejection::description));
    event!(
        target: "tower_oauth2::server",
        Level::DEBUG,
        outcome,
        reason,
        source,
        description,
        "access token checked"
    );
}
