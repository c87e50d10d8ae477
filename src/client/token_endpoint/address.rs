//! Where a token endpoint is: told, or read from the metadata of its server, which those of the
//! resource may name.

use crate::{
    AuthorizationServerMetadata, Clock, DiscoveryError, Origin, Transport,
    back_channel::discovered::{Discovered, NotDiscovered},
    client::{Error, ProtectedResource},
};
use http::Uri;
use std::{fmt, sync::Arc};

#[derive(Clone)]
pub(in crate::client) enum Address {
    Told(Uri),
    Discovered(Arc<Discovery>),
}

pub(in crate::client) struct Discovery {
    by: By,
    /// The client authenticates by its certificate.
    by_certificate: bool,
    found: Discovered,
}

/// What is known beforehand.
enum By {
    Issuer(Box<str>),
    /// The resource that names its issuer, which has to be one of these.
    Resource(Box<str>, Box<[Box<str>]>),
}

impl Address {
    pub(in crate::client) fn of_issuer(issuer: &str, by_certificate: bool) -> Self {
        Self::discovered(By::Issuer(issuer.into()), by_certificate)
    }

    pub(in crate::client) fn of_resource(
        resource: &str,
        issuers: Box<[Box<str>]>,
        by_certificate: bool,
    ) -> Self {
        Self::discovered(By::Resource(resource.into(), issuers), by_certificate)
    }

    fn discovered(by: By, by_certificate: bool) -> Self {
        let found = Discovered::default();
        Self::Discovered(Arc::new(Discovery { by, by_certificate, found }))
    }

    /// The URL, read where it is not known, or too old. Callers that come at once may read it more
    /// than once as long as it is not known.
    pub(in crate::client) async fn url(
        &self,
        transport: &Transport,
        clock: &Clock,
    ) -> Result<Uri, Error> {
        match self {
            Self::Told(url) => Ok(url.clone()),
            Self::Discovered(discovery) => {
                let url = discovery.found.url(clock, discovery.read(transport)).await;
                url.map_err(|error| match error {
                    NotDiscovered::Metadata(error) => Error::discovery(&error),
                    NotDiscovered::NoEndpoint => Error::no_token_endpoint(),
                })
            }
        }
    }

    /// What tells it from other addresses: which of both it is, and the text. It may hold a secret.
    pub(in crate::client) fn told_apart_by(&self) -> (&'static str, String) {
        match self {
            Self::Told(url) => ("url", url.to_string()),
            Self::Discovered(discovery) => match &discovery.by {
                By::Issuer(issuer) => ("issuer", issuer.to_string()),
                By::Resource(resource, issuers) => {
                    let mut issuers: Vec<_> = issuers.iter().map(|issuer| &**issuer).collect();
                    issuers.sort_unstable();
                    ("resource", format!("{resource} {}", issuers.join(" ")))
                }
            },
        }
    }

    /// The URL without its query, or what it is found by.
    pub(in crate::client) fn place(&self) -> Option<String> {
        match self {
            Self::Told(url) => {
                Origin::from_uri(url).map(|origin| format!("{origin}{}", url.path()))
            }
            Self::Discovered(discovery) => Some(discovery.by.as_str().to_owned()),
        }
    }

    /// There is nothing at `url`: it is read again before the next request.
    pub(in crate::client) fn is_gone(&self, url: &Uri, clock: &Clock) {
        if let Self::Discovered(discovery) = self {
            discovery.found.expire(url, clock);
        }
    }
}

impl Discovery {
    async fn read(&self, transport: &Transport) -> Result<Option<Uri>, DiscoveryError> {
        let metadata = self.by.metadata(transport).await?;
        let metadata = match self.by_certificate {
            true => metadata.with_mtls_aliases(),
            false => metadata,
        };
        Ok(metadata.token_endpoint().and_then(|url| url.parse().ok()))
    }
}

impl By {
    /// Without the query that a resource may have.
    fn as_str(&self) -> &str {
        let (Self::Issuer(text) | Self::Resource(text, _)) = self;
        text.split('?').next().unwrap_or_default()
    }

    async fn metadata(
        &self,
        transport: &Transport,
    ) -> Result<AuthorizationServerMetadata, DiscoveryError> {
        match self {
            Self::Issuer(issuer) => AuthorizationServerMetadata::discover(issuer, transport).await,
            Self::Resource(resource, listed) => {
                let found = ProtectedResource::discover(resource, listed, transport).await?;
                AuthorizationServerMetadata::discover(found.issuer(), transport).await
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(url) => match Origin::from_uri(url) {
                Some(origin) => write!(f, "{origin}"),
                None => f.write_str("?"),
            },
            Self::Discovered(discovery) => f.write_str(discovery.by.as_str()),
        }
    }
}
