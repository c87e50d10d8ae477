//! Bounded requests over any HTTP service.

use super::{
    not_connected::{NOT_SENT, NotConnected, is_cut, is_of_proxy, is_unconnected},
    scrub,
};
use crate::{Clock, Origin, vocabulary::deadline::Deadline};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::{any::Any, error::Error, fmt, future::poll_fn, pin::Pin, sync::Arc, time::Duration};
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Exchanged = Result<Response<Bytes>, Failure>;

/// Sends the crate's own requests to the authorization server, through any HTTP [`Service`] with
/// its own TLS, proxy and tracing.
///
/// Clones share the service. Redirects are not followed, and the service must not follow them
/// either: a redirected token request takes the client's secret along. The service must not repeat
/// a request whose answer is lost: a refresh token that is sent twice may end its session, and the
/// result of the last attempt says nothing about the first.
///
/// # Defaults
///
/// Answers of at most 1 MiB, within 30 s, over `https`, or `http` to the machine itself.
///
/// # Example
///
/// ```
/// # async fn example() -> Result<(), tower_oauth2::TransportError> {
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower_oauth2::Transport;
///
/// let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
///     Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from("{}"))))
/// });
/// let request = Request::get("https://as.example/jwks").body(Full::default()).unwrap();
/// let response = Transport::new(service).send(request).await?;
/// assert_eq!(response.body(), "{}");
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// #     .block_on(example()).unwrap();
/// ```
#[derive(Clone)]
#[must_use]
pub struct Transport {
    pub(super) exchange: Arc<dyn Exchange>,
    clock: Clock,
    deadline: Duration,
    max_body: usize,
    plain_http: bool,
}

/// Erases the type of the service, so that nothing above it has a type parameter.
pub(super) trait Exchange: Any + Send + Sync {
    fn exchange(&self, request: Request<Full<Bytes>>, bounds: Bounds) -> Exchanging;

    /// Returns `true` if it is known to show a certificate of the client.
    fn shows_certificate(&self) -> bool {
        false
    }
}

pub(super) type Exchanging = Pin<Box<dyn Future<Output = Exchanged> + Send>>;

/// The bounds of an answer.
pub(super) struct Bounds {
    max_body: usize,
    deadline: Deadline,
}

pub(super) enum Failure {
    Service(BoxError),
    TooLarge,
    TimedOut,
}

impl Transport {
    /// Sends with `service`. Each request uses a clone of it, polled ready first. The service
    /// should mark a failure to connect by [`NotConnected`](crate::NotConnected), and time out
    /// connecting well before the deadline, after which the two cannot be distinguished.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send,
    {
        Self::from_exchange(Erased(service))
    }

    pub(super) fn from_exchange(exchange: impl Exchange + 'static) -> Self {
        Self {
            exchange: Arc::new(exchange),
            clock: Clock::system(),
            deadline: Duration::from_secs(30),
            max_body: 1024 * 1024,
            plain_http: false,
        }
    }

    /// Sets the deadline of an answer, body included. Defaults to 30 s. Keep it longer than the
    /// connect timeout (10 s with [`https`](Self::https)): otherwise it is unknown whether a
    /// request was sent, and a session that cannot connect sends its refresh token less often.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the longest accepted answer, in bytes. Defaults to 1 MiB.
    pub fn with_max_body(mut self, max_body: usize) -> Self {
        self.max_body = max_body;
        self
    }

    /// Sets the clock of the deadline, and of what is built of this transport later. Defaults to the
    /// system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Allows `http` to other machines, on which anyone on the way can read every secret. Defaults
    /// to `https`, and `http` to the machine itself.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    pub(crate) fn allows_plain_http(&self) -> bool {
        self.plain_http
    }

    pub(crate) fn shows_certificate(&self) -> bool {
        self.exchange.shows_certificate()
    }

    /// Lowers the longest accepted answer to `max_body` bytes.
    pub(crate) fn at_most(mut self, max_body: usize) -> Self {
        self.max_body = self.max_body.min(max_body);
        self
    }

    /// Lowers the deadline to `deadline`.
    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = self.deadline.min(deadline);
        self
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends `request` and returns the collected answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When the URL is not absolute or not safe, when the service fails, and when the answer is
    /// too long or too late. With the system's [clock](Self::with_clock) also outside of a tokio
    /// runtime, and in one without timers. The error has no query string and no error of the service inside.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the exchange. Whether the server saw the request is then
    /// unknown.
    pub fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send + use<> {
        self.send_without(request, str::to_owned)
    }

    /// Sends a question that is safe to repeat: as [`send`](Self::send), and once more if the connection
    /// is cut before the answer. Each attempt has the whole deadline.
    pub(crate) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, TransportError> {
        match self.send(request.clone()).await {
            Err(error) if error.cut => self.send(request).await,
            sent => sent,
        }
    }

    /// As [`send`](Self::send), with an error from which `redact` removes the secrets.
    pub(crate) fn send_without<F: Fn(&str) -> String + Send + Sync>(
        &self,
        request: Request<Full<Bytes>>,
        redact: F,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send + use<F> {
        let allowed = self.check(&request);
        let this = self.clone();
        async move {
            allowed?;
            if !this.clock.has_timers() {
                return Err(TransportErrorKind::NoRuntime.into());
            }
            let deadline = Deadline::new(&this.clock, this.deadline);
            let exchange =
                this.exchange.exchange(request, Bounds { max_body: this.max_body, deadline });
            exchange.await.map_err(|failure| failure.render(redact))
        }
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), TransportError> {
        match Origin::from_uri(request.uri()) {
            None => Err(TransportErrorKind::NotAbsolute.into()),
            Some(origin) if !origin.is_secure() && !self.plain_http => {
                Err(TransportErrorKind::Insecure.into())
            }
            Some(_) => Ok(()),
        }
    }
}

