//! When the entries of a list end.

use crate::{
    back_channel::json,
    validate::{times::NumericDate, token_shape::is_jwt},
    vocabulary::clock::Now,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::time::{Duration, SystemTime};

/// A wall clock that is ahead for less than this shortens no life.
const LONGEST_JUMP: Duration = Duration::from_secs(24 * 60 * 60);

/// What a list knows of the lives of tokens.
#[derive(Clone, Copy)]
pub(super) struct Lives {
    /// When the list began.
    pub(super) start: Now,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) leeway: Duration,
}

impl Lives {
    /// Returns when an entry ends whose tokens expire at `until`, or were issued before `before`; or
    /// `None` if that is not known, or no clock can show it.
    pub(super) fn end(
        &self,
        until: Option<SystemTime>,
        before: Option<SystemTime>,
        now: Now,
    ) -> Option<Now> {
        let until = match until {
            Some(until) => until,
            None => before.max(Some(now.wall))?.checked_add(self.max_lifetime?)?,
        };
        let wall = until.checked_add(self.leeway)?;
        let left = |wall_now| wall.duration_since(wall_now).unwrap_or_default();
        let since_start = now.monotonic.saturating_duration_since(self.start.monotonic);
        let steady = self.start.wall.checked_add(since_start).map_or(LONGEST_JUMP, left);
        let life = left(now.wall).max(steady.min(LONGEST_JUMP));
        Some(Now { monotonic: now.monotonic.checked_add(life)?, wall })
    }

    /// Returns an instant after the time of issue of every token that is accepted at `now`.
    pub(super) fn after_every_issue(&self, now: SystemTime) -> Option<SystemTime> {
        now.checked_add(self.leeway)?.checked_add(Duration::from_secs(1))
    }

    /// Returns `true` if a token lives longer than any may.
    pub(super) fn are_exceeded(&self, issued_at: SystemTime, expiry: SystemTime) -> bool {
        let lifetime = expiry.duration_since(issued_at).unwrap_or_default();
        self.max_lifetime.is_some_and(|longest| lifetime > longest)
    }
}

/// Returns the expiry that a JWT names. Nothing is verified: an entry concerns the very text.
pub(super) fn of_jwt(token: &str) -> Option<SystemTime> {
    let payload = token.split('.').nth(1).filter(|_| is_jwt(token))?;
    let claims = json::object(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?)?;
    NumericDate::new(claims.get("exp")?.as_f64()?).instant()
}
