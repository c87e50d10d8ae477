//! One layer for several APIs, each with tokens of its own.

use super::{
    AddBearer, AddBearerService, Known, Origins, ReplayPolicy, ResponseFuture,
    inner_service::BoxError,
};
use crate::{
    ConfigError, TokenLocation,
    client::{Error, TokenSource},
};
use http::{Request, Response};
use http_body::Body;
use std::{
    fmt,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Puts tokens of several sources on requests, each on requests to the origins of its own
/// [`AddBearer`]. Made by [`AddBearer::by_origin`].
///
/// A clone, and every service made of it, shares the sources.
#[must_use]
pub struct ByOrigin<T, P = Known> {
    rows: Box<[AddBearer<T, P>]>,
    /// The row that decides about a call to an origin of no row.
    elsewhere: usize,
}

impl<T: TokenSource, P> AddBearer<T, P> {
    /// Joins `rows` to one layer for several APIs: a request gets a token of the row that has its
    /// origin, by the settings of that row. A rejected token is rejected at the source of its row, and no
    /// source sees the tokens of another.
    ///
    /// A call to an origin of no row is an error, unless every row
    /// [allows it](Self::allow_other_origins). So is a call whose URI has no host, since any row could
    /// be meant.
    ///
    /// ```
    /// use tower_oauth2::{AccessToken, client::AddBearer};
    ///
    /// let [orders, billing] = ["T1", "T2"].map(AccessToken::new);
    /// let layer = AddBearer::by_origin([
    ///     AddBearer::from_source(orders?, "https://orders.example")?,
    ///     AddBearer::from_source(billing?, "https://billing.example")?,
    /// ])?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// Rows have sources of one type: [`TokenSource::into_shared`] makes one of any.
    ///
    /// # Errors
    ///
    /// If there is no row, two rows have the same origin, a row is for
    /// [any origin](Origins::dangerous_any_https_origin), or a row puts tokens into the query, which a
    /// redirect may copy to the origin of another row.
    pub fn by_origin<I>(rows: I) -> Result<ByOrigin<T, P>, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<Self>,
    {
        let rows: Box<[Self]> = rows.into_iter().map(Into::into).collect();
        Origins::disjoint(rows.iter().map(|row| &row.rules().origins))?;
        if rows.iter().any(|row| matches!(row.rules().location, TokenLocation::Query)) {
            return Err(ConfigError::new(
                "a token in the query may be copied to another row by a redirect; use a header",
            ));
        }
        let refuses = |row: &Self| !row.rules().allow_other_origins;
        let elsewhere = rows.iter().position(refuses).unwrap_or(0);
        Ok(ByOrigin { rows, elsewhere })
    }
}

impl<S: Clone, T, P: Clone> Layer<S> for ByOrigin<T, P> {
    type Service = ByOriginService<S, T, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let rows = self.rows.iter().map(|row| row.layer(inner.clone())).collect();
        ByOriginService { rows, elsewhere: self.elsewhere, last: 0 }
    }
}

impl<T, P: Clone> Clone for ByOrigin<T, P> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), elsewhere: self.elsewhere }
    }
}

impl<T, P> fmt::Debug for ByOrigin<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByOrigin").field(&self.rows).finish()
    }
}

/// The service of [`ByOrigin`].
#[derive(Debug)]
pub struct ByOriginService<S, T, P = Known> {
    rows: Box<[AddBearerService<S, T, P>]>,
    elsewhere: usize,
    /// The row that was called last. It reserves the inner service, for whichever row is called next.
    last: usize,
}

impl<S, T, P, B, R> Service<Request<B>> for ByOriginService<S, T, P>
where
    T: TokenSource,
    P: ReplayPolicy<B>,
    S: Service<Request<P::Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, Response<R>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.rows.get_mut(self.last).map_or(Poll::Ready(Ok(())), |row| row.poll_ready(cx))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri();
        let own = |row: &AddBearerService<S, T, P>| row.rules.origins.contains(uri);
        let row = || self.rows.iter().position(own).unwrap_or(self.elsewhere);
        let next = uri.authority().map(|_| row());
        if let Some(next) = next
            && let Ok([last, next]) = self.rows.get_disjoint_mut([self.last, next])
        {
            last.exchange(next);
        }
        self.last = next.unwrap_or(self.last);
        match (self.rows.get_mut(self.last), next) {
            (Some(row), Some(_)) => row.call(request),
            (Some(row), None) => row.fail(Error::foreign_origin(uri)),
            (None, _) => ResponseFuture::failed(Error::foreign_origin(uri)),
        }
    }
}

impl<S: Clone, T, P: Clone> Clone for ByOriginService<S, T, P> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), ..*self }
    }
}