opaque_debug!(Transport { deadline, max_body, plain_http, .. });

pub(super) struct Erased<S>(pub(super) S);

impl<S, B> Exchange for Erased<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send,
{
    fn exchange(&self, request: Request<Full<Bytes>>, bounds: Bounds) -> Exchanging {
        let mut service = self.0.clone();
        let Bounds { max_body, deadline } = bounds;
        let exchange = async move {
            // It does not have the request yet.
            let unready = |error: S::Error| Failure::Service(NotConnected::new(error).into());
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(unready)?;
            let failed = |error: S::Error| Failure::Service(error.into());
            let response = service.call(request).await.map_err(failed)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, max_body).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Failure::TooLarge
                } else {
                    Failure::Service(error)
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let exchange = deadline.bound(exchange);
        Box::pin(async move { exchange.await.unwrap_or(Err(Failure::TimedOut)) })
    }
}

/// The error of a request without an answer.
///
/// Its text has no query string, in which some servers expect secrets. The service's error is
/// rendered into it and dropped, since HTTP clients print the whole URL.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    text: Box<str>,
    unsent: bool,
    cut: bool,
}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The URL of the request has no `http(s)` scheme or no host.
    NotAbsolute,
    /// The URL is plain `http` to another machine, which is not allowed.
    Insecure,
    /// The answer did not come within the deadline.
    TimedOut,
    /// The answer is longer than allowed.
    TooLarge,
    /// The service failed: connection, TLS, protocol.
    Service,
    /// The proxy of [`Transport::with_proxy_from_env`] cannot be reached, or refused to open a tunnel:
    /// 407, for example, if user name or password are missing or wrong.
    Proxy,
    /// The deadline needs a tokio runtime with timers, and there is none.
    NoRuntime,
}

impl TransportError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns `true` if the request cannot have reached the server: the URL was refused, the service
    /// did not become ready, or it reported that it could not connect. See
    /// [`NotConnected`](crate::NotConnected).
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Returns `true` if the connection ended before the answer was there.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }
}

impl From<TransportErrorKind> for TransportError {
    fn from(kind: TransportErrorKind) -> Self {
        let text = match kind {
            TransportErrorKind::NotAbsolute => {
                "the URL is no absolute http(s) URL, such as https://as.example/path"
            }
            TransportErrorKind::Insecure => {
                "the URL is plain http to another machine; Transport::allow_plain_http takes it"
            }
            TransportErrorKind::TimedOut => "no answer within the deadline",
            TransportErrorKind::TooLarge => "the answer is longer than allowed",
            TransportErrorKind::Service => "the HTTP service failed",
            TransportErrorKind::Proxy => "the proxy failed",
            TransportErrorKind::NoRuntime => {
                "a request needs a tokio runtime with timers: call from within one"
            }
        };
        let unsent = matches!(
            kind,
            TransportErrorKind::NotAbsolute
                | TransportErrorKind::Insecure
                | TransportErrorKind::NoRuntime
        );
        Self { kind, text: text.into(), unsent, cut: false }
    }
}

impl Failure {
    fn render(self, redact: impl Fn(&str) -> String) -> TransportError {
        match self {
            Self::TooLarge => TransportErrorKind::TooLarge.into(),
            Self::TimedOut => TransportErrorKind::TimedOut.into(),
            Self::Service(error) => TransportError {
                kind: match is_of_proxy(error.as_ref()) {
                    true => TransportErrorKind::Proxy,
                    false => TransportErrorKind::Service,
                },
                text: scrub::chain(error.as_ref(), redact).into(),
                unsent: is_unconnected(error.as_ref()),
                cut: is_cut(error.as_ref()),
            },
        }
    }
}

opaque_debug!(TransportError { kind, text, .. });

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.unsent.then_some(&NOT_SENT as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// How often a question is sent over a service that fails by `kind`.
    async fn times(kind: io::ErrorKind) -> usize {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let service = tower::service_fn(move |_: Request<Full<Bytes>>| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Err::<Response<Full<Bytes>>, _>(io::Error::other(io::Error::from(kind))) }
        });
        let request = Request::get("https://as.example/jwks").body(Full::default()).unwrap();
        Transport::new(service).ask(request).await.unwrap_err();
        asked.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_safe_question_is_asked_once_more_over_a_cut_connection_and_over_no_other() {
        use io::ErrorKind::{
            BrokenPipe, ConnectionRefused, ConnectionReset, InvalidData, UnexpectedEof,
        };
        for cut in [BrokenPipe, ConnectionReset, UnexpectedEof] {
            assert_eq!(times(cut).await, 2, "{cut}");
        }
        for other in [ConnectionRefused, InvalidData] {
            assert_eq!(times(other).await, 1, "{other}");
        }
    }
}
