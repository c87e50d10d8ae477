//! Where a validator of signed tokens has its keys from.

mod fetch;
mod freshness;
mod machine;
mod shared;
mod status;
mod verify;

pub use status::{JwksError, JwksErrorKind, JwksStatus};
pub(crate) use verify::Unverified;

use crate::{
    Algorithm, ClientSecret, Clock, ConfigError, Transport,
    back_channel::{metadata::Places, scrub},
    jose::{KeySet, VerifyingKey},
    vocabulary::{clock::Now, flight::Joined, origin::fetchable, random},
};
use arc_swap::Guard;
use fetch::{MAX_KEY_SET, Place, Remote};
use machine::{Lease, Policy};
use shared::{Settings, Shared, Source, Wanted};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

/// The keys that tokens are signed with: fixed, or fetched from an authorization server and kept
/// fresh.
///
/// 1. Nothing is fetched before a token needs a key, or [`warm_up`](Self::warm_up) is called. A
///    fetch belongs to no request, and there is one at a time.
/// 2. Keys past their time are used, and refreshed in the background. Keys that the server has not
///    confirmed for longer than [`with_max_stale`](Self::with_max_stale) are not: 503.
/// 3. A key that is not among them is looked for by one fetch in each
///    [cool-down](Self::with_cool_down), whatever number of tokens name one. Requests with known
///    keys do not wait for it.
/// 4. A fetch that fails evicts nothing: a status other than 200, a redirect, an answer of more
///    than 256 KiB, more than 100 keys, none that can be used. While the last one failed, a token
///    of an unknown key is neither good nor bad: 503.
/// 5. A key that another replaces under the same name is noticed at the next refresh: names are
///    there to be changed. Where the one key has no name, a token that is not by it is as one of an
///    unknown key.
/// 6. Entries that cannot be used are skipped one by one; [`status`](Self::status) names them.
///    Symmetric keys in a key set are never used.
///
/// A clone is the same keys. A setter makes another source, which has fetched nothing yet.
///
/// # Defaults
///
/// Refreshed when the server's `Cache-Control` says so, between 5 minutes and 24 hours, after an
/// hour where it does not say; up to a tenth earlier, each instance by its own share, and after
/// half of the longest staleness at the latest. Used for 24 hours without an answer. 30 s between
/// two searches for an unknown key. After a failure the next fetch waits for 1 s, growing to 30 s,
/// or as long as the server asks for, at most an hour.
///
/// # Example
///
/// ```
/// use tower_oauth2::{Transport, validate::Jwks};
///
/// let keys = Jwks::from_issuer("https://as.example", Transport::https())?;
/// assert!(!keys.status().is_ready(), "nothing was fetched yet");
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Jwks {
    shared: Arc<Shared>,
}

/// What a look-up finds.
enum Found {
    /// The keys, among which there is one that the token may be signed with, or one of its name.
    Keys(Guard<Arc<Snapshot>>),
    /// The server has no such key: the token is not good.
    Unknown,
    /// Nobody knows yet: wait, then look up once more as one that waited, which does not wait
    /// again.
    Wait(Joined<()>),
    /// Nobody can tell; how long it is until the next try, where that is known.
    Unavailable(Option<Duration>),
}

/// Keys as they are for a while.
struct Snapshot {
    keys: KeySet,
    standing: Standing,
}

enum Standing {
    Absent,
    Fixed,
    /// The one key has no name, and is that of every token.
    Secret,
    Until(Lease),
}

impl Snapshot {
    /// The keys that a token with this header may be signed with.
    fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &VerifyingKey> {
        let kid = kid.filter(|_| !matches!(self.standing, Standing::Secret));
        self.keys.candidates(kid, algorithm)
    }

    fn knows(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        match kid {
            Some(kid) if !matches!(self.standing, Standing::Secret) => self.keys.knows(kid),
            _ => self.candidates(None, algorithm).next().is_some(),
        }
    }

