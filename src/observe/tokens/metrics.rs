use super::{Event, Source};
use metrics::{Counter, Key, Label, Level, Metadata, with_recorder};
use std::time::Duration;

const METADATA: Metadata<'static> =
    Metadata::new("tower_oauth2", Level::INFO, Some(module_path!()));

const COUNTER: &str = "tower_oauth2_client_tokens_total";
const GAUGE: &str = "tower_oauth2_client_token_expires_in_seconds";

static LABELS: [[Label; 1]; 5] = [
    [Label::from_static_parts("event", "used")],
    [Label::from_static_parts("event", "fetched")],
    [Label::from_static_parts("event", "failed")],
    [Label::from_static_parts("event", "retried")],
    [Label::from_static_parts("event", "rejected")],
];

/// Made once, so that counting makes nothing: in the order of the labels.
static KEYS: [Key; 5] = [
    Key::from_static_parts(COUNTER, &LABELS[0]),
    Key::from_static_parts(COUNTER, &LABELS[1]),
    Key::from_static_parts(COUNTER, &LABELS[2]),
    Key::from_static_parts(COUNTER, &LABELS[3]),
    Key::from_static_parts(COUNTER, &LABELS[4]),
];

fn counter(key: &'static Key) -> Counter {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA))
}

pub(super) fn count(event: Event) {
    let [_, fetched, failed, retried, rejected] = &KEYS;
    let key = match event {
        Event::Fetched => fetched,
        Event::Failed => failed,
        Event::Retried => retried,
        Event::Rejected => rejected,
    };
    counter(key).increment(1);
}

/// Counts the tokens that are put on requests. It is told on the warm path, where finding the
/// recorder costs more than all the rest: so it was found before, when the token was asked for.
pub(crate) struct Uses(Counter);

impl Uses {
    /// By the recorder of this moment.
    pub(crate) fn new() -> Self {
        let [used, ..] = &KEYS;
        Self(counter(used))
    }

    /// Counts nothing.
    pub(crate) fn untold() -> Self {
        Self(Counter::noop())
    }

    #[inline]
    pub(crate) fn used(&self) {
        self.0.increment(1);
    }
}

/// The gauge of one cache.
pub(super) struct Expiry {
    key: Key,
}

impl Expiry {
    pub(super) fn new(source: &Source) -> Self {
        let endpoint = source.endpoint.clone();
        let labels = endpoint.map(|endpoint| Label::new("endpoint", endpoint));
        Self { key: Key::from_parts(GAUGE, labels.into_iter().collect::<Vec<_>>()) }
    }

    pub(super) fn set(&self, expires_in: Option<Duration>) {
        if let Some(expires_in) = expires_in {
            let set = expires_in.as_secs_f64();
            with_recorder(|recorder| recorder.register_gauge(&self.key, &METADATA).set(set));
        }
    }
}
