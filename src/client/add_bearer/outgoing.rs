use super::{
    inner_service::{BoxError, InnerService},
    recover::Recover,
};
use http::{Request, Response};
use std::future::poll_fn;

/// A request with its token.
pub(super) struct Outgoing<B, R> {
    pub(super) request: Request<B>,
    /// `Some` if the call may be repeated.
    pub(super) recover: Option<Box<dyn Recover<Response<R>>>>,
}

impl<B, R> Outgoing<B, R> {
    /// Calls `inner` once it is ready, and once more if the token is rejected.
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
                Err(repeated) => repeated.await,
            },
        }
    }
}
