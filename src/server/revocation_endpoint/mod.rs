//! Where clients give tokens back ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

mod answer;
mod request;

pub use answer::{EndpointBody, RevocationError};
pub use request::{ClientCredentials, RevokeRequest};

use super::require_token::extract::form;
use crate::{RequestHead, validate::Revocations};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use request::Form;
use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The revocation endpoint of whoever issues tokens
/// ([RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009#section-2)): a service of its own, to be
/// put at a path.
///
/// 1. A client authenticates by Basic credentials, form-encoded as
///    [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) says, or by
///    `client_id` and `client_secret` in the form; in one way only. A public client sends
///    `client_id` alone. Whether it is who it says is for `authenticate` to tell, which is asked
///    before anything else of the request is looked at.
/// 2. What giving back means is for `revoke` to do: that of a refresh token takes the access
///    tokens of its grant with it (§2.1), and that of another client's token is refused with
///    [`RevocationError::unauthorized_client`].
/// 3. `Ok` is answered with 200, and so is to be a token that nobody knows (§2.2). That it is not
///    known to be revoked is [`RevocationError::unavailable`]: 503, and the client asks again.
///
/// | what comes | the answer |
/// |---|---|
/// | a token | 200 |
/// | no client, or another secret | 401 `invalid_client`, Basic challenge |
/// | no token, a parameter twice, two ways to authenticate, no form | 400 `invalid_request` |
/// | a longer form than allowed | 413 |
/// | another method than POST | 405 |
/// | `authenticate` or `revoke` cannot tell | 503, `Retry-After` |
///
/// Every answer is `Cache-Control: no-store`. Neither token nor secret is logged.
///
/// A clone shares the two closures.
///
/// # Defaults
///
/// Forms of at most 64 KiB. There is no time-out: put one above.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use tower_oauth2::{
///     server::{ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest},
///     validate::Revocations,
/// };
///
/// let endpoint = RevocationEndpoint::new(
///     async |client: ClientCredentials| match client.client_id() {
///         // Compare secrets in constant time.
///         "app" if client.secret().is_some() => Ok(()),
///         _ => Err(RevocationError::invalid_client()),
///     },
///     async |request: RevokeRequest| {
///         // Delete `request.expose_token()` where it is the client's own.
///         let _ = (request.client_id(), request.token_type_hint());
///         Ok(())
///     },
/// );
/// let app: Router = Router::new().route_service("/revoke", endpoint);
/// # let _ = app;
/// ```
#[must_use]
pub struct RevocationEndpoint<A, R> {
    authenticate: Arc<A>,
    revoke: Arc<R>,
    limit: usize,
}

impl<A, AF, R, RF> RevocationEndpoint<A, R>
where
    A: Fn(ClientCredentials) -> AF + Send + Sync + 'static,
    AF: Future<Output = Result<(), RevocationError>> + Send + 'static,
    R: Fn(RevokeRequest) -> RF + Send + Sync + 'static,
    RF: Future<Output = Result<(), RevocationError>> + Send + 'static,
{
    /// Has `authenticate` tell who a client is, and `revoke` take back what it gives.
    pub fn new(authenticate: A, revoke: R) -> Self {
        Self {
            authenticate: Arc::new(authenticate),
            revoke: Arc::new(revoke),
            limit: form::DEFAULT_LIMIT,
        }
    }
}

/// What takes the tokens that clients give back into a list of [`Revocations`].
pub type IntoRevocations =
    Box<dyn Fn(RevokeRequest) -> Ready<Result<(), RevocationError>> + Send + Sync>;

impl<A, AF> RevocationEndpoint<A, IntoRevocations>
where
    A: Fn(ClientCredentials) -> AF + Send + Sync + 'static,
    AF: Future<Output = Result<(), RevocationError>> + Send + 'static,
{
    /// Puts the tokens themselves into `revocations`, for the longest lifetime of a token: for
    /// access tokens that nothing but their text is known of. Whoever has a token may give it back,
    /// whoever it was issued to.
    ///
    /// Text that is no token is kept like one: with clients that are not trusted, look it up first,
    /// lest one of them fills the list. Of a full list the answer is 503.
    pub fn from_revocations(authenticate: A, revocations: Revocations) -> Self {
        let revoke: IntoRevocations = Box::new(move |request| {
            let done = revocations.revoke_token(request.expose_token(), None);
            ready(done.map_err(|_| RevocationError::unavailable(None)))
        });
        Self::new(authenticate, revoke)
    }
}

impl<A, R> RevocationEndpoint<A, R> {
    /// Takes forms of at most `limit` bytes. Defaults to 64 KiB.
    pub fn with_form_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

impl<A, AF, R, RF, B> Service<Request<B>> for RevocationEndpoint<A, R>
where
    A: Fn(ClientCredentials) -> AF + Send + Sync + 'static,
    AF: Future<Output = Result<(), RevocationError>> + Send + 'static,
    R: Fn(RevokeRequest) -> RF + Send + Sync + 'static,
    RF: Future<Output = Result<(), RevocationError>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<EndpointBody>;
    type Error = Infallible;
    type Future = RevocationEndpointFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (authenticate, revoke) = (self.authenticate.clone(), self.revoke.clone());
        let limit = self.limit;
        let answering = async move {
            let (client, form) = read(request, limit).await?;
            let client_id = client.client_id().into();
            authenticate(client).await?;
            revoke(form.into_request(client_id)?).await
        };
        RevocationEndpointFuture {
            answering: Box::pin(async move { answer::response(answering.await) }),
        }
    }
}

/// Who asks, and the rest of the form.
async fn read<B>(
    request: Request<B>,
    limit: usize,
) -> Result<(ClientCredentials, Form), RevocationError>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if request.method() != Method::POST {
        return Err(RevocationError::method());
    }
    if !form::is_form(RequestHead::of(&request)) {
        return Err(RevocationError::invalid_request("the request is no form"));
    }
    let (head, body) = request.into_parts();
    let bytes: Bytes =
        form::collect(body, limit).await.map_err(|why| RevocationError::unread(&why))?;
    let mut form = Form::parse(&bytes);
    Ok((ClientCredentials::read(&head.headers, &mut form)?, form))
}

/// The answer of a [`RevocationEndpoint`].
#[must_use = "futures do nothing unless polled"]
pub struct RevocationEndpointFuture {
    answering: Pin<Box<dyn Future<Output = Response<EndpointBody>> + Send>>,
}

impl Future for RevocationEndpointFuture {
    type Output = Result<Response<EndpointBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.answering.as_mut().poll(cx).map(Ok)
    }
}

impl<A, R> Clone for RevocationEndpoint<A, R> {
    fn clone(&self) -> Self {
        let (authenticate, revoke) = (self.authenticate.clone(), self.revoke.clone());
        Self { authenticate, revoke, limit: self.limit }
    }
}

impl<A, R> fmt::Debug for RevocationEndpoint<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationEndpoint").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl fmt::Debug for RevocationEndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationEndpointFuture").finish_non_exhaustive()
    }
}
