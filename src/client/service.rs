use super::{
    Error, ResponseFuture, StaticToken, TokenSource,
    attach::{Prepared, has_credential},
    layer::Rules,
};
use crate::{AccessToken, Answer, RequestHead};
use http::Request;
use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The service of [`AddBearer`](super::AddBearer).
///
/// A clone shares the source of tokens, and keeps a header value of its own: one shared by all
/// threads is what they would wait for.
pub struct AddBearerService<S, T = StaticToken> {
    inner: S,
    source: Arc<T>,
    rules: Arc<Rules>,
    held: Option<Held>,
    /// Whether `inner` was polled ready and not called since.
    reserved: bool,
}

/// The token that this clone attached last.
struct Held {
    /// Nothing for a static token, which is always current.
    token: Option<AccessToken>,
    prepared: Prepared,
    /// Whether `prepared` is this clone's own copy. It becomes so at its second use: a clone made
    /// for one call is not worth a copy.
    own: bool,
}

impl Held {
    #[inline]
    fn reuse(&mut self) -> &Prepared {
        if !self.own {
            self.prepared = self.prepared.deep_copy();
            self.own = true;
        }
        &self.prepared
    }
}

impl<S, T> AddBearerService<S, T> {
    pub(super) fn new(inner: S, source: Arc<T>, rules: Arc<Rules>) -> Self {
        Self { inner, source, rules, held: None, reserved: false }
    }

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

impl<S, B> Service<Request<B>> for AddBearerService<S, StaticToken>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let rules = &*self.rules;
        if rules.origins.allow(request.uri()) {
            let attached = match &mut self.held {
                Some(held) => held.reuse().attach(&mut request, rules.overwrite),
                None => {
                    let prepared = self.source.prepared.clone();
                    let attached = prepared.attach(&mut request, rules.overwrite);
                    self.held = Some(Held { token: None, prepared, own: false });
                    attached
                }
            };
            if let Err(error) = attached {
                return ResponseFuture::failed(error);
            }
        } else if !rules.pass_elsewhere {
            return ResponseFuture::failed(Error::foreign_origin(request.uri()));
        }
        ResponseFuture::warm(self.inner.call(request))
    }
}

impl<S, T, B> Service<Request<B>> for AddBearerService<S, T>
where
    T: TokenSource,
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    S::Response: 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, S::Response>;

    /// Reserves the inner service only while a token is at hand, and never waits for one: a
    /// request that is not known yet cannot be timed out, shed or steered elsewhere.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.reserved || self.source.is_warm() {
            ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
            self.reserved = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let attached = match self.token_for(&request) {
            Token::None => Ok(()),
            Token::Held => match &mut self.held {
                Some(held) => held.reuse().attach(&mut request, self.rules.overwrite).map(drop),
                None => Ok(()),
            },
            Token::Given(prepared) => prepared.attach(&mut request, self.rules.overwrite).map(drop),
            Token::Awaited(token) => return self.call_later(request, Some(token)),
            Token::Failed(error) => Err(error),
        };
        match attached {
            Ok(()) if mem::take(&mut self.reserved) => {
                ResponseFuture::warm(self.inner.call(request))
            }
            Ok(()) => self.call_later(request, None),
            Err(error) => {
                self.give_back();
                ResponseFuture::failed(error)
            }
        }
    }
}

/// What goes on one request.
enum Token<F> {
    /// Nothing: it has a credential, or goes elsewhere.
    None,
    /// What this clone holds.
    Held,
    Given(Prepared),
    Awaited(F),
    Failed(Error),
}

impl<S, T: TokenSource> AddBearerService<S, T> {
    fn token_for<B>(&mut self, request: &Request<B>) -> Token<T::Future> {
        let rules = &*self.rules;
        if !rules.origins.allow(request.uri()) {
            return match rules.pass_elsewhere {
                true => Token::None,
                false => Token::Failed(Error::foreign_origin(request.uri())),
            };
        }
        if !rules.overwrite && has_credential(request, &rules.location) {
            return Token::None;
        }
        let head = RequestHead::of(request);
        let held = self.held.as_ref().and_then(|held| held.token.as_ref());
        if held.is_some_and(|token| self.source.is_current(token, head)) {
            return Token::Held;
        }
        self.held = None;
        match self.source.token(head) {
            Answer::Pending(future) => Token::Awaited(future),
            Answer::Ready(Err(error)) => Token::Failed(error),
            Answer::Ready(Ok(token)) => match Prepared::new(&token, &rules.location) {
                Err(error) => Token::Failed(error),
                Ok(prepared) => {
                    if self.source.is_current(&token, head) {
                        let prepared = prepared.clone();
                        self.held = Some(Held { token: Some(token), prepared, own: false });
                    }
                    Token::Given(prepared)
                }
            },
        }
    }

    /// Calls a fresh clone of the inner service, once there is a token and it is ready. This
    /// service keeps no reservation meanwhile: the wait must not use up what others need.
    fn call_later<B>(
        &mut self,
        mut request: Request<B>,
        token: Option<T::Future>,
    ) -> ResponseFuture<S::Future, S::Response>
    where
        S: Service<Request<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Send + 'static,
    {
        self.give_back();
        let mut inner = self.inner.clone();
        let rules = self.rules.clone();
        ResponseFuture::cold(Box::pin(async move {
            if let Some(token) = token {
                let prepared = Prepared::new(&token.await?, &rules.location)?;
                prepared.attach(&mut request, rules.overwrite)?;
            }
            poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Into::into)?;
            inner.call(request).await.map_err(Into::into)
        }))
    }

    /// Puts a clone, which holds no reservation, in the place of the inner service.
    fn give_back(&mut self)
    where
        S: Clone,
    {
        self.inner = self.inner.clone();
        self.reserved = false;
    }
}

impl<S: Clone, T> Clone for AddBearerService<S, T> {
    fn clone(&self) -> Self {
        // A clone of a ready service is not ready, and holds no copy of its own.
        Self::new(self.inner.clone(), self.source.clone(), self.rules.clone())
    }
}

impl<S: fmt::Debug, T> fmt::Debug for AddBearerService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddBearerService")
            .field("inner", &self.inner)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
