use super::{
    audit::{AuditEvent, Auditor},
    certificate::ClientCertificates,
    challenges::{ChallengeSettings, Resource},
    service::RequireTokenService,
    settings::{Mode, Settings},
    strip::Strip,
};
use crate::{
    Clock, ConfigError, ScopeSet, TokenLocation, server::ResourceMetadata, validate::ValidateToken,
};
use std::{sync::Arc, time::Duration};
use tower_layer::Layer;

/// Lets only requests with a good access token through to an HTTP service.
///
/// 1. The layer reads the token in the configured locations, and nowhere else. It refuses a token
///    that is malformed, repeated, or in two locations, without asking the validator.
/// 2. The validator judges the token. If it cannot at the moment, the response is 503, never 401.
/// 3. The layer puts the [`Authenticated`](crate::server::Authenticated) of a good token into the
///    request's extensions, in place of any that was there. The refusal of a bad token has the
///    [`Rejection`](crate::validate::Rejection) in its extensions.
///
/// Clones, and all services of one layer, share the validator.
///
/// # Defaults
///
/// The layer reads the `Authorization: Bearer` header, and nothing else.
///
/// | request | response |
/// |---|---|
/// | no token, or a scheme that is not read | 401, challenge without `error` |
/// | malformed, repeated, in two locations, beside `Authorization: DPoP` | 400 `invalid_request` |
/// | unknown, expired, revoked, longer than 16 KiB | 401 `invalid_token` |
/// | DPoP without a proof, a proof beside another token | 400 `invalid_request` |
/// | bound to a key, and the proof is bad or was used before | 401 `invalid_dpop_proof` |
/// | bound to a key, and the proof lacks the nonce | 401 `use_dpop_nonce`, `DPoP-Nonce` |
/// | bound to a key or a certificate of somebody else, or without any proof | 401 `invalid_token` |
/// | too few scopes ([`RequireScope`](crate::server::RequireScope)) | 403 `insufficient_scope` |
/// | the validator cannot judge the token | 503, `Retry-After` |
/// | the validator fails | 500 |
/// | any of these, to a call of [gRPC](#grpc) | 200, trailers-only, `grpc-status` 16, 7, 14 or 13 |
///
/// # Bound tokens
///
/// A token that is bound to a key (DPoP, [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)) or to a
/// client certificate ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)) is worth nothing to a thief.
/// The layer compares what the validator says a token is bound to
/// ([`Principal::confirmation`](crate::validate::Principal::confirmation)) with every request, whether
/// or not the verdict was cached. Without [`with_dpop`](Self::with_dpop), tokens that are bound to a key
/// are refused. No mode takes a good token of somebody else for none.
///
/// # Reservations
///
/// A verdict that is ready, such as a cached one, is used with the reservation of the inner service
/// that `poll_ready` made, which a refusal gives back. While a verdict is pending, the request holds
/// no reservation: bad tokens use up no limit below this layer. A request with a good verdict then
/// polls a clone of the inner service ready, which takes as long as that service likes. If it had to
/// wait, the expiry and the revocation of its token are checked after the wait, and a token whose
/// verdict may no longer hold ([`recheck`](crate::validate::CacheSupport::recheck),
/// [`generation`](crate::validate::CacheSupport::generation)) is validated once more. The service asks
/// for `S: Clone` for this.
///
/// # gRPC
///
/// A call of gRPC is a POST over HTTP/2 with the content type `application/grpc`. A call of gRPC-Web
/// is a POST over any version of HTTP with the content type `application/grpc-web` or
/// `application/grpc-web-text`. The layer refuses such a call, and no other request, with status 200
/// and a `grpc-status`. See [`without_grpc`](Self::without_grpc).
///
/// # Authorization requests of a proxy
///
/// A proxy can ask a service whether a request may pass: nginx by `auth_request`, Envoy by
/// `ext_authz`, others by forward authentication. The proxy lets the request pass if the status of
/// the response is 2xx, and looks at nothing else. A service that answers a proxy needs
/// [`without_grpc`](Self::without_grpc), since the caller chooses the content type and the proxy may
/// keep the method. [The order of layers](crate::guide::layer_order) says what else it needs.
///
/// # Deployment
///
/// The layer removes the token of [`TokenLocation::Query`] from the URI that the inner service sees.
/// The layers **outside** of this one still see it: none of them may log URIs. Under
/// `axum::Router::layer`, the handler's `OriginalUri` is taken before any layer runs; put this layer
/// around the whole router instead.
///
/// Over HTTP/1, the client of an upload may not see the refusal: put a
/// [`DrainRefused`](crate::server::DrainRefused) above.
///
/// # Requests of other sites
///
/// Browsers add cookies and Basic credentials to requests that another site makes them send. The
/// layer refuses a token in one of these locations with 403
/// ([`CrossSite`](crate::validate::RejectionKind::CrossSite)) if the request comes from another site:
///
/// | request | comes from another site if |
/// |---|---|
/// | GET, HEAD, OPTIONS | never |
/// | any other, with `Sec-Fetch-Site` | the header is `cross-site` |
/// | any other, without it | `Origin` is present and has another host or port than the request |
/// | WebSocket (`Upgrade: websocket`, CONNECT) | either is so, whatever `Sec-Fetch-Site` is |
///
/// No current browser omits both headers; against older ones, a cookie needs `SameSite`. The host of
/// the request is that of its URI, or else its `Host` header: a proxy in front must not change it, nor
/// the port. A page on `app.example` that calls `api.example` with a cookie is of the same site, and
/// passes if the browser sends `Sec-Fetch-Site`. Its WebSockets do not pass; nor do its requests with
/// `Origin` alone, as old browsers and APIs without TLS have. For those, put the token elsewhere, or
/// see [`dangerous_allow_cross_site_requests`](Self::dangerous_allow_cross_site_requests).
///
/// # Runtime
///
/// A verdict that is not ready at once has no timeout without tokio's timers: outside of any runtime,
/// and in one that has none. The validator may need a runtime itself.
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
    /// Creates a layer that asks `validator` about tokens, and names `realm` in its challenges.
    ///
    /// # Errors
    ///
    /// When `realm` contains anything but printable ASCII.
    pub fn new(realm: impl Into<Box<str>>, validator: V) -> Result<Self, ConfigError> {
        let settings =
            Settings::new(realm.into(), validator.cache_support().clock().unwrap_or_default())?;
        Ok(Self { validator: Arc::new(validator), settings: Arc::new(settings) })
    }
}

