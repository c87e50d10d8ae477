use super::{
    AddBearerService, Known, Origins, refusal::RejectionRule, rules::Rules,
    static_token::StaticToken,
};
use crate::{AccessToken, Clock, ConfigError, TokenLocation, client::TokenSource};
use std::sync::Arc;
use tower_layer::Layer;

/// Puts an access token on every request of an HTTP client.
///
/// 1. The token goes only to the origins that it is for. The layer checks the URI of every call. A
///    call to another origin fails before anything is sent, or passes without the token
///    ([`allow_other_origins`](Self::allow_other_origins)).
/// 2. A credential that is on the request already stays. If the token goes into `Authorization` or
///    the query, a credential in either of them counts (RFC 6750 §2).
/// 3. The service waits for a token in `call`, never in `poll_ready`, and holds no reservation of
///    the inner service meanwhile.
/// 4. The token is attached when the inner service is ready. If a call had to wait for that, and
///    its token is no longer current ([`TokenSource::is_current`]), the layer asks the source again.
///    If the source answers later, the call gives its reservation back and waits for another turn,
///    at most 3 times; then it fails with
///    [`ErrorKind::Expired`](crate::client::ErrorKind::Expired). A source that cannot tell whether a
///    token is current, such as a closure, is asked once for each call.
///
/// # Rejections
///
/// After an answer that rejects the token, the layer calls [`TokenSource::reject`] and repeats the
/// call once with another token, if its body can be sent again, and a second time if that token came from
/// a [store](crate::client::TokenCache::with_store) and is rejected too. The last column is that of
/// [`with_strict_recovery`](Self::with_strict_recovery). No answer rejects a static token, or any
/// token [`without_recovery`](Self::without_recovery).
///
/// | status | challenges (`WWW-Authenticate`), content type | the token | with strict recovery |
/// |---|---|---|---|
/// | 401 | `Bearer error="invalid_token"`, also among others | rejected | rejected |
/// | 401 | none | rejected | kept |
/// | 401 | one of the token's scheme, also among others | rejected | kept |
/// | 401 | other schemes only | kept | kept |
/// | 401 | `error="insufficient_user_authentication"` (RFC 9470), without `invalid_token` beside it | kept; the response has an [`InsufficientUserAuthentication`](super::InsufficientUserAuthentication) | kept, the same |
/// | 403 | `Bearer error="insufficient_scope"` | kept; the response has an [`InsufficientScope`](super::InsufficientScope), and a source that can widen is asked for those scopes | the same |
/// | 200 | `grpc-status: 16` in the head, content type of gRPC or gRPC-Web | rejected | rejected |
/// | 200 | `grpc-status: 16` in the head, another content type or none | kept | kept |
/// | any other | any | kept | kept |
///
/// The token's scheme is `Bearer`; `Basic` for [`TokenLocation::BasicUserName`]; its own for a
/// header with a scheme. Schemes are compared in any case. A header line that cannot be parsed counts
/// as a challenge of the scheme that it begins with, without parameters. A `grpc-status` in trailers
/// after a message comes too late.
///
/// # Reservations
///
/// With a static token, a call that fails in this layer leaves the inner service reserved until the
/// next call or until the service is dropped. Releasing the reservation would require the inner
/// service to be `Clone`.
///
/// A clone, and every service made of it, shares the source of tokens.
///
/// # Defaults
///
/// `Authorization: Bearer`; a credential on the request stays; a call to another origin is an error.
///
/// # Deployment
///
/// Put a layer that follows redirects above this one, so that each hop is checked. A client that
/// follows redirects by itself, below this layer, sends the token on to any target of a redirect:
/// switch that off there (`reqwest::redirect::Policy::none()`).
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::ServiceBuilder;
/// use tower_oauth2::client::AddBearer;
///
/// let client = ServiceBuilder::new()
///     .layer(AddBearer::bearer("mF_9.B5f-4.1JqM", "https://api.example")?)
///     // Put your connector for https here.
///     .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// # Example: in the query
///
/// ```
/// use tower_oauth2::{TokenLocation, client::AddBearer};
///
/// let layer = AddBearer::bearer("mF_9.B5f-4.1JqM", "https://api.example")?
///     .with_location(TokenLocation::Query)?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[must_use]
pub struct AddBearer<T = StaticToken, P = Known> {
    source: Arc<T>,
    rules: Arc<Rules>,
    replay: P,
}

impl AddBearer<StaticToken> {
    /// Attaches `token` to requests to `origins`.
    ///
    /// # Errors
    ///
    /// If the token is not a valid [`AccessToken`], or if an origin is missing, not absolute, or
    /// plain `http` to another machine: see [`Origins`].
    pub fn bearer<A, O>(token: A, origins: O) -> Result<Self, ConfigError>
    where
        A: TryInto<AccessToken, Error: Into<ConfigError>>,
        O: TryInto<Origins, Error: Into<ConfigError>>,
    {
        let token = token.try_into().map_err(Into::into)?;
        let source = StaticToken::new(token, &TokenLocation::Bearer)?;
        Ok(Self::with(source, Clock::system(), origins.try_into().map_err(Into::into)?))
    }

