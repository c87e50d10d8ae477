mod digest;
mod flights;
mod future;
mod settings;
mod table;
mod verdicts;

pub use future::CachedFuture;

use super::{CacheSupport, Rejection, Revocation, ValidateToken, Validated, Verdict};
use crate::{Answer, Clock, RequestHead, vocabulary::race::before};
use flights::Entered;
use settings::Settings;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use table::Kept;
use tokio::runtime::Handle;
use verdicts::{Filing, Found, Question, Verdicts};

/// A validator that remembers what it found of a token.
///
/// 1. A verdict is kept for the token it was on, byte for byte: of a token that the validator
///    [splits](CacheSupport::split_at), the public part is compared and the secret part is the key;
///    of any other, all of it is the key. Keys are digests under a key of each cache, and no token
///    that could be used is kept.
/// 2. A hit asks the validator to [recheck](CacheSupport::recheck) the time, and heeds a
///    [`Revocation`](super::Revocation). It allocates nothing. A token of which the recheck fails
///    is refused where its expiry has come, and judged anew where it has not. Scopes and other
///    policies are for the layers below, which judge each request.
/// 3. Verdicts are forgotten where the validator's [generation](CacheSupport::generation) changes
///    or the wall clock is set back to before they were asked for.
/// 4. Refusals are kept apart and for a shorter time, and no flood of bad tokens drives out a good
///    one. That nobody can tell ([`Rejection::unavailable`]), and faults of the validator, are not
///    kept; see [`Rejection::is_cacheable`].
/// 5. A token is judged once at a time, however many requests present it. A validation that takes
///    time belongs to none of them: dropping one, or all, neither loses nor repeats it. It needs a
///    tokio runtime whose timers are on, and ends within its deadline; outside of a runtime each
///    caller waits by itself.
///
/// A clone is the same cache. The setters are for before it is cloned: each makes it a new, empty
/// one. Two caches never share a verdict.
///
/// # Defaults
///
/// Good verdicts for 60 s, 10,000 of them; refusals for 10 s, 1,000 of them; 1,024 validations at
/// once, of at most 30 s.
///
/// # Security
///
/// The verdict must depend on the token alone: what a validator reads from the
/// [`RequestHead`] is that of the first request with the token, and the next may be another's.
/// One that binds tokens to requests stands around the cache, not below it.
///
/// A token that is taken back at its server only, without a
/// [`Revocation`](super::Revocation) or [`clear`](Self::clear), is good here until its time in the
/// cache is over.
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
pub struct Cached<V: ValidateToken> {
    validator: Arc<V>,
    verdicts: Arc<Verdicts<V::Claims>>,
}

impl<V: ValidateToken> Cached<V> {
    /// Remembers what `validator` finds.
    #[must_use]
    pub fn new(validator: V) -> Self {
        let verdicts = Arc::new(Verdicts::new(Settings::default()));
        Self { validator: Arc::new(validator), verdicts }
    }

