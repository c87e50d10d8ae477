use super::{CacheSupport, Principal, Rejection, Revocation, ValidateToken, Validated, Verdict};
use crate::{
    Answer, Clock, ConfigError, RequestHead,
    vocabulary::{b64token, keyed::Key, token::MAX_TOKEN_LEN},
};
use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fmt,
    future::Ready,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use subtle::ConstantTimeEq;

/// Accepts a set of tokens, each with its principal. The set may change while it serves.
///
/// 1. The set keeps a digest of each token, under a random key, and compares it in constant time.
///    The configuration need not hold the tokens either: see
///    [`insert_hashed`](Self::insert_hashed).
/// 2. A change holds from the next request on, also below a cache of verdicts. After an insertion
///    the cache asks again about every token of this validator. A token that is replaced or removed
///    is revoked, which ends the requests in flight with it
///    ([`Authenticated::ended`](crate::server::Authenticated::ended)).
/// 3. Checking a token takes no lock. Changing the set copies it, so it suits up to some ten
///    thousand tokens that change now and then.
///
/// A clone is the same set. Give each token [a name](Principal::with_token_id) to see which one a
/// request presented, for example while tokens are being replaced.
///
/// ```
/// use tower_oauth2::{server::RequireToken, validate::{Principal, StaticTokens}};
///
/// let tokens = StaticTokens::new();
/// tokens.insert("mF_9.B5f-4.1JqM", Principal::new("alice").with_scopes("read".parse()?))?;
/// let layer = RequireToken::new("api", tokens.clone())?;
///
/// assert!(tokens.remove("mF_9.B5f-4.1JqM"), "destroyed");
/// # Ok::<(), tower_oauth2::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct StaticTokens {
    shared: Arc<Shared>,
    clock: Clock,
}

struct Shared {
    tokens: ArcSwap<HashMap<Digest, Arc<Validated>>>,
    /// How many tokens were inserted, replacements included.
    generation: AtomicU64,
    key: Key,
}

/// The digest of a token's SHA-256, under the key of its set.
#[derive(Clone, Copy, Eq)]
struct Digest([u8; 32]);

impl Shared {
    fn digest(&self, token: &str) -> Digest {
        self.digest_of_sha256(Sha256::digest(token.as_bytes()).into())
    }

    fn digest_of_sha256(&self, sha256: [u8; 32]) -> Digest {
        Digest(self.key.digest(&sha256))
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl StaticTokens {
    /// Creates the empty set, which refuses every token.
    #[must_use]
    pub fn new() -> Self {
        let (tokens, generation, key) = (ArcSwap::default(), AtomicU64::new(0), Key::random());
        let shared = Arc::new(Shared { tokens, generation, key });
        Self { shared, clock: Clock::system() }
    }

    /// Judges expiry by the wall clock of `clock`. Defaults to the system's. Clones that exist
    /// already keep theirs.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Inserts `token`, good for `principal` until the principal's expiry. It replaces the principal
    /// that the token had before.
    ///
    /// # Errors
    ///
    /// When `token` is not a `b64token` ([RFC 6750 §2.1]) of at most 16 KiB, which no request could
    /// present. The error does not repeat it.
    ///
    /// [RFC 6750 §2.1]: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    pub fn insert(&self, token: &str, principal: Principal) -> Result<(), ConfigError> {
        if token.len() > MAX_TOKEN_LEN || !b64token::is_valid(token.as_bytes()) {
            return Err(ConfigError::new(
                "a token is letters, digits and -._~+/ with = at the end, at most 16 KiB (RFC 6750 section 2.1)",
            ));
        }
        self.put(self.shared.digest(token), principal);
        Ok(())
    }

    /// Inserts the token with this SHA-256.
    pub fn insert_sha256(&self, sha256: [u8; 32], principal: Principal) {
        self.put(self.shared.digest_of_sha256(sha256), principal);
    }

    /// Inserts the token of `hashed`: `sha256:` and the 64 hexadecimal digits of the token's SHA-256,
    /// so that the configuration need not hold the token. That text is not accepted as a token.
    ///
    /// # Errors
    ///
    /// When `hashed` has another form.
    pub fn insert_hashed(&self, hashed: &str, principal: Principal) -> Result<(), ConfigError> {
        let sha256 = hashed.strip_prefix("sha256:").and_then(from_hex);
        let wrong = || ConfigError::new("a hashed token is `sha256:` and 64 hexadecimal digits");
        self.insert_sha256(sha256.ok_or_else(wrong)?, principal);
        Ok(())
    }

    /// Removes `token`, and returns `true` if the set had it.
    pub fn remove(&self, token: &str) -> bool {
        let digest = self.shared.digest(token);
        self.take(|own, _| *own == digest) > 0
    }

    /// Removes every token of `subject`, and returns how many the set had.
    pub fn remove_subject(&self, subject: &str) -> usize {
        self.take(|_, principal| principal.subject() == Some(subject))
    }

    /// Returns the number of tokens, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.tokens.load().len()
    }

