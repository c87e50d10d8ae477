use crate::ScopeSet;
use std::time::SystemTime;

/// What an access token of an [`AuthorizationServer`](super::AuthorizationServer) stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    pub(super) subject: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) scopes: ScopeSet,
    pub(super) issued_at: SystemTime,
    pub(super) expires_at: Option<SystemTime>,
}

impl IssuedToken {
    /// The user, or nobody where the token stands for a client alone.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The client, or none where the user logged in without one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// What the token allows.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// The instant from which the token is good no longer, where there is one.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}
