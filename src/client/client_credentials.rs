use super::{
    AddBearer, AddBearerService, Grant, Known, Origins, RefreshPolicy, TokenCache, TokenEndpoint,
};
use crate::{
    ClientAuthentication, ClientSecret, Clock, ConfigError, Origin, ScopeSet, TokenLocation,
    Transport,
};
use tower_layer::Layer;

/// Gets an access token by the client credentials grant, puts it on every request, keeps it
/// fresh, and gets another when it is rejected.
///
/// This is [`AddBearer`] with a [`TokenCache`] as its source. Their docs say where the token is
/// attached, and when it is fetched. Nothing is fetched before the first call.
///
/// A clone, and every service made of it, shares the token. Call setters before the layer is cloned
/// or used: after that they give the layer a cache of its own, and leave clones, services and
/// [`cache`](Self::cache)s from before as they are.
///
/// # Defaults
///
/// `Authorization: Bearer`; no scopes requested; a call whose token is
/// [rejected](AddBearer#rejections) is repeated once with another if its body is known to be whole
/// ([`Known`]); [`RefreshPolicy`].
///
/// # Deployment
///
/// While there is no token, calls wait for it and take no permit of a limit below this layer. Put a
/// limit above it to bound the waiting calls.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::ServiceBuilder;
/// use tower_oauth2::{
///     ClientAuthentication, Transport,
///     client::{ClientCredentialsRefresh, TokenEndpoint},
/// };
///
/// let endpoint = TokenEndpoint::new(
///     "https://as.example/token",
///     ClientAuthentication::basic("id", "secret"),
///     Transport::https(),
/// )?;
/// let client = ServiceBuilder::new()
///     .layer(ClientCredentialsRefresh::new(endpoint, "https://api.example")?)
///     // Put your connector for https here.
///     .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[must_use]
pub struct ClientCredentialsRefresh<P = Known> {
    endpoint: TokenEndpoint,
    grant: Grant,
    policy: RefreshPolicy,
    clock: Clock,
    ceiling: Option<ScopeSet>,
    layer: AddBearer<TokenCache, P>,
}

impl ClientCredentialsRefresh {
    /// Gets tokens from `endpoint` for requests to `origins`.
    ///
    /// # Errors
    ///
    /// If an origin is missing, not absolute, or plain `http` to another machine: see
    /// [`Origins`].
    pub fn new<O>(endpoint: TokenEndpoint, origins: O) -> Result<Self, ConfigError>
    where
        O: TryInto<Origins, Error: Into<ConfigError>>,
    {
        let (grant, policy) = (Grant::client_credentials(), RefreshPolicy::default());
        let clock = endpoint.clock().clone();
        let cache = TokenCache::new(endpoint.clone(), grant.clone(), policy.clone());
        let layer = AddBearer::from_source(cache, origins)?;
        Ok(Self { endpoint, grant, policy, clock, ceiling: None, layer })
    }

    /// Gets tokens for `resource`, and for its origin alone, from the authorization server that it
    /// names, if that is one of `issuers`: see [`TokenEndpoint::from_resource`]. Requests name the
    /// resource ([`with_resource`](Self::with_resource)).
    ///
    /// ```
    /// use tower_oauth2::{ClientAuthentication, Transport, client::ClientCredentialsRefresh};
    ///
    /// let layer = ClientCredentialsRefresh::from_resource(
    ///     "https://api.example/v1",
    ///     ["https://as.example"],
    ///     ClientAuthentication::basic("id", "secret"),
    ///     Transport::https(),
    /// )?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TokenEndpoint::from_resource`].
    pub fn from_resource<I: IntoIterator<Item: AsRef<str>>>(
        resource: &str,
        issuers: I,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let endpoint = TokenEndpoint::from_resource(resource, issuers, client, transport)?;
        let origin = resource.parse().ok().and_then(|uri| Origin::from_uri(&uri));
        let origin = origin.ok_or_else(|| ConfigError::new("the resource has no origin"))?;
        Self::new(endpoint, origin)?.with_resource(resource)
    }
}

impl<P> ClientCredentialsRefresh<P> {
    /// Requests `scopes`. Defaults to none: the server decides.
    pub fn with_scopes(self, scopes: ScopeSet) -> Self {
        let grant = self.grant.clone().with_scopes(scopes);
        Self { grant, ..self }.rebuilt()
    }

