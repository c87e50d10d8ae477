use super::{
    Known, ReplayPolicy, ResponseFuture,
    attach::{Attached, Prepared, has_credential},
    last_token::LastToken,
    other_origin::let_pass,
    outgoing::{InnerService, Outgoing},
    recover::{BoxError, Recover, Repeat},
    rules::{RejectionRule, Rules},
    static_token::StaticToken,
};
use crate::{
    Answer, RequestHead,
    client::{Error, TokenSource},
};
use http::{Request, Response};
use http_body::Body;
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// The service of [`AddBearer`](crate::client::AddBearer).
///
/// A clone shares the source of tokens, and keeps a header value of its own: one shared by all
/// threads is what they would wait for.
pub struct AddBearerService<S, T = StaticToken, P = Known> {
    inner: S,
    source: Arc<T>,
    rules: Arc<Rules>,
    replay: P,
    last: Option<LastToken>,
    /// Whether `inner` was polled ready and not called since.
    reserved: bool,
}

impl<S, T, P> AddBearerService<S, T, P> {
    pub(super) fn new(inner: S, source: Arc<T>, rules: Arc<Rules>, replay: P) -> Self {
        Self { inner, source, rules, replay, last: None, reserved: false }
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

impl<S, P, B, R> Service<Request<B>> for AddBearerService<S, StaticToken, P>
where
    S: Service<Request<B>, Response = Response<R>>,
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
            let attached = match &mut self.last {
                Some(last) => last.reuse().attach(&mut request, rules.overwrite),
                None => {
                    let prepared = self.source.prepared().clone();
                    let attached = prepared.attach(&mut request, rules.overwrite);
                    self.last = Some(LastToken::of_static(prepared));
                    attached
                }
            };
            if let Err(error) = attached {
                return ResponseFuture::failed(error);
            }
        } else if let Err(error) = let_pass(&mut request, rules) {
            return ResponseFuture::failed(error);
        }
        ResponseFuture::warm(self.inner.call(request), None)
    }
}

impl<S, T, P, B, R> Service<Request<B>> for AddBearerService<S, T, P>
where
    T: TokenSource,
    P: ReplayPolicy<B>,
    P::Body: Send,
    S: Service<Request<P::Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, Response<R>>;

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
        if self.reserved && self.holds_token_for(&request) {
            // Not by way of `outgoing`: moving a request costs as much as attaching the token.
            if !self.recovers() {
                return match self.attach_held(&mut request) {
                    Ok(()) => {
                        self.reserved = false;
                        let request = request.map(|body| self.replay.once(body));
                        ResponseFuture::warm(self.inner.call(request), None)
                    }
                    Err(error) => self.fail(error),
                };
            }
            return match self.outgoing(request) {
                Ok(outgoing) => {
                    self.reserved = false;
                    ResponseFuture::warm(self.inner.call(outgoing.request), outgoing.recover)
                }
                Err(error) => self.fail(error),
            };
        }
        match self.token_for(&mut request) {
            Token::None => {
                let request = request.map(|body| self.replay.once(body));
                self.send(Outgoing { request, recover: None })
            }
            Token::Held => match self.outgoing(request) {
                Ok(outgoing) => self.send(outgoing),
                Err(error) => self.fail(error),
            },
            Token::Awaited(token) => self.call_later(request, token),
            Token::Failed(error) => self.fail(error),
        }
    }
}

/// What goes on one request.
enum Token<F> {
    /// Nothing: it has a credential, or goes elsewhere.
    None,
    /// What this clone holds.
    Held,
    Awaited(F),
    Failed(Error),
}

impl<S, T: TokenSource, P> AddBearerService<S, T, P> {
    /// Whether the token of an earlier call may go on this one. A credential that the request
    /// has is noticed when the token is attached.
    #[inline]
    fn holds_token_for<B>(&self, request: &Request<B>) -> bool {
        let token = self.last.as_ref().and_then(LastToken::token);
        self.rules.origins.allow(request.uri())
            && token.is_some_and(|token| {
                self.source.is_current(token, RequestHead::from_request(request))
            })
    }

    /// Whether a call is repeated when its token is rejected.
    #[inline]
    fn recovers(&self) -> bool {
        self.rules.rejection != RejectionRule::None && self.source.recovers()
    }

