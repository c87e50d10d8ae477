//! Failures to connect, after which the request cannot have reached the server.

use std::{error::Error, fmt, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Marks the error of a failure to connect: a name without an address, no route, a failed
/// handshake.
///
/// The service of a [`Transport`](crate::Transport) returns it, or an error whose source it is, so
/// that the request counts as [unsent](crate::TransportError::is_unsent): a session then knows that
/// its refresh token was not used. Never mark an error that occurs after the request was sent.
///
/// The mark is seen through errors around it, as long as they have a
/// [source](std::error::Error::source) or are an [`io::Error`]. Besides, these errors count as unsent
/// without the mark: any error of the service's `poll_ready`; an unsent
/// [`TransportError`](crate::TransportError), from a service around another transport; an
/// [`io::Error`] of the kind `ConnectionRefused`; and, with the feature `https`, a connect error of
/// hyper-util's client, which reqwest uses. The service must make one attempt only, since only the
/// last error is seen.
///
/// ```
/// use tower_oauth2::NotConnected;
///
/// # struct Failed;
/// # impl Failed {
/// #     fn is_connect(&self) -> bool { true }
/// # }
/// # impl From<Failed> for Box<dyn std::error::Error + Send + Sync> {
/// #     fn from(_: Failed) -> Self { "no route".into() }
/// # }
/// fn marked(error: Failed) -> Box<dyn std::error::Error + Send + Sync> {
///     match error.is_connect() {
///         true => NotConnected::new(error).into(),
///         false => error.into(),
///     }
/// }
/// # assert_eq!(marked(Failed).to_string(), "no route");
/// ```
pub struct NotConnected(NotSent);

impl NotConnected {
    /// Marks `error`. The text stays the same.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(NotSent(Some(error.into())))
    }
}

opaque_debug!(NotConnected { .. });

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.0 {
            Some(error) => error.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The mark, a link of its own in the chain of sources: an error around another (`Box`, `Arc`,
/// "transparent") often shows the sources of that other alone.
pub(super) struct NotSent(Option<BoxError>);

/// The mark of an error without a cause.
pub(super) static NOT_SENT: NotSent = NotSent(None);

opaque_debug!(NotSent { .. });

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was not sent")
    }
}

impl Error for NotSent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref()?.source()
    }
}

/// Returns `true` if `error`, or one of its sources, is a failure to connect.
pub(crate) fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    any_source(error, &|error| {
        kind(error) == Some(io::ErrorKind::ConnectionRefused)
            || error.is::<NotSent>()
            || hyper::is_connect(error)
    })
}

/// Returns `true` if `error` is that of a connection that ended before the answer was there. A server
/// that closes an idle connection just as a request is written causes it.
pub(crate) fn is_cut(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let cut = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
    !is_unconnected(error)
        && any_source(error, &|error| {
            kind(error).is_some_and(|kind| cut.contains(&kind)) || hyper::is_cut(error)
        })
}

/// Returns `true` if `error` is that of a proxy through which no connection can be had.
pub(super) fn is_of_proxy(error: &(dyn Error + 'static)) -> bool {
    any_source(error, &|error| hyper::is_of_proxy(error))
}

fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    error.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn any_source(error: &(dyn Error + 'static), is: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // What an `io::Error` wraps is not its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if is(error) || wrapped.is_some_and(|inner| any_source(inner, is)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The errors of hyper-util's client, which reqwest uses too.
#[cfg(feature = "https")]
mod hyper {
    use crate::back_channel::proxy::NoTunnel;
    use hyper_util::client::legacy::Error as ClientError;
    use std::error::Error;

    pub(super) fn is_of_proxy(error: &(dyn Error + 'static)) -> bool {
        error.is::<NoTunnel>()
    }

    pub(super) fn is_connect(error: &(dyn Error + 'static)) -> bool {
        error.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect)
    }

    pub(super) fn is_cut(error: &(dyn Error + 'static)) -> bool {
        let is_sent = |error: &ClientError| !error.is_connect();
        error.downcast_ref::<ClientError>().is_some_and(is_sent) || error.is::<::hyper::Error>()
    }
}

#[cfg(not(feature = "https"))]
mod hyper {
    use std::error::Error;

    pub(super) fn is_of_proxy(_: &(dyn Error + 'static)) -> bool {
        false
    }

    pub(super) fn is_connect(_: &(dyn Error + 'static)) -> bool {
        false
    }

    pub(super) fn is_cut(_: &(dyn Error + 'static)) -> bool {
        false
    }
}
