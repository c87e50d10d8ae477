use super::{RequireTokenService, challenges::Challenges, extract::Sources};
use crate::{ConfigError, TokenLocation, validate::ValidateToken};
use std::{fmt, sync::Arc};
use tower_layer::Layer;

/// Lets only requests with a good access token through to an HTTP service.
///
/// 1. The token is taken from where the layer is told to look, and from nowhere else; one that
///    is malformed, twice there, or there in two ways is refused without asking the validator.
/// 2. The validator judges it. Who cannot be judged at the moment gets 503, never 401.
/// 3. A good token's [`Authenticated`](super::Authenticated) goes into the request's extensions,
///    whatever was there before; a bad one's [`Rejection`](crate::validate::Rejection) into the
///    refusal's.
///
/// A clone, and every service made of it, shares the validator.
///
/// # Defaults
///
/// The `Authorization: Bearer` header is read, nothing else.
///
/// | what comes | the answer |
/// |---|---|
/// | nothing, or a scheme that is not read | 401, challenge without `error` |
/// | malformed, twice, in two ways | 400 `invalid_request` |
/// | unknown, expired, revoked | 401 `invalid_token` |
/// | too few scopes ([`RequireScope`](super::RequireScope)) | 403 `insufficient_scope` |
/// | the validator cannot tell | 503, `Retry-After` |
/// | the validator fails | 500 |
/// | any of these, to gRPC | 200, trailers-only, `grpc-status` 16, 7, 14 or 13 |
///
/// # Deployment
///
/// With [`TokenLocation::Query`] the token is cut out of the URI that the inner service sees.
/// Whatever is **outside** of this layer still sees it: put no layer there that logs URIs. Under
/// `axum::Router::layer` the handler's `OriginalUri` was taken before any layer ran; there, put
/// this layer around the whole router.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_oauth2::{
///     server::RequireToken,
///     validate::{Principal, StaticTokens},
/// };
///
/// let tokens = StaticTokens::new();
/// tokens.insert("mF_9.B5f-4.1JqM", Principal::new("alice"))?;
/// let app: Router = Router::new()
///     .route("/calls", get(|| async { "the calls" }))
///     .route_layer(RequireToken::new("api", tokens)?);
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// # Example: three ways to present a token
///
/// ```
/// # use tower_oauth2::{TokenLocation, server::RequireToken, validate::StaticTokens};
/// let layer = RequireToken::new("api", StaticTokens::new())?.read_from([
///     TokenLocation::Bearer,
///     TokenLocation::Query,
///     TokenLocation::BasicUserName,
/// ])?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
///
/// [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750),
/// [RFC 9110 §11](https://www.rfc-editor.org/rfc/rfc9110#section-11)
#[must_use]
pub struct RequireToken<V> {
    validator: Arc<V>,
    settings: Arc<Settings>,
}

/// What holds for every request of one layer.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    realm: Box<str>,
    pub(super) sources: Sources,
    pub(super) challenges: Challenges,
}

impl<V: ValidateToken> RequireToken<V> {
    /// Has tokens judged by `validator`, and names `realm` in challenges.
    ///
    /// # Errors
    ///
    /// When `realm` holds anything but printable ASCII.
    pub fn new(realm: impl Into<Box<str>>, validator: V) -> Result<Self, ConfigError> {
        let settings = Settings::new(realm.into(), [TokenLocation::Bearer])?;
        Ok(Self { validator: Arc::new(validator), settings: Arc::new(settings) })
    }

    /// Looks for the token in `locations`, and only there. Defaults to
    /// [`TokenLocation::Bearer`]. The query is read of GET and HEAD requests only.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn read_from<I>(mut self, locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let settings = Settings::new(self.settings.realm.clone(), locations)?;
        self.settings = Arc::new(settings);
        Ok(self)
    }
}

impl Settings {
    fn new<I>(realm: Box<str>, locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let sources = Sources::new(locations)?;
        let challenges = Challenges::new(&realm, sources.read_basic())?;
        Ok(Self { realm, sources, challenges })
    }
}

impl<S, V> Layer<S> for RequireToken<V> {
    type Service = RequireTokenService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireTokenService::new(inner, self.validator.clone(), self.settings.clone())
    }
}

impl<V> Clone for RequireToken<V> {
    fn clone(&self) -> Self {
        Self { validator: self.validator.clone(), settings: self.settings.clone() }
    }
}

impl<V> fmt::Debug for RequireToken<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireToken").field("settings", &self.settings).finish_non_exhaustive()
    }
}
