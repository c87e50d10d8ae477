//! A session that is renewed by its refresh token: the newest is never lost, and one that may be
//! used up is not sent again without a word.

use super::{
    Error, ErrorKind, Grant, TokenEndpoint, TokenResponse,
    fetcher::{Fetch, Fetcher},
    warning,
};
use crate::{ClientSecret, observe::tokens::Source};
use http::StatusCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often a refresh token is sent whose fate is unknown: once, and once more.
const MAX_UNANSWERED: u32 = 2;

/// Told of each new refresh token.
pub(super) type OnRotation = Arc<dyn Fn(&ClientSecret) + Send + Sync>;

/// Asks with the newest refresh token.
pub(super) struct Session {
    endpoint: TokenEndpoint,
    tokens: Arc<Mutex<RefreshTokens>>,
}

#[derive(Default)]
struct RefreshTokens {
    newest: Option<ClientSecret>,
    /// How often the newest was sent without an answer.
    unanswered: u32,
    /// The last renewal left it as it was: this server does not use tokens up.
    lasts: bool,
    /// What the sign-in was for.
    resources: Vec<String>,
    /// What renewals are for instead.
    named: Option<Vec<String>>,
    on_rotation: Option<OnRotation>,
}

impl RefreshTokens {
    fn replace(&mut self, newest: Option<ClientSecret>, resources: &[String]) {
        self.newest = newest;
        self.resources = resources.to_vec();
        self.unanswered = 0;
        self.lasts = false;
    }

    /// The token to send next.
    fn next(&self) -> Result<&ClientSecret, Error> {
        let newest = self.newest.as_ref().ok_or_else(Error::sign_in_needed)?;
        match self.unanswered >= MAX_UNANSWERED && !self.lasts {
            true => Err(Error::answers_lost()),
            false => Ok(newest),
        }
    }

    /// The same, which counts as unanswered from now on.
    fn send(&mut self) -> Result<ClientSecret, Error> {
        let next = self.next()?.clone();
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(next)
    }

    /// How it is sent. The scopes are those of the sign-in where none are named (RFC 6749 §6), the
    /// resources are not (RFC 8707 §2.2).
    fn grant(&self, sent: &ClientSecret) -> Grant {
        let resources = self.named.as_ref().unwrap_or(&self.resources);
        Grant::refresh_token(sent).with_resources(resources)
    }

    /// The answer to `sent` is there, or will never be. A new token takes the place of the one that
    /// was sent, never that of another sign-in which came in meanwhile; gives it back, with who
    /// has to be told.
    fn answered(
        &mut self,
        sent: &ClientSecret,
        answer: &Result<TokenResponse, Error>,
    ) -> Option<(ClientSecret, OnRotation)> {
        if self.newest.as_ref().map(ClientSecret::expose) != Some(sent.expose()) {
            return None;
        }
        match answer {
            Err(error) if is_lost(error) => None,
            Err(_) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                None
            }
            Ok(response) => {
                self.unanswered = 0;
                let rotated =
                    response.refresh_token().filter(|token| token.expose() != sent.expose());
                self.lasts = rotated.is_none();
                let rotated = rotated?;
                self.newest = Some(rotated.clone());
                Some((rotated.clone(), self.on_rotation.clone()?))
            }
        }
    }
}

/// Whether the server may have carried the request out and its answer is not known.
fn is_lost(error: &Error) -> bool {
    match error.kind() {
        _ if error.is_unsent() => false,
        ErrorKind::Transport | ErrorKind::InvalidResponse => true,
        _ => error.status() == Some(StatusCode::GATEWAY_TIMEOUT),
    }
}

fn lock(tokens: &Mutex<RefreshTokens>) -> MutexGuard<'_, RefreshTokens> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(super) fn new(endpoint: TokenEndpoint) -> Self {
        Self { endpoint: endpoint.detached(), tokens: Arc::default() }
    }

    /// A session of which there is only its refresh token.
    pub(super) fn resumed(endpoint: TokenEndpoint, refresh_token: ClientSecret) -> Self {
        let session = Self::new(endpoint);
        lock(&session.tokens).replace(Some(refresh_token), &[]);
        session
    }
}

impl Fetcher for Session {
    fn fetch(&self) -> Fetch {
        let (tokens, endpoint) = (self.tokens.clone(), self.endpoint.clone());
        Box::pin(async move {
            lock(&tokens).next()?;
            // First: as long as only metadata are asked for, nothing can be lost.
            let url = endpoint.locate().await?;
            let (sent, grant, again) = {
                let mut tokens = lock(&tokens);
                let sent = tokens.send()?;
                let grant = tokens.grant(&sent);
                (sent, grant, tokens.unanswered > 1)
            };
            if again {
                warning::possible_reuse();
            }
            let answer = endpoint.ask(&url, &grant).await;
            // Here, not where it lands: whatever becomes of the cache, the newest is not lost.
            let rotated = lock(&tokens).answered(&sent, &answer);
            if let Some((rotated, on_rotation)) = rotated {
                on_rotation(&rotated);
            }
            answer.map_err(|error| {
                // RFC 6749 §5.2: a refresh token that is refused stays so. A client that is
                // refused may be let in again.
                let gone = error.code() == Some("invalid_grant") && !error.is_transient();
                if gone { Error::sign_in_needed() } else { error }
            })
        })
    }

    fn source(&self) -> Source {
        let grant_type = Some("refresh_token".to_owned());
        Source { endpoint: self.endpoint.place(), grant_type }
    }

    fn accept(&self, _: &TokenResponse) -> bool {
        lock(&self.tokens).newest.is_some()
    }

    fn adopt(&self, response: &TokenResponse) -> bool {
        let mut tokens = lock(&self.tokens);
        tokens.replace(response.refresh_token().cloned(), response.resources());
        tokens.newest.is_some()
    }

    fn forget(&self) -> Option<ClientSecret> {
        lock(&self.tokens).newest.take()
    }

    fn on_rotation(&self, told: OnRotation) {
        lock(&self.tokens).on_rotation = Some(told);
    }

    fn renew_for(&self, resources: &[String]) -> bool {
        lock(&self.tokens).named = Some(resources.to_vec());
        true
    }

    fn rotates_its_secret(&self) -> bool {
        self.endpoint.rotates_its_secret()
    }

    fn has_another_secret(&self) -> bool {
        self.endpoint.has_another_secret()
    }
}
