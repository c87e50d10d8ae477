//! Counters and the gauge. Their keys are made once, so that counting allocates nothing.

use super::words::{Event, Outcome};
use metrics::{Counter, Key, Label, Level, Metadata, with_recorder};
use std::{sync::LazyLock, time::Duration};

const METADATA: Metadata<'static> =
    Metadata::new("tower_oauth2", Level::INFO, Some(module_path!()));

const TOKENS: &str = "tower_oauth2_client_tokens_total";
const EXPIRES_IN: &str = "tower_oauth2_client_token_expires_in_seconds";
const DECISIONS: &str = "tower_oauth2_decisions_total";

static EVENTS: [[Label; 1]; 5] = [
    [Label::from_static_parts("event", "used")],
    [Label::from_static_parts("event", "fetched")],
    [Label::from_static_parts("event", "failed")],
    [Label::from_static_parts("event", "retried")],
    [Label::from_static_parts("event", "rejected")],
];

/// In the order of the labels.
static TOKEN_KEYS: [Key; 5] = [
    Key::from_static_parts(TOKENS, &EVENTS[0]),
    Key::from_static_parts(TOKENS, &EVENTS[1]),
    Key::from_static_parts(TOKENS, &EVENTS[2]),
    Key::from_static_parts(TOKENS, &EVENTS[3]),
    Key::from_static_parts(TOKENS, &EVENTS[4]),
];

const OUTCOMES: [Outcome; 3] = [Outcome::Accepted, Outcome::Anonymous, Outcome::Rejected];
const REASONS: [&str; 16] = [
    "none",
    "missing",
    "malformed",
    "not_mine",
    "invalid",
    "expired",
    "revoked",
    "invalid_proof",
    "nonce_needed",
    "insufficient_scope",
    "insufficient_authentication",
    "forbidden",
    "cross_site",
    "too_large",
    "unavailable",
    "internal",
];
const SOURCES: [&str; 7] = ["none", "header", "query", "basic", "form", "cookie", "websocket"];

/// By outcome, reason and source, in their order.
static DECISION_KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let words = OUTCOMES.iter().flat_map(|outcome| {
        let reasons = REASONS.iter();
        reasons.flat_map(move |reason| SOURCES.iter().map(move |source| (outcome, reason, source)))
    });
    words.map(|(outcome, reason, source)| decision_key(*outcome, reason, source)).collect()
});

fn decision_key(outcome: Outcome, reason: &'static str, source: &'static str) -> Key {
    let labels = vec![
        Label::from_static_parts("outcome", outcome.as_str()),
        Label::from_static_parts("reason", reason),
        Label::from_static_parts("source", source),
    ];
    Key::from_parts(DECISIONS, labels)
}

/// Returns the index of the key of these words.
fn index(outcome: Outcome, reason: &str, source: &str) -> Option<usize> {
    let reason = REASONS.iter().position(|own| *own == reason)?;
    let source = SOURCES.iter().position(|own| *own == source)?;
    Some((outcome as usize * REASONS.len() + reason) * SOURCES.len() + source)
}

/// Counts one decision. All three are words of fixed lists.
pub(super) fn count_decision(outcome: Outcome, reason: &str, source: &str) {
    let key = index(outcome, reason, source).and_then(|index| DECISION_KEYS.get(index));
    if let Some(key) = key {
        counter(key).increment(1);
    }
}

fn counter(key: &Key) -> Counter {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA))
}

pub(super) fn count(event: Event) {
    let [_, fetched, failed, retried, rejected] = &TOKEN_KEYS;
    let key = match event {
        Event::Fetched => fetched,
        Event::Failed => failed,
        Event::Retried => retried,
        Event::Rejected => rejected,
    };
    counter(key).increment(1);
}

/// Counts the tokens that are put on requests. On the warm path finding the recorder would cost
/// more than all the rest, so it is found when the token is asked for.
pub(crate) struct Uses(Counter);

impl Uses {
    /// Counts with the recorder of this moment.
    pub(crate) fn new() -> Self {
        let [used, ..] = &TOKEN_KEYS;
        Self(counter(used))
    }

    /// Counts nothing.
    pub(crate) fn none() -> Self {
        Self(Counter::noop())
    }

    #[inline]
    pub(crate) fn used(&self) {
        self.0.increment(1);
    }
}

/// The gauge of one cache.
pub(super) struct ExpiresIn {
    key: Key,
}

impl ExpiresIn {
    pub(super) fn new(endpoint: Option<String>) -> Self {
        let labels = endpoint.map(|endpoint| Label::new("endpoint", endpoint));
        Self { key: Key::from_parts(EXPIRES_IN, labels.into_iter().collect::<Vec<_>>()) }
    }

    pub(super) fn set(&self, expires_in: Option<Duration>) {
        if let Some(expires_in) = expires_in {
            let set = expires_in.as_secs_f64();
            with_recorder(|recorder| recorder.register_gauge(&self.key, &METADATA).set(set));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenLocation, validate::RejectionKind};
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_lists_every_word_and_no_other() {
        let mut page = include_str!("../../docs/guide/telemetry.md").split(
            "

",
        );
        let listed = page.find(|text| text.starts_with("The `outcome` of a decision")).unwrap();
        let listed: BTreeSet<_> = listed.split('`').skip(1).step_by(2).collect();
        let words = OUTCOMES.iter().map(|outcome| outcome.as_str()).chain(REASONS);
        let words = words.chain(SOURCES).chain(["outcome", "reason", "source"]);
        assert_eq!(listed, words.collect());
    }

    #[test]
    fn every_word_has_its_key() {
        for outcome in OUTCOMES {
            for reason in REASONS {
                for source in SOURCES {
                    let made = DECISION_KEYS.get(index(outcome, reason, source).unwrap());
                    assert_eq!(made, Some(&decision_key(outcome, reason, source)));
                }
            }
        }
    }

    #[test]
    fn every_kind_of_refusal_and_every_location_is_a_word() {
        let kinds = [
            RejectionKind::Missing,
            RejectionKind::Malformed,
            RejectionKind::NotMine,
            RejectionKind::Invalid,
            RejectionKind::Expired,
            RejectionKind::Revoked,
            RejectionKind::InvalidProof,
            RejectionKind::NonceNeeded,
            RejectionKind::InsufficientScope,
            RejectionKind::InsufficientAuthentication,
            RejectionKind::Forbidden,
            RejectionKind::CrossSite,
            RejectionKind::TooLarge,
            RejectionKind::Unavailable,
            RejectionKind::Internal,
        ];
        // The last one of its enum.
        assert_eq!(RejectionKind::Internal as usize + 1, kinds.len());
        assert_eq!(kinds.map(RejectionKind::as_str), REASONS[1..]);
        for location in [
            TokenLocation::Bearer,
            TokenLocation::Dpop,
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
            assert!(SOURCES.contains(&location.kind()), "{location:?}");
        }
    }
}
