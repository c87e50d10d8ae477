//! The URL of an endpoint as metadata name it, and how long that is believed.

use super::metadata::{DiscoveryError, DiscoveryErrorKind};
use crate::{
    Clock,
    observe::{Instrument, Span},
    vocabulary::{
        clock::after,
        deadline::Deadline,
        flight::{Joined, Launch},
    },
};
use http::Uri;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// How long metadata are believed.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long they are believed on while they cannot be read again.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// How long a caller waits for them when an older URL is known, or when another caller reads them.
const PATIENCE: Duration = Duration::from_secs(3);

/// A URL that metadata name. It is read again after 24 h, or when it has [expired](Self::expire).
/// While metadata cannot be read, or not within 3 s, the old URL is believed for another 5 min.
/// Concurrent callers share one read, which goes on without them.
#[derive(Default)]
pub(crate) struct Discovered {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    /// The latest read, and when it began.
    flight: Option<(Instant, Joined<Found>)>,
}

struct Known {
    url: Uri,
    read_again: Instant,
    /// When reading it last began.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "key sets are read for JWTs"))]
    asked: Instant,
}

type Found = Result<Uri, NotDiscovered>;

/// Why there is no URL.
#[derive(Clone, Debug)]
pub(crate) enum NotDiscovered {
    Metadata(DiscoveryError),
    /// The metadata name no such endpoint, or none that may be asked.
    NoEndpoint,
}

impl NotDiscovered {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Metadata(error) if error.is_outage())
    }

    fn aborted() -> Self {
        let text = "the read of the metadata was aborted";
        Self::Metadata(DiscoveryError::new(DiscoveryErrorKind::Transport, text))
    }
}

impl State {
    /// Returns the URL if it is still believed, or else the old one, which other callers use while
    /// this one reads it.
    fn believed(&mut self, now: Instant) -> Result<Uri, Option<Uri>> {
        let known = self.known.as_mut().ok_or(None)?;
        if now < known.read_again {
            return Ok(known.url.clone());
        }
        (known.read_again, known.asked) = (after(now, PAUSE), now);
        Err(Some(known.url.clone()))
    }

    /// Returns the read in flight, unless it takes too long.
    fn flight_to_join(&self, now: Instant) -> Option<Joined<Found>> {
        let (began, joined) = self.flight.as_ref()?;
        (now < after(*began, PATIENCE)).then(|| joined.clone())
    }
}

impl Discovered {
    /// Returns the URL, by `read` if it is unknown or too old and nobody reads it yet. Without a tokio
    /// runtime, `read` runs within this call.
    pub(crate) async fn url<F>(self: &Arc<Self>, clock: &Clock, read: F) -> Found
    where
        F: Future<Output = Result<Option<Uri>, DiscoveryError>> + Send + 'static,
    {
        let mut read = Some(read);
        loop {
            let (old, joined, launch) = {
                let (mut state, now) = (self.lock(), clock.monotonic());
                let old = match state.believed(now) {
                    Ok(url) => return Ok(url),
                    Err(old) => old,
                };
                match state.flight_to_join(now) {
                    Some(joined) => (old, joined, None),
                    None => {
                        let (this, clock) = (self.clone(), clock.clone());
                        let finish = move |read| this.found(&clock, now, read);
                        let (launch, joined) = Launch::new(finish);
                        state.flight = Some((now, joined.clone()));
                        (old, joined, Some(launch))
                    }
                }
            };
            let is_own = launch.is_some();
            if let Some(launch) = launch
                && let Some(read) = read.take()
            {
                match Handle::try_current() {
                    Ok(runtime) => launch.spawn(&runtime, read.instrument(Span::current())),
                    Err(_) => launch.task(read).await,
                }
            }
            let found =
                async { joined.wait().await.unwrap_or_else(|| Err(NotDiscovered::aborted())) };
            if is_own && old.is_none() {
                return found.await;
            }
            return match (Deadline::new(clock, PATIENCE).bound(found).await, old) {
                (Some(Err(error)), Some(old)) if error.is_outage() => Ok(old),
                (Some(found), _) => found,
                (None, Some(old)) => Ok(old),
                // The runtime that the read is on may not be running.
                (None, None) => continue,
            };
        }
    }

    /// Ends the read that began then, and returns what its callers get.
    fn found(
        &self,
        clock: &Clock,
        began: Instant,
        read: Option<Result<Option<Uri>, DiscoveryError>>,
    ) -> Found {
        let found = match read {
            Some(Ok(url)) => url.ok_or(NotDiscovered::NoEndpoint),
            Some(Err(error)) => Err(NotDiscovered::Metadata(error)),
            None => Err(NotDiscovered::aborted()),
        };
        let now = clock.monotonic();
        let mut state = self.lock();
        state.flight.take_if(|flight| flight.0 == began);
        match (&found, &mut state.known) {
            (Ok(url), known) => {
                *known =
                    Some(Known { url: url.clone(), read_again: after(now, MAX_AGE), asked: began });
            }
            (Err(error), Some(known)) if !error.is_outage() => known.read_again = now,
            (Err(_), _) => {}
        }
        found
    }

    /// Has the URL read again before the next request, unless it is another than `url` by now.
    pub(crate) fn expire(&self, url: &Uri, clock: &Clock) {
        let now = clock.monotonic();
        if let Some(known) = self.lock().known.as_mut().filter(|known| known.url == *url) {
            known.read_again = now;
        }
    }

    /// Has the URL read again before the next request, unless that was tried within `age`.
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "key sets are read for JWTs"))]
    pub(crate) fn expire_older(&self, age: Duration, clock: &Clock) {
        let now = clock.monotonic();
        let is_old = |known: &&mut Known| now.saturating_duration_since(known.asked) >= age;
        if let Some(known) = self.lock().known.as_mut().filter(is_old) {
            known.read_again = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
