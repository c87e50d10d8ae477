use super::{
    cache_control::{CacheControl, Changes, add_nonce},
    decide::{self, PresentedToken},
    possession,
    proved::Proving,
    refuse::Refusal,
    settings::Settings,
};
use crate::{
    Answer, RequestHead, Sleep,
    validate::{Rejection, ValidateToken, Verdict},
};
use http::{Request, Response};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

pin_project_lite::pin_project! {
    /// The response of the inner service, or a refusal.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, V, B>
    where
        S: Service<Request<B>>,
        V: ValidateToken,
    {
        #[pin]
        state: State<S, V, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<S, V, B>
    where
        S: Service<Request<B>>,
        V: ValidateToken,
    {
        Validating {
            #[pin]
            verdict: V::Future,
            // Boxed: only a verdict that takes I/O gets here, and the future stays small.
            pending: Option<Box<PendingRequest<S, V, B>>>,
        },
        Proving {
            proof: Proving,
            pending: Option<Box<PendingRequest<S, V, B>>>,
        },
        Waiting {
            pending: Option<Box<PendingRequest<S, V, B>>>,
        },
        Answering {
            #[pin]
            response: S::Future,
            cache_control: CacheControl,
        },
        // Apart, so that the usual answer has nothing to drop.
        AnsweringWithNonce {
            #[pin]
            response: S::Future,
            settings: Arc<Settings>,
        },
        Refused {
            response: Option<S::Response>,
        },
    }
}

/// A request that waits for its verdict, then for its turn at the inner service.
pub(super) struct PendingRequest<S, V: ValidateToken, B> {
    /// Holds no reservation while the request waits for its verdict.
    inner: S,
    validator: Arc<V>,
    request: Request<B>,
    presented: PresentedToken,
    settings: Arc<Settings>,
    /// `None` without timers.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Until there is one, that the validator cannot judge the token.
    verdict: Verdict<V::Claims>,
    /// That of the validator at the verdict.
    generation: u64,
    has_waited: bool,
    is_judged_again: bool,
}

impl<S, V: ValidateToken, B> PendingRequest<S, V, B> {
    pub(super) fn new(
        inner: S,
        validator: Arc<V>,
        request: Request<B>,
        presented: PresentedToken,
        settings: Arc<Settings>,
    ) -> Self {
        let (deadline, verdict) = (deadline(&settings), Err(Rejection::out_of_time()));
        let (generation, has_waited, is_judged_again) = (0, false, false);
        Self {
            inner,
            validator,
            request,
            presented,
            settings,
            deadline,
            verdict,
            generation,
            has_waited,
            is_judged_again,
        }
    }

    pub(super) fn with_verdict(self, verdict: Verdict<V::Claims>) -> Self {
        let generation = self.validator.cache_support().generation();
        Self { verdict, generation, ..self }
    }

    fn poll_verdict(&mut self, verdict: Pin<&mut V::Future>, cx: &mut Context<'_>) -> Poll<()> {
        match verdict.poll(cx) {
            Poll::Ready(verdict) => {
                // A shared validation may have begun before its issuer or its keys changed.
                let now = self.settings.clock.wall();
                self.has_waited = verdict.as_ref().is_ok_and(|good| good.check_basis(now).is_err());
                self.verdict = verdict;
            }
            Poll::Pending => match &mut self.deadline {
                Some(deadline) => ready!(deadline.as_mut().poll(cx)),
                None => return Poll::Pending,
            },
        }
        self.generation = self.validator.cache_support().generation();
        Poll::Ready(())
    }

    fn poll_proof(&mut self, proof: &mut Proving, cx: &mut Context<'_>) -> Poll<()> {
        let proof = match proof.as_mut().poll(cx) {
            Poll::Ready(proof) => proof,
            Poll::Pending => match &mut self.deadline {
                Some(deadline) => {
                    ready!(deadline.as_mut().poll(cx).map(|()| Err(Rejection::out_of_time())))
                }
                None => return Poll::Pending,
            },
        };
        self.has_waited = true;
        decide::proved(&mut self.presented, &mut self.verdict, proof);
        Poll::Ready(())
    }
}

fn deadline(settings: &Settings) -> Option<Pin<Box<Sleep>>> {
    let clock = &settings.clock;
    clock.has_timers().then(|| Box::pin(clock.sleep(settings.timeout)))
}

impl<S, V, B, R> PendingRequest<S, V, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    V: ValidateToken,
    R: Default,
{
    /// Checks the proof of possession, if the token needs one.
    fn after_verdict(mut self: Box<Self>) -> State<S, V, B> {
        let head = RequestHead::from_request(&self.request);
        match decide::prove(&self.settings, head, &self.presented, &self.verdict) {
            None => self.after_proof(),
            Some(Answer::Ready(proof)) => {
                decide::proved(&mut self.presented, &mut self.verdict, proof);
                self.after_proof()
            }
            Some(Answer::Pending(proof)) => {
                // It may hold the reservation of the turn before.
                self.inner = self.inner.clone();
                State::Proving { proof, pending: Some(self) }
            }
        }
    }

    /// Waits for a turn if the verdict admits the request, and refuses it at once otherwise.
    fn after_proof(self: Box<Self>) -> State<S, V, B> {
        match decide::admits(&self.settings, &self.presented, &self.verdict) {
            true => State::Waiting { pending: Some(self) },
            false => (*self).decided(),
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let ready = self.inner.poll_ready(cx);
        self.has_waited |= ready.is_pending();
        ready
    }

    fn after_turn(mut self: Box<Self>) -> State<S, V, B> {
        if self.has_waited {
            let (support, now) = (self.validator.cache_support(), self.settings.clock.wall());
            let holds = decide::still_holds(&mut self.verdict, support, self.generation, now);
            // Once: one validator of a chain may refuse at each recheck what another found good.
            if !holds && !self.is_judged_again {
                return self.judged_again();
            }
        }
        (*self).decided()
    }

    fn judged_again(mut self: Box<Self>) -> State<S, V, B> {
        self.is_judged_again = true;
        self.has_waited = false;
        self.verdict = Err(Rejection::out_of_time());
        let head = RequestHead::from_request(&self.request);
        if let Ok(Some(extracted)) = possession::extract(head, &self.settings) {
            match self.validator.validate(&extracted.token, head) {
                Answer::Ready(verdict) => {
                    self.verdict = verdict;
                    return self.after_verdict();
                }
                Answer::Pending(verdict) => {
                    self.inner = self.inner.clone();
                    self.deadline = deadline(&self.settings);
                    return State::Validating { verdict, pending: Some(self) };
                }
            }
        }
        (*self).decided()
    }

    fn decided(self) -> State<S, V, B> {
        let Self { mut inner, mut request, presented, settings, verdict, .. } = self;
        let future = match decide::by_verdict(&settings, &mut request, presented, verdict) {
            Ok(changes) => ResponseFuture::calling(inner.call(request), changes),
            Err(refusal) => refused(&mut inner, &settings, &request, refusal),
        };
        future.state
    }
}

impl<S, V, B, R> ResponseFuture<S, V, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    V: ValidateToken,
    R: Default,
{
    pub(super) fn validating(verdict: V::Future, pending: PendingRequest<S, V, B>) -> Self {
        Self { state: State::Validating { verdict, pending: Some(Box::new(pending)) } }
    }

    pub(super) fn proving(proof: Proving, pending: PendingRequest<S, V, B>) -> Self {
        Self { state: State::Proving { proof, pending: Some(Box::new(pending)) } }
    }

    #[inline]
    pub(super) fn calling(response: S::Future, changes: Changes) -> Self {
        Self {
            state: match changes {
                Changes::CacheControl(cache_control) => {
                    State::Answering { response, cache_control }
                }
                Changes::Nonce(settings) => State::AnsweringWithNonce { response, settings },
            },
        }
    }
}

/// Refuses `request`. A clone, which holds no reservation, takes the place of `inner`: a refused request
/// takes none of its capacity.
pub(super) fn refused<S, V, B, R>(
    inner: &mut S,
    settings: &Settings,
    request: &Request<B>,
    refusal: Refusal<'_>,
) -> ResponseFuture<S, V, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    V: ValidateToken,
    R: Default,
{
    let response = refusal.into_response(settings, RequestHead::from_request(request));
    *inner = inner.clone();
    ResponseFuture { state: State::Refused { response: Some(response) } }
}

impl<S, V, B, R> Future for ResponseFuture<S, V, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    V: ValidateToken,
    R: Default,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProjection::Validating { verdict, pending } => {
                    let Some(waiting) = pending.as_mut() else { return Poll::Pending };
                    ready!(waiting.poll_verdict(verdict, cx));
                    // Taken once: the state is replaced below.
                    let Some(pending) = pending.take() else { return Poll::Pending };
                    pending.after_verdict()
                }
                StateProjection::Proving { proof, pending } => {
                    let Some(waiting) = pending.as_mut() else { return Poll::Pending };
                    ready!(waiting.poll_proof(proof, cx));
                    let Some(pending) = pending.take() else { return Poll::Pending };
                    pending.after_proof()
                }
                StateProjection::Waiting { pending } => {
                    let Some(waiting) = pending.as_mut() else { return Poll::Pending };
                    ready!(waiting.poll_turn(cx))?;
                    let Some(pending) = pending.take() else { return Poll::Pending };
                    pending.after_turn()
                }
                StateProjection::Answering { response, cache_control } => {
                    // Changed in place: taken out of the answer, the response would be moved twice.
                    let mut answer = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut answer {
                        cache_control.apply(response.headers_mut());
                    }
                    return answer;
                }
                StateProjection::AnsweringWithNonce { response, settings } => {
                    let mut answer = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut answer {
                        add_nonce(settings, response.headers_mut());
                    }
                    return answer;
                }
                StateProjection::Refused { response } => {
                    // A future that is polled after its end may stay pending.
                    return response
                        .take()
                        .map_or(Poll::Pending, |refusal| Poll::Ready(Ok(refusal)));
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

opaque_debug!(ResponseFuture<S: Service<Request<B>>, V: ValidateToken, B> { .. });
