use crate::{validate::Rejection, vocabulary::grpc::GRPC_STATUS};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

type Renderer = Arc<dyn Fn(&Rejection) -> (HeaderValue, Bytes) + Send + Sync>;

/// Gives a body to the refusals of all layers of this crate below it.
///
/// Status and challenges stay as they are. Refusals of gRPC, and those of HEAD requests, have no body.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_oauth2::{server::{RenderRefusals, RequireToken}, validate::StaticTokens};
///
/// let layers = ServiceBuilder::new()
///     .layer(RenderRefusals::problem_json())
///     .layer(RequireToken::new("api", StaticTokens::new())?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RenderRefusals {
    renderer: Renderer,
}

impl RenderRefusals {
    /// Renders each refusal with `render`, which returns the content type and the body. The body may
    /// contain [`Rejection::public_description`], which is meant for callers.
    pub fn new(
        render: impl Fn(&Rejection) -> (HeaderValue, Bytes) + Send + Sync + 'static,
    ) -> Self {
        Self { renderer: Arc::new(render) }
    }

    /// Renders refusals as `application/problem+json`
    /// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with `title`, `status` and `detail`.
    pub fn problem_json() -> Self {
        Self::new(|rejection| {
            let status = rejection.kind().status();
            let problem = serde_json::json!({
                "title": status.canonical_reason(),
                "status": status.as_u16(),
                "detail": rejection.public_description(),
            });
            let json = HeaderValue::from_static("application/problem+json");
            (json, Bytes::from(problem.to_string()))
        })
    }
}

impl<S> Layer<S> for RenderRefusals {
    type Service = RenderRefusalsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RenderRefusalsService { inner, renderer: self.renderer.clone() }
    }
}

/// The service of [`RenderRefusals`].
#[derive(Clone)]
pub struct RenderRefusalsService<S> {
    inner: S,
    renderer: Renderer,
}

impl<S> RenderRefusalsService<S> {
    inner_service_accessors!();
}

impl<S, B, R> Service<Request<B>> for RenderRefusalsService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RenderRefusalsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_head = *request.method() == Method::HEAD;
        let (inner, renderer) = (self.inner.call(request), self.renderer.clone());
        RenderRefusalsFuture { inner, renderer, is_head }
    }
}

pin_project_lite::pin_project! {
    /// The response of the inner service, with a body if it is a refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct RenderRefusalsFuture<F> {
        #[pin]
        inner: F,
        renderer: Renderer,
        is_head: bool,
    }
}

impl<F, R, E> Future for RenderRefusalsFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<Bytes>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if !response.headers().contains_key(GRPC_STATUS)
            && let Some(rejection) = response.extensions().get::<Rejection>()
        {
            let (content_type, body) = (this.renderer)(rejection);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, content_type);
            // A router below may have described the body that is replaced.
            headers.remove(CONTENT_LENGTH);
            headers.remove(CONTENT_ENCODING);
            // HTTP/2 resets a response to HEAD that has a body.
            *response.body_mut() = R::from(if *this.is_head { Bytes::new() } else { body });
        }
        Poll::Ready(Ok(response))
    }
}

opaque_debug!(RenderRefusals { .. });

opaque_debug!(RenderRefusalsService<S: fmt::Debug> { inner, .. });

opaque_debug!(RenderRefusalsFuture<F> { .. });