/// Where tokens are read and removed.
impl<V> RequireToken<V> {
    /// Sets where tokens are read. Defaults to [`TokenLocation::Bearer`] alone. The query is read of
    /// GET and HEAD requests only, and of the CONNECT of a WebSocket over HTTP/2 (RFC 8441). The tokens
    /// in the query of any other request, a preflight included, are removed and never count.
    ///
    /// The response to a token that was not in `Authorization` gets `Cache-Control: private`, unless
    /// it has `no-store`: caches recognise such a token as a credential nowhere else (RFC 9111 §3.5).
    ///
    /// # Errors
    ///
    /// When `locations` is empty.
    pub fn with_locations<I>(mut self, locations: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = TokenLocation>,
    {
        let settings = Arc::make_mut(&mut self.settings);
        settings.sources.set_locations(locations)?;
        let offers_basic = settings.sources.reads_basic();
        settings.challenges.change(|challenges| challenges.offers_basic = offers_basic);
        Ok(self)
    }

    /// Sets where the client certificates of tokens are found that are bound to one
    /// ([RFC 8705 §3](https://www.rfc-editor.org/rfc/rfc8705#section-3)). Defaults to a
    /// [`ClientCertificate`](crate::server::ClientCertificate) in the extensions, which the
    /// [metadata](Self::resource_metadata) tell clients of only if it is set here.
    pub fn with_client_certificates(self, certificates: ClientCertificates) -> Self {
        self.change(|settings| {
            settings.certificates = certificates;
            settings.has_certificates = true;
        })
    }

    /// Reads the query of requests of any method. Defaults to GET, HEAD and CONNECT; of other requests,
    /// the parameter is removed unread.
    pub fn allow_query_on_any_method(self) -> Self {
        self.change(|settings| settings.sources.query_on_any_method = true)
    }

    /// Sets the passwords with which a Basic user name is a token. Defaults to the empty password.
    pub fn with_basic_passwords<I: IntoIterator<Item: Into<Box<str>>>>(self, passwords: I) -> Self {
        let passwords = passwords.into_iter().map(Into::into).collect();
        self.change(|settings| settings.sources.basic_passwords = passwords)
    }

    /// Takes the first of several tokens, in the order of [`with_locations`](Self::with_locations),
    /// and ignores the others, one of the scheme `DPoP` included. Defaults to refusing such requests.
    ///
    /// The layer removes the other tokens like the first: every query parameter of that name, and
    /// the whole header if the token in it is malformed or repeated.
    ///
    /// # Security
    ///
    /// A proxy in front of this server may look at another of the tokens.
    pub fn dangerous_first_token_wins(self) -> Self {
        self.change(|settings| settings.sources.first_wins = true)
    }

    /// Accepts tokens in cookies and Basic credentials from any site. Defaults to refusing those of
    /// [other sites](Self#requests-of-other-sites) with 403.
    ///
    /// # Security
    ///
    /// Something else must tell the requests of the API's own pages from others: a proxy that checks
    /// `Origin`, or `SameSite=Strict`.
    pub fn dangerous_allow_cross_site_requests(self) -> Self {
        self.change(|settings| settings.sources.cross_site = true)
    }

    /// Removes the token from the request in every location but a form. Defaults to removing it from
    /// the query and the WebSocket subprotocol; a header that keeps it is marked sensitive.
    pub fn with_full_token_removal(self) -> Self {
        self.change(|settings| settings.strip = Strip::Everything)
    }

    /// Leaves the token in the request, even in the query: the inner service must not log URIs.
    /// Defaults to removing it from the query and the WebSocket subprotocol.
    pub fn without_token_removal(self) -> Self {
        self.change(|settings| settings.strip = Strip::Nothing)
    }
}

/// Which requests pass without a good token, and how long a verdict may take.
impl<V> RequireToken<V> {
    /// Lets requests through that present no token, with an [`Anonymous`](crate::server::Anonymous)
    /// in their extensions. Defaults to refusing them with 401.
    ///
    /// A token that is presented must still be good. Credentials of a scheme that is not read count
    /// as none, `DPoP` excepted: alone they are refused with 401, and beside a token in another
    /// location with 400.
    pub fn allow_anonymous(self) -> Self {
        self.change(|settings| settings.mode = Mode::Optional)
    }

