//! A session that is renewed by its refresh token. The newest refresh token is never lost, and one
//! that may be used up is sent once more at most.

use crate::{
    ClientSecret, Clock,
    client::{
        Error, ErrorKind, Grant, RefreshPolicy, TokenEndpoint, TokenResponse, TokenRevocation,
        token_endpoint::token_response::Unusable,
    },
    observe::tokens::{self, Instrument, Span},
    vocabulary::race::before,
};
use http::StatusCode;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often a refresh token is sent if no answer came: once, and once more.
const MAX_UNANSWERED: u32 = 2;

/// Called with each new refresh token.
pub(super) type OnRotation = Arc<dyn Fn(&ClientSecret) + Send + Sync>;

/// A session: asks with the newest refresh token.
pub(super) struct Session {
    endpoint: TokenEndpoint,
    tokens: Mutex<RefreshTokens>,
    clock: Clock,
    deadline: Duration,
}

#[derive(Default)]
pub(super) struct RefreshTokens {
    newest: Option<ClientSecret>,
    given_up: Option<GivenUp>,
    /// How often `newest` was sent without an answer.
    unanswered: u32,
    /// The last renewal did not rotate it.
    lasts: bool,
    /// The resources of the sign-in.
    resources: Vec<String>,
    /// The resources of renewals, if they are others.
    pub(super) named: Option<Vec<String>>,
    pub(super) on_rotation: Option<OnRotation>,
}

/// A refresh token that a renewal in flight may replace after the session ended.
struct GivenUp {
    token: ClientSecret,
    /// Revokes the one that takes its place. `None`: `on_rotation` gets it. Boxed, because a pool has
    /// a session for each user.
    endpoint: Option<Box<TokenRevocation>>,
}

impl RefreshTokens {
    pub(super) fn can_renew(&self) -> bool {
        self.newest.is_some()
    }

    /// Goes on with the refresh token of another sign-in, which was for `resources`.
    pub(super) fn replace(&mut self, newest: Option<ClientSecret>, resources: &[String]) {
        self.newest = newest;
        self.resources = resources.to_vec();
        self.unanswered = 0;
        self.lasts = false;
    }

    /// Returns the refresh token to send next.
    fn next(&self) -> Result<&ClientSecret, Error> {
        let newest = self.newest.as_ref().ok_or_else(Error::sign_in_needed)?;
        match self.unanswered >= MAX_UNANSWERED && !self.lasts {
            true => Err(Error::answers_lost()),
            false => Ok(newest),
        }
    }

    /// Returns the same, and counts it as unanswered.
    fn send(&mut self) -> Result<ClientSecret, Error> {
        let next = self.next()?.clone();
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(next)
    }

    /// Returns the grant that sends it. The scopes are those of the sign-in if none are named
    /// (RFC 6749 §6), the resources are not (RFC 8707 §2.2).
    fn grant(&self, sent: &ClientSecret) -> Grant {
        let resources = self.named.as_ref().unwrap_or(&self.resources);
        Grant::refresh_token(sent).with_resources(resources)
    }

    /// Takes the answer to `sent`. A new refresh token replaces the one that was sent, but not that of
    /// another sign-in meanwhile. Returns the new one, with what to do about it.
    fn answered(
        &mut self,
        sent: &ClientSecret,
        answer: &Result<TokenResponse, Unusable>,
    ) -> Option<(ClientSecret, Then)> {
        let is_sent = |token: &ClientSecret| token.expose() == sent.expose();
        let rotated = match answer {
            Ok(response) => response.refresh_token(),
            Err(unusable) => unusable.refresh_token.as_ref(),
        };
        let rotated = rotated.filter(|token| !is_sent(token)).cloned();
        let notify = || self.on_rotation.clone().map(Then::Notify);
        if !self.newest.as_ref().is_some_and(is_sent) {
            let given_up = self.given_up.take_if(|given_up| is_sent(&given_up.token))?;
            return Some((rotated?, given_up.endpoint.map(Then::Revoke).or_else(notify)?));
        }
        match answer {
            Err(_) if rotated.is_some() => (self.unanswered, self.lasts) = (0, false),
            Err(unusable) if is_lost(&unusable.error) => {}
            Err(_) => self.unanswered = self.unanswered.saturating_sub(1),
            Ok(_) => (self.unanswered, self.lasts) = (0, rotated.is_none()),
        }
        self.newest = Some(rotated.clone()?);
        Some((rotated?, notify()?))
    }

