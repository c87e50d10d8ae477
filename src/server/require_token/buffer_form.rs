use super::{
    AuditEvent,
    audit::{Auditor, Recorder},
    extract::form::{self, FormToken},
    refuse,
};
use crate::RequestHead;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::{
    error::Error as StdError,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Buffers form bodies for a [`RequireToken`](crate::server::RequireToken) below it that reads
/// [`TokenLocation::Form`](crate::TokenLocation::Form)
/// ([RFC 6750 §2.2](https://www.rfc-editor.org/rfc/rfc6750#section-2.2)).
///
/// 1. The layer reads the body of a POST, PUT or PATCH with the content type
///    `application/x-www-form-urlencoded`. All other requests pass as they are.
/// 2. The inner service gets the same bytes and trailers, in a [`BufferFormBody`].
/// 3. A form that is too long is refused with 413, one that breaks off with 400. Both are counted,
///    logged and [audited](Self::with_audit).
/// 4. While the layer reads a body, it gives up the inner service's reservation. It polls the service
///    ready again before the call.
///
/// Only services that read forms need a body of another type, so this is a layer of its own.
///
/// # Defaults
///
/// A form has at most 64 KiB. There is no timeout: put one above, as for every body that is read.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use tower::ServiceBuilder;
/// use tower_oauth2::{
///     TokenLocation,
///     server::{BufferForm, RequireToken},
///     validate::StaticTokens,
/// };
///
/// let require = RequireToken::new("api", StaticTokens::new())?
///     .with_locations([TokenLocation::Bearer, TokenLocation::Form])?;
/// let app: Router = Router::new()
///     .route("/calls", post(|body: String| async move { body }))
///     .route_layer(ServiceBuilder::new().layer(BufferForm::default()).layer(require));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BufferForm {
    limit: usize,
    recorder: Recorder,
}

impl BufferForm {
    /// Creates a layer for forms of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, recorder: Recorder::default() }
    }

    /// Calls `hook` after every refusal of this layer, which is above that of
    /// [`RequireToken::with_audit`](crate::server::RequireToken::with_audit). The request waits for
    /// it, so it must be quick. Defaults to none.
    pub fn with_audit(mut self, hook: impl Fn(&AuditEvent<'_>) + Send + Sync + 'static) -> Self {
        self.recorder.auditor = Some(Auditor::new(hook));
        self
    }
}

impl Default for BufferForm {
    fn default() -> Self {
        Self::new(form::DEFAULT_LIMIT)
    }
}

impl<S> Layer<S> for BufferForm {
    type Service = BufferFormService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferFormService { inner, layer: self.clone() }
    }
}

/// The service of [`BufferForm`].
#[derive(Clone, Debug)]
pub struct BufferFormService<S> {
    inner: S,
    layer: BufferForm,
}

impl<S> BufferFormService<S> {
    inner_service_accessors!();
}

impl<S, B, R> Service<Request<B>> for BufferFormService<S>
where
    S: Service<Request<BufferFormBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BufferFormFuture<S::Future, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().remove::<FormToken>();
        if !form::is_form(RequestHead::from_request(&request)) {
            let inner = self.inner.call(request.map(BufferFormBody::passed));
            return BufferFormFuture { state: State::Calling { inner } };
        }
        // The token is not checked yet: the request holds no reservation while its body arrives.
        self.inner = self.inner.clone();
        let mut inner = self.inner.clone();
        let BufferForm { limit, recorder } = self.layer.clone();
        BufferFormFuture {
            state: State::Buffering {
                buffering: Box::pin(async move {
                    let (parts, body) = request.into_parts();
                    let form = match form::collect(body, limit).await {
                        Ok(form) => form,
                        Err(rejection) => {
                            return Ok(refuse::without_settings(&recorder, rejection));
                        }
                    };
                    let trailers = form.trailers().cloned();
                    let form = form.to_bytes();
                    let token = FormToken::parse(&form);
                    let body = BufferFormBody { state: BodyState::Form { form, trailers } };
                    let mut request = Request::from_parts(parts, body);
                    request.extensions_mut().insert(token);
                    poll_fn(|cx| inner.poll_ready(cx)).await?;
                    inner.call(request).await
                }),
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// The response of the inner service, or a refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct BufferFormFuture<F, O> {
        #[pin]
        state: State<F, O>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, O> {
        Calling {
            #[pin]
            inner: F,
        },
        Buffering {
            buffering: Pin<Box<dyn Future<Output = O> + Send>>,
        },
    }
}

impl<F: Future> Future for BufferFormFuture<F, F::Output> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { inner } => inner.poll(cx),
            StateProjection::Buffering { buffering } => buffering.as_mut().poll(cx),
        }
    }
}

pin_project_lite::pin_project! {
    /// The request body below a [`BufferForm`]: the whole form and its trailers, or another body as it
    /// came.
    pub struct BufferFormBody<B> {
        #[pin]
        state: BodyState<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = BodyProjection]
    enum BodyState<B> {
        Passed {
            #[pin]
            body: B,
        },
        Form {
            form: Bytes,
            trailers: Option<HeaderMap>,
        },
    }
}

impl<B> BufferFormBody<B> {
    fn passed(body: B) -> Self {
        Self { state: BodyState::Passed { body } }
    }
}

impl<B: Body<Data: From<Bytes>>> Body for BufferFormBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = match self.project().state.project() {
            BodyProjection::Passed { body } => return body.poll_frame(cx),
            BodyProjection::Form { form, trailers } if form.is_empty() => {
                trailers.take().map(Frame::trailers)
            }
            BodyProjection::Form { form, .. } => Some(Frame::data(mem::take(form).into())),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            BodyState::Passed { body } => body.is_end_stream(),
            BodyState::Form { form, trailers } => form.is_empty() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            BodyState::Passed { body } => body.size_hint(),
            BodyState::Form { form, .. } => SizeHint::with_exact(form.len() as u64),
        }
    }
}

opaque_debug!(BufferFormBody<B> { .. });

opaque_debug!(BufferFormFuture < F, O > { .. });
