//! Tokens that were taken back before their time.

mod full;
mod revocable;
mod table;

pub use full::RevocationsFull;
pub use revocable::{Revocable, RevocableFuture};

use super::{
    Principal, RevocationChanges, RevocationList, TokenFingerprint, ValidateToken,
    token_shape::identity,
};
use crate::{Clock, vocabulary::keyed::Key};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use table::{Entry, Kind, Table};

/// The tokens that were taken back: by the token itself, by its identifier, or all of a subject's.
///
/// 1. A [`Revocable`] asks it after every verdict of its validator. What is in the list is refused
///    from the next request on, whatever a cache below says, and ends the guards of the requests
///    that are under way ([`Authenticated::ended`](crate::server::Authenticated::ended)).
/// 2. Neither tokens nor identifiers are kept, only digests under a key that is random per list.
///    Of a signed JWT the signature does not count: there may be a second one of the same text,
///    which whoever has the token can make of the first.
/// 3. An entry lives until what it revokes has expired: until the instant that is given, or for
///    [the longest lifetime](Self::with_max_lifetime) of a token, and [the
///    leeway](Self::with_leeway). Nothing can be taken out before.
/// 4. A list that is full refuses further entries with an error, and forgets none: see
///    [`with_capacity`](Self::with_capacity).
/// 5. Looking up takes no lock, and of an empty list no more than a load.
///
/// A clone is the same list. It is of this process: to share revocations between several, feed one
/// in each, or put a [`RevocationList`] of your own in its place.
///
/// # Defaults
///
/// The longest lifetime is 24 h, the leeway 1 min, the capacity 100,000 entries of some 100 bytes.
///
/// ```
/// use std::time::SystemTime;
/// use tower_oauth2::{
///     server::RequireToken,
///     validate::{Principal, Revocations, StaticTokens},
/// };
///
/// let tokens = StaticTokens::new();
/// tokens.insert("mF_9.B5f-4.1JqM", Principal::new("alice"))?;
/// let revocations = Revocations::new();
/// let layer = RequireToken::new("api", revocations.guard(tokens))?;
///
/// revocations.revoke_token("mF_9.B5f-4.1JqM", None)?;
/// // Alice logs out everywhere.
/// revocations.revoke_subject(None, "alice", SystemTime::now(), None)?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Revocations {
    shared: Arc<Shared>,
    clock: Clock,
    max_lifetime: Duration,
    leeway: Duration,
    capacity: usize,
}

struct Shared {
    table: Table,
    key: Key,
    changes: RevocationChanges,
}

/// The empty list, and what holds for entries.
impl Revocations {
    /// The empty list.
    #[must_use]
    pub fn new() -> Self {
        let (table, key) = (Table::default(), Key::random());
        let shared = Shared { table, key, changes: RevocationChanges::new() };
        Self {
            shared: Arc::new(shared),
            clock: Clock::system(),
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            leeway: Duration::from_secs(60),
            capacity: 100_000,
        }
    }

    /// Judges by the wall of `clock` whether an entry has had its time. Defaults to the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The longest that a token is good for. An entry without an instant of its own is kept so
    /// long: a token that lives longer would be good again afterwards. Defaults to 24 h.
    #[must_use]
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// How long beyond its expiry a validator may still take a token. Defaults to 1 min.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The most entries that there may be. Defaults to 100,000.
    ///
    /// To let an old one go would make a token good again that somebody destroyed, and to refuse
    /// every token would hand the service to whoever can revoke: so the new one is refused, with
    /// an error to whoever asked for it.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

/// Taking back.
impl Revocations {
    /// Takes `token` back. It expires at `until`; without it, after the longest lifetime.
    ///
    /// # Errors
    ///
    /// When the list is full: the token is **not** revoked.
    pub fn revoke_token(
        &self,
        token: &str,
        until: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let digest = self.fingerprint(token).0;
        self.put(Kind::Token, digest, Entry { until: self.end(until, None), before: None })
    }

