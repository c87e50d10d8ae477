//! Repeats a call with another token after the resource rejected the first: once, or twice if that of
//! the repetition came from a store, where it may have been as bad.

use super::{
    ReplayPolicy,
    attach::{Credential, server_of},
    inner_service::{BoxError, BoxedCall, InnerService},
    refusal::{asks_for_nonce, missing_scopes},
    reserve::reserve,
    rules::Rules,
};
use crate::{
    AccessToken, Answer, Clock, RequestHead, TokenLocation,
    client::{Error, TokenSource},
    observe::tokens::Uses,
    vocabulary::bond::{Bond, Server},
};
use http::{Request, Response, Uri};
use http_body::Body;
use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// The bounds on reading a rejected response, which lets its connection be reused.
const DRAIN_BYTES: usize = 16 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// A call that can be repeated, with its types erased.
pub(super) trait Recover<R>: Send {
    /// Returns the response for the caller, or the rest of the call.
    fn answered(self: Box<Self>, response: R) -> Result<R, BoxedCall<R>>;
}

/// Where the token of the second call comes from.
enum SecondToken<F> {
    /// The first, whose proof needs a nonce.
    Same,
    /// [`TokenSource::token`], asked again.
    FromSource,
    /// [`TokenSource::widen`].
    Wider(F),
}

/// What is needed to repeat a call.
pub(super) struct Repeat<S, T, P: ReplayPolicy<B>, B> {
    pub(super) inner: S,
    pub(super) source: Arc<T>,
    pub(super) rules: Arc<Rules>,
    pub(super) replay: P,
    /// The token of the first call.
    pub(super) token: AccessToken,
    /// The request without the token; `None` if it cannot be sent again.
    pub(super) copy: Option<(Request<()>, P::Copy)>,
    /// Of a token that is bound to a key.
    pub(super) proofs: Option<Box<Proofs>>,
}

/// Keeps the nonces of a resource for later proofs.
pub(super) struct Proofs {
    bond: Arc<Bond>,
    server: Server,
    /// The call is repeated for the sake of a nonce once.
    has_repeated: bool,
}

impl Proofs {
    /// Returns the proofs of a call to `uri`, if its token is bound to a key.
    #[inline]
    pub(super) fn new(bond: Option<&Arc<Bond>>, uri: &Uri, rules: &Rules) -> Option<Box<Self>> {
        Self::of(bond?, uri, rules)
    }

    #[cold]
    fn of(bond: &Arc<Bond>, uri: &Uri, rules: &Rules) -> Option<Box<Self>> {
        let (bond, server) = (bond.clone(), server_of(uri, rules)?);
        Some(Box::new(Self { bond, server, has_repeated: false }))
    }

    /// Keeps the nonce of `response`. Returns `true` if it asks for the nonce, the first time.
    fn needs_nonce<R>(&mut self, response: &Response<R>) -> bool {
        let is_kept = self.bond.key().learn(&self.server, response.headers());
        is_kept && asks_for_nonce(response) && !mem::replace(&mut self.has_repeated, true)
    }
}

/// A call that is never repeated.
impl<R> Recover<Response<R>> for Proofs {
    fn answered(
        mut self: Box<Self>,
        response: Response<R>,
    ) -> Result<Response<R>, BoxedCall<Response<R>>> {
        self.needs_nonce(&response);
        Ok(response)
    }
}

impl<S, T, P, B, R> Recover<Response<R>> for Repeat<S, T, P, B>
where
    S: InnerService<P::Body, R>,
    T: TokenSource,
    P: ReplayPolicy<B>,
    B: 'static,
    R: Body + Send + 'static,
{
    fn answered(
        self: Box<Self>,
        response: Response<R>,
    ) -> Result<Response<R>, BoxedCall<Response<R>>> {
        self.judged(response, 0)
    }
}

impl<S, T: TokenSource, P: ReplayPolicy<B>, B> Repeat<S, T, P, B> {
    /// Returns the response for the caller, or the rest of a call that had another token `replaced`
    /// times already.
    #[inline]
    fn judged<R>(
        mut self: Box<Self>,
        response: Response<R>,
        replaced: u8,
    ) -> Result<Response<R>, BoxedCall<Response<R>>>
    where
        S: InnerService<P::Body, R>,
        B: 'static,
        R: Body + Send + 'static,
    {
        let second = match self.proofs.as_mut().map(|proofs| proofs.needs_nonce(&response)) {
            None => self.second_token(&response, &self.rules.location, replaced),
            Some(true) => Some(SecondToken::Same),
            Some(false) => self.second_token(&response, &TokenLocation::Dpop, replaced),
        };
        let is_whole = |(_, copy): &(_, P::Copy)| self.replay.is_whole(copy);
        match second {
            Some(second) if self.copy.as_ref().is_some_and(is_whole) => {
                Err(Box::pin(self.repeat(response, second, replaced)))
            }
            _ => Ok(response),
        }
    }

