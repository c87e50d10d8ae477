//! The client: an HTTP client of hyper, below the layer that gets the token and puts it on.

use super::{
    arguments::{Arguments, Authentication, From, Grant as Granted, Reached},
    http_client::http_client,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower::{BoxError, ServiceBuilder, util::BoxCloneSyncService};
use tower_oauth2::{
    Algorithm, AuthorizationServerMetadata, ClientAuthentication, ClientSecretSource, Clock,
    Origin, ProofKey, SigningKey, Transport,
    client::{
        AddBearer, DeviceSignIn, Grant, Origins, RefreshPolicy, TokenCache, TokenEndpoint,
        TokenResponse, TokenType,
    },
};

pub(crate) type ApiClient = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>;

/// How often a request left for the API: an extension of the request, and of its repetition.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<AtomicU64>);

impl Sent {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn times(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client of the API, and the cache of the tokens that it calls with.
pub(crate) async fn client(arguments: &Arguments) -> Result<(ApiClient, TokenCache), BoxError> {
    let cache = cache(arguments).await?;
    let layer = AddBearer::from_source(cache.clone(), origins(arguments)?)?;
    let client = ServiceBuilder::new()
        .map_err(Into::into)
        .layer(layer.with_location(arguments.place.clone()))
        .map_request(|request: Request<Full<Bytes>>| {
            request.extensions().get().map(Sent::note);
            request
        })
        .service(http_client(&arguments.url)?);
    Ok((BoxCloneSyncService::new(client), cache))
}

async fn cache(arguments: &Arguments) -> Result<TokenCache, BoxError> {
    let (endpoint, device_url) = endpoint(arguments).await?;
    let Some(grant) = grant(arguments)? else {
        let url = device_url.ok_or("the metadata name no device endpoint; add --device-url URL")?;
        let response = sign_in(DeviceSignIn::new(endpoint.clone(), &url)?, arguments).await?;
        let (policy, clock) = (RefreshPolicy::default(), Clock::system());
        return Ok(TokenCache::from_sign_in(endpoint, &response, policy, clock));
    };
    Ok(TokenCache::new(endpoint, grant, RefreshPolicy::default()))
}

/// Shows where to enter which code, and waits until that is done.
async fn sign_in(
    mut sign_in: DeviceSignIn,
    arguments: &Arguments,
) -> Result<TokenResponse, BoxError> {
    sign_in = sign_in.with_scopes(arguments.scopes.clone());
    for resource in &arguments.resources {
        sign_in = sign_in.with_resource(resource.as_str())?;
    }
    let audience = arguments.audience.iter().map(|it| ("audience", it.as_str().into()));
    let params = arguments.params.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in audience.chain(params) {
        sign_in = sign_in.with_param(name, value)?;
    }
    let device = sign_in.begin().await?;
    eprintln!("open {} and enter {}", device.verification_uri(), device.user_code());
    if let Some(url) = device.verification_uri_complete() {
        eprintln!("or open {url}");
    }
    Ok(device.finish().await?)
}

/// The token is for the origin of the URL that is called.
fn origins(arguments: &Arguments) -> Result<Origins, BoxError> {
    let origin =
        Origin::from_uri(&arguments.url).ok_or("what is called is no absolute http(s) URL")?;
    Ok(match arguments.plain_http {
        true => Origins::allow_plain_http([origin.to_string()])?,
        false => Origins::new([origin.to_string()])?,
    })
}

/// The token endpoint, and that of devices if it is known.
async fn endpoint(arguments: &Arguments) -> Result<(TokenEndpoint, Option<String>), BoxError> {
    let transport = match arguments.plain_http {
        true => reached(&arguments.reached)?.allow_plain_http(),
        false => reached(&arguments.reached)?,
    };
    let client = authentication(arguments)?;
    let device_url = arguments.device_url.clone();
    let (endpoint, device_url) = match &arguments.from {
        From::TokenUrl(url) => (TokenEndpoint::new(url, client, transport)?, device_url),
        From::Issuer(issuer) => {
            let metadata = AuthorizationServerMetadata::discover(issuer, &transport).await?;
            // RFC 8705 §5: whether the certificate authenticates, or only binds the token.
            let metadata = match arguments.reached.client_certificate {
                Some(_) => metadata.with_mtls_aliases(),
                None => metadata,
            };
            let url = metadata.token_endpoint().ok_or("the metadata name no token endpoint")?;
            let client = client.with_assertion_audience(issuer.as_str());
            let named = metadata.device_authorization_endpoint().map(str::to_owned);
            (TokenEndpoint::new(url, client, transport)?, device_url.or(named))
        }
    };
    // The one line. The cache and the layer need none.
    let endpoint = match arguments.dpop {
        true => endpoint.with_proof(ProofKey::generate()?),
        false => endpoint,
    };
    Ok((endpoint, device_url))
}

/// How the authorization server is reached.
fn reached(how: &Reached) -> Result<Transport, BoxError> {
    let mut transport = Transport::https();
    if how.proxy_from_env {
        transport = transport.with_proxy_from_env()?;
    }
    if let Some(file) = &how.root_certificates {
        transport = transport.with_root_certificates(text_of(file)?)?;
    }
    if let Some([certificate, key]) = &how.client_certificate {
        transport = transport.with_client_certificate_files(certificate, key)?;
    }
    Ok(transport)
}

fn authentication(arguments: &Arguments) -> Result<ClientAuthentication, BoxError> {
    if let Authentication::AssertionFile(file) = &arguments.authentication {
        let client = ClientAuthentication::assertion_from_file(file);
        return Ok(match &arguments.client_id {
            Some(id) => client.with_client_id(id.as_str()),
            None => client,
        });
    }
    let Some(id) = arguments.client_id.as_deref() else { return Ok(ClientAuthentication::none()) };
    Ok(match &arguments.authentication {
        Authentication::Basic(secret) => ClientAuthentication::basic(id, secret.clone()),
        Authentication::BasicRaw(secret) => ClientAuthentication::basic_raw(id, secret.clone()),
        Authentication::Post(secret) => ClientAuthentication::post(id, secret.clone()),
        Authentication::Query(secret) => ClientAuthentication::query(id, secret.clone()),
        Authentication::SecretJwt(secret) => {
            ClientAuthentication::client_secret_jwt(id, Algorithm::Hs256, secret.clone())?
        }
        Authentication::PrivateKeyJwt(file) => {
            let key = SigningKey::from_jwk(&text_of(file)?);
            let key = key.map_err(|why| format!("{}: {why}", file.display()))?;
            ClientAuthentication::private_key_jwt(id, key)?
        }
        Authentication::Tls => ClientAuthentication::tls(id),
        Authentication::AssertionFile(_) | Authentication::None => ClientAuthentication::public(id),
    })
}

/// The grant; none where the user signs in.
fn grant(arguments: &Arguments) -> Result<Option<Grant>, BoxError> {
    let mut grant = match &arguments.grant {
        Granted::ClientCredentials => Grant::client_credentials(),
        Granted::Password(user) => Grant::password(&user.name, &user.password),
        Granted::JwtBearer(file) => Grant::jwt_bearer(ClientSecretSource::from_file(file)),
        Granted::Exchange(token) => Grant::token_exchange(token.clone(), &TokenType::ACCESS_TOKEN),
        Granted::Device => return Ok(None),
        Granted::LogIn(user) => {
            let name = user.name.as_str().into();
            Grant::form([("username", name), ("password", user.password.clone())])
        }
    };
    if arguments.lenient_exchange {
        grant = grant.allow_missing_issued_token_type();
    }
    grant = grant.with_scopes(arguments.scopes.clone());
    if let Some(audience) = &arguments.audience {
        grant = grant.with_audience(audience.as_str());
    }
    for resource in &arguments.resources {
        grant = grant.with_resource(resource.as_str())?;
    }
    for (name, value) in &arguments.params {
        grant = grant.with_param(name.as_str(), value.clone())?;
    }
    Ok(Some(grant))
}

fn text_of(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|why| format!("{} cannot be read: {why}", file.display()))
}
