//! One event a decision, for whoever keeps books.

use crate::{
    TokenLocation,
    validate::{Principal, RejectionKind},
    vocabulary::keyed::Key,
};
use std::{fmt, sync::Arc};

/// What a [`RequireToken`](crate::server::RequireToken) decided about one request, or a policy below it
/// that refused. It holds no token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// Whether the request was let through.
    pub allowed: bool,
    /// What was wrong with the token, or with the lack of one; nothing where all was well.
    pub refused: Option<RejectionKind>,
    /// The reason in words, where there is one: for the log, not for the caller.
    pub reason: &'a str,
    /// Where the token was; nothing where none was found.
    pub location: Option<&'a TokenLocation>,
    /// Whose token it was, where it was good.
    pub principal: Option<&'a Principal>,
    /// A fingerprint of the token, the same for the same token as long as the process lives, and
    /// of no use anywhere else.
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

/// The hook, and the key of its fingerprints.
#[derive(Clone)]
pub(in crate::server) struct Auditor {
    hook: Arc<dyn Fn(&AuditEvent<'_>) + Send + Sync>,
    key: Key,
}

impl Auditor {
    pub(in crate::server) fn new(hook: impl Fn(&AuditEvent<'_>) + Send + Sync + 'static) -> Self {
        Self { hook: Arc::new(hook), key: Key::random() }
    }

    pub(in crate::server) fn token_id(&self, token: &[u8]) -> TokenId {
        let digest = self.key.digest(token);
        let id = digest.first_chunk().map(|first| u64::from_le_bytes(*first));
        TokenId(id.unwrap_or_default())
    }

    pub(in crate::server) fn note(&self, event: &AuditEvent<'_>) {
        (self.hook)(event);
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").finish_non_exhaustive()
    }
}
