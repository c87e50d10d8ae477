//! What a stack tells of itself: audit events, counters, spans and events.

use metrics_util::debugging::{DebugValue, Snapshotter};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Arc, Mutex},
};
use tower_oauth2::server::AuditEvent;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::layer::{Context, Layer};

/// An audit event by the names that cases have for its members.
pub(crate) fn audit(event: &AuditEvent<'_>) -> Value {
    json!({
        "decision": if event.allowed { "allow" } else { "refuse" },
        "reason": event.rejection.map(|kind| kind.as_str()),
        "source": event.location.map(|location| location.kind()),
        "sub": event.principal.and_then(|principal| principal.subject()),
        "token_id": event.token_id.map(|id| id.to_string()),
    })
}

/// A counter: its labels, and how often it was incremented.
pub(crate) type Counter = (BTreeMap<String, String>, u64);

pub(crate) fn counters(snapshotter: &Snapshotter) -> Vec<Counter> {
    let counted = snapshotter.snapshot().into_vec().into_iter();
    let counters = counted.filter_map(|(key, _, _, value)| {
        let labels = key.key().labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        match value {
            DebugValue::Counter(count) => Some((labels.collect(), count)),
            _ => None,
        }
    });
    counters.collect()
}

/// Every name, field and message at every level.
#[derive(Clone, Default)]
pub(crate) struct Captured(pub(crate) Arc<Mutex<Vec<String>>>);

impl Captured {
    fn visitor(&self) -> Visitor<'_> {
        Visitor(self)
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.note(attributes.metadata().name());
        self.note(attributes.metadata().target());
        attributes.record(&mut self.visitor());
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.visitor());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.note(event.metadata().name());
        self.note(event.metadata().target());
        event.record(&mut self.visitor());
    }
}

struct Visitor<'a>(&'a Captured);

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.note(field.name());
        self.0.note(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.record_str(field, &text);
    }
}
