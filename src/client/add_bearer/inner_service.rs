//! What the layer asks of the service below it.

use http::{Request, Response};
use std::{error::Error as StdError, pin::Pin};
use tower_service::Service;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// The rest of a call that has to wait before or after the inner service.
pub(super) type BoxedCall<R> = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

/// An inner service whose calls can be waited for and repeated.
pub(super) trait InnerService<B, R>:
    Service<Request<B>, Response = Response<R>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S, B, R> InnerService<B, R> for S where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static
{
}
