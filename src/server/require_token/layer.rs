use super::{
    audit::{AuditEvent, Auditor},
    challenges::{ChallengeSettings, Resource},
    service::RequireTokenService,
    settings::{Mode, Settings},
    strip::Strip,
};
use crate::{
    Clock, ConfigError, ScopeSet, TokenLocation, server::ResourceMetadata, validate::ValidateToken,
};
use std::{fmt, sync::Arc, time::Duration};
use tower_layer::Layer;

/// Lets only requests with a good access token through to an HTTP service.
///
/// 1. The token is taken from where the layer is told to look, and from nowhere else; one that
///    is malformed, twice there, or there in two ways is refused without asking the validator.
/// 2. The validator judges it. Who cannot be judged at the moment gets 503, never 401.
/// 3. A good token's [`Authenticated`](crate::server::Authenticated) goes into the request's extensions,
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
/// | too few scopes ([`RequireScope`](crate::server::RequireScope)) | 403 `insufficient_scope` |
/// | the validator cannot tell | 503, `Retry-After` |
/// | the validator fails | 500 |
/// | any of these, to [gRPC](#grpc) | 200, trailers-only, `grpc-status` 16, 7, 14 or 13 |
///
/// # gRPC
///
/// A call of gRPC is a POST over HTTP/2 whose content type is `application/grpc`. A call of gRPC-Web
/// is a POST over any version of HTTP whose content type is `application/grpc-web` or
/// `application/grpc-web-text`. The layer refuses such a call, and no other request, with status 200
/// and a `grpc-status`. See [`without_grpc`](Self::without_grpc).
///
/// # Authorization requests of a proxy
///
/// A proxy can ask a service whether a request may pass: nginx by `auth_request`, Envoy by
/// `ext_authz`, others by forward authentication. It lets the request pass where the status of the
/// answer is 2xx, and looks at nothing else. A service that answers a proxy needs
/// [`without_grpc`](Self::without_grpc), since the caller chooses the content type and the proxy may
/// keep the method. [The order of layers](crate::guide::layer_order) says what else it needs.
///
/// # Deployment
///
/// With [`TokenLocation::Query`] the token is cut out of the URI that the inner service sees.
/// Whatever is **outside** of this layer still sees it: put no layer there that logs URIs. Under
/// `axum::Router::layer` the handler's `OriginalUri` was taken before any layer ran; there, put
/// this layer around the whole router.
///
/// # Requests of other sites
///
/// Cookies and Basic credentials are added by browsers to requests that another site makes them
/// send. Where one of these places is read, a token there is refused with 403
/// ([`CrossSite`](crate::validate::RejectionKind::CrossSite)):
///
/// | the request | is another site's where |
/// |---|---|
/// | GET, HEAD, OPTIONS | never |
/// | any other, with `Sec-Fetch-Site` | that says `cross-site` |
/// | any other, without it | `Origin` is there and has another host or port than the request |
/// | a WebSocket's (`Upgrade: websocket`, CONNECT) | either is so, whatever `Sec-Fetch-Site` says |
///
/// Who sends neither header is no browser of today; against older ones a cookie needs `SameSite`.
/// The host is that of the URI, else of `Host`: a proxy in front has to pass it on as it was called,
/// port included. A page on `app.example` that calls `api.example` by cookie is of the same site, and
/// passes where the browser says so; its sockets do not, nor what names an `Origin` alone, as old
/// browsers do, and all where the API has no TLS. Give those the token in another place, or see
/// [`dangerous_allow_cross_site_requests`](Self::dangerous_allow_cross_site_requests).
///
/// # Panics
///
/// A call whose verdict has to be waited for, in a tokio runtime whose timers are off, with the
/// system's [clock](Self::with_clock). Outside of any runtime there is no time-out, and the validator
/// may need one itself.
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
/// let layer = RequireToken::new("api", StaticTokens::new())?.with_locations([
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

