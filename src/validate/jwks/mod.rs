//! The keys that signed tokens are verified with.
//!
//! **In**: a key set, its URL or its issuer. **Out**: a verified signature, or why there is none. **Uses** `back_channel` and `jose`.

mod budget;
mod fetch;
mod freshness;
mod machine;
mod shared;
mod status;
mod verify;

pub(crate) use machine::Seen;
pub use status::{JwksError, JwksErrorKind, JwksStatus};
pub(crate) use verify::Unverified;

use crate::{
    Algorithm, Clock, ConfigError, Transport,
    back_channel::{metadata::Places, scrub},
    jose::{KeyId, KeySet, VerifyingKey},
    validate::Rejection,
    vocabulary::{clock::Now, flight::Joined, origin::fetchable},
};
use arc_swap::Guard;
use fetch::{MAX_KEY_SET, Place, Remote};
use machine::{Lease, Policy};
use shared::{Settings, Shared, Source, Wanted};
use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};
use verify::MAX_CANDIDATES;

const MINUTE: Duration = Duration::from_secs(60);

/// The keys that verify tokens: fixed, or fetched from an authorization server and refreshed.
///
/// 1. Nothing is fetched before a token needs a key, or [`warm_up`](Self::warm_up) or
///    [`refresh`](Self::refresh) is called. A fetch runs in a task of its own, one at a time, and is
///    one conditional request for the whole set.
/// 2. Stale keys are used, and refreshed in the background; a hit in a [`Cached`](super::Cached) starts
///    the refresh too.
/// 3. A failed fetch evicts nothing: a status other than 200, a redirect, an answer of more than
///    256 KiB, more than 100 keys, or no key set.
/// 4. Unusable entries are skipped one by one; [`status`](Self::status) names them. Symmetric keys in
///    a key set are never used. ML-DSA, Ed448 and encrypted tokens (JWE) are not supported.
/// 5. A token is verified with the keys that its header names by `kid`; without one (an empty one
///    is none), with those of the certificate that it names by `x5t#S256` or `x5t`; and without that,
///    or where no key has such a certificate, with the one key for its algorithm, or of several those
///    without a `kid`. At most four keys are tried.
/// 6. What some servers write is read: a byte order mark before the set, `null` and an empty `key_ops` or
///    `x5c` where the member may be absent, and zeros before the numbers of an RSA key.
///
/// A clone shares the keys. A setter makes another source, which has fetched nothing yet.
///
/// # Keys that change
///
/// Tokens can cause fetches from two budgets of three at once, then one in 10 s: one for unknown keys,
/// one for wrong signatures. A flood of forged tokens causes no more requests.
///
/// | what happens | answer for a good token | for how long at most |
/// |---|---|---|
/// | a new key, under a new name | 200 after a fetch that it waits for; 503 with `Retry-After` while a flood has spent the budget | 10 s |
/// | a fetch did not find the name before its key was published | 401 | the [cool-down](Self::with_cool_down), 30 s |
/// | a new key, under an old name | 401, as for each wrong signature; the fetch that it causes is not waited for | 10 s |
/// | a new key, that its tokens do not name | 200 after a fetch, as under a new name; 401 after a fetch that found no key for a forged one | 10 s |
/// | the key set moved, and the metadata of the issuer says so | as above, where the old place still answers; otherwise 503 for tokens by new keys | the next fetch, or the one after it |
/// | a key was withdrawn | its tokens stay good until the next refresh, or [`refresh`](Self::refresh) | `max-age`, in the bounds of [`with_refresh_between`](Self::with_refresh_between) |
/// | the set was emptied: no usable key is left | 503 for each token that names the issuer, and an error in the log | until there is a key: 30 s after that |
/// | the set cannot be fetched | 200 by known keys, 503 by unknown ones | [`with_max_stale`](Self::with_max_stale), then 503 for each token that names the issuer |
///
/// A retry starts 1 s after a failed fetch, growing to 30 s, or as late as the server asks for, at most
/// an hour. While there are no keys after a failure, a token that names the issuer gets 503 whatever
/// else it says: nothing in it is verified. A new name is never a 401 unless an
/// earlier fetch did not find it.
///
/// # Defaults
///
/// Keys are refreshed when the server's `Cache-Control` says so, between 5 minutes and 24 hours, or
/// after an hour without it; up to a tenth earlier by jitter, and after half of the longest staleness
/// at the latest. They are used for 24 hours without an answer. The cool-down is 30 s.
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

