use super::Outcome;
use metrics::{Key, Label, Level, Metadata, with_recorder};

const METADATA: Metadata<'static> =
    Metadata::new("tower_oauth2", Level::INFO, Some(module_path!()));

/// Counts one decision in `tower_oauth2_decisions_total`, by outcome, reason and source. All
/// three are words of fixed lists.
pub(super) fn decided(outcome: Outcome, reason: &'static str, source: &'static str) {
    with_recorder(|recorder| {
        let labels = [
            Label::from_static_parts("outcome", outcome.as_str()),
            Label::from_static_parts("reason", reason),
            Label::from_static_parts("source", source),
        ];
        let key = Key::from_parts("tower_oauth2_decisions_total", labels.to_vec());
        recorder.register_counter(&key, &METADATA).increment(1);
    });
}
