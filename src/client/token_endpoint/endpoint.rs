use super::{
    address::Address,
    token_response::{self, Unusable},
};
use crate::{
    ClientAuthentication, Clock, ConfigError, Transport,
    back_channel::{
        client_authentication::Asked,
        form_post::{Answered, post},
        metadata::Places,
        retry_after::retry_after,
        secrets::Secrets,
        well_known::resource_metadata,
    },
    client::{Error, ErrorKind, Grant, TokenResponse},
    vocabulary::origin::fetchable,
};
use http::{StatusCode, Uri};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// What an answer should be.
pub(super) const JSON: &str = "application/json";

/// The token endpoint of an authorization server, as a [`Service`] of [`Grant`]s
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
///
/// Each call is one request; nothing is repeated and no redirect is followed. A clone shares the
/// transport.
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
    address: Address,
    /// Shared: each user of a pool has an endpoint.
    client: Arc<ClientAuthentication>,
    transport: Transport,
    clock: Clock,
}

impl TokenEndpoint {
    /// The endpoint at `url`, asked as `client` through `transport`.
    ///
    /// # Errors
    ///
    /// When `url` is no absolute `https` URL (or `http` to the machine itself, or whatever the
    /// transport was told to allow), and when it has a user name.
    pub fn new(
        url: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the token URL {why}"));
        let url = fetchable(url, transport.allows_plain_http()).map_err(wrong)?;
        let address = Address::Told(url);
        Ok(Self { address, client: Arc::new(client), transport, clock: Clock::system() })
    }

    /// The token endpoint of `issuer`, which its metadata name: they are read before the first
    /// request, as [`AuthorizationServerMetadata::discover`] does it, and again after 24 h, or where
    /// there is nothing at that address any more (404). While they cannot be read again, or not
    /// within 3 s, what they said is believed for another 5 min each time. A client that is known
    /// by its certificate asks the endpoint for those ([`with_mtls_aliases`]). No I/O is done here.
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
    /// When `issuer` is no absolute `https` URL without query and fragment (or `http` to the
    /// machine itself, or whatever the transport was told to allow).
    ///
    /// [`AuthorizationServerMetadata::discover`]: crate::AuthorizationServerMetadata::discover
    /// [`with_mtls_aliases`]: crate::AuthorizationServerMetadata::with_mtls_aliases
    pub fn from_issuer(
        issuer: &str,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError> {
        Places::of(issuer, &transport)?;
        let address = Address::of_issuer(issuer, client.is_tls());
        Ok(Self { address, client: Arc::new(client), transport, clock: Clock::system() })
    }

    /// The token endpoint of the authorization server that `resource` names in its metadata
    /// ([RFC 9728]), where that is one of `issuers`: those are read as
    /// [`ProtectedResource::discover`] does it, those of the server as
    /// [`from_issuer`](Self::from_issuer) does, both when that says. No I/O is done here.
    ///
    /// List only issuers whose client this is: the resource chooses among them who gets to see its
    /// credentials. Another is named in the error and never contacted.
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
    /// When `resource` is no absolute `https` URL (or `http` to the machine itself) without a
    /// fragment, no issuer is listed, or one is none that [`from_issuer`](Self::from_issuer) takes.
    ///
    /// [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728
    /// [`ProtectedResource::discover`]: crate::client::ProtectedResource::discover
    pub fn from_resource<I>(
        resource: &str,
        issuers: I,
        client: ClientAuthentication,
        transport: Transport,
    ) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        resource_metadata(resource)?;
        let issuers: Box<[Box<str>]> =
            issuers.into_iter().map(|issuer| issuer.as_ref().into()).collect();
        if issuers.is_empty() {
            return Err(ConfigError::new(
                "no issuer is listed that the resource may name: only one of these gets the credentials",
            ));
        }
        issuers.iter().try_for_each(|issuer| Places::of(issuer, &transport).map(drop))?;
        let address = Address::of_resource(resource, issuers, client.is_tls());
        Ok(Self { address, client: Arc::new(client), transport, clock: Clock::system() })
    }

    /// The clock that a `Retry-After` date and the age of metadata are measured with. Defaults to the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Where tokens are asked for, and as whom.
    pub(in crate::client) fn asks(&self) -> (&Address, &ClientAuthentication) {
        (&self.address, &self.client)
    }

    /// The same endpoint, which remembers for itself what secret it sent last.
    pub(in crate::client) fn detached(self) -> Self {
        match self.rotates_its_secret() {
            true => Self { client: Arc::new(self.client.detached()), ..self },
            false => self,
        }
    }

    pub(in crate::client) fn rotates_its_secret(&self) -> bool {
        self.client.rotates_its_secret()
    }

    pub(in crate::client) fn has_another_secret(&self) -> bool {
        self.client.has_another_secret()
    }

    /// Asks for a token.
    ///
    /// # Errors
    ///
    /// Whatever is no token: see [`Error`].
    ///
    /// # Panics
    ///
    /// As [`Transport::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request. Whether the server saw it is then unknown.
    pub fn fetch(
        &self,
        grant: &Grant,
    ) -> impl Future<Output = Result<TokenResponse, Error>> + Send + use<> {
        let (this, grant) = (self.clone(), grant.clone());
        async move {
            let answer = this.ask(&this.locate().await?, &grant).await;
            answer.map_err(|unusable| unusable.error)
        }
    }

    /// Where the request goes: read where that is not known yet.
    pub(in crate::client) async fn locate(&self) -> Result<Uri, Error> {
        self.address.url(&self.transport, &self.clock).await
    }

    /// Asks for a token at `url`.
    pub(in crate::client) async fn ask(
        &self,
        url: &Uri,
        grant: &Grant,
    ) -> Result<TokenResponse, Unusable> {
        let asked = Asked { endpoint: url, now: self.clock.wall() };
        let mut secrets = Secrets::default();
        let params = grant.params(asked, &mut secrets);
        let params = params.map_err(|text| Error::new(ErrorKind::Source, text))?;
        let nobody = ClientAuthentication::none();
        let client = if grant.is_standard() { &self.client } else { &nobody };
        let posted = post(asked, client, &params, JSON, secrets, &self.transport).await;
        let Answered { response, secrets } = posted.map_err(Error::post)?;
        if response.status() == StatusCode::NOT_FOUND {
            self.address.is_gone(url, &self.clock);
        }
        token_response::read_for(grant, &response, &secrets).map_err(|unusable| {
            let wait = retry_after(response.headers(), self.clock.wall());
            Unusable { error: unusable.error.with_retry_after(wait), ..unusable }
        })
    }

    /// Its URL without the query, or what it is found by.
    pub(in crate::client) fn place(&self) -> Option<String> {
        self.address.place()
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

/// The answer of a [`TokenEndpoint`].
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

impl fmt::Debug for TokenFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("address", &self.address)
            .field("client", &self.client)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