    /// Takes back the token of `issuer` whose [identifier](Principal::token_id) (`jti`) is `id`. It
    /// expires at `until`; without it, after the longest lifetime. `None` stands for principals
    /// without an issuer, not for all.
    ///
    /// # Errors
    ///
    /// When the list is full: the token is **not** revoked.
    pub fn revoke_id(
        &self,
        issuer: Option<&str>,
        id: &str,
        until: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let entry = Entry { until: self.end(until, None), before: None };
        self.put(Kind::Id, self.digest(issuer, id), entry)
    }

    /// Takes back every token of `issuer` for `subject` that was issued before `before`, or of
    /// which it is not known when. The last of them expires at `until`; without it, the longest
    /// lifetime after `before` and after now. `None` stands for principals without an issuer, not
    /// for all.
    ///
    /// JWTs tell whole seconds: those of the second in which `before` lies count as older, unless
    /// `before` is cut to the second too.
    ///
    /// # Errors
    ///
    /// When the list is full: the tokens are **not** revoked.
    pub fn revoke_subject(
        &self,
        issuer: Option<&str>,
        subject: &str,
        before: SystemTime,
        until: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let entry = Entry { until: self.end(until, Some(before)), before: Some(before) };
        self.put(Kind::Subject, self.digest(issuer, subject), entry)
    }

    /// How many entries there are, some that have had their time among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has `validator` judge tokens, and refuses those of this list: [`Revocable::new`].
    pub fn guard<V: ValidateToken>(&self, validator: V) -> Revocable<V> {
        Revocable::new(validator, self.clone())
    }

    fn put(&self, kind: Kind, digest: [u8; 32], entry: Entry) -> Result<(), RevocationsFull> {
        let now = self.clock.wall();
        self.shared.table.put(kind, digest, entry, now, self.capacity)?;
        self.shared.changes.announce();
        Ok(())
    }

    /// When an entry has had its time; never, where the clock cannot show it.
    fn end(&self, until: Option<SystemTime>, before: Option<SystemTime>) -> Option<SystemTime> {
        let now = self.clock.wall();
        let start = before.map_or(now, |before| before.max(now));
        until.or_else(|| start.checked_add(self.max_lifetime))?.checked_add(self.leeway)
    }

    fn digest(&self, issuer: Option<&str>, value: &str) -> [u8; 32] {
        self.shared.key.digest_pair(issuer.map(str::as_bytes), value.as_bytes())
    }

    /// Whether an entry that still counts says that a token of this principal is revoked.
    fn finds(&self, kind: Kind, digest: &[u8; 32], issued_at: Option<SystemTime>) -> bool {
        self.shared
            .table
            .get(kind, digest)
            .is_some_and(|entry| entry.is_alive(self.clock.wall()) && entry.covers(issued_at))
    }

    fn revokes_principal(&self, principal: &Principal) -> bool {
        let (table, issuer) = (&self.shared.table, principal.issuer());
        let finds = |kind, value: Option<&str>| {
            !table.is_empty(kind)
                && value.is_some_and(|value| {
                    self.finds(kind, &self.digest(issuer, value), principal.issued_at())
                })
        };
        finds(Kind::Id, principal.token_id()) || finds(Kind::Subject, principal.subject())
    }
}

impl RevocationList for Revocations {
    fn fingerprint(&self, token: &str) -> TokenFingerprint {
        TokenFingerprint(self.shared.key.digest(identity(token).as_bytes()))
    }

    fn is_revoked(&self, token: &str, principal: &Principal) -> bool {
        let table = &self.shared.table;
        if table.len() == 0 {
            return false;
        }
        let finds = || self.finds(Kind::Token, &self.fingerprint(token).0, None);
        (!table.is_empty(Kind::Token) && finds()) || self.revokes_principal(principal)
    }

    fn is_fingerprint_revoked(&self, token: &TokenFingerprint, principal: &Principal) -> bool {
        self.finds(Kind::Token, &token.0, None) || self.revokes_principal(principal)
    }

    fn changes(&self) -> &RevocationChanges {
        &self.shared.changes
    }
}

impl Default for Revocations {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("entries", &self.len())
            .field("max_lifetime", &self.max_lifetime)
            .field("leeway", &self.leeway)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