    /// Requests a token for `audience`. Another call adds another audience. Defaults to none.
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        let grant = self.grant.clone().with_audience(audience);
        Self { grant, ..self }.rebuilt()
    }

    /// Requests a token for `resource`. Another call adds another resource. Defaults to none.
    ///
    /// # Errors
    ///
    /// As [`Grant::with_resource`].
    pub fn with_resource(self, resource: impl Into<String>) -> Result<Self, ConfigError> {
        let grant = self.grant.clone().with_resource(resource)?;
        Ok(Self { grant, ..self }.rebuilt())
    }

    /// Adds a parameter to the token request. Defaults to none.
    ///
    /// # Errors
    ///
    /// As [`Grant::with_param`].
    pub fn with_param(
        self,
        name: impl Into<String>,
        value: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        let grant = self.grant.clone().with_param(name, value)?;
        Ok(Self { grant, ..self }.rebuilt())
    }

    /// Requests more scopes if the resource refuses a call for lack of them (403
    /// `insufficient_scope`, [RFC 6750 §3.1]) and all scopes that it names are in `ceiling`.
    /// Defaults to never: a resource must not decide what a client requests.
    ///
    /// The cache fetches a token with the union, the layer repeats the call once if its body is
    /// whole, and later calls use the wider token. Meanwhile other calls use the current one. The
    /// cache does not request scopes again that the authorization server refused with
    /// `invalid_scope`; after another refusal it does, with the next token.
    ///
    /// The repeated call is the copy that recovery makes, so no call is repeated under
    /// [`without_recovery`](Self::without_recovery).
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    pub fn with_step_up(self, ceiling: ScopeSet) -> Self {
        Self { ceiling: Some(ceiling), ..self }.rebuilt()
    }

    /// Sets when tokens are fetched, and how long calls wait. Defaults to
    /// [`RefreshPolicy::default`].
    pub fn with_policy(self, policy: RefreshPolicy) -> Self {
        Self { policy, ..self }.rebuilt()
    }

    /// Sets the clock that measures the token's age, for the endpoint too. Defaults to the
    /// endpoint's.
    pub fn with_clock(self, clock: Clock) -> Self {
        let layer = self.layer.with_clock(clock.clone());
        Self { clock, layer, ..self }.rebuilt()
    }

    /// Sets where the token is attached. Defaults to [`TokenLocation::Bearer`].
    pub fn with_location(self, location: TokenLocation) -> Self {
        Self { layer: self.layer.with_location(location), ..self }
    }

    /// Replaces a credential that is on the request already. Defaults to keeping it.
    pub fn allow_credential_overwrite(self) -> Self {
        Self { layer: self.layer.allow_credential_overwrite(), ..self }
    }

    /// Lets calls to other origins pass: see [`AddBearer::allow_other_origins`].
    pub fn allow_other_origins(self) -> Self {
        Self { layer: self.layer.allow_other_origins(), ..self }
    }

    /// Lets calls pass without a token: see [`AddBearer::allow_missing_token`].
    pub fn allow_missing_token(self) -> Self {
        Self { layer: self.layer.allow_missing_token(), ..self }
    }

    /// Does not repeat rejected calls: see [`AddBearer::without_recovery`].
    pub fn without_recovery(self) -> Self {
        Self { layer: self.layer.without_recovery(), ..self }
    }

    /// Recovers only from `invalid_token`: see [`AddBearer::with_strict_recovery`].
    pub fn with_strict_recovery(self) -> Self {
        Self { layer: self.layer.with_strict_recovery(), ..self }
    }

    /// Sets which bodies are sent again: see [`AddBearer::with_replay`].
    pub fn with_replay<Q>(self, replay: Q) -> ClientCredentialsRefresh<Q> {
        let Self { endpoint, grant, policy, clock, ceiling, layer } = self;
        let layer = layer.with_replay(replay);
        ClientCredentialsRefresh { endpoint, grant, policy, clock, ceiling, layer }
    }

    /// Returns the cache that the services of this layer share, to warm it up, watch it and shut it
    /// down. Its clones follow later setters, until the layer is cloned or used.
    #[must_use]
    pub fn cache(&self) -> &TokenCache {
        self.layer.source()
    }

    fn rebuilt(mut self) -> Self {
        let (endpoint, grant, ceiling) =
            (self.endpoint.clone(), self.grant.clone(), self.ceiling.clone());
        let (policy, clock) = (self.policy.clone(), self.clock.clone());
        let cache = self.cache().reconfigure(endpoint, grant, ceiling, policy, clock);
        if let Some(cache) = cache {
            self.layer = self.layer.with_source(cache);
        }
        self
    }
}

impl<S, P: Clone> Layer<S> for ClientCredentialsRefresh<P> {
    type Service = AddBearerService<S, TokenCache, P>;

    fn layer(&self, inner: S) -> Self::Service {
        // A service does not change when its layer does.
        self.cache().freeze();
        self.layer.layer(inner)
    }
}

impl<P: Clone> Clone for ClientCredentialsRefresh<P> {
    fn clone(&self) -> Self {
        // Neither changes when the other does.
        self.cache().freeze();
        Self {
            endpoint: self.endpoint.clone(),
            grant: self.grant.clone(),
            policy: self.policy.clone(),
            clock: self.clock.clone(),
            ceiling: self.ceiling.clone(),
            layer: self.layer.clone(),
        }
    }
}

opaque_debug!(ClientCredentialsRefresh<P> { endpoint, grant, policy, ceiling, layer, .. });
