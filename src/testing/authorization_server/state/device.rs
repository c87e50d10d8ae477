use crate::ScopeSet;
use std::time::{Duration, SystemTime};

/// A device that waits for its user.
pub(crate) struct Device {
    pub(crate) client_id: Box<str>,
    pub(crate) user_code: String,
    pub(crate) scopes: ScopeSet,
    pub(crate) expires_at: SystemTime,
    /// An earlier poll is too early.
    pub(crate) next_poll: SystemTime,
    pub(crate) interval: Duration,
    pub(crate) approval: Approval,
}

pub(crate) enum Approval {
    Pending,
    Denied,
    By(String),
}
