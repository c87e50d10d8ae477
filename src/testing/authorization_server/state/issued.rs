use crate::ScopeSet;
use std::time::SystemTime;

/// The contents of an access token of an
/// [`AuthorizationServer`](crate::testing::AuthorizationServer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    pub(crate) subject: Option<Box<str>>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) scopes: ScopeSet,
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) key: Option<Box<str>>,
}

impl IssuedToken {
    /// Returns the user, or `None` if the token was issued to a client for itself.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the client, or `None` if the user logged in without one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Returns the thumbprint of the key that the token is bound to
    /// ([RFC 9449 §6](https://www.rfc-editor.org/rfc/rfc9449#section-6)), or `None` for a Bearer token.
    #[must_use]
    pub fn key_thumbprint(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the type of the token, `DPoP` or `Bearer`.
    pub(crate) fn token_type(&self) -> &'static str {
        if self.key.is_some() { "DPoP" } else { "Bearer" }
    }

    /// Returns the scopes of the token.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Returns the time at which the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Returns the time at which the token expires, or `None` if it does not expire.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}