    /// Returns where another token comes from if `response` rejects this one, or lacks a scope.
    #[inline]
    fn second_token<R>(
        &self,
        response: &Response<R>,
        location: &TokenLocation,
        replaced: u8,
    ) -> Option<SecondToken<T::Future>> {
        if self.rules.rejection.applies_to(response, location) {
            let may_replace = replaced == 0 || replaced == 1 && self.token.was_found();
            return (may_replace && self.source.reject(&self.token))
                .then_some(SecondToken::FromSource);
        }
        if replaced > 0 {
            return None;
        }
        let scopes = missing_scopes(response)?;
        self.source.widen(&self.token, &scopes).map(SecondToken::Wider)
    }

    /// Gets another token and repeats the call with it, or returns `response` if there is none.
    ///
    /// `response` is read to its end, within bounds, and dropped before the second call: over one
    /// HTTP/1 connection an open response blocks the next request, and dropping it unread closes
    /// the connection.
    async fn repeat<R>(
        self: Box<Self>,
        response: Response<R>,
        second: SecondToken<T::Future>,
        replaced: u8,
    ) -> Result<Response<R>, BoxError>
    where
        S: InnerService<P::Body, R>,
        B: 'static,
        R: Body + Send + 'static,
    {
        let Self { mut inner, source, rules, replay, token: rejected, copy, proofs } = *self;
        let Some((head, copy)) = copy else { return Ok(response) };
        let is_same = matches!(second, SecondToken::Same);
        let replaced = replaced + u8::from(!is_same);
        // For the nonce, and for another token.
        let again = replay.keep(&copy).map(|copy| (head.clone(), copy));
        let answer = match second {
            SecondToken::Same => Answer::Ready(Ok(rejected.clone())),
            SecondToken::FromSource => {
                source.token(RequestHead::from_request(&head).rejected_with(&rejected))
            }
            SecondToken::Wider(token) => Answer::Pending(token),
        };
        let token = match answer.wait().await {
            Ok(token) if is_same || !token.has_text_of(&rejected) => token,
            _ => return Ok(response),
        };
        // The first response is dropped only if the call can be repeated.
        let (Some(body), Ok(request)) = (replay.again(copy), attach(&head, &token, &rules)) else {
            return Ok(response);
        };
        drain(response.into_body(), &rules.clock).await;
        let held = Some(token.clone());
        let asked = RequestHead::from_request(&head);
        let current = reserve::<S, T, P::Body, R>(&mut inner, &source, &rules, asked, held).await?;
        let (token, request) = match current {
            // A proof is made when the inner service takes it: it ages.
            Some(current) if current.bond().is_some() || !current.has_text_of(&token) => {
                let request = attach(&head, &current, &rules)?;
                (current, request)
            }
            Some(_) => (token, request),
            None => (token, head),
        };
        Uses::new().used();
        let response = inner.call(request.map(|()| body)).await.map_err(Into::into)?;
        let proofs = proofs.zip(token.bond()).map(|(mut proofs, bond)| {
            proofs.bond = bond.clone();
            proofs
        });
        let rest = Self { inner, source, rules, replay, token, copy: again, proofs };
        match Box::new(rest).judged(response, replaced) {
            Ok(response) => Ok(response),
            Err(third_call) => third_call.await,
        }
    }
}

/// Returns a copy of `head` with `token`.
fn attach(head: &Request<()>, token: &AccessToken, rules: &Rules) -> Result<Request<()>, Error> {
    let mut request = head.clone();
    Credential::new(token, &rules.location)?.attach(&mut request, rules)?;
    Ok(request)
}

/// Reads `body` to its end or to the bounds.
async fn drain<R: Body>(body: R, clock: &Clock) {
    let mut body = pin!(body);
    // Without timers it passes at once: the body may never end.
    let mut deadline = None;
    let mut left = DRAIN_BYTES;
    poll_fn(|cx| {
        loop {
            match Pin::as_mut(&mut body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, bytes::Buf::remaining);
                    // An empty frame counts as one byte: their number is not bounded.
                    match left.checked_sub(length.max(1)) {
                        Some(rest) => left = rest,
                        None => return Poll::Ready(()),
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let sleep = || Box::pin(clock.sleep(DRAIN_TIME));
                    return deadline.get_or_insert_with(sleep).as_mut().poll(cx);
                }
            }
        }
    })
    .await;
}
