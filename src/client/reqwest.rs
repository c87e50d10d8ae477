//! reqwest above and below the layers (feature `reqwest-middleware`).
//!
//! **In**: a request of reqwest, or of `http`'s types. **Out**: reqwest's answer. **Uses** the layers.

use super::{AddBearer, ClientCredentialsRefresh, Error, ReplayPolicy, StaticToken, TokenSource};
use async_trait::async_trait;
use bytes::Bytes;
use http::Extensions;
use http_body::Body as HttpBody;
use reqwest::{
    Body, Client, ClientBuilder, Request, Response, ResponseBuilderExt, Url, redirect::Policy,
};
use reqwest_middleware::{Middleware, Next};
use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;
type Answer = Result<http::Response<Body>, BoxError>;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// reqwest as a service of `http`'s types, to put below a layer. Clones share the client.
///
/// A redirect is followed, at most 10 times, only to the same origin, and no `Referer` is sent: reqwest
/// removes `Authorization` from a request to another origin, but not a token in another header. Do not
/// use it for a [`Transport`](crate::Transport), which must not follow redirects at all. Errors have no
/// URL, in whose query the token may be.
///
/// ```
/// use http_body_util::Full;
/// use bytes::Bytes;
/// use tower::{Layer, Service};
/// use tower_oauth2::client::{AddBearer, ReqwestService};
///
/// let reqwest = ReqwestService::build(reqwest::Client::builder())?;
/// let client = AddBearer::bearer("mF_9.B5f-4.1JqM", "https://api.example")?.layer(reqwest);
/// # fn is_service<S: Service<http::Request<Full<Bytes>>>>(_: S) {}
/// # is_service(client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestService(Client);

impl ReqwestService {
    /// Builds the client. Its redirect policy and `Referer` are set here: a client that is built already
    /// cannot tell them.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn build(client: ClientBuilder) -> Result<Self, reqwest::Error> {
        let policy = Policy::custom(|next| match next.previous() {
            [.., last] if is_near(last, next.url(), next.previous().len()) => next.follow(),
            _ => next.stop(),
        });
        client.redirect(policy).referer(false).build().map(Self)
    }

    /// Returns the client, for example for [`reqwest_middleware::ClientBuilder::new`].
    #[must_use]
    pub fn into_inner(self) -> Client {
        self.0
    }
}

fn is_near(from: &Url, to: &Url, redirects: usize) -> bool {
    from.origin() == to.origin() && redirects <= MAX_REDIRECTS
}

impl<B> Service<http::Request<B>> for ReqwestService
where
    B: HttpBody<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = reqwest::Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ReqwestFuture {
        let client = self.0.clone();
        let request = Request::try_from(request.map(Body::wrap));
        ReqwestFuture(Box::pin(async move {
            let response = async { client.execute(request?).await }.await;
            response.map(Into::into).map_err(reqwest::Error::without_url)
        }))
    }
}

/// The response of reqwest.
#[must_use = "futures do nothing unless polled"]
pub struct ReqwestFuture(
    Pin<Box<dyn Future<Output = Result<http::Response<Body>, reqwest::Error>> + Send>>,
);

impl Future for ReqwestFuture {
    type Output = Result<http::Response<Body>, reqwest::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFuture").finish_non_exhaustive()
    }
}

/// Attaches the token below other middleware (feature `reqwest-middleware`): the layer itself, with the
/// rest of the stack as its inner service. A call is repeated if reqwest has its body in memory.
///
/// The layer sees the extensions of the request (`with_extension`). An error of the layer is a
/// [`client::Error`](crate::client::Error) inside of [`reqwest_middleware::Error::Middleware`]. Build
/// the client by [`ReqwestService::build`], because reqwest follows redirects below the layer.
///
/// ```
/// use tower_oauth2::client::{AddBearer, ReqwestService};
///
/// let layer = AddBearer::bearer("mF_9.B5f-4.1JqM", "https://api.example")?;
/// let client = ReqwestService::build(reqwest::Client::builder())?.into_inner();
/// let client = reqwest_middleware::ClientBuilder::new(client).with(layer).build();
/// let call = client.get("https://api.example/calls").send();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
impl<T: TokenSource> Middleware for AddBearer<T> {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        run(&self.clone().with_replay(InMemory), request, extensions, next).await
    }
}

