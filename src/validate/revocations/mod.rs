//! Refuses tokens that were revoked before they expire.
//!
//! **In**: a token, an identifier or a subject to revoke. **Out**: refusals, and the end of the requests in flight. **Uses** the
//! verdict and the revocation list.

mod end;
mod full;
mod revocable;
mod table;

pub use full::RevocationsFull;
pub use revocable::{Revocable, RevocableFuture};

use super::{
    Principal, RevocationChanges, RevocationList, TokenFingerprint, ValidateToken,
    times::MAX_LEEWAY, token_shape::identity,
};
use crate::{Clock, vocabulary::keyed::Key};
use end::Lives;
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
/// 3. An entry ends once its tokens have expired: at the given instant, at the `exp` of a JWT, or after
///    [the longest lifetime](Self::with_max_lifetime) of a token, and [the leeway](Self::with_leeway)
///    later. If none of these is known, it never ends. It cannot be removed before.
/// 4. An entry ends only when both the wall clock and the monotonic clock show its end, so a wall
///    clock that jumps forgets nothing. A token that had expired when an entry ended stays refused if
///    the wall clock is set back.
/// 5. A full list refuses further entries with an error, and forgets none: see
///    [`with_capacity`](Self::with_capacity).
/// 6. A look-up takes no lock. In an empty list it is a few loads.
///
/// A clone is the same list. The list is local to the process and empty after a restart: to share and
/// keep revocations, feed a list in each process as it starts, or implement [`RevocationList`].
///
/// # Defaults
///
/// No longest lifetime, a leeway of 5 min, a capacity of 100,000 entries of some 100 bytes.
///
/// ```
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
/// revocations.revoke_subject_now(None, "alice", None)?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Revocations {
    shared: Arc<Shared>,
    clock: Clock,
    lives: Lives,
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
    pub fn new() -> Self {
        let (table, key) = (Table::default(), Key::random());
        let shared = Arc::new(Shared { table, key, changes: RevocationChanges::new() });
        let clock = Clock::system();
        let lives = Lives { start: clock.now(), max_lifetime: None, leeway: MAX_LEEWAY };
        Self { shared, clock, lives, capacity: 100_000 }
    }

    /// Sets the clock by which entries end. Defaults to the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.lives.start = clock.now();
        self.clock = clock;
        self
    }

    /// Sets the longest lifetime of a token. An entry whose end is not known ends so long after it was
    /// added. Defaults to none: such an entry never ends.
    ///
    /// It must hold for every token: one that lives longer is good again afterwards. The list calls a
    /// token revoked if its `iat` and `exp` show that it lives longer.
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.lives.max_lifetime = Some(max_lifetime);
        self
    }

    /// Sets how long beyond its expiry, and how long before its time of issue, a validator may accept
    /// a token. Defaults to 5 min, the longest that [`JwtValidator`](super::JwtValidator) and
    /// [`Introspection`](super::Introspection) accept.
    ///
    /// A token that expired longer ago than an entry that has ended is refused, whatever the validator
    /// finds.
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.lives.leeway = leeway;
        self
    }

    /// Sets the highest number of entries. Defaults to 100,000. If entries never end, give each an
    /// end, or set [the longest lifetime](Self::with_max_lifetime).
    ///
    /// A full list refuses new entries with an error to the caller. To drop an old entry would make a
    /// revoked token good again, and to refuse every token would let anyone who can revoke stop the
    /// service.
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

/// Revocation.
impl Revocations {
    /// Revokes `token`, which expires at `until`. [`Validated::good_until`](super::Validated::good_until)
    /// says when, if the token was validated. `None` stands for the `exp` of a JWT, or else for the
    /// longest lifetime. The entry of a JWT ends no earlier than its `exp`, which is not verified.
    ///
    /// # Errors
    ///
    /// When the list is full: the token is **not** revoked.
    pub fn revoke_token(
        &self,
        token: &str,
        until: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let until = end::of_jwt(token).max(until);
        self.put(Kind::Token, self.fingerprint(token).0, until, None)
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
        self.put(Kind::Id, self.digest(issuer, id), until, None)
    }