    /// Lets requests with a bad token through, as if they had none. Defaults to refusing them.
    /// A token that is malformed, or cannot be judged at the moment, is still refused.
    pub fn dangerous_pass_bad_tokens_as_anonymous(self) -> Self {
        self.change(|settings| settings.mode = Mode::Lenient)
    }

    /// Lets CORS preflights through, to which browsers add no credentials. Defaults to treating them
    /// like any request. A preflight is an `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. To extractors such a request is anonymous.
    ///
    /// Not needed below a layer that answers preflights.
    pub fn allow_cors_preflights(self) -> Self {
        self.change(|settings| settings.preflights_pass = true)
    }

    /// Sets how long the validator may take before the layer responds with 503. The wait for the inner
    /// service does not count. Defaults to 10 s.
    pub fn with_validator_timeout(self, timeout: Duration) -> Self {
        self.change(|settings| settings.timeout = timeout)
    }

    /// Sets the clock of the timeout, of policies, and of
    /// [`Authenticated::ended`](crate::server::Authenticated::ended). Defaults to the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.change(|settings| {
            if let Some(dpop) = &mut settings.dpop {
                dpop.set_clock(&clock);
            }
            settings.clock = clock;
        })
    }
}

/// What refusals contain, and the audit hook.
impl<V> RequireToken<V> {
    /// Names this API as a protected resource: challenges point to its metadata
    /// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)), which
    /// [`resource_metadata`](Self::resource_metadata) serves. Defaults to none.
    ///
    /// # Errors
    ///
    /// When `resource` is not an absolute `https` URL without a fragment.
    pub fn with_resource(self, resource: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let resource = Resource::new(resource.into())?;
        Ok(self.change_challenges(|challenges| challenges.resource = Some(resource)))
    }

