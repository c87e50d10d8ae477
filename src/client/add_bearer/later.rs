//! Calls of a service that have to wait: for a token, or for the inner service.

use super::{
    AddBearerService, ReplayPolicy, ResponseFuture,
    inner_service::{BoxError, InnerService},
    reserve::{accept, reserve},
};
use crate::{AccessToken, Answer, RequestHead, client::TokenSource};
use http::{Request, Response};
use http_body::Body;
use std::mem;

impl<S, T: TokenSource, P> AddBearerService<S, T, P> {
    /// Calls a clone of this service once there is a token and the inner service is ready. A call
    /// that waits for a token holds no reservation, so that it does not use up a limit below.
    pub(super) fn call_later<B, R>(
        &mut self,
        request: Request<B>,
        token: Answer<T::Future>,
    ) -> ResponseFuture<S::Future, Response<R>>
    where
        P: ReplayPolicy<B>,
        S: InnerService<P::Body, R>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        let mut later = self.clone();
        match token {
            // The inner service may be queued for a permit already, which it would be given and
            // keep. The call takes over its place.
            Answer::Ready(_) => mem::swap(&mut later.inner, &mut self.inner),
            Answer::Pending(_) => self.release(),
        }
        ResponseFuture::cold(Box::pin(async move {
            let token = accept(token.wait().await, &later.rules)?;
            // Boxed apart, so that calls that wait for a token take no room for what follows.
            Box::pin(later.call_when_ready(request, token)).await
        }))
    }

    /// Calls the inner service when it is ready, with the token that is current then.
    async fn call_when_ready<B, R>(
        mut self,
        request: Request<B>,
        token: Option<AccessToken>,
    ) -> Result<Response<R>, BoxError>
    where
        P: ReplayPolicy<B>,
        S: InnerService<P::Body, R>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        let can_repeat = self.can_repeat(&request);
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts, ());
        let asked = RequestHead::from_request(&head).repeatable_if(can_repeat);
        let (inner, source) = (&mut self.inner, &*self.source);
        let token = reserve::<S, T, P::Body, R>(inner, source, &self.rules, asked, token).await?;
        self.keep(token)?;
        let outgoing = self.outgoing(head.map(|()| body))?;
        outgoing.send_reserved(self.inner).await
    }
}
