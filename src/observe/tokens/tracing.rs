use super::Source;
use crate::client::Error;
use std::future::Future;
use tracing::{Instrument, Level, event, span};

/// The fetches of one cache.
pub(super) struct Fetches {
    source: Source,
}

/// The span of one fetch.
pub(crate) struct Span(tracing::Span);

impl Span {
    /// That of the fetch which runs.
    pub(crate) fn current() -> Self {
        Self(tracing::Span::current())
    }

    /// Runs `fetch` inside.
    pub(crate) fn instrument<F: Future>(self, fetch: F) -> impl Future<Output = F::Output> {
        fetch.instrument(self.0)
    }
}

impl Fetches {
    pub(super) fn new(source: Source) -> Self {
        Self { source }
    }

    /// A fetch belongs to no caller, so its span is a root; it follows from what its caller was
    /// at.
    pub(super) fn span(&self, attempt: u64) -> Span {
        let span = span!(
            target: "tower_oauth2::client",
            parent: None,
            Level::INFO,
            "tower_oauth2.fetch",
            endpoint = self.source.endpoint.as_deref(),
            grant_type = self.source.grant_type.as_deref(),
            attempt,
        );
        span.follows_from(tracing::Span::current().id());
        Span(span)
    }

    pub(super) fn retried(&self, span: &Span, attempt: u64) {
        event!(
            target: "tower_oauth2::client",
            parent: &span.0,
            Level::DEBUG,
            attempt,
            "access token fetch retried"
        );
    }

    pub(super) fn fetched(&self) {
        event!(target: "tower_oauth2::client", Level::DEBUG, "access token fetched");
    }

    /// The text of an error holds no secret, and is fit for one line.
    pub(super) fn failed(&self, error: &Error) {
        event!(
            target: "tower_oauth2::client",
            Level::WARN,
            kind = ?error.kind(),
            %error,
            "access token not fetched"
        );
    }

    pub(super) fn rejected(&self) {
        let endpoint = self.source.endpoint.as_deref();
        event!(target: "tower_oauth2::client", Level::INFO, endpoint, "access token rejected");
    }
}

/// A store did not do as it was asked: the token is fetched without it.
pub(crate) fn store_failed(operation: &'static str, late: bool) {
    event!(
        target: "tower_oauth2::client",
        Level::WARN,
        operation,
        late,
        "the token store failed"
    );
}

/// A refresh token goes out again after an answer was lost.
pub(crate) fn possible_reuse() {
    event!(
        target: "tower_oauth2::client",
        Level::WARN,
        "the answer to a refresh was lost, and its refresh token is sent once more: where the \
         server has rotated it already, this is possible reuse, and the session may end"
    );
}