impl<V: ValidateToken> RequireToken<V> {
    /// Has tokens judged by `validator`, and names `realm` in challenges.
    ///
    /// # Errors
    ///
    /// When `realm` holds anything but printable ASCII.
    pub fn new(realm: impl Into<Box<str>>, validator: V) -> Result<Self, ConfigError> {
        let settings = Settings::new(realm.into())?;
        Ok(Self { validator: Arc::new(validator), settings: Arc::new(settings) })
    }
}

/// Where tokens are read, and what becomes of them.
impl<V> RequireToken<V> {
    /// Looks for the token in `locations`, and only there. Defaults to
    /// [`TokenLocation::Bearer`]. The query is read of GET and HEAD requests only, and of
    /// the CONNECT of a WebSocket over HTTP/2 (RFC 8441).
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn with_locations<I>(mut self, locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let settings = Arc::make_mut(&mut self.settings);
        settings.sources.set_locations(locations)?;
        let offers_basic = settings.sources.read_basic();
        settings.challenges.change(|challenges| challenges.offers_basic = offers_basic);
        Ok(self)
    }

    /// Reads the query of requests of any method. Defaults to GET, HEAD and CONNECT.
    pub fn allow_query_on_any_method(self) -> Self {
        self.change(|settings| settings.sources.query_on_any_method = true)
    }

    /// The passwords with which a Basic user name is a token. Defaults to the empty one.
    pub fn with_basic_passwords<I>(self, passwords: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let passwords = passwords.into_iter().map(Into::into).collect();
        self.change(|settings| settings.sources.basic_passwords = passwords)
    }

    /// Takes the first of several tokens, in the order of [`with_locations`](Self::with_locations), and
    /// judges no other. Whoever is in front of this server may look at another. Others that are
    /// well formed are taken out like the first, and of the query every parameter of that name, be
    /// it there twice or no token. Defaults to refusing such requests.
    pub fn dangerous_first_token_wins(self) -> Self {
        self.change(|settings| settings.sources.first_wins = true)
    }

    /// Takes the token of a cookie, and of Basic credentials, whatever site made a browser send the
    /// request. Defaults to refusing with 403 what comes from another one: see
    /// [Requests of other sites](Self#requests-of-other-sites). Without that guard something else has
    /// to tell the requests of the API's own pages from others: a proxy that checks `Origin`, or
    /// `SameSite=Strict`.
    pub fn dangerous_allow_cross_site_requests(self) -> Self {
        self.change(|settings| settings.sources.cross_site = true)
    }

    /// Takes the token out of the request wherever it was. Defaults to the query and the
    /// WebSocket subprotocol; elsewhere it stays, marked sensitive. A form is never rewritten.
    pub fn with_full_token_removal(self) -> Self {
        self.change(|settings| settings.strip = Strip::Everything)
    }

    /// Leaves the token in the request wherever it was, the query included: the inner service
    /// must not log URIs. Defaults to what [`with_full_token_removal`](Self::with_full_token_removal) says.
    pub fn without_token_removal(self) -> Self {
        self.change(|settings| settings.strip = Strip::Nothing)
    }
}

/// Who passes without a good token, and how long a verdict may take.
impl<V> RequireToken<V> {
    /// Lets requests through that present no token, with an [`Anonymous`](crate::server::Anonymous) in
    /// their extensions. A token that is presented must be good. Credentials of a scheme that is
    /// not read count as none, `DPoP` excepted. Defaults to refusing such requests with 401.
    pub fn optional(self) -> Self {
        self.change(|settings| settings.mode = Mode::Optional)
    }

    /// Lets requests through whose token is not good, as if they had none. Those that cannot be
    /// judged, or are malformed, are refused still. Defaults to refusing a token that is not good.
    pub fn dangerous_pass_bad_tokens_as_anonymous(self) -> Self {
        self.change(|settings| settings.mode = Mode::Lenient)
    }

    /// Lets CORS preflights through: `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`, and nothing else that is `OPTIONS`. Browsers send no
    /// credentials with them. Not needed where a CORS layer stands above this one. Defaults to
    /// treating them like any request.
    pub fn allow_cors_preflights(self) -> Self {
        self.change(|settings| settings.preflights_pass = true)
    }

