//! Connections that never came about: what was to be sent over them did not reach the server.

use std::{error::Error, fmt, io};

type BoxError = Box<dyn Error + Send + Sync>;

/// Marks an error of a connection that never came about: a name without an address, no route, a
/// handshake that failed. The service of a [`Transport`](crate::Transport) returns it, or an error
/// with it below, so that the request counts as
/// [unsent](crate::TransportError::is_unsent): a session then does not take its refresh token for
/// one that may be used up. Never mark an error that comes after the request was sent.
///
/// [`Transport::https`](crate::Transport::https) does this itself. Of other services an
/// [`io::Error`] of the kind `ConnectionRefused` is known without it, wherever it lies, and, with
/// the feature `https`, one of hyper-util's client that failed to connect, on which reqwest is
/// built. Both are taken for what became of the one attempt that the service makes.
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
pub struct NotConnected(BoxError);

impl NotConnected {
    /// Marks `error`, whose text it has.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

/// Without the error, which may hold the whole URL.
impl fmt::Debug for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotConnected").finish_non_exhaustive()
    }
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Whether `error`, or what lies below it, says that there was no connection.
pub(crate) fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let refused = error.downcast_ref::<io::Error>().is_some_and(|error| {
            // What it wraps is not its source.
            error.kind() == io::ErrorKind::ConnectionRefused
                || error.get_ref().is_some_and(|inner| is_unconnected(inner))
        });
        if refused || error.is::<NotConnected>() || is_of_hyper(error) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether `error` is one of hyper-util's client, which is in reqwest too, and could not connect.
#[cfg(feature = "https")]
fn is_of_hyper(error: &(dyn Error + 'static)) -> bool {
    use hyper_util::client::legacy::Error as ClientError;
    error.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect)
}

#[cfg(not(feature = "https"))]
fn is_of_hyper(_: &(dyn Error + 'static)) -> bool {
    false
}
