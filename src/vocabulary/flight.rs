//! A task that belongs to no caller, and its waiters.

use std::sync::{Arc, OnceLock};
use tokio::{runtime::Handle, sync::Notify};

/// One waiter. A clone is another one. They are woken in the order in which they began to wait: those of
/// a `watch` channel are not, and a seed would not give the same run.
pub(crate) struct Joined<U>(Arc<Landing<U>>);

struct Landing<U> {
    /// `Some(None)`: what makes the result panicked.
    result: OnceLock<Option<U>>,
    landed: Notify,
}

impl<U: Clone> Joined<U> {
    /// Returns the result of the task.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the task goes on.
    pub(crate) async fn wait(self) -> Option<U> {
        // Made before the look, so that it cannot miss the landing.
        let landed = self.0.landed.notified();
        if self.0.result.get().is_none() {
            landed.await;
        }
        self.0.result.get().cloned().flatten()
    }
}

impl<U> Clone for Joined<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A task that is not started yet. `finish` runs exactly once, whatever ends the task, with its
/// result, or with `None` after a panic or the shutdown of the runtime. Waiters get what it
/// returns.
pub(crate) struct Launch<T, U, L: FnOnce(Option<T>) -> U> {
    completion: Completion<T, U, L>,
}

struct Completion<T, U, L: FnOnce(Option<T>) -> U> {
    finish: Option<L>,
    result: Option<T>,
    landing: Arc<Landing<U>>,
}

impl<T, U, L: FnOnce(Option<T>) -> U> Launch<T, U, L> {
    pub(crate) fn new(finish: L) -> (Self, Joined<U>) {
        let landing = Arc::new(Landing { result: OnceLock::new(), landed: Notify::new() });
        let joined = Joined(landing.clone());
        (Self { completion: Completion { finish: Some(finish), result: None, landing } }, joined)
    }

    /// Finishes with `result` at once, without a task.
    pub(crate) fn finish(mut self, result: T) {
        self.completion.result = Some(result);
    }

    /// Starts the task. When the runtime is shutting down, `finish` runs within this call: the
    /// caller must hold no lock that it takes.
    pub(crate) fn spawn<F>(self, runtime: &Handle, future: F)
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        U: Send + Sync + 'static,
        L: Send + 'static,
    {
        drop(runtime.spawn(self.task(future)));
    }

    /// Returns the task for a caller that spawns it.
    pub(crate) fn task<F: Future<Output = T>>(self, future: F) -> impl Future<Output = ()> {
        let mut completion = self.completion;
        async move {
            completion.result = Some(future.await);
            drop(completion);
        }
    }
}

impl<T, U, L: FnOnce(Option<T>) -> U> Drop for Completion<T, U, L> {
    fn drop(&mut self) {
        if let Some(finish) = self.finish.take() {
            let land = Land(&self.landing);
            // It is empty: `finish` runs once.
            let _ = land.0.result.set(Some(finish(self.result.take())));
        }
    }
}

/// Wakes the waiters when it is dropped, also after a panic.
struct Land<'a, U>(&'a Landing<U>);

impl<U> Drop for Land<'_, U> {
    fn drop(&mut self) {
        self.0.result.get_or_init(|| None);
        self.0.landed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn every_waiter_gets_the_result_even_after_others_left() {
        let (launch, joined) = Launch::new(|result: Option<u8>| result.map(|number| number + 1));
        let other = joined.clone();
        drop(joined);
        launch.spawn(&Handle::current(), async { 1 });
        assert_eq!(other.clone().wait().await, Some(Some(2)));
        assert_eq!(other.wait().await, Some(Some(2)));
    }

    #[tokio::test]
    async fn waiters_are_woken_in_the_order_in_which_they_began_to_wait() {
        for _ in 0..8 {
            let (launch, joined) = Launch::new(|result: Option<()>| result);
            let woken = Arc::new(std::sync::Mutex::new(Vec::new()));
            let wait = |number| {
                let (joined, woken) = (joined.clone(), woken.clone());
                async move {
                    joined.wait().await;
                    woken.lock().unwrap().push(number);
                }
            };
            let waiters: Vec<_> = (0..8).map(|number| tokio::spawn(wait(number))).collect();
            tokio::task::yield_now().await;
            launch.finish(());
            for waiter in waiters {
                waiter.await.unwrap();
            }
            assert_eq!(*woken.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        }
    }

    #[tokio::test]
    async fn a_panic_of_what_finishes_leaves_nobody_waiting() {
        let (launch, joined) = Launch::new(|_: Option<()>| -> u8 { panic!("of what finishes") });
        launch.spawn(&Handle::current(), async {});
        assert_eq!(joined.wait().await, None);
    }

    #[test]
    fn an_aborted_task_finishes_without_a_result() {
        let (launch, joined) = Launch::new(|result: Option<u8>| result);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        launch.spawn(runtime.handle(), pending());
        drop(runtime);
        assert_eq!(tokio_test::block_on(joined.wait()), Some(None));
    }

    #[tokio::test]
    async fn a_result_that_is_ready_needs_no_task() {
        let (launch, joined) = Launch::new(|result: Option<u8>| result.map(|number| number + 1));
        launch.finish(1);
        assert_eq!(joined.wait().await, Some(Some(2)));
    }

    #[tokio::test]
    async fn a_panic_finishes_without_a_result() {
        let (launch, joined) = Launch::new(|result: Option<u8>| result);
        launch.spawn(&Handle::current(), async { panic!("of the task") });
        assert_eq!(joined.wait().await, Some(None));
    }
}