    /// Revokes every token of `issuer` for `subject` that was issued before `before`, or at an unknown
    /// time. The last of them expires at `until`, or without it the longest lifetime after both
    /// `before` and now. The issuer `None` is for principals without an issuer, not for all.
    ///
    /// JWTs count whole seconds: tokens of the second of `before` count as older, unless `before` is
    /// rounded down to a second too. A token of an issuer whose clock is ahead may have a later time of
    /// issue than `before`, and stays good: see [`revoke_subject_now`](Self::revoke_subject_now).
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
        self.put(Kind::Subject, self.digest(issuer, subject), until, Some(before))
    }

    /// Revokes every token of `issuer` for `subject` that a validator may have accepted by now, as
    /// [`revoke_subject`](Self::revoke_subject) does: those whose time of issue is not later than now
    /// and [the leeway](Self::with_leeway), since the issuer's clock may be ahead.
    ///
    /// **A token that is issued within the leeway afterwards stays refused**, by default for its whole
    /// life if it is issued in the next 5 min. Set the leeway of the list to that of the validator (by
    /// default 30 s) to shorten this.
    ///
    /// # Errors
    ///
    /// When the list is full: the tokens are **not** revoked.
    pub fn revoke_subject_now(
        &self,
        issuer: Option<&str>,
        subject: &str,
        until: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let before = self.lives.after_every_issue(self.clock.wall());
        self.put(Kind::Subject, self.digest(issuer, subject), until, before)
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

    fn put(
        &self,
        kind: Kind,
        digest: [u8; 32],
        until: Option<SystemTime>,
        before: Option<SystemTime>,
    ) -> Result<(), RevocationsFull> {
        let now = self.clock.now();
        let entry = Entry { until: self.lives.end(until, before, now), before };
        self.shared.table.put(kind, digest, entry, now, self.capacity)?;
        self.shared.changes.announce();
        Ok(())
    }

    fn digest(&self, issuer: Option<&str>, value: &str) -> [u8; 32] {
        self.shared.key.digest_pair(issuer.map(str::as_bytes), value.as_bytes())
    }

    /// Returns `true` if an entry revokes the token of `principal`. Past its end it still does, if the
    /// token has an expiry by which to release it; but no token that may have been issued since.
    fn finds(&self, kind: Kind, digest: &[u8; 32], principal: &Principal) -> bool {
        let (issued_at, expiry) = (principal.issued_at(), principal.expires_at());
        self.shared.table.get(kind, digest).is_some_and(|entry| {
            let still_covers = || {
                let end = expiry.and_then(|expiry| expiry.checked_add(self.lives.leeway));
                end.is_some_and(|end| entry.dates(issued_at) || entry.outlives(end))
            };
            entry.covers(issued_at) && (entry.is_alive(self.clock.now()) || still_covers())
        })
    }

    /// Returns `true` if the list may have forgotten, or would forget, a revocation of the token.
    fn cannot_tell(&self, principal: &Principal) -> bool {
        let Some(expiry) = principal.expires_at() else { return false };
        let table = &self.shared.table;
        let is_forgotten =
            || expiry.checked_add(self.lives.leeway).map(|end| table.has_forgotten(end));
        (!table.is_complete() && is_forgotten() == Some(true))
            || principal
                .issued_at()
                .is_some_and(|issued_at| self.lives.are_exceeded(issued_at, expiry))
    }

    fn revokes_principal(&self, principal: &Principal) -> bool {
        let (table, issuer) = (&self.shared.table, principal.issuer());
        let finds = |kind, value: Option<&str>| {
            !table.is_empty(kind)
                && value
                    .is_some_and(|value| self.finds(kind, &self.digest(issuer, value), principal))
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
        if self.cannot_tell(principal) {
            return true;
        }
        if table.len() == 0 {
            return false;
        }
        let finds = || self.finds(Kind::Token, &self.fingerprint(token).0, principal);
        (!table.is_empty(Kind::Token) && finds()) || self.revokes_principal(principal)
    }

    fn is_fingerprint_revoked(&self, token: &TokenFingerprint, principal: &Principal) -> bool {
        self.cannot_tell(principal)
            || self.finds(Kind::Token, &token.0, principal)
            || self.revokes_principal(principal)
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
            .field("max_lifetime", &self.lives.max_lifetime)
            .field("leeway", &self.lives.leeway)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
