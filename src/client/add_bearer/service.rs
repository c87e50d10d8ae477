use super::{
    Known, ReplayPolicy, ResponseFuture,
    attach::{Attached, has_credential},
    inner_service::{BoxError, InnerService},
    last_token::LastToken,
    other_origin::pass_without_token,
    outgoing::Outgoing,
    recover::{Proofs, Recover, Repeat},
    refusal::RejectionRule,
    reserve::accept,
    rules::Rules,
    static_token::StaticToken,
};
use crate::{
    AccessToken, Answer, RequestHead,
    client::{Error, TokenSource},
};
use http::{Request, Response};
use http_body::Body;
use std::{
    fmt,
    future::Future,
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// The service of [`AddBearer`](crate::client::AddBearer).
///
/// A clone shares the source of tokens. It keeps a header value of its own, because all threads
/// would contend for a shared one.
pub struct AddBearerService<S, T = StaticToken, P = Known> {
    pub(super) inner: S,
    pub(super) source: Arc<T>,
    pub(super) rules: Arc<Rules>,
    replay: P,
    last: Option<LastToken>,
    /// `inner` was polled ready and not called since.
    reserved: bool,
}

impl<S, T, P> AddBearerService<S, T, P> {
    pub(super) fn new(inner: S, source: Arc<T>, rules: Arc<Rules>, replay: P) -> Self {
        Self { inner, source, rules, replay, last: None, reserved: false }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
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
        if rules.origins.contains(request.uri()) {
            let attached = match &mut self.last {
                Some(last) => last.reuse().attach(&mut request, rules),
                None => {
                    let credential = self.source.credential().clone();
                    let attached = credential.attach(&mut request, rules);
                    self.last = Some(LastToken::of_static(credential));
                    attached
                }
            };
            if let Err(error) = attached {
                return ResponseFuture::failed(error);
            }
        } else if let Err(error) = pass_without_token(&mut request, rules) {
            return ResponseFuture::failed(error);
        }
        ResponseFuture::warm(self.inner.call(request), None)
    }
}

impl<S, T, P, B, R> Service<Request<B>> for AddBearerService<S, T, P>
where
    T: TokenSource,
    P: ReplayPolicy<B>,
    S: Service<Request<P::Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, Response<R>>;

    /// Reserves the inner service only while a token is available, and never waits for one: without
    /// a request, no layer above could time out, shed or steer.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.reserved || self.source.is_warm() {
            ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
            self.reserved = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !(self.reserved && self.has_token_for(&request)) {
            return self.call_with_new_token(request);
        }
        if self.can_recover() || self.is_bound() {
            let outgoing = self.outgoing(request);
            return self.send(outgoing);
        }
        // Without `outgoing`: moving a request costs as much as attaching the token.
        match self.attach_last(&mut request) {
            Ok(()) => {
                self.reserved = false;
                let request = request.map(|body| self.replay.once(body));
                ResponseFuture::warm(self.inner.call(request), None)
            }
            Err(error) => self.fail(error),
        }
    }
}

/// The token for one request.
enum Token<F: Future> {
    /// The request has a credential, or goes to another origin.
    None,
    Of(Answer<F>),
}

impl<S, T: TokenSource, P> AddBearerService<S, T, P> {
    /// Returns `true` if the token of an earlier call may be used for this one. A credential on
    /// the request is noticed when the token is attached.
    #[inline]
    fn has_token_for<B>(&self, request: &Request<B>) -> bool {
        let last = self.last.as_ref().and_then(LastToken::token);
        self.rules.origins.contains(request.uri())
            && last.is_some_and(|last| {
                self.source.is_current(last, RequestHead::from_request(request))
            })
    }

    /// Returns `true` if a call is repeated when its token is rejected, or its proof needs a nonce.
    #[inline]
    fn can_recover(&self) -> bool {
        self.rules.rejection != RejectionRule::None
            && (self.source.can_recover() || self.is_bound())
    }

