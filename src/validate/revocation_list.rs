use super::Principal;
use crate::{Clock, vocabulary::secret::REDACTED};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

/// A list of revoked tokens, for a [`Revocable`](super::Revocable).
///
/// [`Revocations`](super::Revocations) is one. Another may mirror a store that several processes
/// share, kept up to date by a subscription or a poll: a look-up must not wait.
///
/// A list whose store cannot be reached for too long may call every token revoked, which refuses
/// every request. Calling none revoked accepts revoked tokens.
pub trait RevocationList: Send + Sync + 'static {
    /// Returns the fingerprint of `token` in this list. It is kept beside the verdict while requests
    /// are in flight, so it must not reveal the token: use a keyed digest, or a digest of tokens
    /// that cannot be guessed.
    ///
    /// Leave the signature of a JWT out: from one ECDSA signature anyone can make a second valid
    /// one, which would escape the revocation.
    fn fingerprint(&self, token: &str) -> TokenFingerprint;

    /// Returns `true` if `token`, of `principal`, is revoked. Called at every request. Defaults to
    /// looking up its fingerprint, which a list that is mostly empty can avoid.
    fn is_revoked(&self, token: &str, principal: &Principal) -> bool {
        self.is_fingerprint_revoked(&self.fingerprint(token), principal)
    }

    /// Returns `true` if the token of this fingerprint, of `principal`, is revoked. Called after
    /// every change for every request in flight that waits for the end of its token.
    fn is_fingerprint_revoked(&self, token: &TokenFingerprint, principal: &Principal) -> bool;

    /// Returns the clock of the list, for a [`Revocable`](super::Revocable) whose validator has none.
    /// Defaults to none of its own.
    fn clock(&self) -> Option<Clock> {
        None
    }

    /// Returns the announcer of changes: always the same.
    fn changes(&self) -> &RevocationChanges;
}

/// The fingerprint of a token in a [`RevocationList`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenFingerprint(pub(super) [u8; 32]);

impl TokenFingerprint {
    /// Creates the fingerprint of this digest.
    #[must_use]
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Redacted: a digest without a key, or with a key from elsewhere, may reveal the token.
impl fmt::Debug for TokenFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFingerprint").field(&format_args!("{REDACTED}")).finish()
    }
}

/// Announces new entries of a [`RevocationList`] to the requests in flight.
pub struct RevocationChanges {
    count: AtomicU64,
    announcer: watch::Sender<()>,
}

impl RevocationChanges {
    /// Creates the announcer of a list that has not changed yet.
    #[must_use]
    pub fn new() -> Self {
        Self { count: AtomicU64::new(0), announcer: watch::Sender::new(()) }
    }

    /// Announces that a token was revoked. Call it once the list contains the token.
    pub fn announce(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.announcer.send_replace(());
    }

    /// Returns how many changes there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.announcer.subscribe()
    }
}

impl Default for RevocationChanges {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RevocationChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationChanges").field("count", &self.count()).finish()
    }
}
