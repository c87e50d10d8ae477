//! Counts, logs and audits decisions.

use crate::{
    Clock, TokenLocation,
    back_channel::scrub,
    observe::{self, Outcome, Repeats},
    validate::{Principal, Rejection, RejectionKind},
    vocabulary::keyed::Key,
};
use std::{fmt, sync::Arc};

/// The decision of a [`RequireToken`](crate::server::RequireToken) about one request, or the refusal of
/// a layer or extractor around or below it. It does not contain the token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// `true` if the request was let through.
    pub allowed: bool,
    /// Why the request was refused, or why its token was ignored
    /// ([`dangerous_pass_bad_tokens_as_anonymous`](crate::server::RequireToken::dangerous_pass_bad_tokens_as_anonymous)).
    pub rejection: Option<RejectionKind>,
    /// The description of the rejection, or an empty text. It is for logs, not for callers.
    pub description: &'a str,
    /// Where the token was, if one was found.
    pub location: Option<&'a TokenLocation>,
    /// The principal of the token, if the token is good.
    pub principal: Option<&'a Principal>,
    /// A fingerprint of the token. One token has one fingerprint while the process runs, and another
    /// in every other process.
    pub token_id: Option<TokenId>,
}

/// The fingerprint of a token: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId(u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// What a decision is about, as far as it is known.
#[derive(Clone, Copy, Default)]
pub(super) struct TokenDetails<'a> {
    pub(super) location: Option<&'a TokenLocation>,
    pub(super) id: Option<TokenId>,
    pub(super) principal: Option<&'a Principal>,
}

/// The audit hook, and the key of its fingerprints.
#[derive(Clone)]
pub(super) struct Auditor {
    hook: Arc<dyn Fn(&AuditEvent<'_>) + Send + Sync>,
    key: Key,
}

impl Auditor {
    pub(super) fn new(hook: impl Fn(&AuditEvent<'_>) + Send + Sync + 'static) -> Self {
        Self { hook: Arc::new(hook), key: Key::random() }
    }

    pub(super) fn token_id(&self, token: &[u8]) -> TokenId {
        let digest = self.key.digest(token);
        let id = digest.first_chunk().map(|first| u64::from_le_bytes(*first));
        TokenId(id.unwrap_or_default())
    }
}

/// Records decisions with metrics, tracing and the audit hook.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    pub(super) auditor: Option<Auditor>,
    /// The clones of a layer share it.
    repeats: Arc<Repeats>,
}

impl Recorder {
    /// Records a decision. `clock` is read only if there is a `rejection`.
    #[inline]
    pub(super) fn record(
        &self,
        clock: &Clock,
        outcome: Outcome,
        rejection: Option<&Rejection>,
        token: TokenDetails<'_>,
    ) {
        let text = rejection.map_or("", Rejection::description);
        let reason = rejection.map(|rejection| rejection.kind().as_str());
        let suppressed = reason
            .filter(|reason| *reason != "internal")
            .and_then(|reason| self.repeats.next(reason, text, || clock.monotonic()));
        let source = token.location.map(TokenLocation::kind);
        observe::decided(outcome, reason, source, suppressed, || scrub::description(text));
        if let Some(auditor) = &self.auditor {
            (auditor.hook)(&AuditEvent {
                allowed: outcome != Outcome::Rejected,
                rejection: rejection.map(Rejection::kind),
                description: text,
                location: token.location,
                principal: token.principal,
                token_id: token.id,
            });
        }
    }
}

opaque_debug!(Auditor { .. });