    /// Returns `true` if the token of an earlier call is bound to a key.
    #[inline]
    fn is_bound(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.bond().is_some())
    }

    /// Returns `true` if the call with `request` is repeated when its token is rejected.
    pub(super) fn can_repeat<B>(&self, request: &Request<B>) -> bool
    where
        P: ReplayPolicy<B>,
    {
        self.can_recover() && self.replay.can_repeat(request.body())
    }

    #[inline]
    fn attach_last<B>(&mut self, request: &mut Request<B>) -> Result<(), Error> {
        let Some(last) = &mut self.last else { return Ok(()) };
        if last.reuse().attach(request, &self.rules)? == Attached::Token {
            last.used();
        }
        Ok(())
    }

    /// Keeps the nonces of a call that is never repeated, if its token is bound to a key.
    #[inline]
    fn proofs<B, R>(&self, request: &Request<B>) -> Option<Box<dyn Recover<Response<R>>>> {
        let bond = self.last.as_ref()?.bond();
        let proofs = Proofs::new(bond, request.uri(), &self.rules)?;
        Some(proofs)
    }

    fn call_with_new_token<B, R>(
        &mut self,
        mut request: Request<B>,
    ) -> ResponseFuture<S::Future, Response<R>>
    where
        P: ReplayPolicy<B>,
        S: InnerService<P::Body, R>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        let outgoing = match self.token_for(&mut request) {
            Ok(Token::None) => {
                let request = request.map(|body| self.replay.once(body));
                Ok(Outgoing { request, recover: None })
            }
            Ok(Token::Of(Answer::Ready(token))) if self.reserved => accept(token, &self.rules)
                .and_then(|token| self.keep(token))
                .and_then(|()| self.outgoing(request)),
            Ok(Token::Of(token)) => return self.call_later(request, token),
            Err(error) => Err(error),
        };
        self.send(outgoing)
    }

    fn token_for<B>(&mut self, request: &mut Request<B>) -> Result<Token<T::Future>, Error>
    where
        P: ReplayPolicy<B>,
    {
        let rules = &*self.rules;
        if !rules.origins.contains(request.uri()) {
            return pass_without_token(request, rules).map(|()| Token::None);
        }
        if !rules.overwrite && has_credential(request, &rules.location) {
            return Ok(Token::None);
        }
        self.last = None;
        let head = RequestHead::from_request(request).repeatable_if(self.can_repeat(request));
        Ok(Token::Of(self.source.token(head)))
    }

    /// Keeps `token` for this call and later ones.
    pub(super) fn keep(&mut self, token: Option<AccessToken>) -> Result<(), Error> {
        let last = token.map(|token| LastToken::new(token, &self.rules.location));
        self.last = last.transpose()?;
        Ok(())
    }

    /// Attaches the token of `last` to `request`.
    #[inline]
    pub(super) fn outgoing<B, R>(
        &mut self,
        mut request: Request<B>,
    ) -> Result<Outgoing<P::Body, R>, Error>
    where
        P: ReplayPolicy<B>,
        S: InnerService<P::Body, R>,
        B: 'static,
        R: Body + Send + 'static,
    {
        let can_recover = self.can_recover();
        let Some(last) = self.last.as_mut().filter(|_| can_recover) else {
            self.attach_last(&mut request)?;
            let recover = self.proofs(&request);
            let request = request.map(|body| self.replay.once(body));
            return Ok(Outgoing { request, recover });
        };
        let (parts, body) = request.into_parts();
        let (body, copy) = self.replay.split(body);
        let copy = copy.map(|copy| (Request::from_parts(parts.clone(), ()), copy));
        let mut request = Request::from_parts(parts, body);
        let attached = last.reuse().attach(&mut request, &self.rules)?;
        let token = last.token().filter(|_| attached == Attached::Token);
        let Some(token) = token.cloned() else { return Ok(Outgoing { request, recover: None }) };
        last.used();
        let proofs = Proofs::new(last.bond(), request.uri(), &self.rules);
        let recover: Box<dyn Recover<Response<R>>> = Box::new(Repeat::<S, T, P, B> {
            inner: self.inner.clone(),
            source: self.source.clone(),
            rules: self.rules.clone(),
            replay: self.replay.clone(),
            token,
            copy,
            proofs,
        });
        Ok(Outgoing { request, recover: Some(recover) })
    }

    /// Calls the inner service at once if it is reserved, otherwise when it becomes ready.
    #[inline(always)] // Otherwise the request is moved once more.
    fn send<B, R>(
        &mut self,
        outgoing: Result<Outgoing<B, R>, Error>,
    ) -> ResponseFuture<S::Future, Response<R>>
    where
        S: InnerService<B, R>,
        B: Send + 'static,
        R: Send + 'static,
    {
        let outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(error) => return self.fail(error),
        };
        if mem::take(&mut self.reserved) {
            return ResponseFuture::warm(self.inner.call(outgoing.request), outgoing.recover);
        }
        // This one may be queued for a permit already, which it would be given and keep.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        ResponseFuture::cold(Box::pin(outgoing.send(inner)))
    }

    pub(super) fn fail<F, R>(&mut self, error: Error) -> ResponseFuture<F, R>
    where
        S: Clone,
    {
        self.release();
        ResponseFuture::failed(error)
    }

    /// Exchanges the inner service, and its reservation, for those of `other`.
    pub(super) fn exchange(&mut self, other: &mut Self) {
        mem::swap(&mut self.inner, &mut other.inner);
        mem::swap(&mut self.reserved, &mut other.reserved);
    }

    /// Gives a reservation back: a clone, which holds none, takes the place of the inner service.
    pub(super) fn release(&mut self)
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

opaque_debug!(AddBearerService<S: fmt::Debug, T, P> { inner, rules, .. });
