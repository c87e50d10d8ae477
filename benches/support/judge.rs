//! A validator that does next to nothing, and validators as services.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tower::Service;
use tower_oauth2::{
    Answer, RequestHead,
    validate::{CacheSupport, Principal, Rejection, ValidateToken, Validated, Verdict},
};

/// Finds tokens of three parts good without looking at them: the floor under every validator.
pub struct Judge {
    pub asked: Arc<AtomicUsize>,
    alice: Arc<Validated>,
}

impl Judge {
    pub fn new() -> Self {
        let alice = Arc::new(Validated::from(Principal::new("alice")));
        Self { asked: Arc::default(), alice }
    }
}

impl ValidateToken for Judge {
    type Claims = ();
    type Future = Ready<Verdict<()>>;

    fn validate(&self, token: &str, _: RequestHead<'_>) -> Answer<Self::Future> {
        self.asked.fetch_add(1, Relaxed);
        Answer::Ready(match token.starts_with("good") {
            true => Ok(self.alice.clone()),
            false => Err(Rejection::unknown()),
        })
    }

    fn cache_support(&self) -> &dyn CacheSupport<()> {
        self
    }
}

impl CacheSupport<()> for Judge {
    fn split_at(&self, token: &[u8]) -> usize {
        token.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1)
    }
}

/// Has a validator judge each token, without the layers around it.
pub struct Judged<V>(pub V);

impl<V: ValidateToken> Service<&str> for Judged<V> {
    type Response = Verdict<V::Claims>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, token: &str) -> Self::Future {
        let request = http::Request::new(());
        match self.0.validate(token, RequestHead::from_request(&request)) {
            Answer::Ready(verdict) => ready(Ok(verdict)),
            Answer::Pending(_) => panic!("the validator waits"),
        }
    }
}
