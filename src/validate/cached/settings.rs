//! What the setters set.

use crate::Clock;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ttl: Duration,
    pub(super) negative_ttl: Duration,
    pub(super) capacity: usize,
    pub(super) negative_capacity: usize,
    pub(super) flights: usize,
    pub(super) deadline: Duration,
    pub(super) clock: Clock,
}

impl Settings {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            capacity: 10_000,
            negative_capacity: 1_000,
            flights: 1_024,
            deadline: Duration::from_secs(30),
            clock,
        }
    }
}