    /// Sets where the token is attached. Defaults to [`TokenLocation::Bearer`].
    ///
    /// # Errors
    ///
    /// If the token cannot go there: a token with a `:` cannot be a Basic user name.
    pub fn with_location(self, location: TokenLocation) -> Result<Self, ConfigError> {
        let source = StaticToken::new(self.source.token().clone(), &location)?;
        Ok(Self { source: Arc::new(source), ..self.change(|rules| rules.location = location) })
    }
}

impl<T: TokenSource> AddBearer<T> {
    /// Attaches the tokens of `source` to requests to `origins`.
    ///
    /// # Errors
    ///
    /// If an origin is missing, not absolute, or plain `http` to another machine: see
    /// [`Origins`].
    pub fn from_source<O>(source: T, origins: O) -> Result<Self, ConfigError>
    where
        O: TryInto<Origins, Error: Into<ConfigError>>,
    {
        let clock = source.clock().unwrap_or_default();
        Ok(Self::with(source, clock, origins.try_into().map_err(Into::into)?))
    }
}

impl<T: TokenSource, P> AddBearer<T, P> {
    /// Sets where tokens are attached. Defaults to [`TokenLocation::Bearer`]. A token that cannot go
    /// there fails the call.
    pub fn with_location(self, location: TokenLocation) -> Self {
        self.change(|rules| rules.location = location)
    }

    /// Returns a rejection to the caller at once, without a copy of the request and without
    /// [`TokenSource::reject`]. Defaults to rejecting the token and repeating the call once with
    /// another.
    pub fn without_recovery(self) -> Self {
        self.change(|rules| rules.rejection = RejectionRule::None)
    }

    /// Lets a call pass without a token if the source fails. The resource then sees an anonymous
    /// caller, which may have other rights. Defaults to returning the source's error without calling
    /// the inner service.
    pub fn allow_missing_token(self) -> Self {
        self.change(|rules| rules.allow_missing_token = true)
    }

    /// Counts a 401 as a rejection only if a `Bearer` challenge has `error="invalid_token"`.
    /// Defaults to every 401 that concerns the token: see [Rejections](Self#rejections). gRPC's
    /// `UNAUTHENTICATED` always counts.
    pub fn with_strict_recovery(self) -> Self {
        self.change(|rules| rules.rejection = RejectionRule::InvalidToken)
    }

    /// Sets which bodies are sent again after a rejection. Defaults to [`Known`].
    pub fn with_replay<Q>(self, replay: Q) -> AddBearer<T, Q> {
        AddBearer { source: self.source, rules: self.rules, replay }
    }

    /// Sets the clock that limits how long a rejected answer is read. Defaults to the
    /// source's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.change(|rules| rules.clock = clock)
    }
}

impl<T> AddBearer<T> {
    fn with(source: T, clock: Clock, origins: Origins) -> Self {
        let rules = Rules::new(origins, clock);
        Self { source: Arc::new(source), rules: Arc::new(rules), replay: Known }
    }
}

impl<T, P> AddBearer<T, P> {
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(in crate::client) fn source(&self) -> &T {
        &self.source
    }

    pub(in crate::client) fn with_source(self, source: T) -> Self {
        Self { source: Arc::new(source), ..self }
    }

    /// Replaces a credential that is on the request already. Defaults to keeping it.
    pub fn allow_credential_overwrite(self) -> Self {
        self.change(|rules| rules.overwrite = true)
    }

    /// Lets a call to another origin pass, without the token. Defaults to an error.
    ///
    /// A redirect may copy the query of the previous call, and with it the token that the layer put
    /// there. If the token goes into the query ([`TokenLocation::Query`]), the layer therefore
    /// removes every `access_token` from the query of such a call and keeps every other byte. It
    /// removes any value, including one that the caller put there, because a token may be renewed
    /// between two hops. To send another token to another origin, use a header or a client without
    /// this layer. An `access_token` that another [`AddBearer`] attached for that origin stays.
    ///
    /// A call whose URI has an `access_token` inside another value, for example
    /// `?next=%2Fstart%3Faccess_token%3DT`, fails with
    /// [`ErrorKind::ForeignOrigin`](crate::client::ErrorKind::ForeignOrigin), because the layer
    /// cannot know where the token ends. The layer does not recognise a token that a server puts
    /// elsewhere: into the path, into a parameter of another name, or in another encoding than
    /// percent escapes.
    pub fn allow_other_origins(self) -> Self {
        self.change(|rules| rules.allow_other_origins = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.rules));
        self
    }
}

impl<S, T, P: Clone> Layer<S> for AddBearer<T, P> {
    type Service = AddBearerService<S, T, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let (source, rules) = (self.source.clone(), self.rules.clone());
        AddBearerService::new(inner, source, rules, self.replay.clone())
    }
}

impl<T, P: Clone> Clone for AddBearer<T, P> {
    fn clone(&self) -> Self {
        let (source, rules) = (self.source.clone(), self.rules.clone());
        Self { source, rules, replay: self.replay.clone() }
    }
}

opaque_debug!(AddBearer<T, P> { rules, .. });
