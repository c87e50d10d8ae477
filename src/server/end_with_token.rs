use super::{
    AnsweredFuture,
    require_token::{TokenEnd, grpc::token_ended, refuse, standing::Standing},
};
use crate::{
    RequestHead,
    vocabulary::grpc::{self, Grpc},
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Ends the body of a response when the token of its request expires or is revoked.
///
/// For streams, which would otherwise last as long as the connection. A stream of gRPC
/// (`application/grpc`) ends with the status 16 (`UNAUTHENTICATED`) in its trailers. Any other body
/// ends as if it were complete, so that each frame must make sense by itself, as server-sent events do.
/// Put the layer below one that translates gRPC-Web, since that puts the trailers into the body.
///
/// Put it below a [`RequireToken`](crate::server::RequireToken). Without one above it, every response
/// is 500. It does not change the response to an anonymous request.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_oauth2::{server::{EndWithToken, RequireToken}, validate::StaticTokens};
///
/// let require = RequireToken::new("api", StaticTokens::new())?;
/// let app: Router = Router::new()
///     .route("/events", get(|| async { "data: hello\n\n" }))
///     .route_layer(ServiceBuilder::new().layer(require).layer(EndWithToken::new()));
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct EndWithToken {
    _private: (),
}

impl EndWithToken {
    /// Creates the layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for EndWithToken {
    type Service = EndWithTokenService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EndWithTokenService { inner }
    }
}

/// The service of [`EndWithToken`].
#[derive(Clone, Copy, Debug)]
pub struct EndWithTokenService<S> {
    inner: S,
}

impl<S> EndWithTokenService<S> {
    inner_service_accessors!();
}

type Ended = Pin<Box<dyn Future<Output = TokenEnd> + Send>>;

impl<S, B, R> Service<Request<B>> for EndWithTokenService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<EndWithTokenBody<R>>;
    type Error = S::Error;
    type Future = EndWithTokenFuture<AnsweredFuture<S::Future, Response<R>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ended = match Standing::of(request.extensions()) {
            Standing::Authenticated(token) => Some(Box::pin(token.ended()) as Ended),
            Standing::Anonymous(_) | Standing::Preflight(_) => None,
            Standing::Undecided => {
                let missing = "no RequireToken is above EndWithToken: put that layer around it";
                let refusal = refuse::misplaced(missing, RequestHead::from_request(&request));
                return EndWithTokenFuture {
                    inner: AnsweredFuture::answered(refusal),
                    ended: None,
                };
            }
        };
        EndWithTokenFuture { inner: AnsweredFuture::calling(self.inner.call(request)), ended }
    }
}

pin_project_lite::pin_project! {
    /// The response of the inner service, with a body that ends with the token.
    #[must_use = "futures do nothing unless polled"]
    pub struct EndWithTokenFuture<F> {
        #[pin]
        inner: F,
        ended: Option<Ended>,
    }
}

impl<F: Future<Output = Result<Response<R>, E>>, R, E> Future for EndWithTokenFuture<F> {
    type Output = Result<Response<EndWithTokenBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let ended = this.ended.take();
        let protocol = grpc::content_type(response.headers()).map(|(_, protocol)| protocol);
        let lacks_status = protocol == Some(Grpc::Http2);
        let is_over = false;
        let body = |body| EndWithTokenBody { body, ended, is_over, lacks_status };
        Poll::Ready(Ok(response.map(body)))
    }
}

pin_project_lite::pin_project! {
    /// A body that ends with the token of its request.
    #[derive(Default)]
    pub struct EndWithTokenBody<B> {
        #[pin]
        body: B,
        ended: Option<Ended>,
        is_over: bool,
        // A stream of gRPC whose trailers did not come yet.
        lacks_status: bool,
    }
}

impl<B: Body> Body for EndWithTokenBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if this.ended.as_mut().is_some_and(|ended| ended.as_mut().poll(cx).is_ready()) {
            // A future is not polled again after its end.
            *this.ended = None;
            *this.is_over = true;
            return Poll::Ready(this.lacks_status.then(|| Ok(Frame::trailers(token_ended()))));
        }
        if *this.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(this.body.poll_frame(cx));
        *this.lacks_status &= matches!(&frame, Some(Ok(frame)) if frame.is_data());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        if self.ended.is_none() || hint.exact() == Some(0) {
            return hint;
        }
        // The body may end early, and a response that is shorter than its length is broken.
        let mut shorter = SizeHint::new();
        if let Some(upper) = hint.upper().filter(|_| hint.exact().is_none()) {
            shorter.set_upper(upper);
        }
        shorter
    }
}

opaque_debug!(EndWithTokenFuture<F> { .. });

opaque_debug!(EndWithTokenBody<B> { is_over, .. });
