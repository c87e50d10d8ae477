//! Tokens of the client layers.

pub(crate) use super::{
    facade::{Instrument, Span},
    metrics::Uses,
};
use super::{
    facade::{event, span},
    metrics::{self, ExpiresIn},
    words::Event,
};
use std::{
    fmt::{Debug, Display},
    time::Duration,
};

/// What the fetches of a cache are labelled with: nothing secret, and the same for its whole life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    /// The URL without its query.
    pub(crate) endpoint: Option<String>,
    pub(crate) grant_type: Option<String>,
}

/// Reports on one cache.
pub(crate) struct Reporter {
    labels: Labels,
    expires_in: ExpiresIn,
}

impl Reporter {
    pub(crate) fn new(labels: Labels) -> Self {
        Self { expires_in: ExpiresIn::new(labels.endpoint.clone()), labels }
    }

    /// Reports that a fetch begins, the nth since one brought a token, and returns its span.
    pub(crate) fn started(&self, attempt: u64) -> Span {
        // A fetch belongs to no caller, so its span is a root; it follows from that of the caller.
        let span = span!(
            target: "tower_oauth2::client",
            parent: None,
            tracing::Level::INFO,
            "tower_oauth2.fetch",
            endpoint = self.labels.endpoint.as_deref(),
            grant_type = self.labels.grant_type.as_deref(),
            attempt,
        );
        span.follows_from(Span::current().id());
        if attempt > 1 {
            metrics::count(Event::Retried);
            event!(
                target: "tower_oauth2::client",
                parent: &span,
                tracing::Level::DEBUG,
                attempt,
                "access token fetch retried"
            );
        }
        span
    }

    pub(crate) fn fetched(&self) {
        metrics::count(Event::Fetched);
        event!(target: "tower_oauth2::client", tracing::Level::DEBUG, "access token fetched");
    }

    /// Reports that a fetch brought no token. The text of `error` holds no secret, and is fit for
    /// one line.
    pub(crate) fn failed(&self, kind: impl Debug, error: impl Display) {
        metrics::count(Event::Failed);
        event!(
            target: "tower_oauth2::client",
            tracing::Level::WARN,
            ?kind,
            %error,
            "access token not fetched"
        );
    }

    /// Reports that a resource rejected the token.
    pub(crate) fn rejected(&self) {
        metrics::count(Event::Rejected);
        let endpoint = self.labels.endpoint.as_deref();
        event!(
            target: "tower_oauth2::client",
            tracing::Level::INFO,
            endpoint,
            "access token rejected"
        );
    }

    /// Reports how long the token is good, where that is known.
    #[inline]
    pub(crate) fn expires_in(&self, expires_in: Option<Duration>) {
        self.expires_in.set(expires_in);
    }
}

/// Logs that a member of a token response is not as it should be. Its value may be anything.
pub(crate) fn odd_member(member: &'static str, what: &'static str) {
    event!(
        target: "tower_oauth2::client",
        tracing::Level::WARN,
        member,
        what,
        "odd member of a token response"
    );
}

/// Logs that the file of a token is bad: the last token of it is used on.
pub(crate) fn file_unread(error: impl Display) {
    event!(
        target: "tower_oauth2::client",
        tracing::Level::WARN,
        %error,
        "the file of the access token is bad, and the last token of it is used"
    );
}

/// Logs that a store failed: the token is fetched without it.
pub(crate) fn store_failed(operation: &'static str, late: bool) {
    event!(
        target: "tower_oauth2::client",
        tracing::Level::WARN,
        operation,
        late,
        "the token store failed"
    );
}

/// Logs that a value of the store could not be read.
pub(crate) fn store_unreadable() {
    event!(
        target: "tower_oauth2::client",
        tracing::Level::WARN,
        "no key opens the value of the token store: give every replica the same `StoreKeys`, the \
         older ones by `with_older_key`, and one that wrote it the same version of this crate"
    );
}

/// Logs that a refresh token is sent again after an answer was lost.
pub(crate) fn possible_reuse() {
    event!(
        target: "tower_oauth2::client",
        tracing::Level::WARN,
        "the answer to a refresh was lost, and its refresh token is sent once more: where the \
         server has rotated it already, this is possible reuse, and the session may end"
    );
}
