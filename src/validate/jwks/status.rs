use crate::{DiscoveryError, HealthPart, TransportError, back_channel::scrub};
use http::StatusCode;
use serde_json::json;
use std::{error::Error, fmt, time::Duration};

/// The state of a [`Jwks`](super::Jwks), for readiness probes and logs.
#[derive(Clone, Debug)]
pub struct JwksStatus {
    pub(super) keys: usize,
    pub(super) age: Option<Duration>,
    pub(super) ready: bool,
    pub(super) stale: bool,
    pub(super) fetching: bool,
    pub(super) last_failure: Option<JwksError>,
    pub(super) skipped: Vec<String>,
    pub(super) generation: u64,
    /// The number of fetches that have ended.
    pub(super) ended: u64,
}

impl JwksStatus {
    /// Returns the number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Returns the time since the server last confirmed the keys, or `None` if they are fixed or
    /// absent.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns `true` if there are keys that may be used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Returns `true` if the keys are due for a refresh. They are used all the same while
    /// [`is_ready`](Self::is_ready).
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Returns `true` if a fetch is in flight.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// Returns why the last fetch failed, or `None` if it succeeded.
    #[must_use]
    pub fn last_failure(&self) -> Option<&JwksError> {
        self.last_failure.as_ref()
    }

    /// Returns one line for each entry of the key set that cannot be used, with the reason. Such
    /// entries are normal: servers publish keys for other purposes too.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Returns a number that changes with the keys.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// Ready while there are keys that may be used.
impl From<JwksStatus> for HealthPart {
    fn from(status: JwksStatus) -> Self {
        Self::new(json!({
            "ready": status.ready,
            "stale": status.stale,
            "age": status.age.map(|age| age.as_secs()),
            "error": status.last_failure.map(|failure| failure.to_string()),
        }))
    }
}

/// Says why keys could not be fetched. It holds no query string, and of the answer's body no more than
/// the names of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksError {
    kind: JwksErrorKind,
    text: Box<str>,
}

/// The kinds of [`JwksError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksErrorKind {
    /// The metadata of the authorization server cannot be read, or names no key set.
    Discovery,
    /// The server could not be reached, did not answer in time, or answered at too great length.
    Transport,
    /// The server answered with another status than 200.
    Refused,
    /// The answer is not a key set, has more than 100 keys, or has no usable key.
    InvalidResponse,
    /// The fetch ended without an answer: its runtime was shut down, or it panicked.
    Aborted,
    /// Keys must be fetched, and there is no tokio runtime.
    NoRuntime,
    /// The last fetch failed, and it is too early for the next.
    TooSoon,
}

impl JwksError {
    pub(super) fn new(kind: JwksErrorKind, text: impl Into<Box<str>>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn discovery(error: &DiscoveryError) -> Self {
        Self::new(JwksErrorKind::Discovery, error.to_string())
    }

    pub(super) fn transport(error: &TransportError) -> Self {
        let text = format!("the key set could not be fetched: {error}");
        Self::new(JwksErrorKind::Transport, text)
    }

    pub(super) fn refused(status: StatusCode) -> Self {
        let text = match status.is_redirection() {
            true => format!("the key set is elsewhere ({status}), which is not followed"),
            false => format!("the server did not give its key set ({status})"),
        };
        Self::new(JwksErrorKind::Refused, text)
    }

    pub(super) fn invalid(text: &str) -> Self {
        let text = format!("the key set cannot be used: {}", scrub::description(text));
        Self::new(JwksErrorKind::InvalidResponse, text)
    }

    pub(super) fn aborted() -> Self {
        let text =
            "the fetch of the key set was aborted: its runtime was shut down, or it panicked";
        Self::new(JwksErrorKind::Aborted, text)
    }

    pub(super) fn no_runtime() -> Self {
        let text = "the key set has to be fetched, which needs a tokio runtime: warm up within one";
        Self::new(JwksErrorKind::NoRuntime, text)
    }

    pub(super) fn too_soon() -> Self {
        let text = "there are no keys, and they may not be fetched yet";
        Self::new(JwksErrorKind::TooSoon, text)
    }

    /// Returns the kind of error.
    #[must_use]
    pub fn kind(&self) -> JwksErrorKind {
        self.kind
    }
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for JwksError {}
