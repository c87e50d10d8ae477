//! Lets clients revoke tokens ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).
//!
//! **In**: requests of clients. **Out**: their credentials and the token, for two closures of the user; and the response.
//! **Uses** `vocabulary`, `observe`, `validate`, `uncached` and the forms of `require_token`.

mod request;
mod response;

pub use request::{ClientCredentials, RevokeRequest};
pub use response::{EndpointBody, RevocationError};

use super::require_token::extract::form;
use crate::{
    RequestHead,
    observe::{self, Outcome},
    validate::Revocations,
};
use http::{Method, Request, Response};
use http_body::Body;
use request::Form;
use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The revocation endpoint of an authorization server
/// ([RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009#section-2)): a service, to be routed to by its
/// path.
///
/// 1. A client authenticates by Basic credentials, form-encoded as in
///    [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1), or by `client_id` and
///    `client_secret` in the form, but not both. A public client sends `client_id` alone. The endpoint
///    asks `authenticate` whether the credentials are right, before it looks at the token.
/// 2. `revoke` revokes the token. With a refresh token, it must revoke the access tokens of the same
///    grant (§2.1). It must refuse the token of another client with
///    [`RevocationError::unauthorized_client`].
/// 3. The response to `Ok` is 200. `revoke` must return `Ok` for an unknown token too (§2.2), and
///    [`RevocationError::unavailable`] if the token may still be valid; then the client tries again.
///
/// | request | response |
/// |---|---|
/// | a token | 200 |
/// | no client, or a wrong secret | 401 `invalid_client`, Basic challenge |
/// | no token, a repeated parameter, two ways to authenticate, no form | 400 `invalid_request` |
/// | a form that is too long | 413 |
/// | another method than POST | 405 |
/// | `authenticate` or `revoke` is unavailable | 503, `Retry-After` |
///
/// Every response is `Cache-Control: no-store`. Refusals are counted, and logged at DEBUG: see
/// [telemetry](crate::guide::telemetry). Neither token nor secret is logged.
///
/// Clones share the two closures.
///
/// # Defaults
///
/// A form has at most 64 KiB. There is no timeout: put one above.
///
/// # Example
///
/// ```
/// use axum::Router;
/// use std::future::ready;
/// use tower_oauth2::{
///     ClientSecret,
///     server::{ClientCredentials, RevocationEndpoint, RevocationError, RevokeRequest},
/// };
///
/// // Read it from where the program keeps its secrets.
/// let secret = ClientSecret::new("s3cr3t");
/// let endpoint = RevocationEndpoint::new(
///     move |client: ClientCredentials| {
///         ready(match client.client_id() {
///             "app" if client.has_secret(&secret) => Ok(()),
///             _ => Err(RevocationError::invalid_client()),
///         })
///     },
///     async |request: RevokeRequest| {
///         // Delete `request.expose_token()` if it was issued to the client.
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
    /// Creates an endpoint that asks `authenticate` about clients, and `revoke` to revoke tokens.
    pub fn new(authenticate: A, revoke: R) -> Self {
        Self {
            authenticate: Arc::new(authenticate),
            revoke: Arc::new(revoke),
            limit: form::DEFAULT_LIMIT,
        }
    }
}

/// The closure of [`RevocationEndpoint::from_revocations`].
pub type IntoRevocations =
    Box<dyn Fn(RevokeRequest) -> Ready<Result<(), RevocationError>> + Send + Sync>;

impl<A, AF> RevocationEndpoint<A, IntoRevocations>
where
    A: Fn(ClientCredentials) -> AF + Send + Sync + 'static,
    AF: Future<Output = Result<(), RevocationError>> + Send + 'static,
{
    /// Creates an endpoint that adds the tokens to `revocations`: a JWT until its `exp`, another token
    /// for [the longest lifetime](Revocations::with_max_lifetime), or for good if the list has none.
    /// For access tokens of which only the text is known. Any client may revoke any token that it has.
    ///
    /// Text that is not a token is added too, so a client could fill the list: use
    /// [`new`](Self::new), and look tokens up, if the clients are not trusted. The response is 503
    /// while the list is full.
    pub fn from_revocations(authenticate: A, revocations: Revocations) -> Self {
        let revoke: IntoRevocations = Box::new(move |request| {
            let done = revocations.revoke_token(request.expose_token(), None);
            ready(done.map_err(|_| RevocationError::unavailable(None)))
        });
        Self::new(authenticate, revoke)
    }
}

impl<A, R> RevocationEndpoint<A, R> {
    /// Sets how many bytes a form may have. Defaults to 64 KiB.
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
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
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
        let responding = async move {
            let (client, form) = read(request, limit).await?;
            let client_id = client.client_id().into();
            authenticate(client).await?;
            revoke(form.into_request(client_id)?).await
        };
        RevocationEndpointFuture {
            responding: Box::pin(async move {
                let result = responding.await;
                if let Err(refused) = &result {
                    let (outcome, reason) = (Outcome::Rejected, Some(refused.reason()));
                    observe::decided(outcome, reason, None, None, || refused.to_string());
                }
                response::response(result)
            }),
        }
    }
}

/// Reads the client's credentials and the rest of the form.
async fn read<B>(
    request: Request<B>,
    limit: usize,
) -> Result<(ClientCredentials, Form), RevocationError>
where
    B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    if request.method() != Method::POST {
        return Err(RevocationError::method());
    }
    if !form::is_form(RequestHead::from_request(&request)) {
        return Err(RevocationError::invalid_request("the request is not a form"));
    }
    let (head, body) = request.into_parts();
    let form =
        form::collect(body, limit).await.map_err(|error| RevocationError::unreadable(&error))?;
    let mut form = Form::parse(&form.to_bytes());
    Ok((ClientCredentials::read(&head.headers, &mut form)?, form))
}

/// The response of a [`RevocationEndpoint`].
#[must_use = "futures do nothing unless polled"]
pub struct RevocationEndpointFuture {
    responding: Pin<Box<dyn Future<Output = Response<EndpointBody>> + Send>>,
}

impl Future for RevocationEndpointFuture {
    type Output = Result<Response<EndpointBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.responding.as_mut().poll(cx).map(Ok)
    }
}

impl<A, R> Clone for RevocationEndpoint<A, R> {
    fn clone(&self) -> Self {
        let (authenticate, revoke) = (self.authenticate.clone(), self.revoke.clone());
        Self { authenticate, revoke, limit: self.limit }
    }
}

opaque_debug!(RevocationEndpoint<A, R> { limit, .. });

opaque_debug!(RevocationEndpointFuture { .. });