/// The result of a look-up.
enum Found {
    /// The keys. One of them has the name of the token's key, or suits its algorithm.
    Keys(Guard<Arc<Snapshot>>),
    /// The server has no such key.
    Unknown,
    /// The keys are being fetched: wait, then look up once more with what that returns.
    Wait(Wait),
    /// The keys cannot be fetched.
    Unavailable(Away),
}

/// A look-up that waits for a fetch.
pub(crate) struct Wait {
    joined: Joined<()>,
    seen: Seen,
}

impl Wait {
    /// Returns when the fetch has ended.
    pub(crate) async fn over(self) -> Seen {
        self.joined.wait().await;
        self.seen
    }
}

/// Why the keys that a token needs cannot be had.
pub(crate) struct Away {
    /// The time until the next try, if it is known.
    pub(crate) next_try: Option<Duration>,
    cause: Cow<'static, str>,
}

impl Away {
    fn spent(wait: Duration) -> Self {
        let cause = "too many unknown keys were looked for in the last seconds";
        Self { next_try: Some(wait), cause: Cow::Borrowed(cause) }
    }

    /// Returns the refusal of what `subject` says cannot be verified. It has the cause, for the log.
    pub(crate) fn rejection(self, subject: &str) -> Rejection {
        let cause = format!("{subject} cannot be verified: {}", self.cause);
        Rejection::unavailable(self.next_try).with_cause(scrub::description(&cause))
    }
}

/// The keys at one instant.
struct Snapshot {
    keys: KeySet,
    standing: Standing,
}

enum Standing {
    Absent,
    Fixed,
    Until(Lease),
}

impl Snapshot {
    fn knows(&self, kid: Option<&KeyId<'_>>, algorithm: Algorithm) -> bool {
        match kid {
            Some(KeyId::Kid(kid)) => self.keys.knows(kid),
            _ => self.keys.supports(algorithm),
        }
    }

    fn is_fresh(&self, now: impl FnOnce() -> Now) -> bool {
        match &self.standing {
            Standing::Absent => false,
            Standing::Fixed => true,
            Standing::Until(lease) => {
                let now = now();
                lease.is_fresh(now) && lease.is_usable(now)
            }
        }
    }
}

