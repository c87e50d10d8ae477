//! A session that is renewed by its refresh token. The newest refresh token is never lost. If the
//! server may have used it up and no answer came, it is sent again: a session ends when the server
//! says so.

//!
//! `tokens` are the refresh tokens of this process. `shared` takes the steps around the sending of one that
//! other replicas have too, `record` decides, `sessions` asks the store.

#[cfg(feature = "store")]
mod record;
#[cfg(feature = "store")]
mod sessions;
#[cfg(not(feature = "store"))]
#[path = "alone.rs"]
mod shared;
#[cfg(feature = "store")]
mod shared;
mod tokens;

#[cfg(feature = "store")]
pub use sessions::{SessionStore, SharedSessions, Swap};

use crate::{
    ClientSecret, Clock,
    client::{
        Error, RefreshPolicy, TokenEndpoint, TokenResponse,
        token_endpoint::token_response::Unusable,
    },
    observe::tokens::{self as observed, Instrument, Span},
    vocabulary::{deadline::Deadline, race::before},
};
use shared::{Replicas, not_in_time};
use std::{
    future::{Future, poll_fn},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokens::RefreshTokens;

/// A session: asks with the newest refresh token.
pub(super) struct Session {
    endpoint: TokenEndpoint,
    tokens: Mutex<RefreshTokens>,
    clock: Clock,
    deadline: Duration,
    replicas: Replicas,
}

impl Session {
    pub(super) fn new(endpoint: TokenEndpoint, policy: &RefreshPolicy, clock: &Clock) -> Self {
        Self {
            endpoint: endpoint.detached(),
            tokens: Mutex::default(),
            clock: clock.clone(),
            deadline: policy.values().fetch_deadline,
            replicas: Replicas::default(),
        }
    }

    /// The session `name` of `sessions`, which other replicas renew too.
    #[cfg(feature = "store")]
    pub(super) fn shared(policy: &RefreshPolicy, sessions: &SharedSessions, name: &str) -> Self {
        let endpoint = sessions.endpoint().clone();
        let replicas = Replicas::new(sessions, name, policy, endpoint.key().cloned());
        Self { replicas, ..Self::new(endpoint, policy, sessions.clock()) }
    }

    /// Ends it for all replicas, and returns the refresh token that is to be revoked: the newest, or `own` if
    /// there is no other.
    pub(super) async fn end(
        &self,
        own: Option<ClientSecret>,
    ) -> (Option<ClientSecret>, Result<(), Error>) {
        match self.replicas.end().await {
            Ok(newest) => (newest.or(own), Ok(())),
            Err(error) => (own, Err(error)),
        }
    }

    /// Returns `true` if another replica, or another process, may sign the user in.
    pub(super) fn is_shared(&self) -> bool {
        self.replicas.are_there()
    }

    /// Returns `true` if it may bring another token.
    pub(super) fn can_renew(&self) -> bool {
        self.is_shared() || self.tokens().can_renew()
    }

    /// For a look, or for one change.
    pub(super) fn tokens(&self) -> MutexGuard<'_, RefreshTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn renew(self: Arc<Self>) -> Result<TokenResponse, Error> {
        let mut deadline = Deadline::new(&self.clock, self.deadline);
        if !self.can_renew() {
            return Err(Error::sign_in_needed());
        }
        // First: while only metadata are asked for, nothing can be lost.
        let url = before(self.endpoint.locate(), deadline.passed(|_| {})).await;
        let url = url.unwrap_or_else(|| Err(Error::timed_out()))?;
        let begun = before(self.replicas.begin(), deadline.passed(|_| {})).await;
        let sending = match begun.unwrap_or_else(|| Err(not_in_time()))? {
            ControlFlow::Break(response) => return Ok(*response),
            ControlFlow::Continue(sending) => sending,
        };
        let (sent, grant, again) = {
            let mut tokens = self.tokens();
            sending.adopt(&mut tokens);
            let sent = tokens.send()?;
            let grant = tokens.grant(&sent);
            (sent, grant, tokens.unanswered > 1)
        };
        if again {
            observed::possible_reuse();
        }
        let exchange = async move {
            let answer = before(self.endpoint.request(&url, &grant), deadline.passed(|_| {})).await;
            let answer = answer.unwrap_or_else(|| Err(Error::timed_out().into()));
            let (rotated, is_replaced) = {
                let mut tokens = self.tokens();
                (tokens.answered(&sent, &answer), tokens.is_replaced(&sent))
            };
            sending.ended(&answer);
            if let Some((rotated, then)) = rotated {
                then.with(rotated);
            }
            answer.map_err(|Unusable { error, .. }| match error.ends_session() {
                // The refusal is that of a refresh token that is not used any more.
                true if is_replaced => Error::aborted(),
                true => Error::sign_in_needed(),
                false => error,
            })
        };
        // A task of its own: the server may have used up what was sent, so whatever becomes of
        // the cache, the newest is not lost. The deadline ends it.
        let mut exchange = Box::pin(exchange.instrument(Span::current()));
        // Begun here: a task may first run when another renewal has replaced what it would send.
        let answer = match poll_fn(|cx| Poll::Ready(exchange.as_mut().poll(cx))).await {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => tokio::spawn(exchange).await,
        };
        answer.unwrap_or_else(|_| Err(Error::aborted()))
    }

    pub(super) fn endpoint(&self) -> &TokenEndpoint {
        &self.endpoint
    }
}
