use crate::{Origin, scrub};
use std::{error::Error as StdError, fmt, sync::Arc};

/// Why a call could not be given a token.
///
/// It is what the client layer adds to the errors of the inner service, as a
/// [`Box<dyn Error>`](tower_service::Service::Error); nothing was sent when it comes. A clone
/// shares the contents. It holds no token, no secret and no query string.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    text: Box<str>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request goes to an origin that the token is not for.
    ForeignOrigin,
    /// The token cannot ride where it should: a `:` in a Basic user name, a URI that would
    /// become too long.
    Placement,
    /// The source of tokens failed.
    Source,
}

impl Error {
    fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Self {
        Self { inner: Arc::new(Inner { kind, text: text.into() }) }
    }

    /// The error of a user's own source: `error` is rendered once, bounded and on one line, and
    /// query strings are cut out of it. An [`Error`] stays what it is.
    pub fn from_source(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(foreign) => Self::new(ErrorKind::Source, scrub::chain(foreign.as_ref())),
        }
    }

    pub(super) fn foreign_origin(uri: &http::Uri) -> Self {
        let text = match Origin::of(uri) {
            Some(origin) => format!("the token is not for {origin}"),
            None => "the token is not for this URI".into(),
        };
        Self::new(ErrorKind::ForeignOrigin, text)
    }

    pub(super) fn placement(text: &'static str) -> Self {
        Self::new(ErrorKind::Placement, text)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("text", &self.inner.text)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

impl StdError for Error {}
