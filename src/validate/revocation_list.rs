use super::Principal;
use crate::vocabulary::secret::REDACTED;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

/// What a [`Revocable`](super::Revocable) asks whether a token was taken back.
///
/// [`Revocations`](super::Revocations) is one. Another may keep in this process what a store that
/// several share says, and be told of changes by a subscription or a poll: looking up must not
/// wait.
///
/// A list that does not know at the moment what is revoked, because its store is away for too
/// long, may say so of every token, which refuses every request; saying no takes revoked tokens.
pub trait RevocationList: Send + Sync + 'static {
    /// What stands for `token` in this list. It is kept beside verdicts, for the guards of requests
    /// under way, so it must not show the token: a keyed digest, or one of unguessable tokens.
    ///
    /// Of a signed JWT, leave the signature out: whoever has one by ECDSA can make a second that is
    /// as good, and the token would not be revoked with that.
    fn fingerprint(&self, token: &str) -> TokenFingerprint;

    /// Whether `token`, of `principal`, is revoked. Asked at every request. Defaults to looking up
    /// its fingerprint; a list that is empty mostly need not make one.
    fn is_revoked(&self, token: &str, principal: &Principal) -> bool {
        self.is_fingerprint_revoked(&self.fingerprint(token), principal)
    }

    /// Whether the token that `token` stands for, of `principal`, is revoked. Asked after every
    /// change for every guard that waits.
    fn is_fingerprint_revoked(&self, token: &TokenFingerprint, principal: &Principal) -> bool;

    /// What tells of changes: always the same.
    fn changes(&self) -> &RevocationChanges;
}

/// What stands for a token in a [`RevocationList`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenFingerprint(pub(super) [u8; 32]);

impl TokenFingerprint {
    /// The fingerprint that is this digest.
    #[must_use]
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A digest whose key is somewhere else, or that has none, says more than it seems.
impl fmt::Debug for TokenFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFingerprint").field(&format_args!("{REDACTED}")).finish()
    }
}

/// Tells the guards of requests under way that a [`RevocationList`] has a further entry.
pub struct RevocationChanges {
    count: AtomicU64,
    told: watch::Sender<()>,
}

impl RevocationChanges {
    /// No change so far.
    #[must_use]
    pub fn new() -> Self {
        Self { count: AtomicU64::new(0), told: watch::Sender::new(()) }
    }

    /// A token was revoked: to be called once the list says so.
    pub fn announce(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.told.send_replace(());
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.told.subscribe()
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
