mod digest;
mod flights;
mod future;
mod settings;
mod table;
mod verdicts;

pub use future::CachedFuture;

use super::{CacheSupport, Rejection, Revocation, ValidateToken, Validated, Verdict};
use crate::{Answer, Clock, RequestHead, vocabulary::deadline::Deadline};
use flights::Entered;
use settings::Settings;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use table::Entry;
use verdicts::{Filing, Found, Question, Verdicts};

/// Caches the verdicts of a validator.
///
/// 1. A verdict is cached for exactly one token. If the validator [splits](CacheSupport::split_at)
///    the token, its public part is compared byte for byte and its secret part is the key;
///    otherwise the whole token is the key. Keys are digests under a random key of each cache, and
///    no usable token is kept.
/// 2. At a hit the validator [rechecks](CacheSupport::recheck) the time, and the cache checks the
///    [`Revocation`](super::Revocation). A hit allocates nothing. If the recheck fails, the token is
///    refused when it is over, and validated again otherwise. Scopes and other policies are
///    checked for each request by the layers below.
/// 3. Verdicts are forgotten when the [generation](CacheSupport::generation) of the validator
///    changes, and when the wall clock is set back to before they were asked for. Those on a JWT end
///    with its issuer and when the keys of that issuer change.
/// 4. Refusals are cached apart from good verdicts, and for a shorter time, so that a flood of bad
///    tokens evicts no good one. Outages ([`Rejection::unavailable`]) and failures of the validator
///    are not cached; see [`Rejection::is_cacheable`].
/// 5. A token is validated once at a time, however many requests present it. The validation runs in
///    a task: dropping one request, or all of them, neither loses nor repeats it. It needs a tokio
///    runtime with timers, and ends within its deadline. Outside of a runtime each caller
///    validates by itself.
///
/// A clone is the same cache. Call the setters before cloning: each makes a new, empty cache. Two
/// caches never share a verdict.
///
/// # Defaults
///
/// 10,000 good verdicts for 60 s each, 1,000 refusals for 10 s each, and 1,024 validations at once
/// of at most 30 s.
///
/// # Security
///
/// The verdict must depend on the token alone: a validator sees the [`RequestHead`] of the first
/// request with the token, and the next request may be another caller's. Put a validator that binds
/// tokens to requests around the cache, not below it.
///
/// A token that is revoked at its server alone, without a [`Revocation`](super::Revocation) or
/// [`clear`](Self::clear), is good here until its cached verdict ends.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_oauth2::{
///     AccessToken,
///     server::RequireToken,
///     validate::{Cached, Principal, Rejection, Validated},
/// };
///
/// let slow = async |token: AccessToken| match token.expose() {
///     "mF_9.B5f-4.1JqM" => Ok(Validated::from(Principal::new("alice"))),
///     _ => Err(Rejection::unknown()),
/// };
/// let layer = RequireToken::new("api", Cached::new(slow).with_ttl(Duration::from_secs(30)))?;
/// # let _ = layer;
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[must_use]
pub struct Cached<V: ValidateToken> {
    validator: Arc<V>,
    verdicts: Arc<Verdicts<V::Claims>>,
}

impl<V: ValidateToken> Cached<V> {
    /// Caches the verdicts of `validator`.
    pub fn new(validator: V) -> Self {
        let clock = validator.cache_support().clock().unwrap_or_default();
        let verdicts = Arc::new(Verdicts::new(Settings::new(clock)));
        Self { validator: Arc::new(validator), verdicts }
    }

