//! What happens to a cache, told to those who wait for it.

use tokio::sync::watch;

/// Tells what happens. It is told after the lock of the cache is released: who hears of it sees
/// it.
pub(super) struct News(watch::Sender<Told>);

#[derive(Clone, Copy, Default)]
struct Told {
    /// Everything that happened.
    events: u64,
    /// What was done to the cache, and gives a caller who waits a reason to ask again.
    calls: u64,
    closed: bool,
}

impl News {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Told::default()))
    }

    /// How much has happened so far.
    pub(super) fn events(&self) -> u64 {
        self.0.borrow().events
    }

    /// A fetch began or ended.
    pub(super) fn happened(&self) {
        self.0.send_modify(|told| told.events = told.events.wrapping_add(1));
    }

    /// Somebody changed what callers wait for.
    pub(super) fn call(&self) {
        self.0.send_modify(|told| {
            told.events = told.events.wrapping_add(1);
            told.calls = told.calls.wrapping_add(1);
        });
    }

    /// The end.
    pub(super) fn close(&self) {
        self.0.send_modify(|told| told.closed = true);
        self.call();
    }

    /// Hears of what comes from now on.
    pub(super) fn listen(&self) -> Listener {
        let receiver = self.0.subscribe();
        let calls = receiver.borrow().calls;
        Listener { receiver, calls }
    }
}

/// Hears of what happens. A clone hears the same.
#[derive(Clone)]
pub(in crate::client) struct Listener {
    receiver: watch::Receiver<Told>,
    calls: u64,
}

impl Listener {
    /// Waits until there is a reason to ask again.
    pub(in crate::client) async fn called(mut self) {
        let calls = self.calls;
        let _ = self.receiver.wait_for(|told| told.calls != calls).await;
    }

    /// Waits until the cache is shut down, or nobody holds it any more.
    pub(in crate::client) async fn closed(mut self) {
        let _ = self.receiver.wait_for(|told| told.closed).await;
    }

    /// Waits until something has happened since there were so many `events`.
    pub(super) async fn changed(mut self, events: u64) {
        let _ = self.receiver.wait_for(|told| told.events != events).await;
    }
}