    /// Returns the metadata of this protected resource, as configured so far: where tokens are read,
    /// what they are bound to, and the scopes of [`with_scope_hint`](Self::with_scope_hint).
    ///
    /// # Errors
    ///
    /// Before [`with_resource`](Self::with_resource).
    pub fn resource_metadata(&self) -> Result<ResourceMetadata, ConfigError> {
        let missing = || ConfigError::new("metadata need a resource: call with_resource first");
        let challenges = self.settings.challenges.settings();
        let resource = challenges.resource.as_ref().ok_or_else(missing)?;
        let locations = self.settings.sources.locations();
        let metadata = ResourceMetadata::new(&resource.identifier, locations)?.with_binding(
            challenges.dpop.as_deref(),
            !challenges.offers_bearer,
            self.settings.has_certificates,
        );
        Ok(metadata.with_scopes(&challenges.scope_hint))
    }

    /// Sets the scopes that a challenge names if no token was presented. Defaults to none.
    pub fn with_scope_hint(self, scopes: ScopeSet) -> Self {
        self.change_challenges(|challenges| challenges.scope_hint = scopes)
    }

    /// Sets the page about errors that challenges point to (`error_uri`, RFC 6750 §3). Defaults to
    /// none.
    ///
    /// # Errors
    ///
    /// When `uri` is not an absolute URI.
    pub fn with_error_uri(self, uri: impl Into<Box<str>>) -> Result<Self, ConfigError> {
        let uri = uri.into();
        let allowed = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some())
            && uri.bytes().all(allowed)
        {
            return Ok(self.change_challenges(|challenges| challenges.error_uri = Some(uri)));
        }
        Err(ConfigError::new(format!(
            "the error URI {uri:?} is not absolute; write one such as https://api.example/errors"
        )))
    }

    /// Does not tell callers whether a bad token is unknown, expired or revoked. Defaults to telling
    /// them.
    pub fn with_terse_refusals(self) -> Self {
        self.change_challenges(|challenges| challenges.terse = true)
    }

    /// Lets pages of other origins read the challenges: every refusal has
    /// `Access-Control-Expose-Headers: WWW-Authenticate`. Defaults to no such header.
    ///
    /// The CORS layer goes above this one. It keeps the header only if it has no list of its own. For
    /// tower-http's `CorsLayer`:
    ///
    /// | `expose_headers` | pages read the challenges |
    /// |---|---|
    /// | not called | with this setting |
    /// | a list with `WWW-Authenticate` | always |
    /// | a list without it | never, whatever this setting is |
    /// | `Any` | always; `CorsLayer` panics if it allows credentials too |
    ///
    /// The same holds for `grpc-status` and `grpc-message` of a refused call of gRPC-Web, which are
    /// exposed without this setting: a list must name them.
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

    /// Calls `hook` after every decision, those of policies and extractors below included. The
    /// request waits for it, so it must be quick. Defaults to none. A
    /// [`BufferForm`](crate::server::BufferForm) is above this layer, and takes a
    /// [hook](crate::server::BufferForm::with_audit) for its own refusals.
    pub fn with_audit(self, hook: impl Fn(&AuditEvent<'_>) + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.recorder.auditor = Some(Auditor::new(hook)))
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
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

opaque_debug!(RequireToken<V> { settings, .. });
