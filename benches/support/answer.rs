//! What every bench needs.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tower::Service;

/// The answer of a service that never waits.
pub fn answer<S: Service<Q>, Q>(service: &mut S, request: Q) -> S::Response
where
    S::Error: std::fmt::Debug,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    let mut future = pin!(service.call(request));
    match future.as_mut().poll(&mut cx) {
        Poll::Ready(answer) => answer.expect("the service answers"),
        Poll::Pending => panic!("the service waits"),
    }
}

/// Prints whether a target is met.
pub fn target(text: &str, value: f64, limit: f64) {
    let verdict = if value <= limit { "met" } else { "missed" };
    println!("{verdict}: {text}: {value:.2}, target at most {limit:.2}");
}