    /// How long the validator may take; after that the answer is 503. Defaults to 10 s.
    pub fn with_validator_timeout(self, timeout: Duration) -> Self {
        self.change(|settings| settings.timeout = timeout)
    }

    /// The clock of the time-out, of [`Authenticated::ended`](crate::server::Authenticated::ended) and of
    /// policies. Defaults to the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.change(|settings| settings.clock = clock)
    }
}

/// What refusals say, and to whom.
impl<V> RequireToken<V> {
    /// Names this API as a protected resource: challenges point to its metadata
    /// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)), which
    /// [`resource_metadata`](Self::resource_metadata) serves. Defaults to none, and challenges point
    /// nowhere.
    ///
    /// # Errors
    ///
    /// When `resource` is no absolute `https` URL without a fragment.
    pub fn with_resource(self, resource: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let resource = Resource::new(resource.into())?;
        Ok(self.change_challenges(|challenges| challenges.resource = Some(resource)))
    }

    /// The metadata of this protected resource, as it is configured so far: where tokens are read,
    /// and the scopes of [`with_scope_hint`](Self::with_scope_hint).
    ///
    /// # Errors
    ///
    /// Before [`with_resource`](Self::with_resource).
    pub fn resource_metadata(&self) -> Result<ResourceMetadata, ConfigError> {
        let missing =
            || ConfigError::new("metadata are those of a resource: call with_resource first");
        let challenges = self.settings.challenges.settings();
        let resource = challenges.resource.as_ref().ok_or_else(missing)?;
        let locations = self.settings.sources.locations();
        let metadata = ResourceMetadata::new(&resource.identifier, locations)?;
        Ok(metadata.with_scopes(&challenges.scope_hint))
    }

    /// Names the scopes to ask for where no token was presented. Defaults to none.
    pub fn with_scope_hint(self, scopes: ScopeSet) -> Self {
        self.change_challenges(|challenges| challenges.scope_hint = scopes)
    }

    /// Points to a page about errors (`error_uri`, RFC 6750 §3). Defaults to none.
    ///
    /// # Errors
    ///
    /// When `uri` is no absolute URI.
    pub fn with_error_uri(self, uri: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let uri = uri.into();
        let allowed = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some())
            && uri.bytes().all(allowed)
        {
            return Ok(self.change_challenges(|challenges| challenges.error_uri = Some(uri)));
        }
        Err(ConfigError::new("the error URI is not absolute, such as https://api.example/errors"))
    }

    /// Tells callers no more than that a token is not good: whether it is unknown, expired or
    /// revoked looks alike. Defaults to telling.
    pub fn terse(self) -> Self {
        self.change_challenges(|challenges| challenges.terse = true)
    }

    /// Lets pages of other origins read the challenge
    /// (`Access-Control-Expose-Headers: WWW-Authenticate`, on every refusal). Defaults to no such
    /// header.
    pub fn with_exposed_challenges(self) -> Self {
        self.change_challenges(|challenges| challenges.exposed = true)
    }

    /// Refuses calls of gRPC with the status of any other request, such as 401, and without a
    /// `grpc-status`. Policies and extractors below do the same. A service that answers the
    /// [authorization requests of a proxy](Self#authorization-requests-of-a-proxy) needs it. Defaults
    /// to refusing [gRPC](Self#grpc) with status 200 and a `grpc-status`.
    pub fn without_grpc(self) -> Self {
        self.change(|settings| settings.speaks_grpc = false)
    }

    /// Tells `hook` of every decision, those of policies below too. It runs while the request
    /// waits: let it be quick. Defaults to telling nobody.
    pub fn with_audit(self, hook: impl Fn(&AuditEvent<'_>) + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.auditor = Some(Auditor::new(hook)))
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    fn change_challenges(self, change: impl FnOnce(&mut ChallengeSettings)) -> Self {
        self.change(|settings| settings.challenges.change(change))
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
