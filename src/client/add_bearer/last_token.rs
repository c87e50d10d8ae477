//! The token of the last call, kept so that a warm call copies only its header value.

use super::attach::Credential;
use crate::{
    AccessToken, TokenLocation, client::Error, observe::tokens::Uses, vocabulary::bond::Bond,
};
use std::sync::Arc;

/// The token that a clone of the service attached last.
pub(super) struct LastToken {
    /// `None` for a static token, which is always current.
    token: Option<AccessToken>,
    credential: Credential,
    ownership: Ownership,
    uses: Uses,
}

/// Whether this clone of the service owns the bytes of its credential. It copies them at their
/// second use, since a clone that is made for one call, or a token that serves one request, is not
/// worth a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// Shared with other clones, and not attached yet.
    Unused,
    /// Shared with other clones, and attached once.
    Shared,
    Owned,
}

impl LastToken {
    /// Keeps a token that is not attached yet.
    ///
    /// # Errors
    ///
    /// If the token cannot be placed at `location`.
    pub(super) fn new(token: AccessToken, location: &TokenLocation) -> Result<Self, Error> {
        let credential = Credential::new(&token, location)?;
        let (ownership, uses) = (Ownership::Unused, Uses::new());
        Ok(Self { token: Some(token), credential, ownership, uses })
    }

    /// Keeps a static token that was attached once. Its uses are not counted.
    pub(super) fn of_static(credential: Credential) -> Self {
        Self { token: None, credential, ownership: Ownership::Shared, uses: Uses::none() }
    }

    /// Returns the token, or `None` for a static one.
    #[inline]
    pub(super) fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Returns the credential for its next use, and copies its bytes at the second.
    #[inline]
    pub(super) fn reuse(&mut self) -> &Credential {
        match self.ownership {
            Ownership::Unused => self.ownership = Ownership::Shared,
            Ownership::Shared => {
                self.credential = self.credential.deep_copy();
                self.ownership = Ownership::Owned;
            }
            Ownership::Owned => {}
        }
        &self.credential
    }

    /// Returns the key of a token that is bound to one.
    #[inline]
    pub(super) fn bond(&self) -> Option<&Arc<Bond>> {
        self.credential.bond()
    }

    /// Counts a use of the token in the metrics.
    #[inline]
    pub(super) fn used(&self) {
        self.uses.used();
    }
}
