//! One view of what a replica depends on.

use serde_core::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeStruct},
};
use std::{fmt, time::Duration};

/// The tokens and keys that a replica depends on, in one value for its readiness probe.
///
/// It is ready if each part is: if a token may be sent, or keys may be used, whether or not the
/// authorization server answers. It is serialized, and prints as one line of JSON: `ready`, and each part
/// by its name, with its `state`, the last `error`, and `expires_in` or `age` in seconds. It holds no
/// secret. [When a replica is ready](crate::guide::health) has an example.
///
/// ```
/// use tower_oauth2::{Health, Transport, validate::Jwks};
///
/// let keys = Jwks::from_issuer("https://as.example", Transport::https())?;
/// let health = Health::new().with_part("keys", keys.status());
/// assert!(!health.is_ready());
/// let line = r#"{"ready":false,"parts":{"keys":{"ready":false,"state":"absent"}}}"#;
/// assert_eq!(health.to_string(), line);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Health {
    parts: Vec<(Box<str>, HealthPart)>,
}

/// A part of a [`Health`], made of the status of a token or of keys, or of an `Introspection`.
#[derive(Clone, Debug)]
pub struct HealthPart {
    pub(crate) ready: bool,
    pub(crate) state: &'static str,
    pub(crate) error: Option<String>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) age: Option<Duration>,
}

impl Health {
    /// Returns one without parts, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `part` under `name`.
    pub fn with_part(mut self, name: impl Into<Box<str>>, part: impl Into<HealthPart>) -> Self {
        self.parts.push((name.into(), part.into()));
        self
    }

    /// Returns `true` if each part is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|(_, part)| part.ready)
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut health = serializer.serialize_struct("Health", 2)?;
        health.serialize_field("ready", &self.is_ready())?;
        health.serialize_field("parts", &Parts(&self.parts))?;
        health.end()
    }
}

struct Parts<'a>(&'a [(Box<str>, HealthPart)]);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, part)| (name, part)))
    }
}

impl Serialize for HealthPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut part = serializer.serialize_map(None)?;
        part.serialize_entry("ready", &self.ready)?;
        part.serialize_entry("state", self.state)?;
        for (name, time) in [("expires_in", self.expires_in), ("age", self.age)] {
            if let Some(time) = time {
                part.serialize_entry(name, &time.as_secs())?;
            }
        }
        if let Some(error) = &self.error {
            part.serialize_entry("error", error)?;
        }
        part.end()
    }
}

/// Writes one line of JSON.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
