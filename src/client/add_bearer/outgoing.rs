//! Sends a request to the inner service, and repeats it if its token is rejected.

use super::{
    inner_service::{BoxError, InnerService},
    recover::Recover,
};
use http::{Request, Response};
use std::future::poll_fn;

/// A request as the inner service gets it: with a token, or without one where none is attached.
pub(super) struct Outgoing<B, R> {
    pub(super) request: Request<B>,
    /// Repeats the call if the response rejects the token or asks for more scopes. `None` if the call
    /// is never repeated.
    pub(super) recover: Option<Box<dyn Recover<Response<R>>>>,
}

impl<B, R> Outgoing<B, R> {
    /// Calls `inner` when it is ready. `recover` repeats the call on an inner service of its own.
    pub(super) async fn send<S>(self, mut inner: S) -> Result<Response<R>, BoxError>
    where
        S: InnerService<B, R>,
    {
        poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Into::into)?;
        self.send_reserved(inner).await
    }

    /// Calls `inner`, which is ready, and once more if the token is rejected.
    pub(super) async fn send_reserved<S>(self, mut inner: S) -> Result<Response<R>, BoxError>
    where
        S: InnerService<B, R>,
    {
        let response = inner.call(self.request).await.map_err(Into::into)?;
        match self.recover {
            None => Ok(response),
            Some(recover) => match recover.answered(response) {
                Ok(response) => Ok(response),
                Err(second_call) => second_call.await,
            },
        }
    }
}
