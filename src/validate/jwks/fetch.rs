//! One fetch of a key set: where it is, what is sent, what the answer says.

use super::{
    freshness::lifetime,
    machine::{Cause, Lifetime},
    status::{JwksError, JwksErrorKind},
};
use crate::{
    AuthorizationServerMetadata, Clock, DiscoveryError, Transport,
    back_channel::{
        discovered::{Discovered, NotDiscovered},
        retry_after::retry_after,
    },
    jose::KeySet,
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ETAG, IF_NONE_MATCH},
};
use http_body_util::Full;
use std::{sync::Arc, time::Duration};

/// While a search for a key believes the metadata: the key may be at another place.
const SEARCH_AGE: Duration = Duration::from_secs(10);

/// The longest key set that is read, in bytes.
pub(super) const MAX_KEY_SET: usize = 256 * 1024;

/// Where keys are fetched from.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) place: Place,
    pub(super) transport: Transport,
}

#[derive(Clone)]
pub(super) enum Place {
    Url(Uri),
    /// Where the metadata of this issuer says.
    Issuer(Box<str>),
}

/// What one fetch leaves for the next.
#[derive(Clone, Default)]
pub(super) struct Memory {
    /// Where metadata say that the keys are.
    found: Arc<Discovered>,
    /// The version of the keys that are held.
    etag: Option<(Uri, HeaderValue)>,
    /// How long those are fresh.
    lifetime: Lifetime,
}

/// A good answer.
pub(super) struct Fetched {
    /// Nothing where the keys are those that are held.
    pub(super) keys: Option<KeySet>,
    pub(super) lifetime: Lifetime,
    pub(super) memory: Memory,
}

pub(super) struct Failure {
    pub(super) error: JwksError,
    pub(super) retry_after: Option<Duration>,
    /// The server has a key set without a usable key: it has withdrawn those that are held.
    pub(super) is_empty: bool,
    /// The key set is not at this place, which a further try there cannot change.
    is_elsewhere: bool,
}

impl From<JwksError> for Failure {
    fn from(error: JwksError) -> Self {
        Self { error, retry_after: None, is_empty: false, is_elsewhere: false }
    }
}

impl From<NotDiscovered> for Failure {
    fn from(error: NotDiscovered) -> Self {
        match error {
            NotDiscovered::Metadata(error) => {
                Self { retry_after: error.retry_after(), ..JwksError::discovery(&error).into() }
            }
            NotDiscovered::NoEndpoint => {
                let text = "the metadata of the server names no key set that may be fetched";
                JwksError::new(JwksErrorKind::Discovery, text).into()
            }
        }
    }
}

impl Memory {
    pub(super) fn forget_version(&mut self) {
        self.etag = None;
    }
}

impl Remote {
    pub(super) async fn fetch(
        &self,
        memory: Memory,
        cause: Cause,
        clock: &Clock,
    ) -> Result<Fetched, Failure> {
        let issuer = match &self.place {
            Place::Url(url) => return self.get(url, &memory, clock).await,
            Place::Issuer(issuer) => issuer,
        };
        if cause == Cause::Search {
            memory.found.expire_older(SEARCH_AGE, clock);
        }
        let url = memory.found.url(clock, self.find(issuer)).await?;
        match self.get(&url, &memory, clock).await {
            Err(failure) => {
                // They may have moved. What may be an outage is asked once more at the same place.
                memory.found.expire(&url, clock);
                if !failure.is_elsewhere {
                    return Err(failure);
                }
                let moved = memory.found.url(clock, self.find(issuer)).await?;
                if moved == url {
                    return Err(failure);
                }
                self.get(&moved, &memory, clock).await
            }
            fetched => fetched,
        }
    }

    fn find(
        &self,
        issuer: &str,
    ) -> impl Future<Output = Result<Option<Uri>, DiscoveryError>> + Send + use<> {
        let (issuer, transport) = (issuer.to_owned(), self.transport.clone());
        async move {
            let metadata = AuthorizationServerMetadata::discover(&issuer, &transport).await?;
            Ok(metadata.jwks_uri().and_then(|url| url.parse().ok()))
        }
    }

    async fn get(&self, url: &Uri, memory: &Memory, clock: &Clock) -> Result<Fetched, Failure> {
        let known = memory.etag.as_ref().filter(|(own, _)| own == url).map(|(_, etag)| etag);
        let sent = self.transport.ask(request(url, known)).await;
        let response = sent.map_err(|error| JwksError::transport(&error))?;
        let mut memory = memory.clone();
        let keys = match response.status() {
            StatusCode::OK => Some(read(&response)?),
            StatusCode::NOT_MODIFIED if known.is_some() => None,
            status => {
                let busy = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
                let retry_after = retry_after(response.headers(), clock.wall());
                let error = JwksError::refused(status);
                return Err(Failure { retry_after, is_elsewhere: !busy, ..error.into() });
            }
        };
        let said = lifetime(response.headers());
        // What is not said anew stays (RFC 9111 §4.3.4).
        if keys.is_some() || said != Lifetime::Unsaid {
            memory.lifetime = said;
        }
        if keys.is_some() {
            memory.etag = response.headers().get(ETAG).map(|etag| (url.clone(), etag.clone()));
        }
        Ok(Fetched { keys, lifetime: memory.lifetime, memory })
    }
}

fn request(url: &Uri, known: Option<&HeaderValue>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = url.clone();
    let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accepted);
    if let Some(etag) = known {
        request.headers_mut().insert(IF_NONE_MATCH, etag.clone());
    }
    request
}

fn read(response: &Response<Bytes>) -> Result<KeySet, Failure> {
    let keys = KeySet::from_json(response.body()).map_err(JwksError::invalid)?;
    if keys.len() > 0 {
        return Ok(keys);
    }
    let error = match keys.skipped().first() {
        None => JwksError::invalid("it is empty"),
        Some(first) => JwksError::invalid(&format!("none of its keys can be: {first}")),
    };
    Err(Failure { is_empty: true, ..error.into() })
}
