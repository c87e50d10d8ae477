use super::{faults::Outcome, quirk::Quirk};
use std::{collections::HashSet, time::Duration};

/// What the setters of the server change.
pub(crate) struct Settings {
    pub(crate) quirks: HashSet<Quirk>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) latency: Duration,
    /// Members of answers with a token, as JSON by name.
    pub(crate) extra_members: Vec<(String, String)>,
    /// Members of introspection answers, as JSON by name. One without a value is left out.
    pub(crate) introspection_members: Vec<(String, Option<String>)>,
    pub(crate) approving_user: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) keys_max_age: Duration,
    pub(crate) keys_latency: Duration,
    pub(crate) keys_fault: Option<Outcome>,
    pub(crate) down: bool,
}

impl Settings {
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quirks: HashSet::new(),
            lifetime: Some(Duration::from_secs(3600)),
            latency: Duration::ZERO,
            extra_members: Vec::new(),
            introspection_members: Vec::new(),
            approving_user: None,
            issuer: None,
            keys_max_age: Duration::from_secs(300),
            keys_latency: Duration::ZERO,
            keys_fault: None,
            down: false,
        }
    }
}
