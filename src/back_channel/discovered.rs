//! The URL of an endpoint as metadata name it, and how long that is believed.

use super::metadata::DiscoveryError;
use crate::{
    Clock,
    vocabulary::{clock::after, race::before},
};
use http::Uri;
use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long metadata are believed.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long they are believed on while they cannot be read again.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// How long a caller waits for them when an older URL is known.
const PATIENCE: Duration = Duration::from_secs(3);

/// A URL that metadata name. It is read again after 24 h, or when it has [expired](Self::expire).
/// While metadata cannot be read, or not within 3 s, the old URL is believed for another 5 min.
#[derive(Default)]
pub(crate) struct Discovered {
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    url: Uri,
    read_again: Instant,
    /// When reading it last began.
    asked: Instant,
}

/// Why there is no URL.
#[derive(Debug)]
pub(crate) enum NotDiscovered {
    Metadata(DiscoveryError),
    /// The metadata name no such endpoint, or none that may be asked.
    NoEndpoint,
}

impl NotDiscovered {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Metadata(error) if error.is_outage())
    }
}

impl Discovered {
    /// Returns the URL, by `read` where it is not known or too old. Concurrent callers may each
    /// read it while it is not known.
    pub(crate) async fn url(
        &self,
        clock: &Clock,
        read: impl Future<Output = Result<Option<Uri>, DiscoveryError>>,
    ) -> Result<Uri, NotDiscovered> {
        let old = match self.lock().as_mut() {
            Some(known) if clock.monotonic() < known.read_again => return Ok(known.url.clone()),
            Some(known) => {
                // Other callers use the old URL meanwhile. Before the wait, since a caller that is
                // dropped during it must be the last to wait.
                known.asked = clock.monotonic();
                known.read_again = after(known.asked, PAUSE);
                Some(known.url.clone())
            }
            None => None,
        };
        let read = async {
            let url = read.await.map_err(NotDiscovered::Metadata)?;
            url.ok_or(NotDiscovered::NoEndpoint)
        };
        let url = match old {
            None => read.await?,
            Some(old) => match before(read, clock.sleep(PATIENCE)).await {
                Some(Ok(url)) => url,
                Some(Err(error)) if !error.is_outage() => {
                    self.expire(&old, clock);
                    return Err(error);
                }
                _ => return Ok(old),
            },
        };
        let asked = clock.monotonic();
        let read_again = after(asked, MAX_AGE);
        *self.lock() = Some(Known { url: url.clone(), read_again, asked });
        Ok(url)
    }

    /// Has the URL read again before the next request, unless it is another than `url` by now.
    pub(crate) fn expire(&self, url: &Uri, clock: &Clock) {
        let now = clock.monotonic();
        if let Some(known) = self.lock().as_mut().filter(|known| known.url == *url) {
            known.read_again = now;
        }
    }

    /// Has the URL read again before the next request, unless that was tried within `age`.
    pub(crate) fn expire_older(&self, age: Duration, clock: &Clock) {
        let now = clock.monotonic();
        let mut known = self.lock();
        let known = known.as_mut();
        if let Some(known) = known.filter(|known| now.saturating_duration_since(known.asked) >= age)
        {
            known.read_again = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