/// As that of a layer with a source of tokens.
#[async_trait]
impl Middleware for AddBearer<StaticToken> {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        run(self, request, extensions, next).await
    }
}

/// As that of [`AddBearer`] with a source of tokens.
#[async_trait]
impl Middleware for ClientCredentialsRefresh {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        run(&self.clone().with_replay(InMemory), request, extensions, next).await
    }
}

/// Calls `layer` around `next`.
async fn run<L>(
    layer: &L,
    request: Request,
    extensions: &mut Extensions,
    next: Next<'_>,
) -> reqwest_middleware::Result<Response>
where
    L: Layer<HandOut>,
    L::Service:
        Service<http::Request<Body>, Response = http::Response<Body>, Error = BoxError> + Send,
    <L::Service as Service<http::Request<Body>>>::Future: Send,
{
    let url = request.url().clone();
    let mut request = http::Request::try_from(request)?;
    request.extensions_mut().extend(extensions.clone());
    let out = HandOut::default();
    let mut service = layer.layer(out.clone());
    let mut call = pin!(async move {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request).await
    });
    loop {
        let handed = match poll_fn(|cx| out.poll(call.as_mut(), cx)).await {
            Step::Answered(answer) => return answer.map(Into::into).map_err(error),
            Step::HandedOut(handed) => handed,
        };
        let sent = send(handed.request, &url, extensions, next.clone()).await;
        // If nobody waits for the answer, the call has ended.
        let _ = handed.answer.send(sent.map_err(Into::into));
    }
}

/// Sends `request` through `next`. The URL of the answer, or of the error, is the caller's `url`, without
/// a token in the query, unless it was redirected.
async fn send(
    request: http::Request<Body>,
    url: &Url,
    extensions: &mut Extensions,
    next: Next<'_>,
) -> reqwest_middleware::Result<http::Response<Body>> {
    let request = Request::try_from(request)?;
    let sent = request.url().clone();
    let response = next.run(request, extensions).await;
    let response = response.map_err(|error| error.without_url().with_url(url.clone()))?;
    let shown = if *response.url() == sent { url } else { response.url() };
    let shown =
        http::Response::builder().url(shown.clone()).body(()).map(http::Response::into_parts);
    let mut response = http::Response::from(response);
    if let Ok((parts, ())) = shown {
        response.extensions_mut().extend(parts.extensions);
    }
    Ok(response)
}

fn error(error: BoxError) -> reqwest_middleware::Error {
    let error = match error.downcast() {
        Ok(below) => return *below,
        Err(error) => error,
    };
    let own = error.downcast().map_or_else(Error::from_source, |own: Box<Error>| *own);
    reqwest_middleware::Error::middleware(own)
}

/// The service below the layer. It hands each request out to [`run`], since [`Next`] is borrowed.
#[derive(Clone, Default)]
struct HandOut(Arc<Mutex<Option<HandedOut>>>);

struct HandedOut {
    request: http::Request<Body>,
    answer: oneshot::Sender<Answer>,
}

enum Step {
    HandedOut(HandedOut),
    Answered(Answer),
}

impl HandOut {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<HandedOut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls `call` until it hands a request out, or is over.
    fn poll(
        &self,
        call: Pin<&mut impl Future<Output = Answer>>,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        if let Poll::Ready(answer) = call.poll(cx) {
            return Poll::Ready(Step::Answered(answer));
        }
        match mem::take(&mut *self.slot()) {
            Some(handed) => Poll::Ready(Step::HandedOut(handed)),
            None => Poll::Pending,
        }
    }
}

impl Service<http::Request<Body>> for HandOut {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (answer, answered) = oneshot::channel();
        *self.slot() = Some(HandedOut { request, answer });
        Box::pin(async { answered.await? })
    }
}

/// Sends bodies again whose bytes reqwest has in memory.
#[derive(Clone)]
struct InMemory;

impl ReplayPolicy<Body> for InMemory {
    type Body = Body;
    type Copy = Body;

    fn can_repeat(&self, body: &Body) -> bool {
        body.as_bytes().is_some()
    }

    fn once(&self, body: Body) -> Body {
        body
    }

    fn split(&self, body: Body) -> (Body, Option<Body>) {
        let copy = body.as_bytes().map(|bytes| Bytes::copy_from_slice(bytes).into());
        (body, copy)
    }

    fn again(&self, copy: Body) -> Option<Body> {
        Some(copy)
    }
}
