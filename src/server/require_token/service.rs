use super::{
    authenticated::{Anonymous, Authenticated},
    cache_control::Changes,
    decide::{self, Glance, PresentedToken},
    extract::ExtractedToken,
    future::{PendingRequest, ResponseFuture, refused},
    possession,
    refuse::Refusal,
    settings::Settings,
    standing::Preflight,
    strip,
};
use crate::{Answer, RequestHead, validate::ValidateToken};
use http::{
    Method, Request, Response,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The service of [`RequireToken`](crate::server::RequireToken).
pub struct RequireTokenService<S, V> {
    inner: S,
    validator: Arc<V>,
    settings: Arc<Settings>,
}

impl<S, V> RequireTokenService<S, V> {
    pub(super) fn new(inner: S, validator: Arc<V>, settings: Arc<Settings>) -> Self {
        Self { inner, validator, settings }
    }

    inner_service_accessors!();
}

impl<S, V: ValidateToken> RequireTokenService<S, V> {
    /// Decides about a request as far as that needs no verdict.
    #[inline]
    fn glance<B>(&self, request: &mut Request<B>) -> Glance {
        if !request.extensions().is_empty() {
            // Whatever an outer layer put there, only this layer's own decision counts below it.
            request.extensions_mut().remove::<Authenticated>();
            request.extensions_mut().remove::<Anonymous>();
            request.extensions_mut().remove::<Preflight>();
        }
        let settings = &self.settings;
        settings.certificates.prepare(request);
        if settings.preflights_pass && is_preflight(request) {
            request.extensions_mut().insert(Preflight::new(settings.clone()));
            strip::strip_unread(request, &settings.sources, settings.strip);
            return Glance::Admitted;
        }
        decide::at_a_glance(settings, request, &*self.validator)
    }
}

impl<S: Clone, V: ValidateToken> RequireTokenService<S, V> {
    fn pending<B>(
        &mut self,
        request: Request<B>,
        presented: PresentedToken,
    ) -> PendingRequest<S, V, B> {
        // A clone holds no reservation: while a token is judged, its request takes no capacity of
        // the inner service.
        self.inner = self.inner.clone();
        let (inner, validator) = (self.inner.clone(), self.validator.clone());
        PendingRequest::new(inner, validator, request, presented, self.settings.clone())
    }
}

impl<S, V, B, R> Service<Request<B>> for RequireTokenService<S, V>
where
    V: ValidateToken,
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S, V, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let glance = self.glance(&mut request);
        let settings = &self.settings;
        match glance {
            Glance::Admitted => {
                return ResponseFuture::calling(self.inner.call(request), Changes::NONE);
            }
            Glance::Missing => {
                return refused(&mut self.inner, settings, &request, Refusal::missing());
            }
            Glance::Unclear => {}
        }
        strip::strip_unread(&mut request, &settings.sources, settings.strip);
        let head = RequestHead::from_request(&request);
        let ExtractedToken { token, location, position } = match possession::extract(head, settings)
        {
            Ok(Some(extracted)) => extracted,
            Ok(None) => {
                return match decide::admit_without_token(settings, &mut request) {
                    true => ResponseFuture::calling(self.inner.call(request), Changes::NONE),
                    false => refused(&mut self.inner, settings, &request, Refusal::missing()),
                };
            }
            Err(error) => return refused(&mut self.inner, settings, &request, error.into()),
        };
        let verdict = self.validator.validate(&token, head);
        let mut presented = PresentedToken::new(&token, location, position, settings);
        let mut verdict = match verdict {
            Answer::Ready(verdict) => verdict,
            Answer::Pending(verdict) => {
                let pending = self.pending(request, presented);
                return ResponseFuture::validating(verdict, pending);
            }
        };
        match decide::prove(settings, head, &presented, &verdict) {
            None => {}
            Some(Answer::Ready(proof)) => decide::proved(&mut presented, &mut verdict, proof),
            Some(Answer::Pending(proof)) => {
                let pending = self.pending(request, presented);
                return ResponseFuture::proving(proof, pending.with_verdict(verdict));
            }
        }
        match decide::by_verdict(settings, &mut request, presented, verdict) {
            Ok(changes) => ResponseFuture::calling(self.inner.call(request), changes),
            Err(refusal) => refused(&mut self.inner, settings, &request, refusal),
        }
    }
}

/// Returns `true` for exactly a CORS preflight
/// ([Fetch §3.2.2](https://fetch.spec.whatwg.org/#cors-preflight-fetch)).
fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl<S: Clone, V> Clone for RequireTokenService<S, V> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.validator.clone(), self.settings.clone())
    }
}

opaque_debug!(RequireTokenService<S: fmt::Debug, V> { inner, settings, .. });
