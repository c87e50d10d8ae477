//! Reads a form body for its token, and hands the body on.

use super::refuse;
use crate::{RequestHead, validate::Rejection, vocabulary::location::ACCESS_TOKEN};
use bytes::Bytes;
use http::{Method, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Buffers form bodies for a [`RequireToken`](crate::server::RequireToken) below that reads
/// [`TokenLocation::Form`](crate::TokenLocation::Form)
/// ([RFC 6750 §2.2](https://www.rfc-editor.org/rfc/rfc6750#section-2.2)).
///
/// 1. Only the body of a POST, PUT or PATCH that is declared
///    `application/x-www-form-urlencoded` is read; every other passes as it is.
/// 2. What was read is handed on byte for byte.
/// 3. A longer body than allowed is refused with 413, one that breaks off with 400.
/// 4. While a body is read, the inner service's reservation is left to others; it is asked for
///    again before the call.
///
/// How long a body may take is not limited here: put a time-out above, as for every body that is
/// read.
///
/// It is a layer of its own, so that only those who read forms have a body that must be
/// buffered: `B: From<Bytes>`.
///
/// # Defaults
///
/// Forms of at most 64 KiB.
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
///     .read_from([TokenLocation::Bearer, TokenLocation::Form])?;
/// let app: Router = Router::new()
///     .route("/calls", post(|body: String| async move { body }))
///     .route_layer(ServiceBuilder::new().layer(BufferForm::default()).layer(require));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BufferForm {
    limit: usize,
}

impl BufferForm {
    /// Forms of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }
}

impl Default for BufferForm {
    fn default() -> Self {
        Self::new(64 * 1024)
    }
}

impl<S> Layer<S> for BufferForm {
    type Service = BufferFormService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferFormService { inner, limit: self.limit }
    }
}

/// What a form said of the token: an extension that only [`BufferForm`] writes.
#[derive(Clone)]
pub(in crate::server) struct FormToken(Result<Option<String>, Rejection>);

impl FormToken {
    fn read(form: &[u8]) -> Self {
        let mut tokens = form_urlencoded::parse(form).filter(|(name, _)| name == ACCESS_TOKEN);
        let token = tokens.next().map(|(_, token)| token.into_owned());
        Self(match tokens.next() {
            Some(_) => Err(Rejection::malformed(crate::server::require_token::extract::SEVERAL)),
            None => Ok(token),
        })
    }

    /// The token in the form of this request.
    pub(in crate::server) fn of(head: RequestHead<'_>) -> Result<Option<&str>, Rejection> {
        match head.extensions().get::<Self>() {
            Some(Self(Ok(token))) => Ok(token.as_deref()),
            Some(Self(Err(rejection))) => Err(rejection.clone()),
            None if is_form(head) => {
                Err(Rejection::internal("RequireToken reads forms, but no BufferForm is above it"))
            }
            None => Ok(None),
        }
    }
}

pub(in crate::server) fn is_form(head: RequestHead<'_>) -> bool {
    let has_body = matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH);
    let declared = head.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next()).unwrap_or_default();
    has_body && media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The service of [`BufferForm`].
#[derive(Clone, Debug)]
pub struct BufferFormService<S> {
    inner: S,
    limit: usize,
}

impl<S> BufferFormService<S> {
    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, without the layer.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for BufferFormService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: 'static,
    S::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
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
        if !is_form(RequestHead::from_request(&request)) {
            return BufferFormFuture { state: State::Calling { inner: self.inner.call(request) } };
        }
        // Whoever sends the body was judged by nobody yet: no reservation waits for them.
        self.inner = self.inner.clone();
        let mut inner = self.inner.clone();
        let limit = self.limit;
        BufferFormFuture {
            state: State::Buffering {
                buffering: Box::pin(async move {
                    let (parts, body) = request.into_parts();
                    let form = match collect(body, limit).await {
                        Ok(form) => form,
                        Err(rejection) => return Ok(refuse::plain(rejection)),
                    };
                    let token = FormToken::read(&form);
                    let mut request = Request::from_parts(parts, B::from(form));
                    request.extensions_mut().insert(token);
                    poll_fn(|cx| inner.poll_ready(cx)).await?;
                    inner.call(request).await
                }),
            },
        }
    }
}

/// All of `body`, where it is not longer than `limit` bytes.
pub(in crate::server) async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Rejection>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    match Limited::new(body, limit).collect().await {
        Ok(form) => Ok(form.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Rejection::too_large()),
        Err(_) => Err(Rejection::malformed(BROKEN)),
    }
}

const BROKEN: &str = "the form could not be read to its end";

pin_project_lite::pin_project! {
    /// The answer of the inner service, or a refusal.
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

impl<F, O> fmt::Debug for BufferFormFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferFormFuture").finish_non_exhaustive()
    }
}
