use super::attach::Credential;
use crate::{AccessToken, TokenLocation, client::Error, observe::tokens::Uses};

/// The token that a clone of the service attached last.
pub(super) struct LastToken {
    /// `None` for a static token, which is always current.
    token: Option<AccessToken>,
    credential: Credential,
    bytes: Bytes,
    uses: Uses,
}

/// Who owns the bytes of the credential. The clone copies them at their second use: a clone made
/// for one call, or a token for one request of many users, is not worth a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Unused,
    Shared,
    Own,
}

impl LastToken {
    pub(super) fn new(token: AccessToken, location: &TokenLocation) -> Result<Self, Error> {
        let credential = Credential::new(&token, location)?;
        Ok(Self { token: Some(token), credential, bytes: Bytes::Unused, uses: Uses::new() })
    }

    /// Keeps a static token that was attached once.
    pub(super) fn of_static(credential: Credential) -> Self {
        Self { token: None, credential, bytes: Bytes::Shared, uses: Uses::none() }
    }

    #[inline]
    pub(super) fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Returns the credential to attach it again.
    #[inline]
    pub(super) fn reuse(&mut self) -> &Credential {
        match self.bytes {
            Bytes::Unused => self.bytes = Bytes::Shared,
            Bytes::Shared => {
                self.credential = self.credential.deep_copy();
                self.bytes = Bytes::Own;
            }
            Bytes::Own => {}
        }
        &self.credential
    }

    /// Counts a use of the token.
    #[inline]
    pub(super) fn used(&self) {
        self.uses.used();
    }
}
