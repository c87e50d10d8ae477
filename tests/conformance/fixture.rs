//! The validator and the inner service of every case.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use std::{
    collections::HashSet,
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;
use tower_oauth2::{
    Answer, Clock, RequestHead,
    validate::{
        BoxVerdictFuture, JwtValidator, Principal, Rejection, StaticTokens, ValidateToken,
        Validated,
    },
};

pub(crate) type Body = Full<Bytes>;

/// A validator, and what it was asked.
#[derive(Clone)]
pub(crate) struct Fixture {
    judge: Judge,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
pub(crate) enum Judge {
    Fixed(Fixed),
    Jwt(JwtValidator<Value>),
}

impl Fixture {
    pub(crate) fn new(judge: Judge) -> Self {
        Self { judge, asked: Arc::default() }
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// What the validator was given, so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl ValidateToken for Fixture {
    type Claims = Value;
    type Future = BoxVerdictFuture<Value>;

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
        self.asked.lock().unwrap().push(token.to_owned());
        match &self.judge {
            Judge::Fixed(tokens) => tokens.validate(token, head),
            Judge::Jwt(validator) => {
                validator.validate(token, head).map_pending(|verdict| Box::pin(verdict) as _)
            }
        }
    }
}

/// The static validator of every case that names no other.
#[derive(Clone)]
pub(crate) struct Fixed {
    tokens: StaticTokens,
    /// Valid too, whether or not a request could present them.
    accepted: HashSet<String>,
    hostile: String,
}

impl Fixed {
    pub(crate) fn new(clock: &Clock, accepted: HashSet<String>, hostile: String) -> Self {
        let tokens = StaticTokens::new().with_clock(clock.clone());
        let principal = |subject: &str, scopes: &str| {
            Principal::new(subject).with_scopes(scopes.parse().unwrap())
        };
        let past = clock.wall() - Duration::from_secs(60);
        for (token, principal) in [
            ("mF_9.B5f-4.1JqM", principal("alice", "read")),
            ("tok-rw", principal("bob", "read write")),
            ("tok-expired", principal("carol", "read").with_expiry(past)),
        ] {
            tokens.insert(token, principal).unwrap();
        }
        Self { tokens, accepted, hostile }
    }

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<BoxVerdictFuture<Value>> {
        let validated = |principal: Principal| Arc::new(Validated::new(principal, Value::Null));
        if self.accepted.contains(token) {
            return Answer::Ready(Ok(validated(Principal::new("somebody"))));
        }
        Answer::Ready(Err(match token {
            "tok-revoked" => Rejection::revoked(),
            "tok-down" => Rejection::unavailable(None),
            "tok-timeout" => return Answer::Pending(Box::pin(pending())),
            "tok-bug" => Rejection::internal("the fixture is broken"),
            "tok-hostile" => Rejection::invalid(self.hostile.clone()),
            // It never has to be waited for.
            _ => {
                return match self.tokens.validate(token, head) {
                    Answer::Ready(Ok(known)) => {
                        Answer::Ready(Ok(validated(known.principal().clone())))
                    }
                    Answer::Ready(Err(rejection)) => Answer::Ready(Err(rejection)),
                    Answer::Pending(_) => Answer::Pending(Box::pin(pending())),
                };
            }
        }))
    }
}

/// The same, after 200 ms.
pub(crate) struct Slow {
    fixture: Fixture,
    clock: Clock,
}

impl Slow {
    pub(crate) fn new(fixture: Fixture, clock: Clock) -> Self {
        Self { fixture, clock }
    }
}

impl ValidateToken for Slow {
    type Claims = Value;
    type Future = BoxVerdictFuture<Value>;

    fn validate(&self, token: &str, head: RequestHead<'_>) -> Answer<Self::Future> {
        let verdict = self.fixture.validate(token, head).wait();
        let delay = self.clock.sleep(Duration::from_millis(200));
        Answer::Pending(Box::pin(async move {
            delay.await;
            verdict.await
        }))
    }
}

/// A request as the inner service got it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

/// Records its requests, and answers all of them alike.
#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) is_ready: bool,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            inner.seen.lock().unwrap().push(Seen { head, body });
            let mut response = Response::new(Body::default());
            *response.status_mut() = inner.status;
            *response.headers_mut() = inner.headers;
            Ok(response)
        })
    }
}
