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

/// Leaves out the error, which may have the whole URL.
impl fmt::Debug for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotConnected").finish_non_exhaustive()
    }
}

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

/// Leaves out the error, which may have the whole URL.
impl fmt::Debug for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotSent")
    }
}

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
    let mut next = Some(error);
    while let Some(error) = next {
        let refused = error.downcast_ref::<io::Error>().is_some_and(|error| {
            // What it wraps is not its source.
            error.kind() == io::ErrorKind::ConnectionRefused
                || error.get_ref().is_some_and(|inner| is_unconnected(inner))
        });
        if refused || error.is::<NotSent>() || is_of_hyper(error) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns `true` if `error` is a connect error of hyper-util's client, which reqwest uses too.
#[cfg(feature = "https")]
fn is_of_hyper(error: &(dyn Error + 'static)) -> bool {
    use hyper_util::client::legacy::Error as ClientError;
    error.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect)
}

#[cfg(not(feature = "https"))]
fn is_of_hyper(_: &(dyn Error + 'static)) -> bool {
    false
}
