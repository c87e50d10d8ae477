//! The URL of a token endpoint: known, or read from the metadata of its server, which the metadata
//! of a resource may name.

use crate::{
    AuthorizationServerMetadata, Clock, DiscoveryError, Origin, Transport,
    back_channel::discovered::{Discovered, NotDiscovered},
    client::{Error, ProtectedResource},
};
use http::Uri;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Clone)]
pub(in crate::client) enum Address {
    Known(Uri),
    Discovered(Arc<Discovery>),
}

pub(in crate::client) struct Discovery {
    start: Start,
    /// The client shows a certificate.
    by_certificate: bool,
    found: Arc<Discovered>,
    /// The issuer that was found last.
    issuer: Mutex<Option<Arc<str>>>,
}

/// Where discovery starts.
enum Start {
    Issuer(Box<str>),
    /// The resource that names its issuer, and the allowed issuers.
    Resource(Box<str>, Box<[Box<str>]>),
}

impl Address {
    pub(in crate::client) fn of_issuer(issuer: &str, by_certificate: bool) -> Self {
        Self::discovered(Start::Issuer(issuer.into()), by_certificate)
    }

    pub(in crate::client) fn of_resource(
        resource: &str,
        issuers: Box<[Box<str>]>,
        by_certificate: bool,
    ) -> Self {
        Self::discovered(Start::Resource(resource.into(), issuers), by_certificate)
    }

    fn discovered(start: Start, by_certificate: bool) -> Self {
        let (found, issuer) = (Arc::default(), Mutex::default());
        Self::Discovered(Arc::new(Discovery { start, by_certificate, found, issuer }))
    }

    /// Returns the URL, which is read from metadata if it is unknown or too old: once for the
    /// concurrent callers of all clones.
    pub(in crate::client) async fn url(
        &self,
        transport: &Transport,
        clock: &Clock,
    ) -> Result<Uri, Error> {
        match self {
            Self::Known(url) => Ok(url.clone()),
            Self::Discovered(discovery) => {
                let (reader, transport) = (discovery.clone(), transport.clone());
                let read = async move { reader.read(&transport).await };
                let url = discovery.found.url(clock, read).await;
                url.map_err(|error| match error {
                    NotDiscovered::Metadata(error) => Error::discovery(&error),
                    NotDiscovered::NoEndpoint => Error::no_token_endpoint(),
                })
            }
        }
    }

    /// Returns the issuer whose metadata were read last.
    pub(in crate::client) fn issuer(&self) -> Option<Arc<str>> {
        let Self::Discovered(discovery) = self else { return None };
        discovery.issuer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns `true` if requests can go to no other issuer than `expected`, or than the only one
    /// that discovery may find.
    pub(in crate::client) fn is_bound_to(&self, expected: Option<&str>) -> bool {
        let Self::Discovered(discovery) = self else { return true };
        let found = match &discovery.start {
            Start::Issuer(issuer) => issuer,
            Start::Resource(_, issuers) => match &**issuers {
                [issuer] => issuer,
                _ => return false,
            },
        };
        expected.is_none_or(|expected| **found == *expected)
    }

    /// Returns what identifies this address: its kind and a text, which may have a secret.
    pub(in crate::client) fn identity(&self) -> (&'static str, String) {
        match self {
            Self::Known(url) => ("url", url.to_string()),
            Self::Discovered(discovery) => match &discovery.start {
                Start::Issuer(issuer) => ("issuer", issuer.to_string()),
                Start::Resource(resource, issuers) => {
                    let mut issuers: Vec<_> = issuers.iter().map(|issuer| &**issuer).collect();
                    issuers.sort_unstable();
                    ("resource", format!("{resource} {}", issuers.join(" ")))
                }
            },
        }
    }

    /// Returns the URL, the issuer or the resource, each without a query.
    pub(in crate::client) fn label(&self) -> Option<String> {
        match self {
            Self::Known(url) => {
                Origin::from_uri(url).map(|origin| format!("{origin}{}", url.path()))
            }
            Self::Discovered(discovery) => Some(discovery.start.as_str().to_owned()),
        }
    }

    /// Reads the URL again before the next request if it still is `url`.
    pub(in crate::client) fn expire(&self, url: &Uri, clock: &Clock) {
        if let Self::Discovered(discovery) = self {
            discovery.found.expire(url, clock);
        }
    }
}

impl Discovery {
    async fn read(&self, transport: &Transport) -> Result<Option<Uri>, DiscoveryError> {
        let metadata = self.start.metadata(transport).await?;
        let issuer = Some(metadata.issuer().into());
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = issuer;
        let metadata = match self.by_certificate {
            true => metadata.with_mtls_aliases(),
            false => metadata,
        };
        Ok(metadata.token_endpoint().and_then(|url| url.parse().ok()))
    }
}

impl Start {
    /// Returns the URL without the query that a resource may have.
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
            Self::Known(url) => match Origin::from_uri(url) {
                Some(origin) => write!(f, "{origin}"),
                None => f.write_str("?"),
            },
            Self::Discovered(discovery) => f.write_str(discovery.start.as_str()),
        }
    }
}
