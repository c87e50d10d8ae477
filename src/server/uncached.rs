//! Responses that no cache stores.

use crate::validate::RETRY_AFTER_DEFAULT;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER},
};
use std::time::Duration;

/// Returns the headers that every refusal has, with room for a challenge.
pub(super) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

/// Builds a response of `headers`, which are those of [`headers()`] and more. With status 503 it has
/// a `Retry-After`.
#[inline(always)] // Otherwise the response is moved once more.
pub(super) fn response<R: Default>(
    status: StatusCode,
    headers: HeaderMap,
    retry_after: Option<Duration>,
) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let after = retry_after.unwrap_or(RETRY_AFTER_DEFAULT);
        // Rounded up: a caller that comes back early is refused again.
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}