    /// How long a good token is not asked for again, counted from when it was. Its expiry is
    /// judged at each hit all the same. Defaults to 60 s; zero keeps no good verdict.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        self.with(|settings| settings.ttl = ttl)
    }

    /// How long a refused token is refused without asking again. Defaults to 10 s; zero keeps no
    /// refusal.
    #[must_use]
    pub fn with_negative_ttl(self, ttl: Duration) -> Self {
        self.with(|settings| settings.negative_ttl = ttl)
    }

    /// About how many good tokens are kept at most; one counts as several whose public part is
    /// longer than 1 KiB. Those that are seen again stay. An entry takes some 200 bytes, its public
    /// part, and the claims. Defaults to 10,000; zero keeps none.
    #[must_use]
    pub fn with_capacity(self, tokens: usize) -> Self {
        self.with(|settings| settings.capacity = tokens)
    }

    /// About how many refusals are kept at most. Defaults to 1,000; zero keeps none.
    #[must_use]
    pub fn with_negative_capacity(self, tokens: usize) -> Self {
        self.with(|settings| settings.negative_capacity = tokens)
    }

    /// How many validations are shared at once, each of which may have a task. Beyond it a caller
    /// waits for one of its own, and the verdict is kept all the same. Defaults to 1,024.
    #[must_use]
    pub fn with_max_validations(self, validations: usize) -> Self {
        self.with(|settings| settings.flights = validations)
    }

    /// When a shared validation ends whether or not there is a verdict: who still waits for it is
    /// told that nobody can tell. Defaults to 30 s.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|settings| settings.deadline = deadline)
    }

    /// Takes the time from `clock`. Defaults to the system's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.verdicts.settings.clone();
        set(&mut settings);
        Self { validator: self.validator, verdicts: Arc::new(Verdicts::new(settings)) }
    }

    /// The validator.
    #[must_use]
    pub fn get_ref(&self) -> &V {
        &self.validator
    }

    /// Forgets every verdict: from here on each token is asked for again. A validation that is
    /// under way answers those who wait for it, and nobody else.
    pub fn clear(&self) {
        self.verdicts.clear();
    }

    /// How many good tokens are kept, those included whose time is over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verdicts.good.len()
    }

    /// Whether no good token is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Taken before the validator is asked: what changes meanwhile makes the verdict one of before.
    fn question<'t>(&self, token: &'t [u8]) -> Question<'t> {
        let validator = self.validator.cache_support();
        let asked = self.verdicts.now(validator.generation());
        self.verdicts.question(token, validator.split_at(token), asked)
    }

    /// Judges once more what was good, and forgets what has become bad by time alone. Nothing where
    /// the validator has to be asked.
    fn hit(
        &self,
        question: Question<'_>,
        kept: &Arc<Kept<Arc<Validated<V::Claims>>>>,
    ) -> Option<Verdict<V::Claims>> {
        let (validated, now) = (&kept.verdict, question.asked.at);
        if is_taken_back(validated) {
            return Some(Err(Rejection::revoked()));
        }
        let Err(rejection) = self.recheck(validated, now) else {
            return Some(Ok(validated.clone()));
        };
        self.verdicts.good.drop_entry(question.key, kept);
        // Before that, one of two validators may refuse what the other found good.
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
        let Ok(runtime) = Handle::try_current() else { return alone() };
        let (start, joined) = match verdicts.enter(question, whole) {
            Entered::Landed(Found::Good(kept)) => {
                return self.hit(question, &kept).map_or_else(alone, Answer::Ready);
            }
            Entered::Landed(Found::Bad(kept)) => return Answer::Ready(Err(kept.verdict.clone())),
            Entered::Waits(joined) => return Answer::Pending(CachedFuture::waiting(joined)),
            Entered::Full => return alone(),
            Entered::Asks(start, joined) => (start, joined),
        };
        match self.validator.validate(token, head) {
            Answer::Ready(verdict) => {
                start.finish(verdict.clone());
                Answer::Ready(verdict)
            }
            Answer::Pending(future) => {
                let Settings { clock, deadline, .. } = verdicts.settings.clone();
                start.spawn(&runtime, async move {
                    let verdict = before(future, clock.sleep(deadline)).await;
                    verdict.unwrap_or(Err(Rejection::unavailable(None)))
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

fn is_taken_back<C>(validated: &Validated<C>) -> bool {
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
        // What is good no longer is for `validate` to tell.
        let good = self.recheck(validated, question.asked.at).is_ok() && !is_taken_back(validated);
        good.then(|| validated.clone())
    }

    fn recheck(&self, validated: &Validated<V::Claims>, now: SystemTime) -> Result<(), Rejection> {
        self.validator.cache_support().recheck(validated, now)
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

/// Shows how many tokens there are, and none of them.
impl<V: ValidateToken> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("tokens", &self.len())
            .field("refusals", &self.verdicts.bad.len())
            .field("settings", &self.verdicts.settings)
            .finish_non_exhaustive()
    }
}
