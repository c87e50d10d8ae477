use super::Outcome;
use crate::validate::RejectionKind;
use metrics::{Key, Label, Level, Metadata, with_recorder};
use std::sync::LazyLock;

const METADATA: Metadata<'static> =
    Metadata::new("tower_oauth2", Level::INFO, Some(module_path!()));

const OUTCOMES: [Outcome; 3] = [Outcome::Accepted, Outcome::Anonymous, Outcome::Rejected];
const REASONS: [Option<RejectionKind>; 13] = [
    None,
    Some(RejectionKind::Missing),
    Some(RejectionKind::Malformed),
    Some(RejectionKind::NotMine),
    Some(RejectionKind::Invalid),
    Some(RejectionKind::Expired),
    Some(RejectionKind::Revoked),
    Some(RejectionKind::InsufficientScope),
    Some(RejectionKind::InsufficientAuthentication),
    Some(RejectionKind::CrossSite),
    Some(RejectionKind::TooLarge),
    Some(RejectionKind::Unavailable),
    Some(RejectionKind::Internal),
];
const SOURCES: [&str; 7] = ["none", "header", "query", "basic", "form", "cookie", "websocket"];

/// Made once, so that counting makes nothing: by outcome, reason and source, in their order.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let words = OUTCOMES.iter().flat_map(|outcome| {
        let reasons = REASONS.iter();
        reasons.flat_map(move |reason| SOURCES.iter().map(move |source| (outcome, reason, source)))
    });
    words.map(|(outcome, reason, source)| key(*outcome, *reason, source)).collect()
});

fn key(outcome: Outcome, reason: Option<RejectionKind>, source: &'static str) -> Key {
    let labels = vec![
        Label::from_static_parts("outcome", outcome.as_str()),
        Label::from_static_parts("reason", reason.map_or("none", RejectionKind::as_str)),
        Label::from_static_parts("source", source),
    ];
    Key::from_parts("tower_oauth2_decisions_total", labels)
}

/// Where the key of these words is.
fn place(outcome: Outcome, reason: Option<RejectionKind>, source: &str) -> Option<usize> {
    // The lists are in the order of their enums.
    let (outcome, reason) = (outcome as usize, reason.map_or(0, |kind| kind as usize + 1));
    let source = SOURCES.iter().position(|own| *own == source)?;
    Some((outcome * REASONS.len() + reason) * SOURCES.len() + source)
}

/// Counts one decision in `tower_oauth2_decisions_total`, by outcome, reason and source. All
/// three are words of fixed lists.
pub(super) fn decided(outcome: Outcome, reason: Option<RejectionKind>, source: &'static str) {
    let made = place(outcome, reason, source).and_then(|place| KEYS.get(place));
    with_recorder(|recorder| match made {
        Some(key) => recorder.register_counter(key, &METADATA).increment(1),
        None => {
            let key = key(outcome, reason, source);
            recorder.register_counter(&key, &METADATA).increment(1);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenLocation;

    #[test]
    fn the_key_that_was_made_is_the_key_of_its_words_and_every_word_has_one() {
        for outcome in OUTCOMES {
            for reason in REASONS {
                for source in SOURCES {
                    let made = place(outcome, reason, source).and_then(|place| KEYS.get(place));
                    assert_eq!(made, Some(&key(outcome, reason, source)));
                }
            }
        }
        let name = TokenLocation::cookie("at").unwrap();
        for location in [TokenLocation::Bearer, TokenLocation::Query, TokenLocation::Form, name] {
            assert!(SOURCES.contains(&location.kind()), "{location}");
        }
    }
}