    fn is_fresh(&self, now: impl FnOnce() -> Now) -> bool {
        match &self.standing {
            Standing::Absent => false,
            Standing::Fixed | Standing::Secret => true,
            Standing::Until(lease) => {
                let now = now();
                lease.is_fresh(now) && lease.is_usable(now)
            }
        }
    }
}

impl Jwks {
    /// The keys of the JWK set `json` ([RFC 7517 §5]), for ever.
    ///
    /// # Errors
    ///
    /// When `json` is no JWK set, when it is empty, and when any of its keys cannot be used here:
    /// the error says which, and why.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let wrong = |why: &str| {
            ConfigError::new(format!("the key set cannot be used: {}", scrub::description(why)))
        };
        let keys = KeySet::from_json(json.as_bytes()).map_err(wrong)?;
        match (keys.len(), keys.skipped()) {
            (_, [_, ..]) => Err(wrong(&keys.skipped().join("; "))),
            (0, []) => Err(wrong("it is empty")),
            _ => Ok(Self::of(Source::Fixed(keys))),
        }
    }

    /// The keys of the JWK set at `url`, fetched through `transport`, of whose answers at most
    /// 256 KiB are read.
    ///
    /// # Errors
    ///
    /// When `url` is no absolute `https` URL (or `http` to the machine itself, or whatever the
    /// transport was told to allow).
    pub fn from_url(url: &str, transport: Transport) -> Result<Self, ConfigError> {
        let url = fetchable(url, transport.allows_plain_http())
            .map_err(|why| ConfigError::new(format!("the URL of the key set {why}")))?;
        Ok(Self::remote(Place::Url(url), transport))
    }

    /// The keys of `issuer`, wherever its
    /// [metadata](crate::AuthorizationServerMetadata::discover) says that they are. The metadata
    /// is read again after 24 h, and when the keys are not there any more (404). While it cannot be
    /// read, or not within 3 s, the old URL is used for another 5 min each time.
    ///
    /// # Errors
    ///
    /// When `issuer` is no issuer: an absolute `https` URL (or `http` as for
    /// [`from_url`](Self::from_url)) without query and fragment.
    pub fn from_issuer(issuer: &str, transport: Transport) -> Result<Self, ConfigError> {
        Places::of(issuer, &transport)?;
        Ok(Self::remote(Place::Issuer(issuer.into()), transport))
    }

    /// The one key of an authorization server that shares `secret` with this resource. Whoever can
    /// check its tokens can make them.
    ///
    /// # Errors
    ///
    /// When `algorithm` is not symmetric, or `secret` is shorter than its hash
    /// ([RFC 7518 §3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
    pub fn from_secret(
        algorithm: Algorithm,
        secret: impl Into<ClientSecret>,
    ) -> Result<Self, ConfigError> {
        if !algorithm.is_symmetric() {
            return Err(ConfigError::new("a shared secret is for HS256, HS384 or HS512"));
        }
        let key = VerifyingKey::symmetric(algorithm, secret.into().expose().as_bytes())
            .map_err(|why| ConfigError::new(format!("the shared secret cannot be used: {why}")))?;
        Ok(Self::of(Source::Secret(algorithm, KeySet::of(key))))
    }

    fn remote(place: Place, transport: Transport) -> Self {
        Self::of(Source::Remote(Remote { place, transport: transport.at_most(MAX_KEY_SET) }))
    }

    fn of(source: Source) -> Self {
        let policy = Policy {
            max_stale: 24 * 60 * MINUTE,
            refresh_min: 5 * MINUTE,
            refresh_max: 24 * 60 * MINUTE,
            cool_down: MINUTE / 2,
            jitter: random::fraction(),
        };
        let settings = Settings { clock: Clock::system(), policy };
        Self { shared: Arc::new(Shared::new(source, settings)) }
    }

    fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Self { shared: Arc::new(Shared::new(self.shared.source.clone(), settings)) }
    }

    /// The clock that ages are measured with. Defaults to the system's. The deadline of a fetch is
    /// that of the transport.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// How long keys are used that the server has not confirmed; at least a minute. Defaults to
    /// 24 hours: so long may the server be away, and so long is a key believed that it took back
    /// while it was.
    pub fn with_max_stale(self, max_stale: Duration) -> Self {
        self.with(|settings| settings.policy.max_stale = max_stale.max(MINUTE))
    }

    /// The bounds of the time between two refreshes, whatever the server's `Cache-Control` says.
    /// Defaults to 5 minutes and 24 hours.
    ///
    /// # Errors
    ///
    /// When `min` is less than a second, or more than `max`.
    pub fn with_refresh_between(self, min: Duration, max: Duration) -> Result<Self, ConfigError> {
        if min < Duration::from_secs(1) || min > max {
            return Err(ConfigError::new("a refresh comes after a second or more, min before max"));
        }
        Ok(self.with(|settings| {
            settings.policy.refresh_min = min;
            settings.policy.refresh_max = max;
        }))
    }

    /// The time between two fetches for keys that are not known; at least a second. Defaults to
    /// 30 s: so long may a token be refused whose key is that new.
    pub fn with_cool_down(self, cool_down: Duration) -> Self {
        self.with(|settings| settings.policy.cool_down = cool_down.max(Duration::from_secs(1)))
    }

    /// How the keys are. It holds no secret, and is quick even while a fetch hangs.
    #[must_use]
    pub fn status(&self) -> JwksStatus {
        self.shared.status()
    }

    /// Waits until a fetch has ended since `since`, well or badly. That keys become too old by
    /// time alone is no such event.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever asks again with the same status misses nothing.
    pub async fn changed(&self, since: &JwksStatus) -> JwksStatus {
        let mut ended = self.shared.watch();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended != since.ended).await;
        self.status()
    }

    /// Fetches the keys where there are none that may be used.
    ///
    /// # Errors
    ///
    /// Why there are still none.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    pub async fn warm_up(&self) -> Result<(), JwksError> {
        let mut waited = false;
        loop {
            if self.status().is_ready() {
                return Ok(());
            }
            match self.shared.look_up(Wanted::Any, waited) {
                Found::Keys(_) => return Ok(()),
                Found::Wait(joined) => {
                    joined.wait().await;
                    waited = true;
                }
                Found::Unknown | Found::Unavailable(_) => {
                    return Err(self.shared.last_failure().unwrap_or_else(JwksError::too_soon));
                }
            }
        }
    }

    /// The keys for a token of this header; `waited` after a [`Found::Wait`]. A key that is known
    /// by name is found whatever it may be used with.
    fn look_up(&self, kid: Option<&str>, algorithm: Algorithm, waited: bool) -> Found {
        let snapshot = self.shared.snapshot.load();
        let now = || self.shared.settings.clock.now();
        if snapshot.knows(kid, algorithm) && snapshot.is_fresh(now) {
            return Found::Keys(snapshot);
        }
        self.shared.look_up(Wanted::Key(kid, algorithm), waited)
    }

    /// For a token that names no key, and is by none of those that were found: its key may be a new
    /// one. As a look-up of a key that is not known, and as rarely a fetch.
    fn look_further(&self, waited: bool) -> Found {
        self.shared.look_up(Wanted::Other, waited)
    }

    /// A number that changes when keys do. A verdict is as of the number that was read before the
    /// keys were.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// What tokens by these keys may be signed with.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.shared.source {
            Source::Secret(algorithm, _) => vec![*algorithm],
            _ => Algorithm::ASYMMETRIC.into(),
        }
    }

    /// Whether whoever checks a token could have made it.
    pub(crate) fn is_symmetric(&self) -> bool {
        matches!(self.shared.source, Source::Secret(..))
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