    /// Sets how long a good verdict is cached, from when it was asked for. The expiry of the token is
    /// checked at each hit all the same. Defaults to 60 s; zero caches no good verdict.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        self.with(|settings| settings.ttl = ttl)
    }

    /// Sets how long a refusal is cached. Defaults to 10 s; zero caches no refusal.
    pub fn with_negative_ttl(self, ttl: Duration) -> Self {
        self.with(|settings| settings.negative_ttl = ttl)
    }

    /// Sets about how many good verdicts are cached at most. A token counts once for each KiB of its
    /// public part. Tokens that are seen again stay longest. An entry takes some 200 bytes, the
    /// public part, and the claims. Defaults to 10,000; zero caches none.
    pub fn with_capacity(self, tokens: usize) -> Self {
        self.with(|settings| settings.capacity = tokens)
    }

    /// Sets about how many refusals are cached at most. Defaults to 1,000; zero caches none.
    pub fn with_negative_capacity(self, tokens: usize) -> Self {
        self.with(|settings| settings.negative_capacity = tokens)
    }

    /// Sets how many validations are shared at once, each of which may have a task. Beyond that a
    /// caller validates by itself, and the verdict is cached all the same. Defaults to 1,024.
    pub fn with_max_validations(self, validations: usize) -> Self {
        self.with(|settings| settings.flights = validations)
    }

    /// Sets when a shared validation ends without a verdict: its callers get
    /// [`Rejection::unavailable`]. Defaults to 30 s.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|settings| settings.deadline = deadline)
    }

    /// Sets the clock of this cache alone. Defaults to the validator's.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.verdicts.settings.clone();
        set(&mut settings);
        Self { validator: self.validator, verdicts: Arc::new(Verdicts::new(settings)) }
    }

    /// Returns the validator.
    #[must_use]
    pub fn get_ref(&self) -> &V {
        &self.validator
    }

    /// Forgets every verdict. A validation in flight still answers the requests that wait for it, and
    /// is not cached.
    pub fn clear(&self) {
        self.verdicts.clear();
    }

    /// Returns the number of good verdicts, those included that are over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verdicts.good.len()
    }

    /// Returns `true` if no good verdict is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Made before the validator is called, so that a change in between outdates the verdict.
    fn question<'t>(&self, token: &'t [u8]) -> Question<'t> {
        let validator = self.validator.cache_support();
        let asked = self.verdicts.now(validator.generation());
        self.verdicts.question(token, validator.split_at(token), asked)
    }

    /// Rechecks a cached verdict, and forgets it if it no longer holds. Returns `None` if the
    /// validator must be called.
    fn hit(
        &self,
        question: Question<'_>,
        kept: &Arc<Entry<Arc<Validated<V::Claims>>>>,
    ) -> Option<Verdict<V::Claims>> {
        let (validated, now) = (&kept.verdict, question.asked.at);
        if is_revoked(validated) {
            return Some(Err(Rejection::revoked()));
        }
        let Err(rejection) = self.recheck(validated, now) else {
            return Some(Ok(validated.clone()));
        };
        self.verdicts.good.remove_entry(question.key, kept);
        // Until then one validator of a chain may refuse what another found good.
        let is_over = validated.good_until().is_some_and(|end| now >= end);
        is_over.then_some(Err(rejection))
    }

    #[cold]
    fn miss(
        &self,
        token: &str,
        head: RequestHead<'_>,
        question: Question<'_>,
    ) -> Answer<CachedFuture<V>> {
        let verdicts = &self.verdicts;
        let whole = match question.public {
            b"" => question.key,
            _ => verdicts.digests.of_token(token.as_bytes()),
        };
        if let Some(kept) = verdicts.find_bad(whole, question.asked) {
            return Answer::Ready(Err(kept.verdict.clone()));
        }
        let alone = || {
            let filing = Filing::new(verdicts.clone(), question, whole);
            self.ask_alone(token, head, filing)
        };
        let Some(runtime) = verdicts.settings.clock.runtime() else { return alone() };
        let (start, joined) = match verdicts.enter(question, whole) {
            Entered::Found(Found::Good(kept)) => {
                return self.hit(question, &kept).map_or_else(alone, Answer::Ready);
            }
            Entered::Found(Found::Bad(kept)) => return Answer::Ready(Err(kept.verdict.clone())),
            Entered::Joins(joined) => return Answer::Pending(CachedFuture::waiting(joined)),
            Entered::Full => return alone(),
            Entered::Starts(start, joined) => (start, joined),
        };
        match self.validator.validate(token, head) {
            Answer::Ready(verdict) => {
                start.finish(verdict.clone());
                Answer::Ready(verdict)
            }
            Answer::Pending(future) => {
                let Settings { clock, deadline, .. } = verdicts.settings.clone();
                start.spawn(&runtime, async move {
                    let verdict = Deadline::new(&clock, deadline).bound(future).await;
                    verdict.unwrap_or(Err(Rejection::out_of_time()))
                });
                Answer::Pending(CachedFuture::waiting(joined))
            }
        }
    }

    fn ask_alone(
        &self,
        token: &str,
        head: RequestHead<'_>,
        filing: Filing<V::Claims>,
    ) -> Answer<CachedFuture<V>> {
        match self.validator.validate(token, head) {
            Answer::Ready(verdict) => {
                filing.keep(&verdict);
                Answer::Ready(verdict)
            }
            Answer::Pending(future) => Answer::Pending(CachedFuture::alone(future, filing)),
        }
    }
}

fn is_revoked<C>(validated: &Validated<C>) -> bool {
    validated.revocation().is_some_and(Revocation::is_revoked)
}

impl<V: ValidateToken> ValidateToken for Cached<V> {
    type Claims = V::Claims;
    type Future = CachedFuture<V>;

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<CachedFuture<V>> {
        let question = self.question(token.as_bytes());
        let kept = self.verdicts.find_good(question);
        match kept.and_then(|kept| self.hit(question, &kept)) {
            Some(verdict) => Answer::Ready(verdict),
            None => self.miss(token, head, question),
        }
    }

    fn cache_support(&self) -> &dyn CacheSupport<V::Claims> {
        self
    }
}

impl<V: ValidateToken> CacheSupport<V::Claims> for Cached<V> {
    fn split_at(&self, token: &[u8]) -> usize {
        self.validator.cache_support().split_at(token)
    }

    fn recall(&self, presented: &[u8]) -> Option<Arc<Validated<V::Claims>>> {
        let question = self.question(presented);
        let validated = &self.verdicts.find_good(question)?.verdict;
        // `validate` answers for a token that is no longer good.
        let good = self.recheck(validated, question.asked.at).is_ok() && !is_revoked(validated);
        good.then(|| validated.clone())
    }

    fn recheck(&self, validated: &Validated<V::Claims>, now: SystemTime) -> Result<(), Rejection> {
        self.validator.cache_support().recheck(validated, now)
    }

    fn clock(&self) -> Option<Clock> {
        Some(self.verdicts.settings.clock.clone())
    }

    fn generation(&self) -> u64 {
        self.validator.cache_support().generation()
    }
}

impl<V: ValidateToken> Clone for Cached<V> {
    fn clone(&self) -> Self {
        Self { validator: self.validator.clone(), verdicts: self.verdicts.clone() }
    }
}

/// Shows the number of tokens, and no token.
impl<V: ValidateToken> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("tokens", &self.len())
            .field("refusals", &self.verdicts.bad.len())
            .field("settings", &self.verdicts.settings)
            .finish_non_exhaustive()
    }
}
