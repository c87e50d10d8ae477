use super::{
    address::Address,
    token_response::{self, Taken, Unusable},
};
use crate::{
    ClientAuthentication, Clock, ConfigError, Transport,
    back_channel::{
        client_authentication::{Asked, Proof},
        form_post::{Answered, post},
        metadata::Places,
        retry_after::retry_after,
        secrets::Secrets,
        well_known::resource_metadata,
    },
    client::{Error, ErrorKind, Grant, TokenResponse},
    vocabulary::{
        bond::{Prove, Server, ServerKind},
        origin::{Origin, fetchable},
    },
};
use http::{StatusCode, Uri};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// The media type of answers.
pub(super) const JSON: &str = "application/json";

/// The token endpoint of an authorization server, as a [`Service`] of [`Grant`]s
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
///
/// Each call sends one request. It is not repeated, and redirects are not followed. A clone shares
/// the transport.
///
/// ```
/// use tower_oauth2::{ClientAuthentication, Transport, client::TokenEndpoint};
///
/// let endpoint = TokenEndpoint::new(
///     "https://as.example/token",
///     ClientAuthentication::basic("id", "secret"),
///     Transport::https(),
/// )?;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenEndpoint {
    /// Shared, because each user of a pool has an endpoint.
    parts: Arc<Parts>,
}

#[derive(Clone)]
struct Parts {
    address: Address,
    client: ClientAuthentication,
    transport: Transport,
    /// The issuer of a known address, if its metadata were read.
    issuer: Option<Arc<str>>,
    /// Further names for Bearer.
    token_types: Vec<Box<str>>,
    /// The key that tokens are bound to.
    proof: Option<Arc<dyn Prove>>,
}

impl TokenEndpoint {
    fn of(address: Address, client: ClientAuthentication, transport: Transport) -> Self {
        let (issuer, token_types, proof) = (None, Vec::new(), None);
        Self { parts: Arc::new(Parts { address, client, transport, issuer, token_types, proof }) }
    }

