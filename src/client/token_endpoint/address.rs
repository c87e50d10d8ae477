//! Where a token endpoint is: told, or read from the metadata of its server, which those of the
//! resource may name.

use crate::{
    AuthorizationServerMetadata, Clock, DiscoveryError, DiscoveryErrorKind, Origin, Transport,
    client::{Error, ProtectedResource},
    vocabulary::{clock::after, race::before},
};
use http::Uri;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long metadata are believed.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long they are believed on while they cannot be read again.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// How long a fetch waits for them where it could do without.
const MOMENT: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub(in crate::client) enum Address {
    Told(Uri),
    Discovered(Arc<Discovered>),
}

pub(in crate::client) struct Discovered {
    by: By,
    /// Whoever asks shows a certificate.
    by_certificate: bool,
    known: Mutex<Option<Known>>,
}

/// What is known beforehand.
enum By {
    Issuer(Box<str>),
    /// The resource that names its issuer, which has to be one of these.
    Resource(Box<str>, Box<[Box<str>]>),
}

#[derive(Clone)]
struct Known {
    url: Uri,
    read_again: Instant,
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
        let known = Mutex::default();
        Self::Discovered(Arc::new(Discovered { by, by_certificate, known }))
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
            Self::Discovered(discovered) => discovered.url(transport, clock).await,
        }
    }

    /// What tells it from other addresses: which of both it is, and the text. It may hold a secret.
    pub(in crate::client) fn told_apart_by(&self) -> (&'static str, String) {
        match self {
            Self::Told(url) => ("url", url.to_string()),
            Self::Discovered(discovered) => match &discovered.by {
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
            Self::Told(url) => Origin::of(url).map(|origin| format!("{origin}{}", url.path())),
            Self::Discovered(discovered) => Some(discovered.by.as_str().to_owned()),
        }
    }

    /// There is nothing at `url`: it is read again before the next request.
    pub(in crate::client) fn is_gone(&self, url: &Uri, clock: &Clock) {
        if let Self::Discovered(discovered) = self {
            discovered.read_again(url, clock);
        }
    }
}

impl Discovered {
    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the next request, unless another URL is known by now.
    fn read_again(&self, url: &Uri, clock: &Clock) {
        let now = clock.monotonic();
        if let Some(known) = self.lock().as_mut().filter(|known| known.url == *url) {
            known.read_again = now;
        }
    }

    async fn url(&self, transport: &Transport, clock: &Clock) -> Result<Uri, Error> {
        let now = clock.monotonic();
        let old = match self.lock().as_mut() {
            Some(known) if now < known.read_again => return Ok(known.url.clone()),
            Some(known) => {
                // Before the wait: whoever gives up during it is the last to wait.
                known.read_again = after(now, PAUSE);
                Some(known.url.clone())
            }
            None => None,
        };
        let url = match old {
            None => self.read(transport).await.map_err(|unread| unread.error)?,
            Some(old) => match before(self.read(transport), clock.sleep(MOMENT)).await {
                Some(Ok(url)) => url,
                Some(Err(unread)) if !unread.is_outage => {
                    self.read_again(&old, clock);
                    return Err(unread.error);
                }
                // What cannot be asked now is no reason to forget what it said.
                _ => return Ok(old),
            },
        };
        let read_again = after(clock.monotonic(), MAX_AGE);
        *self.lock() = Some(Known { url: url.clone(), read_again });
        Ok(url)
    }

    async fn read(&self, transport: &Transport) -> Result<Uri, Unread> {
        let metadata = self.by.metadata(transport).await.map_err(|error| Unread {
            is_outage: matches!(
                error.kind(),
                DiscoveryErrorKind::Transport
                    | DiscoveryErrorKind::Refused
                    // A page for people, say: the document is none, rather than another's.
                    | DiscoveryErrorKind::InvalidResponse
            ),
            error: Error::discovery(&error),
        })?;
        let metadata = match self.by_certificate {
            true => metadata.with_mtls_aliases(),
            false => metadata,
        };
        let url = metadata.token_endpoint().and_then(|url| url.parse().ok());
        url.ok_or_else(|| Unread { error: Error::no_token_endpoint(), is_outage: false })
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

struct Unread {
    error: Error,
    is_outage: bool,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(url) => match Origin::of(url) {
                Some(origin) => write!(f, "{origin}"),
                None => f.write_str("?"),
            },
            Self::Discovered(discovered) => f.write_str(discovered.by.as_str()),
        }
    }
}
