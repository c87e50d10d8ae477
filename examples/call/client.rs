//! The client: an HTTP client of hyper, below the layer that gets the token and puts it on.

use crate::{
    arguments::{Arguments, Authentication, From, Grant as Granted},
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
    Algorithm, AuthorizationServerMetadata, ClientAuthentication, Origin, ProofKey, SigningKey,
    Transport,
    client::{AddBearer, Grant, Origins, RefreshPolicy, TokenCache, TokenEndpoint, TokenType},
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
    let cache =
        TokenCache::new(endpoint(arguments).await?, grant(arguments)?, RefreshPolicy::default());
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

/// The token is for the origin of the URL that is called.
fn origins(arguments: &Arguments) -> Result<Origins, BoxError> {
    let origin =
        Origin::from_uri(&arguments.url).ok_or("what is called is no absolute http(s) URL")?;
    Ok(match arguments.plain_http {
        true => Origins::allow_plain_http([origin.to_string()])?,
        false => Origins::new([origin.to_string()])?,
    })
}

async fn endpoint(arguments: &Arguments) -> Result<TokenEndpoint, BoxError> {
    let transport = match arguments.plain_http {
        true => Transport::https().allow_plain_http(),
        false => Transport::https(),
    };
    let client = authentication(arguments)?;
    let endpoint = match &arguments.from {
        From::TokenUrl(url) => TokenEndpoint::new(url, client, transport)?,
        From::Issuer(issuer) => {
            let metadata = AuthorizationServerMetadata::discover(issuer, &transport).await?;
            let url = metadata.token_endpoint().ok_or("the metadata name no token endpoint")?;
            TokenEndpoint::new(url, client.with_assertion_audience(issuer.as_str()), transport)?
        }
    };
    // The one line. The cache and the layer need none.
    Ok(if arguments.dpop { endpoint.with_proof(ProofKey::generate()?) } else { endpoint })
}

fn authentication(arguments: &Arguments) -> Result<ClientAuthentication, BoxError> {
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
        Authentication::None => ClientAuthentication::public(id),
    })
}

fn grant(arguments: &Arguments) -> Result<Grant, BoxError> {
    let mut grant = match &arguments.grant {
        Granted::ClientCredentials => Grant::client_credentials(),
        Granted::Password(user) => Grant::password(&user.name, &user.password),
        Granted::JwtBearer(file) => Grant::jwt_bearer(text_of(file)?.trim()),
        Granted::Exchange(token) => Grant::token_exchange(token.clone(), &TokenType::ACCESS_TOKEN),
        Granted::LogIn(user) => {
            let name = user.name.as_str().into();
            Grant::form([("username", name), ("password", user.password.clone())])
        }
    };
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
    Ok(grant)
}

fn text_of(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|why| format!("{} cannot be read: {why}", file.display()))
}
