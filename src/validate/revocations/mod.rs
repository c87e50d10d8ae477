//! Refuses tokens that were revoked before they expire.
//!
//! **In**: a token, an identifier or a subject to revoke. **Out**: refusals, and the end of the requests in flight. **Uses** the
//! verdict and the revocation list.

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

/// A list of revoked tokens: by the token itself, by its identifier, or all tokens of a subject.
///
/// 1. A [`Revocable`] looks up the list after every verdict of its validator. A revoked token is
///    refused from the next request on, whatever a cache below has, and the requests in flight with
///    it end ([`Authenticated::ended`](crate::server::Authenticated::ended)).
/// 2. The list keeps digests of tokens and identifiers, under a random key. The signature of a JWT
///    is left out: the holder of a token can make a second valid one.
/// 3. An entry lives until its tokens have expired: until the given instant, or for [the longest
///    lifetime](Self::with_max_lifetime) of a token, and for [the leeway](Self::with_leeway). It
///    cannot be removed before.
/// 4. A full list refuses further entries with an error, and forgets none: see
///    [`with_capacity`](Self::with_capacity).
/// 5. A look-up takes no lock. In an empty list it is one load.
///
/// A clone is the same list. The list is local to the process: to share revocations, feed a list in
/// each process, or implement [`RevocationList`].
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

/// Construction and settings.
impl Revocations {
    /// Creates an empty list.
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

    /// Sets the clock by which entries end. Defaults to the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the longest lifetime of a token. An entry without an instant of its own is kept so long; a
    /// token that lives longer is good again afterwards. Defaults to 24 h.
    #[must_use]
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// Sets how long beyond its expiry a validator may accept a token. Defaults to 1 min.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Sets the highest number of entries. Defaults to 100,000.
    ///
    /// A full list refuses new entries with an error to the caller. To drop an old entry would make a
    /// revoked token good again, and to refuse every token would let anyone who can revoke stop the
    /// service.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

/// Revocation.
impl Revocations {
    /// Revokes `token`, which expires at `until`, or without it after the longest lifetime.
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

    /// Revokes the token of `issuer` with the [identifier](Principal::token_id) (`jti`) `id`. It expires
    /// at `until`, or without it after the longest lifetime. The issuer `None` is for principals
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

    /// Revokes every token of `issuer` for `subject` that was issued before `before`, or at an unknown
    /// time. The last of them expires at `until`, or without it the longest lifetime after both
    /// `before` and now. The issuer `None` is for principals without an issuer, not for all.
    ///
    /// JWTs count whole seconds: tokens of the second of `before` count as older, unless `before` is
    /// rounded down to a second too.
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

    /// Returns the number of entries, some of which may be over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.table.len()
    }

    /// Returns `true` if the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wraps `validator` in a [`Revocable`] that refuses the tokens of this list.
    pub fn guard<V: ValidateToken>(&self, validator: V) -> Revocable<V> {
        Revocable::new(validator, self.clone())
    }

    fn put(&self, kind: Kind, digest: [u8; 32], entry: Entry) -> Result<(), RevocationsFull> {
        let now = self.clock.wall();
        self.shared.table.put(kind, digest, entry, now, self.capacity)?;
        self.shared.changes.announce();
        Ok(())
    }

    /// Returns when an entry is over, or `None` if the clock cannot show it.
    fn end(&self, until: Option<SystemTime>, before: Option<SystemTime>) -> Option<SystemTime> {
        let now = self.clock.wall();
        let start = before.map_or(now, |before| before.max(now));
        until.or_else(|| start.checked_add(self.max_lifetime))?.checked_add(self.leeway)
    }

    fn digest(&self, issuer: Option<&str>, value: &str) -> [u8; 32] {
        self.shared.key.digest_pair(issuer.map(str::as_bytes), value.as_bytes())
    }

    /// Returns `true` if a live entry revokes a token that was issued at `issued_at`.
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
    fn clock(&self) -> Option<Clock> {
        Some(self.clock.clone())
    }

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
