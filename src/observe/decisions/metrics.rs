use super::Outcome;
use crate::{TokenLocation, validate::RejectionKind};
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

// The last reason is the last of its enum: none is left out, and none has another's place.
const _: () = assert!(RejectionKind::Internal as usize + 2 == REASONS.len());

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

/// Where the key of these words is: the lists are in the order of their enums.
fn place(outcome: Outcome, reason: Option<RejectionKind>, source: usize) -> usize {
    let reason = reason.map_or(0, |kind| kind as usize + 1);
    (outcome as usize * REASONS.len() + reason) * SOURCES.len() + source
}

/// Where the word of this location is.
fn source(location: Option<&TokenLocation>) -> usize {
    match location {
        None => 0,
        Some(TokenLocation::Bearer | TokenLocation::Header(_)) => 1,
        Some(TokenLocation::Query | TokenLocation::QueryParameter(_)) => 2,
        Some(TokenLocation::BasicUserName | TokenLocation::BasicPassword(_)) => 3,
        Some(TokenLocation::Form) => 4,
        Some(TokenLocation::Cookie(_)) => 5,
        Some(TokenLocation::WebSocketProtocol(_) | TokenLocation::WebSocketProtocolPair(_)) => 6,
    }
}

/// Counts one decision in `tower_oauth2_decisions_total`, by outcome, reason and source. All
/// three are words of fixed lists.
pub(super) fn decided(
    outcome: Outcome,
    reason: Option<RejectionKind>,
    location: Option<&TokenLocation>,
) {
    if let Some(key) = KEYS.get(place(outcome, reason, source(location))) {
        with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_lists_every_word_and_no_other() {
        let mut page = include_str!("../../../docs/guide/telemetry.md").split("\n\n");
        let listed = page.find(|text| text.starts_with("The `outcome` of a decision")).unwrap();
        let listed: BTreeSet<_> = listed.split('`').skip(1).step_by(2).collect();
        let reasons = REASONS.iter().map(|reason| reason.map_or("none", RejectionKind::as_str));
        let words = OUTCOMES.iter().map(|outcome| outcome.as_str()).chain(reasons);
        let words = words.chain(SOURCES).chain(["outcome", "reason", "source"]);
        assert_eq!(listed, words.collect());
    }

    #[test]
    fn the_key_that_was_made_is_the_key_of_its_words_and_every_word_has_one() {
        for outcome in OUTCOMES {
            for reason in REASONS {
                for (number, source) in SOURCES.into_iter().enumerate() {
                    let made = KEYS.get(place(outcome, reason, number));
                    assert_eq!(made, Some(&key(outcome, reason, source)));
                }
            }
        }
        for location in [
            TokenLocation::Bearer,
            TokenLocation::header("x-api-key").unwrap(),
            TokenLocation::Query,
            TokenLocation::query_parameter("jwt").unwrap(),
            TokenLocation::BasicUserName,
            TokenLocation::basic_password("x").unwrap(),
            TokenLocation::Form,
            TokenLocation::cookie("at").unwrap(),
            TokenLocation::websocket_protocol("bearer.").unwrap(),
            TokenLocation::websocket_protocol_pair("bearer").unwrap(),
        ] {
            assert_eq!(SOURCES[source(Some(&location))], location.kind());
        }
        assert_eq!(SOURCES[source(None)], "none");
    }
}