impl Jwks {
    /// Creates a fixed source of the JWK set `json` ([RFC 7517 §5]). Entries that cannot be used are
    /// skipped, as in a set that is fetched; [`status`](Self::status) names them.
    ///
    /// # Errors
    ///
    /// When `json` is not a JWK set, and when none of its keys can be used: the error says why.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let wrong = |why: &str| {
            ConfigError::new(format!("the key set cannot be used: {}", scrub::description(why)))
        };
        let keys = KeySet::from_json(json.as_bytes()).map_err(wrong)?;
        match (keys.len(), keys.skipped()) {
            (0, []) => Err(wrong("it is empty")),
            (0, skipped) => Err(wrong(&skipped.join("; "))),
            _ => Ok(Self::of(Source::Fixed(keys))),
        }
    }

    /// Creates a fixed source of the public keys in `pem` ([RFC 7468]): `PUBLIC KEY`, `RSA PUBLIC KEY`
    /// and `CERTIFICATE`, one or several, with any text around them. They are checked as the keys of
    /// a key set are: RSA of 2048 to 8192 bits, P-256, P-384, P-521, secp256k1, Ed25519.
    ///
    /// They have no names: whatever a token names as its key, each key that suits its algorithm is
    /// tried. Of a certificate the key alone counts, and each certificate in `pem` is one whose key
    /// may sign: do not give the authorities of a chain.
    ///
    /// ```
    /// use tower_oauth2::validate::Jwks;
    ///
    /// // The example key of RFC 8410.
    /// let keys = Jwks::from_pem(
    ///     "-----BEGIN PUBLIC KEY-----
    /// MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
    /// -----END PUBLIC KEY-----",
    /// )?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no such block, when one of them is something else (a private key, for
    /// example) or a key that cannot be used, and when more than four suit one algorithm: a token
    /// is tried with four keys at most. The error says which, and why.
    ///
    /// [RFC 7468]: https://www.rfc-editor.org/rfc/rfc7468
    pub fn from_pem(pem: &str) -> Result<Self, ConfigError> {
        let wrong = |why| ConfigError::new(format!("the PEM cannot be used: {why}"));
        Self::nameless(KeySet::from_pem(pem).map_err(wrong)?)
    }

    /// Creates a source of the JWK set at `url`, fetched through `transport`. At most 256 KiB of an
    /// answer are read.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute `https` URL (or `http` to this machine, or as the transport
    /// allows).
    pub fn from_url(url: &str, transport: Transport) -> Result<Self, ConfigError> {
        let url = fetchable(url, transport.allows_plain_http())
            .map_err(|why| ConfigError::new(format!("the URL of the key set {why}")))?;
        Ok(Self::remote(Place::Url(url), transport))
    }

    /// Creates a source of the keys of `issuer`, at the URL in its
    /// [metadata](crate::AuthorizationServerMetadata::discover). The metadata is read again after a
    /// day, after each failure to fetch the keys, and with a search for an unknown key if it was not read
    /// in the 10 s before: the keys may have moved.
    ///
    /// # Errors
    ///
    /// When `issuer` is not an absolute `https` URL (or `http` as for [`from_url`](Self::from_url))
    /// without query and fragment, and when it is a template of issuers, which has no metadata: see
    /// [`TrustedIssuer::from_template`](super::TrustedIssuer::from_template).
    pub fn from_issuer(issuer: &str, transport: Transport) -> Result<Self, ConfigError> {
        Places::of(issuer, &transport)?;
        Ok(Self::remote(Place::Issuer(issuer.into()), transport))
    }

    /// Creates a source of one key: the bytes `secret`, which the authorization server shares with
    /// this resource; nothing is decoded. Everyone who can verify its tokens can make them. The caller
    /// wipes the bytes.
    ///
    /// # Errors
    ///
    /// When `algorithm` is not symmetric, when `secret` is shorter than its hash ([RFC 7518 §3.2]), and
    /// when it is the text of a key or a certificate: everyone knows a public key
    /// ([RFC 8725 §2.1]).
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    /// [RFC 8725 §2.1]: https://www.rfc-editor.org/rfc/rfc8725#section-2.1
    pub fn from_secret(
        algorithm: Algorithm,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        Self::from_secrets(algorithm, [secret])
    }

    /// Creates a source of up to four secrets, of which a token may be by any: the new one and the
    /// old one while the authorization server changes its secret. They are as for
    /// [`from_secret`](Self::from_secret).
    ///
    /// ```
    /// use tower_oauth2::{Algorithm, validate::Jwks};
    ///
    /// # let (new, old) = ([1; 32], [2; 32]);
    /// let keys = Jwks::from_secrets(Algorithm::Hs256, [new, old])?;
    /// # Ok::<(), tower_oauth2::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`from_secret`](Self::from_secret), and when there is none or more than four.
    pub fn from_secrets<I>(algorithm: Algorithm, secrets: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<[u8]>>,
    {
        let keys = secrets.into_iter().map(|one| VerifyingKey::symmetric(algorithm, one.as_ref()));
        let keys: Vec<_> = keys
            .collect::<Result<_, _>>()
            .map_err(|why| ConfigError::new(format!("the shared secret cannot be used: {why}")))?;
        match keys.is_empty() {
            true => Err(ConfigError::new("there is no shared secret: from_secrets got none")),
            false => Self::nameless(KeySet::of(keys)),
        }
    }

    /// Creates a source of keys that verify tokens of every name.
    fn nameless(keys: KeySet) -> Result<Self, ConfigError> {
        let fit = |algorithm: &Algorithm| keys.candidates(None, *algorithm).count();
        match Algorithm::all().find(|algorithm| fit(algorithm) > MAX_CANDIDATES) {
            Some(algorithm) => Err(ConfigError::new(format!(
                "more than four keys are for {algorithm}: give the keys names, in a JWK set"
            ))),
            None => Ok(Self::of(Source::Fixed(keys))),
        }
    }

    fn remote(place: Place, transport: Transport) -> Self {
        let clock = transport.clock().clone();
        Self::by(clock, Source::Remote(Remote { place, transport: transport.at_most(MAX_KEY_SET) }))
    }

    fn of(source: Source) -> Self {
        Self::by(Clock::system(), source)
    }

    fn by(clock: Clock, source: Source) -> Self {
        let policy = Policy {
            max_stale: 24 * 60 * MINUTE,
            refresh_min: 5 * MINUTE,
            refresh_max: 24 * 60 * MINUTE,
            cool_down: MINUTE / 2,
            jitter: clock.fraction(),
        };
        let settings = Settings { clock, policy };
        Self { shared: Arc::new(Shared::new(source, settings)) }
    }

    fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Self { shared: Arc::new(Shared::new(self.shared.source.clone(), settings)) }
    }

    /// Sets the clock that ages and the deadline of a fetch are measured with. Defaults to the
    /// transport's, or the system's without one.
    pub fn with_clock(self, clock: Clock) -> Self {
        let mut settings = self.shared.settings.clone();
        settings.policy.jitter = clock.fraction();
        settings.clock = clock.clone();
        let source = self.shared.source.clone().with_clock(clock);
        Self { shared: Arc::new(Shared::new(source, settings)) }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.settings.clock
    }

    /// Sets how long keys are used without a confirmation by the server, at least a minute. Defaults
    /// to 24 hours: an outage of the server may last so long, and a key that it withdraws meanwhile is
    /// believed so long.
    pub fn with_max_stale(self, max_stale: Duration) -> Self {
        self.with(|settings| settings.policy.max_stale = max_stale.max(MINUTE))
    }

    /// Sets the bounds of the time between two refreshes, whatever the server's `Cache-Control` says.
    /// Defaults to 5 minutes and 24 hours.
    ///
    /// # Errors
    ///
    /// When `min` is less than a second, or more than `max`.
    pub fn with_refresh_between(self, min: Duration, max: Duration) -> Result<Self, ConfigError> {
        if min < Duration::from_secs(1) || min > max {
            return Err(ConfigError::new(format!(
                "a refresh between {min:?} and {max:?}: min is at least 1s, and at most max"
            )));
        }
        Ok(self.with(|settings| {
            settings.policy.refresh_min = min;
            settings.policy.refresh_max = max;
        }))
    }

    /// Sets how long a name that a fetch did not find is not looked up again, at least a second. Its tokens are refused with 401 meanwhile. The last 256 such names are remembered.
    /// Defaults to 30 s.
    pub fn with_cool_down(self, cool_down: Duration) -> Self {
        self.with(|settings| settings.policy.cool_down = cool_down.max(Duration::from_secs(1)))
    }

    /// Returns the state of the keys. It holds no secret, and never waits for a fetch.
    #[must_use]
    pub fn status(&self) -> JwksStatus {
        self.shared.status()
    }

    /// Waits until a fetch has succeeded or failed after `since`, and returns the new status. Keys that
    /// become too old by time alone do not end the wait.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: another call with the same status misses nothing.
    pub async fn changed(&self, since: &JwksStatus) -> JwksStatus {
        let mut ended = self.shared.watch();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended != since.ended).await;
        self.status()
    }

    /// Fetches the keys if there are none that may be used.
    ///
    /// # Errors
    ///
    /// Why the keys could not be fetched.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    pub async fn warm_up(&self) -> Result<(), JwksError> {
        match self.status().is_ready() {
            true => Ok(()),
            false => self.fetched(Wanted::Any).await,
        }
    }

    /// Fetches the keys now, however fresh they are, and returns when the result is in use. For an
    /// operator or a push from the authorization server: a key that it has withdrawn is believed until
    /// the next refresh otherwise. The fetch is shared by all who call this meanwhile. It heeds neither
    /// the budgets nor the pause after a failure, so do not call it for each request.
    ///
    /// Fixed keys are never fetched, and this succeeds.
    ///
    /// # Errors
    ///
    /// Why the keys could not be fetched. The keys of before stay in use, unless the server has
    /// withdrawn them all.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the fetch goes on.
    pub async fn refresh(&self) -> Result<(), JwksError> {
        self.fetched(Wanted::Newer).await
    }

    async fn fetched(&self, wanted: Wanted<'_>) -> Result<(), JwksError> {
        let mut waited = None;
        loop {
            match self.shared.look_up(wanted, waited) {
                Found::Keys(_) => return Ok(()),
                Found::Wait(wait) => waited = Some(wait.over().await),
                Found::Unknown | Found::Unavailable(_) => {
                    return Err(self.shared.last_failure().unwrap_or_else(JwksError::too_soon));
                }
            }
        }
    }

    /// Looks up the keys for a token of this header. `waited` is the result of a [`Found::Wait`]. A
    /// known name is found whatever algorithm its key has.
    fn look_up(
        &self,
        kid: Option<&KeyId<'_>>,
        algorithm: Algorithm,
        waited: Option<Seen>,
    ) -> Found {
        let snapshot = self.shared.snapshot.load();
        let now = || self.shared.settings.clock.now();
        if snapshot.knows(kid, algorithm) && snapshot.is_fresh(now) {
            return Found::Keys(snapshot);
        }
        self.shared.look_up(Wanted::Key(kid, algorithm), waited)
    }

    /// Returns the result of a wait for these keys: an issuer may have got others meanwhile.
    fn own(&self, waited: Option<Seen>) -> Option<Seen> {
        waited.filter(|seen| seen.asked == self.shared.id())
    }

    /// Looks for keys if a failed fetch is why there are none. Returns `None` otherwise.
    pub(crate) fn lost(&self, waited: Option<Seen>) -> Option<Unverified> {
        if self.shared.snapshot.load().is_fresh(|| self.shared.settings.clock.now()) {
            return None;
        }
        match self.shared.look_up(Wanted::Lost, self.own(waited)) {
            Found::Keys(_) | Found::Unknown => None,
            Found::Wait(wait) => Some(Unverified::Fetching(wait)),
            Found::Unavailable(away) => Some(Unverified::Unavailable(away)),
        }
    }

    /// Starts the refresh of stale keys for a cached verdict that is still good at `now`.
    pub(crate) fn refresh_if_due(&self, now: SystemTime) {
        if self.shared.is_refresh_due(now) {
            self.shared.look_up(Wanted::Any, None);
        }
    }

    /// Returns a number that changes with the keys. Read it before the keys of a verdict.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Returns the algorithms that suit the keys.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.shared.source {
            Source::Fixed(keys) if keys.is_nameless => {
                Algorithm::all().filter(|algorithm| keys.supports(*algorithm)).collect()
            }
            _ => Algorithm::ASYMMETRIC.into(),
        }
    }

    /// Returns `true` if the keys are never fetched.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.shared.source, Source::Fixed(_))
    }

    /// Returns `true` if the keys are shared secrets.
    pub(crate) fn is_symmetric(&self) -> bool {
        self.algorithms().iter().all(|algorithm| algorithm.is_symmetric())
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