    /// Sends requests to `url` as `client` through `transport`.
    ///
    /// # Errors
    ///
    /// If `url` is not an absolute `https` URL or has a user name. `http` is accepted to the machine
    /// itself, or as the transport allows it.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the token URL {why}"));
        let url = fetchable(url, transport.allows_plain_http()).map_err(wrong)?;
        let address = Address::Known(url);
        Ok(Self::of(address, client, transport))
    }

    /// Sends requests to the token endpoint that the metadata of `issuer` name. This constructor does
    /// no I/O.
    ///
    /// The endpoint reads the metadata before the first request, as
    /// [`AuthorizationServerMetadata::discover`] does, and again after 24 h or when the URL answers
    /// 404. If they cannot be read again within 3 s, the known URL is used for another 5 min each
    /// time. A client that authenticates by its certificate, or whose [`Transport::https`] shows one, uses
    /// the endpoint for such clients ([`with_mtls_aliases`]).
    ///
    /// Clones share what was read, and concurrent calls share one read, which a call that is dropped
    /// does not end. For many users, clone one endpoint rather than create one for each.
    ///
    /// ```
    /// use tower_oauth2::{ClientAuthentication, Transport, client::TokenEndpoint};
    ///
    /// let endpoint = TokenEndpoint::from_issuer(
    ///     "https://as.example/realms/demo",
    ///     ClientAuthentication::basic("id", "secret"),
    ///     Transport::https(),
    /// )?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `issuer` is not an absolute `https` URL without query and fragment. `http` is accepted to
    /// the machine itself, or as the transport allows it.
    ///
    /// [`AuthorizationServerMetadata::discover`]: crate::AuthorizationServerMetadata::discover
    /// [`with_mtls_aliases`]: crate::AuthorizationServerMetadata::with_mtls_aliases
    pub fn from_issuer(
        issuer: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        Places::of(issuer, &transport)?;
        let by_certificate = client.is_tls() || transport.shows_certificate();
        let address = Address::of_issuer(issuer, by_certificate);
        Ok(Self::of(address, client, transport))
    }

    /// Sends requests to the token endpoint of the authorization server that `resource` names in its
    /// metadata ([RFC 9728]), if that is one of `issuers`. This constructor does no I/O.
    ///
    /// The endpoint reads the metadata of the resource as [`ProtectedResource::discover`] does, and
    /// those of the server as [`from_issuer`](Self::from_issuer) does, both before the first request
    /// and whenever `from_issuer` would read them again.
    ///
    /// List only issuers at which this client is registered: the resource chooses which of them gets
    /// its credentials. The error names any other issuer, which is never contacted.
    ///
    /// ```
    /// use tower_oauth2::{ClientAuthentication, Transport, client::TokenEndpoint};
    ///
    /// let endpoint = TokenEndpoint::from_resource(
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
    /// If `resource` is not an absolute `https` URL without a fragment (`http` is accepted to the
    /// machine itself), if no issuer is listed, or if [`from_issuer`](Self::from_issuer) refuses one.
    ///
    /// [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728
    /// [`ProtectedResource::discover`]: crate::client::ProtectedResource::discover
    pub fn from_resource<I: IntoIterator<Item: AsRef<str>>>(
        resource: &str,
        issuers: I,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        resource_metadata(resource)?;
        let issuers: Box<[Box<str>]> =
            issuers.into_iter().map(|issuer| issuer.as_ref().into()).collect();
        if issuers.is_empty() {
            return Err(ConfigError::new(
                "no issuer is listed; list those that may get the client's credentials",
            ));
        }
        issuers.iter().try_for_each(|issuer| Places::of(issuer, &transport).map(drop))?;
        let by_certificate = client.is_tls() || transport.shows_certificate();
        let address = Address::of_resource(resource, issuers, by_certificate);
        Ok(Self::of(address, client, transport))
    }

    /// Sets the clock that measures the deadline of a request, a `Retry-After` date and the age of
    /// metadata. Defaults to the transport's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        if !self.clock().is_same(&clock) {
            let transport = self.parts.transport.clone().with_clock(clock);
            Arc::make_mut(&mut self.parts).transport = transport;
        }
        self
    }

    /// Also accepts answers of these types (`token_type`), as if they were Bearer: `bot` and `user` of
    /// Slack, or `N_A` for a token that is not for an API. `BearerToken` is accepted without this.
    /// Upper and lower case are the same. Defaults to none: another type is an error.
    pub fn allow_token_types<I: IntoIterator<Item: Into<Box<str>>>>(mut self, types: I) -> Self {
        let types = types.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.parts).token_types = types;
        self
    }

    pub(in crate::client) fn with_issuer(mut self, issuer: &str) -> Self {
        Arc::make_mut(&mut self.parts).issuer = Some(issuer.into());
        self
    }

    pub(in crate::client) fn clock(&self) -> &Clock {
        self.parts.transport.clock()
    }

    /// Binds its tokens to `key`.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "proofs are signed"))]
    pub(crate) fn with_key(mut self, key: Arc<dyn Prove>) -> Self {
        Arc::make_mut(&mut self.parts).proof = Some(key);
        self
    }

    /// Returns the key that its tokens are bound to.
    pub(in crate::client) fn key(&self) -> Option<&Arc<dyn Prove>> {
        self.parts.proof.as_ref()
    }

    /// Returns what identifies the requests: their address and client.
    pub(in crate::client) fn identity(&self) -> (&Address, &ClientAuthentication) {
        (&self.parts.address, &self.parts.client)
    }

    /// Returns an endpoint that remembers the secret that it sent last apart from this one.
    pub(in crate::client) fn detached(mut self) -> Self {
        if self.rotates_its_secret() {
            let client = self.parts.client.detached();
            Arc::make_mut(&mut self.parts).client = client;
        }
        self
    }

    pub(in crate::client) fn rotates_its_secret(&self) -> bool {
        self.parts.client.rotates_its_secret()
    }

    pub(in crate::client) fn has_another_secret(&self) -> bool {
        self.parts.client.has_another_secret()
    }

    /// Requests a token.
    ///
    /// # Errors
    ///
    /// If the request fails, or its answer has no token: see [`Error`].
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request, which the server may have seen.
    pub fn fetch(
        &self,
        grant: &Grant,
    ) -> impl Future<Output = Result<TokenResponse, Error>> + Send + use<> {
        let (this, grant) = (self.clone(), grant.clone());
        async move {
            let answer = this.request(&this.locate().await?, &grant).await;
            answer.map_err(|unusable| unusable.error)
        }
    }

    /// Returns the URL of the next request, which is read from metadata if necessary.
    pub(in crate::client) async fn locate(&self) -> Result<Uri, Error> {
        self.parts.address.url(&self.parts.transport, self.clock()).await
    }

    /// Requests a token at `url`.
    pub(in crate::client) async fn request(
        &self,
        url: &Uri,
        grant: &Grant,
    ) -> Result<TokenResponse, Unusable> {
        let key = self.parts.proof.as_ref().zip(Origin::from_uri(url));
        let Some((key, origin)) = key else { return self.request_once(url, grant, None).await };
        let server = Server { kind: ServerKind::Authorization, origin };
        let mut learned = false;
        let proof = Proof { key, server: &server };
        let answer = self.request_once(url, grant, Some((proof, &mut learned))).await;
        match answer {
            // A whole new request, with a client assertion of its own.
            Err(unusable) if learned && unusable.error.code() == Some("use_dpop_nonce") => {
                self.request_once(url, grant, Some((proof, &mut learned))).await
            }
            answer => answer,
        }
    }

    /// Sends one request. The flag says whether the answer brought a nonce.
    async fn request_once(
        &self,
        url: &Uri,
        grant: &Grant,
        proof: Option<(Proof<'_>, &mut bool)>,
    ) -> Result<TokenResponse, Unusable> {
        let asked = proof.as_ref().map(|(proof, _)| *proof);
        let Answered { response, secrets } = self.ask(url, grant, asked).await?;
        if let Some((Proof { key, server }, learned)) = proof {
            *learned = key.learn(server, response.headers());
        }
        if response.status() == StatusCode::NOT_FOUND {
            self.parts.address.expire(url, self.clock());
        }
        let Parts { token_types, proof, .. } = &*self.parts;
        let taken = Taken { types: token_types, key: proof.as_ref() };
        token_response::read_for(grant, &response, &secrets, taken).map_err(|unusable| {
            let wait = retry_after(response.headers(), self.clock().wall());
            Unusable { error: unusable.error.answered_with(wait), ..unusable }
        })
    }

    /// Posts the parameters of `grant` to `url`, with `proof` if there is one, and returns the answer.
    pub(super) async fn ask(
        &self,
        url: &Uri,
        grant: &Grant,
        proof: Option<Proof<'_>>,
    ) -> Result<Answered, Error> {
        let issuer = self.parts.issuer.clone().or_else(|| self.parts.address.issuer());
        let (issuer, clock) = (issuer.as_deref(), self.clock());
        let asked = Asked { endpoint: url, issuer, clock, proof };
        let mut secrets = Secrets::default();
        let params = grant.params(asked, &mut secrets);
        let params = params.map_err(|text| Error::new(ErrorKind::Source, text))?;
        let anonymous = ClientAuthentication::none();
        let client = if grant.is_standard() { &self.parts.client } else { &anonymous };
        let posted = post(asked, client, &params, JSON, secrets, &self.parts.transport).await;
        posted.map_err(Error::post)
    }

    /// Parses the URL of another endpoint of the server, as the transport allows it.
    pub(super) fn parse_url(&self, url: &str) -> Result<Uri, &'static str> {
        fetchable(url, self.parts.transport.allows_plain_http())
    }

    /// Returns the label of this endpoint in metrics and traces.
    pub(in crate::client) fn label(&self) -> Option<String> {
        self.parts.address.label()
    }
}

impl Service<Grant> for TokenEndpoint {
    type Response = TokenResponse;
    type Error = Error;
    type Future = TokenFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, grant: Grant) -> TokenFuture {
        TokenFuture { fetch: Box::pin(self.fetch(&grant)) }
    }
}

/// The future of a [`TokenEndpoint`].
#[must_use = "futures do nothing unless polled"]
pub struct TokenFuture {
    fetch: Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>,
}

impl Future for TokenFuture {
    type Output = Result<TokenResponse, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.fetch.as_mut().poll(cx)
    }
}

opaque_debug!(TokenFuture { .. });

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("address", &self.parts.address)
            .field("client", &self.parts.client)
            .field("transport", &self.parts.transport)
            .field("proof", &self.parts.proof.as_ref().map(|key| key.thumbprint()))
            .finish_non_exhaustive()
    }
}
