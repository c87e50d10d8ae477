use crate::{DiscoveryError, TransportError, back_channel::scrub};
use http::StatusCode;
use std::{error::Error, fmt, time::Duration};

/// How a [`Jwks`](super::Jwks) is doing, for readiness probes and logs.
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
    /// How many fetches have ended.
    pub(super) ended: u64,
}

impl JwksStatus {
    /// How many keys are held.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How long ago the server last said that these are its keys; nothing where they are fixed, or
    /// there are none.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Whether there are keys that may be used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the keys should have been refreshed by now. They are used all the same while
    /// [`is_ready`](Self::is_ready).
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether a fetch is in flight.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// Why the last fetch failed; nothing once one succeeded.
    #[must_use]
    pub fn last_failure(&self) -> Option<&JwksError> {
        self.last_failure.as_ref()
    }

    /// One line for each entry of the key set that cannot be used here, and why. That is no
    /// failure: servers publish keys for other purposes too.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// A number that changes with the keys.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// Why keys could not be fetched. It holds no query string and nothing of an answer's body but
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
    /// The metadata of the authorization server is not to be had, or names no key set.
    Discovery,
    /// The server could not be reached, did not answer in time, or answered at too great length.
    Transport,
    /// The server answered with another status than 200.
    Refused,
    /// The answer is no key set, one of more than 100 keys, or one without a key that can be used.
    InvalidResponse,
    /// The fetch ended without an answer: its runtime was shut down, or it panicked.
    Aborted,
    /// Keys have to be fetched, and there is no tokio runtime to do it on.
    NoRuntime,
    /// The last fetch failed, and the next may not be made yet.
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

    /// What went wrong.
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
