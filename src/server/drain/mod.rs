//! Reads the rest of what a refused request sends, so that its client sees the refusal.
//!
//! **In**: requests, and the responses of the layers below. **Out**: the same responses; a refusal waits, within bounds.
//! **Uses** `vocabulary` and `validate`.

mod body;
mod future;

pub use body::DrainRefusedBody;
pub use future::DrainRefusedFuture;

use crate::Clock;
use future::Unread;
use http::{HeaderMap, Request, Response, Version, header::EXPECT};
use http_body::Body;
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tower_layer::Layer;
use tower_service::Service;

/// Reads the rest of a refused request's body before the refusal is sent, over HTTP/1.
///
/// A server closes an HTTP/1 connection if it responds before it has read the request's body. The
/// client, or a proxy, is then still sending. It fails to send the rest, and may never see the
/// response: nginx turns many refusals of uploads into 502.
///
/// 1. The layer acts on responses of the layers and extractors of this crate below it that have a
///    [`Rejection`](crate::validate::Rejection) in their extensions. All other responses pass at once.
/// 2. It reads and drops the rest of the body, until the body ends or a bound is reached, and then
///    returns the refusal.
/// 3. It reads nothing over HTTP/2, which needs no such thing, nor of a request with `Expect`: its
///    client waits for permission to send, and to read the body is to permit it. It reads nothing of
///    a body whose declared length is beyond the limit.
///
/// Put it above all layers that refuse. The services below it get a [`DrainRefusedBody`], which
/// passes the frames on as they are. [A guide](crate::guide::layer_order#uploads) says which servers
/// need the layer.
///
/// # Defaults
///
/// It reads at most 1 MiB, and for at most 1 s.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_oauth2::{
///     server::{DrainRefused, RequireToken},
///     validate::StaticTokens,
/// };
///
/// let app: Router = Router::new()
///     .route("/recordings", post(|| async { "uploaded" }))
///     .route_layer(RequireToken::new("api", StaticTokens::new())?)
///     .layer(DrainRefused::new());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 9112 §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)
#[derive(Clone, Debug)]
#[must_use]
pub struct DrainRefused {
    bounds: Bounds,
}

/// How much is read, and how long.
#[derive(Clone, Debug)]
struct Bounds {
    limit: usize,
    timeout: Duration,
    clock: Clock,
}

impl DrainRefused {
    /// Creates the layer.
    pub fn new() -> Self {
        let (limit, timeout) = (1024 * 1024, Duration::from_secs(1));
        Self { bounds: Bounds { limit, timeout, clock: Clock::system() } }
    }

    /// Sets how many bytes of a body the layer reads. Defaults to 1 MiB.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.bounds.limit = limit;
        self
    }

    /// Sets how long a refusal waits. Defaults to 1 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.bounds.timeout = timeout;
        self
    }

    /// Sets the clock of the timeout. Defaults to the system's. Without a tokio runtime that has
    /// timers, the layer reads only what has already arrived.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.bounds.clock = clock;
        self
    }
}

impl Default for DrainRefused {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for DrainRefused {
    type Service = DrainRefusedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DrainRefusedService { inner, bounds: self.bounds.clone() }
    }
}

/// The service of [`DrainRefused`].
#[derive(Clone, Debug)]
pub struct DrainRefusedService<S> {
    inner: S,
    bounds: Bounds,
}

impl<S> DrainRefusedService<S> {
    inner_service_accessors!();
}

impl<S, B, R> Service<Request<B>> for DrainRefusedService<S>
where
    S: Service<Request<DrainRefusedBody<B>>, Response = Response<R>>,
    B: Body + Unpin,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = DrainRefusedFuture<S::Future, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let (body, unread) =
            match is_unsafe_to_leave(head.version, &head.headers, &body, self.bounds.limit) {
                true => {
                    let (body, handed_back) = DrainRefusedBody::handed_back(body);
                    (body, Some(Unread { handed_back, bounds: self.bounds.clone() }))
                }
                false => (DrainRefusedBody::passed(body), None),
            };
        DrainRefusedFuture::new(self.inner.call(Request::from_parts(head, body)), unread)
    }
}

/// Returns `true` if a refusal may be lost while the body is unread, and reading can help.
fn is_unsafe_to_leave<B: Body>(
    version: Version,
    headers: &HeaderMap,
    body: &B,
    limit: usize,
) -> bool {
    let fits = usize::try_from(body.size_hint().lower()).is_ok_and(|length| length <= limit);
    version < Version::HTTP_2 && !headers.contains_key(EXPECT) && !body.is_end_stream() && fits
}
