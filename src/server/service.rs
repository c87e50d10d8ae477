use super::{
    Authenticated,
    extract::{Place, extract},
    future::{ResponseFuture, Waiting},
    layer::Settings,
    refuse, strip,
};
use crate::{
    Answer, RequestHead, TokenLocation,
    validate::{ValidateToken, Validated},
};
use http::{Request, Response};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The service of [`RequireToken`](super::RequireToken).
pub struct RequireTokenService<S, V> {
    inner: S,
    validator: Arc<V>,
    settings: Arc<Settings>,
}

impl<S, V> RequireTokenService<S, V> {
    pub(super) fn new(inner: S, validator: Arc<V>, settings: Arc<Settings>) -> Self {
        Self { inner, validator, settings }
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
        // Whatever an outer layer put there, only this layer's own verdict counts below it.
        request.extensions_mut().remove::<Authenticated>();
        let settings = &self.settings;
        let head = RequestHead::of(&request);
        let rejection = match extract(head, &settings.sources) {
            Ok(None) => crate::validate::Rejection::missing(),
            Err(rejection) => rejection,
            Ok(Some(found)) => match self.validator.validate(&found.token, head) {
                Answer::Ready(Err(rejection)) => rejection,
                Answer::Ready(Ok(validated)) => {
                    let place = found.place;
                    let private = admit(&mut request, place, validated, settings.clone());
                    return ResponseFuture::calling(self.inner.call(request), private);
                }
                Answer::Pending(verdict) => {
                    let place = found.place;
                    let clone = self.inner.clone();
                    // The service that was polled ready is the one to call; the clone is not.
                    let inner = mem::replace(&mut self.inner, clone);
                    let settings = settings.clone();
                    return ResponseFuture::validating(
                        verdict,
                        Waiting { inner, request, place, settings },
                    );
                }
            },
        };
        let refusal = refuse::response(rejection, &settings.challenges, request.headers());
        // A clone holds no reservation: who is refused uses up nothing that others wait for.
        self.inner = self.inner.clone();
        ResponseFuture::refused(refusal)
    }
}

/// Makes `request` ready for the inner service; whether the answer must be made private.
pub(super) fn admit<B, C: Send + Sync + 'static>(
    request: &mut Request<B>,
    place: Place,
    validated: Arc<Validated<C>>,
    settings: Arc<Settings>,
) -> bool {
    let location = strip::clean(request, place);
    let private = location == TokenLocation::Query;
    request.extensions_mut().insert(Authenticated::new(validated, location, settings));
    private
}

impl<S: Clone, V> Clone for RequireTokenService<S, V> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.validator.clone(), self.settings.clone())
    }
}

impl<S: fmt::Debug, V> fmt::Debug for RequireTokenService<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireTokenService")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
