//! A task that belongs to no caller, and its waiters.

use tokio::{runtime::Handle, sync::watch};

/// One waiter. A clone is another one.
pub(crate) struct Joined<U>(watch::Receiver<Option<U>>);

impl<U: Clone> Joined<U> {
    /// Returns the result of the task.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the task goes on.
    pub(crate) async fn wait(mut self) -> Option<U> {
        // `Completion` sends before it is dropped, so the channel does not close empty.
        self.0.wait_for(Option::is_some).await.ok().and_then(|result| result.clone())
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
    sender: watch::Sender<Option<U>>,
}

impl<T, U, L: FnOnce(Option<T>) -> U> Launch<T, U, L> {
    pub(crate) fn new(finish: L) -> (Self, Joined<U>) {
        let (sender, joined) = watch::channel(None);
        (
            Self { completion: Completion { finish: Some(finish), result: None, sender } },
            Joined(joined),
        )
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
            self.sender.send_replace(Some(finish(self.result.take())));
        }
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
