//! The refresh tokens of a session, and what an answer changes about them. Nothing here waits or asks.

use crate::{
    ClientSecret, ConfigError,
    client::{
        Error, ErrorKind, Grant, TokenResponse, TokenRevocation,
        token_cache::machine::Failed,
        token_endpoint::{parameters::new_param, token_response::Unusable},
    },
};
use http::StatusCode;
use std::sync::Arc;

/// Called with each new refresh token.
pub(in crate::client::token_cache) type OnRotation = Arc<dyn Fn(&ClientSecret) + Send + Sync>;

#[derive(Default)]
pub(in crate::client::token_cache) struct RefreshTokens {
    newest: Option<ClientSecret>,
    given_up: Option<GivenUp>,
    /// How often `newest` was sent without an answer.
    pub(super) unanswered: u32,
    /// A renewal of this session brought a new one.
    rotates: bool,
    /// The resources of the sign-in.
    resources: Vec<String>,
    renewal: Option<Box<Renewal>>,
    pub(in crate::client::token_cache) on_rotation: Option<OnRotation>,
}

/// What renewals say beside the refresh token. Boxed, because a pool has a session for each user.
#[derive(Default)]
pub(in crate::client::token_cache) struct Renewal {
    /// The resources, if they are others than those of the sign-in.
    pub(in crate::client::token_cache) resources: Option<Vec<String>>,
    params: Vec<(String, ClientSecret)>,
}

/// The parameters that a renewal sets itself.
const RESERVED: &[&str] = &[
    "grant_type",
    "refresh_token",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

impl Renewal {
    pub(in crate::client::token_cache) fn add_param(
        &mut self,
        name: String,
        value: ClientSecret,
    ) -> Result<(), ConfigError> {
        let name = new_param(name, "renewal", RESERVED, &self.params)?;
        self.params.push((name, value));
        Ok(())
    }
}

/// A refresh token that a renewal in flight may replace after the session ended.
struct GivenUp {
    token: ClientSecret,
    /// Revokes the one that takes its place. Boxed, because a pool has a session for each user.
    endpoint: Box<TokenRevocation>,
}

impl RefreshTokens {
    pub(in crate::client::token_cache) fn can_renew(&self) -> bool {
        self.newest.is_some()
    }

    pub(in crate::client::token_cache) fn renewal(&mut self) -> &mut Renewal {
        self.renewal.get_or_insert_default()
    }

    /// Goes on from where the replicas are.
    #[cfg(feature = "store")]
    pub(super) fn adopt(&mut self, unanswered: u32, rotates: bool) {
        (self.unanswered, self.rotates) = (unanswered, rotates);
    }

    /// Goes on with the refresh token of another sign-in, which was for `resources`.
    pub(in crate::client::token_cache) fn replace(
        &mut self,
        newest: Option<ClientSecret>,
        resources: &[String],
    ) {
        self.newest = newest;
        self.resources = resources.to_vec();
        self.unanswered = 0;
        self.rotates = false;
    }

    /// Returns `true` if another took the place of `sent`.
    pub(super) fn is_replaced(&self, sent: &ClientSecret) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.expose() != sent.expose())
    }

    /// Returns the refresh token to send next, and counts it as unanswered.
    pub(super) fn send(&mut self) -> Result<ClientSecret, Error> {
        let next = self.newest.clone().ok_or_else(Error::sign_in_needed)?;
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(next)
    }

    /// Returns the grant that sends it. The scopes are those of the sign-in if none are named
    /// (RFC 6749 §6), the resources are not (RFC 8707 §2.2).
    pub(super) fn grant(&self, sent: &ClientSecret) -> Grant {
        let renewal = self.renewal.as_deref();
        let named = renewal.and_then(|renewal| renewal.resources.as_ref());
        let params = renewal.map_or(&[][..], |renewal| &renewal.params);
        let resources = named.unwrap_or(&self.resources);
        Grant::refresh_token(sent).with_resources(resources).with_params(params)
    }

    /// Takes the answer to `sent`. A new refresh token replaces the one that was sent, but not that of
    /// another sign-in meanwhile. Returns the new one, with what to do about it.
    pub(super) fn answered(
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
        if !self.newest.as_ref().is_some_and(is_sent) {
            let given_up = self.given_up.take_if(|given_up| is_sent(&given_up.token))?;
            return Some((rotated?, Then::Revoke(given_up.endpoint)));
        }
        match answer {
            Err(unusable) if rotated.is_none() && is_lost(&unusable.error) => {}
            Err(_) if rotated.is_none() => self.unanswered = self.unanswered.saturating_sub(1),
            _ => self.unanswered = 0,
        }
        self.rotates |= rotated.is_some();
        self.newest = Some(rotated.clone()?);
        Some((rotated?, Then::Notify(self.on_rotation.clone()?)))
    }

    /// Returns what a renewal that failed with `error` says about the next, if its answer was lost
    /// and the server may have used up what was sent. A server that revokes the family of a refresh
    /// token that is used twice (RFC 9700 §4.14.2) then still serves the access token until its end.
    pub(in crate::client::token_cache) fn lost(&self, error: &Error) -> Option<Failed> {
        let may_be_used_up = self.rotates && self.unanswered > 0 && is_lost(error);
        may_be_used_up.then_some(if self.unanswered > 1 { Failed::LostAgain } else { Failed::Lost })
    }

    /// Forgets the newest refresh token and returns it. A token that a renewal in flight brings in
    /// its place is revoked at `endpoint`, if there is one.
    pub(in crate::client::token_cache) fn give_up(
        &mut self,
        endpoint: Option<&TokenRevocation>,
    ) -> Option<ClientSecret> {
        let newest = self.newest.take()?;
        if let Some(endpoint) = endpoint.filter(|_| self.unanswered > 0) {
            self.given_up =
                Some(GivenUp { token: newest.clone(), endpoint: endpoint.clone().into() });
        }
        Some(newest)
    }
}

/// What to do about a new refresh token.
pub(super) enum Then {
    Notify(OnRotation),
    /// The session was revoked meanwhile.
    Revoke(Box<TokenRevocation>),
}

impl Then {
    pub(super) fn with(self, rotated: ClientSecret) {
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
pub(super) fn is_lost(error: &Error) -> bool {
    match error.kind() {
        _ if error.is_unsent() || error.is_lasting() => false,
        ErrorKind::Transport | ErrorKind::InvalidResponse => true,
        // A gateway says so. With a code, it is the endpoint that speaks.
        _ if error.code().is_some() => false,
        _ => matches!(error.status(), Some(StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)),
    }
}
