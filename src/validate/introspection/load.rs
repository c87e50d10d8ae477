//! How many requests the authorization server gets at once.

use super::back_off::BackOff;
use crate::{Clock, validate::Rejection, vocabulary::deadline::Deadline};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) const DEFAULT_MAX_REQUESTS: usize = 64;

/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) const BACKING_OFF: &str = "the introspection endpoint gets no requests for a while";

/// What clones share.
pub(super) struct Load {
    slots: Semaphore,
    pub(super) back_off: BackOff,
}

impl Load {
    pub(super) fn new(max_requests: usize) -> Self {
        let slots = Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS));
        Self { slots, back_off: BackOff::default() }
    }

    /// Waits until a request may be sent.
    ///
    /// # Errors
    ///
    /// When too many others are in flight, or found no answer meanwhile.
    pub(super) async fn enter(&self, clock: &Clock) -> Result<SemaphorePermit<'_>, Rejection> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let entered = Deadline::new(clock, PATIENCE).bound(self.slots.acquire()).await;
        if let Some(left) = self.back_off.left(clock.monotonic()) {
            return Err(Rejection::unavailable(Some(left)).with_cause(BACKING_OFF));
        }
        match entered {
            Some(Ok(slot)) => Ok(slot),
            _ => Err(Rejection::unavailable(Some(PATIENCE))
                .with_cause("too many introspection requests are in flight")),
        }
    }
}