    /// Returns `true` if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&self, digest: Digest, principal: Principal) {
        let validated = Validated::from(principal).with_revocation(Revocation::new());
        let validated = Arc::new(validated);
        let replaced = self.change(|tokens| tokens.insert(digest, validated.clone()));
        // Before the revocation: until then a cache has the replaced verdict for the token.
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        replaced.iter().for_each(|old| revoke(old));
    }

    /// Removes and revokes the tokens that `taken` selects, and returns their number.
    fn take(&self, taken: impl Fn(&Digest, &Principal) -> bool) -> usize {
        let gone: Vec<_> = self.change(|tokens| {
            let gone = tokens.extract_if(|digest, token| taken(digest, token.principal()));
            gone.map(|(_, token)| token).collect()
        });
        gone.iter().for_each(|token| revoke(token));
        gone.len()
    }

    fn change<T>(&self, change: impl Fn(&mut HashMap<Digest, Arc<Validated>>) -> T) -> T {
        let mut result = None;
        self.shared.tokens.rcu(|tokens| {
            let mut tokens = HashMap::clone(tokens);
            result = Some(change(&mut tokens));
            tokens
        });
        #[expect(clippy::expect_used, reason = "rcu calls its closure at least once")]
        result.expect("the change was made")
    }

    fn verdict(&self, token: &str) -> Verdict<()> {
        let tokens = self.shared.tokens.load();
        let validated = tokens.get(&self.shared.digest(token)).ok_or_else(Rejection::unknown)?;
        match validated.principal().expires_at() {
            Some(expiry) if self.clock.wall() >= expiry => Err(Rejection::expired()),
            _ => Ok(validated.clone()),
        }
    }
}

/// Decodes 64 hexadecimal digits.
fn from_hex(digits: &str) -> Option<[u8; 32]> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) || digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn revoke(token: &Validated) {
    if let Some(revocation) = token.revocation() {
        revocation.revoke();
    }
}

impl Default for StaticTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl ValidateToken for StaticTokens {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        Answer::Ready(self.verdict(token))
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for StaticTokens {
    fn clock(&self) -> Option<Clock> {
        Some(self.clock.clone())
    }

    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }
}

impl fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticTokens").field("tokens", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::ManualClock, validate::RejectionKind};
    use std::time::Duration;

    fn kind(tokens: &StaticTokens, token: &str) -> Option<RejectionKind> {
        tokens.verdict(token).err().map(|rejection| rejection.kind())
    }

    #[test]
    fn a_token_is_good_until_it_is_removed_or_expires() {
        let manual = ManualClock::new();
        let tokens = StaticTokens::new().with_clock(manual.clock());
        let expiry = manual.clock().wall() + Duration::from_secs(60);
        tokens.insert("a", Principal::new("alice").with_expiry(expiry)).unwrap();
        tokens.insert("b", Principal::new("bob")).unwrap();
        assert_eq!(kind(&tokens, "a"), None);
        manual.advance(Duration::from_secs(60));
        assert_eq!(kind(&tokens, "a"), Some(RejectionKind::Expired));
        assert_eq!(kind(&tokens, "b"), None);
        let clone = tokens.clone();
        assert!(clone.remove("b") && !tokens.remove("b"));
        assert_eq!(kind(&tokens, "b"), Some(RejectionKind::Invalid));
    }

    #[test]
    fn a_digest_stands_for_its_token_and_a_subject_for_all_of_its_tokens() {
        let tokens = StaticTokens::new();
        tokens.insert_sha256(Sha256::digest("abc").into(), Principal::new("alice"));
        tokens.insert("def", Principal::new("alice")).unwrap();
        assert_eq!(kind(&tokens, "abc"), None);
        assert_eq!(tokens.remove_subject("alice"), 2);
        assert!(tokens.is_empty());
        assert!(tokens.insert("not a token", Principal::new("x")).is_err());
    }

    // case: static-001
    #[test]
    fn digests_are_kept_under_a_key_of_each_set() {
        let digests = || {
            let tokens = StaticTokens::new();
            tokens.insert("abc", Principal::new("alice")).unwrap();
            let tokens = tokens.shared.tokens.load();
            tokens.keys().map(|digest| digest.0).collect::<Vec<_>>()
        };
        let (one, other) = (digests(), digests());
        assert_ne!(one, other);
        assert_ne!(one, [<[u8; 32]>::from(Sha256::digest("abc"))]);
    }
}
