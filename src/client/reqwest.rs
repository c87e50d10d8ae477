//! reqwest above and below the layers (feature `reqwest-middleware`).
//!
//! **In**: a request of reqwest, or of `http`'s types. **Out**: reqwest's answer. **Uses** the layers.

use super::{AddBearer, ClientCredentialsRefresh, Error, ReplayPolicy, StaticToken, TokenSource};
use crate::vocabulary::{location::ACCESS_TOKEN, query::pairs};
use async_trait::async_trait;
use bytes::Bytes;
use http::Extensions;
use http_body::Body as HttpBody;
use reqwest::{Body, Client, ClientBuilder, Request, Response, ResponseBuilderExt, Url, redirect};
use reqwest_middleware::{Middleware, Next};
use std::{
    error::Error as StdError,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};
use tower_layer::Layer;
use tower_service::Service;

type Answer<T = Response> = reqwest_middleware::Result<T>;
type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<E> = Pin<Box<dyn Future<Output = Result<http::Response<Body>, E>> + Send>>;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// reqwest as a service of `http`'s types, to put below a layer. Clones share the client.
///
/// A redirect is followed, at most 10 times, only to the same origin, and no `Referer` is sent: reqwest
/// removes `Authorization` from a request to another origin, but not a token in another header. A token
/// in the query goes to the target of no redirect, unless the server copies it there. Do not
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
        let policy = redirect::Policy::custom(|next| match next.previous() {
            hops @ [.., last] if is_near(last, next.url()) && hops.len() <= MAX_REDIRECTS => {
                next.follow()
            }
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

fn is_near(from: &Url, to: &Url) -> bool {
    from.origin() == to.origin()
}

impl<B> Service<http::Request<B>> for ReqwestService
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
{
    type Response = http::Response<Body>;
    type Error = reqwest::Error;
    type Future = BoxFuture<reqwest::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let client = self.0.clone();
        let request = Request::try_from(request.map(Body::wrap));
        Box::pin(async move {
            let response = async { client.execute(request?).await }.await;
            response.map(Into::into).map_err(reqwest::Error::without_url)
        })
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
    async fn handle(&self, sent: Request, with: &mut Extensions, next: Next<'_>) -> Answer {
        run(self.clone().with_replay(InMemory), sent, with, next).await
    }
}

/// As that of a layer with a source of tokens.
#[async_trait]
impl Middleware for AddBearer<StaticToken> {
    async fn handle(&self, sent: Request, with: &mut Extensions, next: Next<'_>) -> Answer {
        run(self.clone(), sent, with, next).await
    }
}

/// As that of [`AddBearer`] with a source of tokens.
#[async_trait]
impl Middleware for ClientCredentialsRefresh {
    async fn handle(&self, sent: Request, with: &mut Extensions, next: Next<'_>) -> Answer {
        run(self.clone().with_replay(InMemory), sent, with, next).await
    }
}

/// Calls `layer` around `next`.
async fn run<L>(layer: L, sent: Request, with: &mut Extensions, next: Next<'_>) -> Answer
where
    L: Layer<HandOut>,
    L::Service:
        Service<http::Request<Body>, Response = http::Response<Body>, Error = BoxError> + Send,
    <L::Service as Service<http::Request<Body>>>::Future: Send,
{
    let url = sent.url().clone();
    let mut request = http::Request::try_from(sent)?;
    request.extensions_mut().extend(with.clone());
    let (out, mut handed_out) = mpsc::unbounded_channel();
    let mut service = layer.layer(HandOut(out));
    let mut call = pin!(async move {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request).await
    });
    loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(answer) = call.as_mut().poll(cx) {
                return Poll::Ready(Err(answer));
            }
            match handed_out.poll_recv(cx) {
                Poll::Ready(Some(handed)) => Poll::Ready(Ok(handed)),
                // The call may go on without the service, but hands out nothing more.
                _ => Poll::Pending,
            }
        });
        match step.await {
            Err(answer) => return answer.map(Into::into).map_err(error),
            Ok((request, answer)) => {
                let sent = send(request, &url, with, next.clone()).await;
                // If nobody waits for the answer, the call has ended.
                let _ = answer.send(sent.map_err(Into::into));
            }
        }
    }
}

/// Sends `request` through `next`. The URL of the answer, or of the error, is the caller's `url`, without
/// a token in the query, unless it was redirected.
async fn send(
    request: http::Request<Body>,
    url: &Url,
    with: &mut Extensions,
    next: Next<'_>,
) -> Answer<http::Response<Body>> {
    let request = Request::try_from(request)?;
    let sent = request.url().clone();
    let response = next.run(request, with).await;
    let in_query = sent.query() != url.query();
    let response = response.map_err(|error| match error {
        // It may wrap an error of reqwest, whose URL cannot be taken out.
        wrapped @ reqwest_middleware::Error::Middleware(_) if in_query => {
            reqwest_middleware::Error::middleware(Error::from_source(wrapped))
        }
        error => error.without_url().with_url(url.clone()),
    })?;
    let mut shown = if *response.url() == sent { url.clone() } else { response.url().clone() };
    if in_query && shown != *url {
        // A redirect may have copied the token.
        let query = pairs(response.url().query().unwrap_or_default());
        let others = query.filter(|pair| !pair.is_named(ACCESS_TOKEN)).map(|pair| pair.raw());
        let others = others.collect::<Vec<_>>().join("&");
        shown.set_query(Some(&*others).filter(|others| !others.is_empty()));
    }
    let mut shown = http::Response::builder().url(shown);
    let mut response = http::Response::from(response);
    response
        .extensions_mut()
        .extend(shown.extensions_mut().map(std::mem::take).unwrap_or_default());
    Ok(response)
}

fn error(error: BoxError) -> reqwest_middleware::Error {
    error.downcast().map_or_else(
        |error| {
            let own = error.downcast().map_or_else(Error::from_source, |own: Box<Error>| *own);
            reqwest_middleware::Error::middleware(own)
        },
        |below| *below,
    )
}

/// The service below the layer. It hands each request out to [`run`], since [`Next`] is borrowed.
#[derive(Clone)]
struct HandOut(mpsc::UnboundedSender<(http::Request<Body>, oneshot::Sender<Handed>)>);

type Handed = Result<http::Response<Body>, BoxError>;

impl Service<http::Request<Body>> for HandOut {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (answer, answered) = oneshot::channel();
        let handed_out = self.0.send((request, answer));
        Box::pin(async move {
            handed_out.map_err(|_| "the call has ended")?;
            answered.await?
        })
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