    #[inline]
    fn attach_held<B>(&mut self, request: &mut Request<B>) -> Result<(), Error> {
        match &mut self.last {
            Some(last) => {
                if last.reuse().attach(request, self.rules.overwrite)? == Attached::Token {
                    last.used();
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn token_for<B>(&mut self, request: &mut Request<B>) -> Token<T::Future> {
        let rules = &*self.rules;
        if !rules.origins.allow(request.uri()) {
            return match let_pass(request, rules) {
                Ok(()) => Token::None,
                Err(error) => Token::Failed(error),
            };
        }
        if !rules.overwrite && has_credential(request, &rules.location) {
            return Token::None;
        }
        self.last = None;
        match self.source.token(RequestHead::from_request(request)) {
            Answer::Pending(future) => Token::Awaited(future),
            Answer::Ready(Err(_)) if rules.allow_anonymous => Token::None,
            Answer::Ready(Err(error)) => Token::Failed(error),
            Answer::Ready(Ok(token)) => match Prepared::new(&token, &rules.location) {
                Err(error) => Token::Failed(error),
                Ok(prepared) => {
                    self.last = Some(LastToken::new(token, prepared));
                    Token::Held
                }
            },
        }
    }

    /// Puts the token that this clone holds on `request`.
    #[inline]
    fn outgoing<B, R>(&mut self, mut request: Request<B>) -> Result<Outgoing<P::Body, R>, Error>
    where
        P: ReplayPolicy<B, Body: Send>,
        S: InnerService<P::Body, R>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        let recovers = self.recovers();
        let Some(last) = self.last.as_mut().filter(|_| recovers) else {
            self.attach_held(&mut request)?;
            let request = request.map(|body| self.replay.once(body));
            return Ok(Outgoing { request, recover: None });
        };
        let (parts, body) = request.into_parts();
        let (body, kept) = self.replay.split(body);
        let copy = kept.map(|kept| (Request::from_parts(parts.clone(), ()), kept));
        let mut request = Request::from_parts(parts, body);
        let attached = last.reuse().attach(&mut request, self.rules.overwrite)?;
        if attached == Attached::Untouched {
            return Ok(Outgoing { request, recover: None });
        }
        last.used();
        let recover = last.token().cloned().map(|token| -> Box<dyn Recover<Response<R>>> {
            Box::new(Repeat::<S, T, P, B> {
                inner: self.inner.clone(),
                source: self.source.clone(),
                rules: self.rules.clone(),
                replay: self.replay.clone(),
                token,
                copy,
            })
        });
        Ok(Outgoing { request, recover })
    }

    /// Calls the inner service: at once where it is reserved, otherwise once it is ready.
    fn send<B, R>(&mut self, outgoing: Outgoing<B, R>) -> ResponseFuture<S::Future, Response<R>>
    where
        S: InnerService<B, R>,
        B: Send + 'static,
        R: Send + 'static,
    {
        if mem::take(&mut self.reserved) {
            return ResponseFuture::warm(self.inner.call(outgoing.request), outgoing.recover);
        }
        // This one may stand in a queue for a permit already, which it would be given and keep.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        ResponseFuture::cold(Box::pin(outgoing.send(inner)))
    }

    /// Calls a fresh clone of this service once there is a token. No reservation is kept
    /// meanwhile: the wait must not use up what others need.
    fn call_later<B, R>(
        &mut self,
        request: Request<B>,
        token: T::Future,
    ) -> ResponseFuture<S::Future, Response<R>>
    where
        P: ReplayPolicy<B, Body: Send>,
        S: InnerService<P::Body, R>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        self.give_back();
        let (source, rules) = (self.source.clone(), self.rules.clone());
        let mut fresh = Self::new(self.inner.clone(), source, rules, self.replay.clone());
        ResponseFuture::cold(Box::pin(async move {
            match token.await {
                Err(_) if fresh.rules.allow_anonymous => {}
                token => {
                    let token = token?;
                    let prepared = Prepared::new(&token, &fresh.rules.location)?;
                    fresh.last = Some(LastToken::new(token, prepared));
                }
            }
            let outgoing = fresh.outgoing(request)?;
            // Apart, so that those who wait for a token take no room for what comes after it.
            Box::pin(outgoing.send(fresh.inner)).await
        }))
    }

    fn fail<F, R>(&mut self, error: Error) -> ResponseFuture<F, R>
    where
        S: Clone,
    {
        self.give_back();
        ResponseFuture::failed(error)
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

impl<S: Clone, T, P: Clone> Clone for AddBearerService<S, T, P> {
    fn clone(&self) -> Self {
        // A clone of a ready service is not ready, and holds no copy of its own.
        let (source, rules) = (self.source.clone(), self.rules.clone());
        Self::new(self.inner.clone(), source, rules, self.replay.clone())
    }
}

impl<S: fmt::Debug, T, P> fmt::Debug for AddBearerService<S, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddBearerService")
            .field("inner", &self.inner)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
