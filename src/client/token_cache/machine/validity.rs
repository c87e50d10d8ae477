use super::super::policy::RefreshPolicy;
use crate::vocabulary::clock::{MAX_LIFETIME, Now, after};
use std::time::{Duration, Instant, SystemTime};

/// How long a token is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity(
    /// `None`: until it is rejected.
    Option<Bounds>,
);

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) fresh_until: Instant,
    pub(super) usable_until: Instant,
    pub(super) wall_until: SystemTime,
    expires_at: Instant,
}

impl Validity {
    /// That of a token which was asked for at `started` and lives for `lifetime` from then on.
    /// `jitter` is between 0 and 1.
    pub(super) fn new(
        policy: &RefreshPolicy,
        jitter: f64,
        started: Now,
        lifetime: Option<Duration>,
    ) -> Self {
        Self(lifetime.map(|lifetime| Bounds::new(policy, jitter, started, lifetime)))
    }

    pub(super) fn bounds(self) -> Option<Bounds> {
        self.0
    }

    pub(super) fn is_usable(self, now: Now) -> bool {
        self.0.is_none_or(|bounds| {
            now.monotonic < bounds.usable_until && now.wall < bounds.wall_until
        })
    }

    pub(super) fn is_fresh(self, now: Now) -> bool {
        self.is_usable(now) && self.0.is_none_or(|bounds| now.monotonic < bounds.fresh_until)
    }

    pub(super) fn expires_in(self, now: Now) -> Option<Duration> {
        Some(self.0?.expires_at.saturating_duration_since(now.monotonic))
    }
}

impl Bounds {
    fn new(policy: &RefreshPolicy, jitter: f64, started: Now, lifetime: Duration) -> Self {
        let lifetime = lifetime.min(MAX_LIFETIME);
        let (lead, margin) = (policy.values().lead(lifetime), policy.values().margin(lifetime));
        let wait = lifetime.saturating_sub(lead);
        let fresh = wait.saturating_sub(lead.min(wait / 2).mul_f64(jitter));
        let usable = lifetime.saturating_sub(margin);
        Self {
            fresh_until: after(started.monotonic, fresh.min(usable)),
            usable_until: after(started.monotonic, usable),
            wall_until: started.wall.checked_add(usable).unwrap_or(started.wall),
            expires_at: after(started.monotonic, lifetime),
        }
    }
}