    /// Gives up the newest. One that is on its way to take its place is revoked at `endpoint`, or
    /// passed to `on_rotation` without one.
    pub(super) fn give_up(&mut self, endpoint: Option<&TokenRevocation>) -> Option<ClientSecret> {
        let newest = self.newest.take()?;
        if self.unanswered > 0 {
            let (token, endpoint) = (newest.clone(), endpoint.cloned().map(Box::new));
            self.given_up = Some(GivenUp { token, endpoint });
        }
        Some(newest)
    }
}

/// What to do about a new refresh token.
enum Then {
    Notify(OnRotation),
    /// The session was revoked meanwhile.
    Revoke(Box<TokenRevocation>),
}

impl Then {
    fn with(self, rotated: ClientSecret) {
        match self {
            Self::Notify(on_rotation) => on_rotation(&rotated),
            // No caller waits for it; the deadline of its transport ends it.
            Self::Revoke(endpoint) => drop(tokio::spawn(async move {
                drop(endpoint.revoke(rotated.expose(), "refresh_token").await);
            })),
        }
    }
}

/// Returns `true` if the server may have carried out the request without an answer arriving.
fn is_lost(error: &Error) -> bool {
    match error.kind() {
        _ if error.is_unsent() || error.is_lasting() => false,
        ErrorKind::Transport | ErrorKind::InvalidResponse => true,
        _ => error.status() == Some(StatusCode::GATEWAY_TIMEOUT),
    }
}

impl Session {
    pub(super) fn new(endpoint: TokenEndpoint, policy: &RefreshPolicy, clock: &Clock) -> Self {
        Self {
            endpoint: endpoint.detached(),
            tokens: Mutex::default(),
            clock: clock.clone(),
            deadline: policy.fetch_deadline,
        }
    }

    /// For a look, or for one change.
    pub(super) fn tokens(&self) -> MutexGuard<'_, RefreshTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn renew(self: Arc<Self>) -> Result<TokenResponse, Error> {
        let deadline = self.clock.sleep(self.deadline);
        self.tokens().next()?;
        // First: while only metadata are asked for, nothing can be lost.
        let url = self.endpoint.locate().await?;
        let (sent, grant, again) = {
            let mut tokens = self.tokens();
            let sent = tokens.send()?;
            let grant = tokens.grant(&sent);
            (sent, grant, tokens.unanswered > 1)
        };
        if again {
            tokens::possible_reuse();
        }
        let exchange = async move {
            let answer = before(self.endpoint.request(&url, &grant), deadline).await;
            let answer = answer.unwrap_or_else(|| Err(Error::timed_out().into()));
            let rotated = self.tokens().answered(&sent, &answer);
            if let Some((rotated, then)) = rotated {
                then.with(rotated);
            }
            answer.map_err(|unusable| unusable.error)
        };
        // A task of its own: the server may have used up what was sent, so whatever becomes of
        // the cache, the newest is not lost. The deadline ends it.
        let answer = tokio::spawn(exchange.instrument(Span::current())).await;
        answer
            .unwrap_or_else(|_| Err(Error::aborted()))
            .map_err(|error| if error.ends_session() { Error::sign_in_needed() } else { error })
    }

    pub(super) fn endpoint(&self) -> &TokenEndpoint {
        &self.endpoint
    }
}
