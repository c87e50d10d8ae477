//! One view of what a replica depends on.

use serde_core::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// The tokens and keys that a replica depends on, in one value for its readiness probe.
///
/// It is ready if each part is: if a token may be sent, or keys may be used, whether or not the
/// authorization server answers. It is serialized, and prints as one line of JSON: `ready`, and each part
/// by its name, with `ready`, the last `error`, and more by its kind; times are in seconds. It holds no
/// secret. [When a replica is ready](crate::guide::health) has an example.
///
/// ```
/// use tower_oauth2::{Health, Transport, validate::Jwks};
///
/// let keys = Jwks::from_issuer("https://as.example", Transport::https())?;
/// let health = Health::new().with_part("keys", keys.status());
/// assert!(!health.is_ready(), "nothing was fetched yet");
/// assert!(health.to_string().starts_with(r#"{"ready":false,"parts":{"keys":{"#));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Health {
    parts: Map<String, Value>,
}

/// A part of a [`Health`], made of the status of a token or of keys, or of an `Introspection`.
#[derive(Clone, Debug)]
pub struct HealthPart(Value);

impl HealthPart {
    /// `value` is an object with `ready`.
    pub(crate) fn new(value: Value) -> Self {
        Self(value)
    }
}

impl Health {
    /// Returns one without parts, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `part` under `name`, in place of another of that name.
    pub fn with_part(mut self, name: impl Into<String>, part: impl Into<HealthPart>) -> Self {
        self.parts.insert(name.into(), part.into().0);
        self
    }

    /// Returns `true` if each part is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.values().all(|part| part.get("ready") == Some(&Value::Bool(true)))
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = Value::Object(self.parts.clone());
        serializer.collect_map([("ready", Value::Bool(self.is_ready())), ("parts", parts)])
    }
}

/// Writes one line of JSON.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
