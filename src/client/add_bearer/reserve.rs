//! Reserves the inner service for a call, with the token that is current when it becomes ready.

use super::{
    inner_service::{BoxError, InnerService},
    rules::Rules,
};
use crate::{
    AccessToken, Answer, RequestHead,
    client::{Error, ErrorKind, TokenSource},
};
use std::{future::poll_fn, pin::pin, task::Poll};

/// How many times a call waits for another token after its turn came. Each costs another turn.
const MORE_TOKENS: usize = 3;

/// Waits until `inner` is ready, and returns the token that is current then. A call that waits for
/// another token gives its reservation back meanwhile. A source that neither says before the wait that
/// the token is current nor has one at once cannot tell: its token is returned as it is.
///
/// # Errors
///
/// If the inner service fails, if the source does, or if each token stops being current before
/// `inner` is ready.
pub(super) async fn reserve<S: InnerService<B, R>, T: TokenSource, B, R>(
    inner: &mut S,
    source: &T,
    rules: &Rules,
    head: RequestHead<'_>,
    mut token: Option<AccessToken>,
) -> Result<Option<AccessToken>, BoxError> {
    let is_current = |token: &Option<AccessToken>| {
        token.as_ref().is_some_and(|held| source.is_current(held, head))
    };
    let mut more = 0..MORE_TOKENS;
    loop {
        let mut can_tell = is_current(&token);
        if !is_ready_now::<S, B, R>(inner).await? {
            if !can_tell
                && source.is_warm()
                && let Answer::Ready(next) = source.token(head)
            {
                (token, can_tell) = (accept(next, rules)?, true);
            }
            poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Into::into)?;
        }
        if is_current(&token) || !can_tell {
            return Ok(token);
        }
        if more.next().is_none() {
            return Err(not_in_time().into());
        }
        let mut next = pin!(source.token(head).wait());
        let at_once = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
        if let Poll::Ready(next) = at_once {
            return Ok(accept(next, rules)?);
        }
        *inner = inner.clone();
        token = accept(next.await, rules)?;
    }
}

/// Returns the token, or `None` if the call passes without one.
pub(super) fn accept(
    token: Result<AccessToken, Error>,
    rules: &Rules,
) -> Result<Option<AccessToken>, Error> {
    match token {
        Err(_) if rules.allow_missing_token => Ok(None),
        token => token.map(Some),
    }
}

/// Polls `inner` once. Returns `true` if it is ready.
async fn is_ready_now<S: InnerService<B, R>, B, R>(inner: &mut S) -> Result<bool, BoxError> {
    poll_fn(|cx| match inner.poll_ready(cx) {
        Poll::Ready(ready) => Poll::Ready(ready.map(|()| true).map_err(Into::into)),
        Poll::Pending => Poll::Ready(Ok(false)),
    })
    .await
}

fn not_in_time() -> Error {
    Error::new(
        ErrorKind::Expired,
        "each access token expired or was replaced while the call waited for the inner service",
    )
}
