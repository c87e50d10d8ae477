use super::attach::Prepared;
use crate::{AccessToken, observe::tokens::Uses};

/// The token that a clone of the service attached last.
pub(super) struct LastToken {
    /// `None` for a static token, which is always current.
    token: Option<AccessToken>,
    prepared: Prepared,
    bytes: Bytes,
    uses: Uses,
}

/// Who shares the bytes of the header value. They become the clone's own at their second use: a
/// clone made for one call, or a token for one request of many users, is not worth a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Unused,
    Shared,
    Own,
}

impl LastToken {
    pub(super) fn new(token: AccessToken, prepared: Prepared) -> Self {
        Self { token: Some(token), prepared, bytes: Bytes::Unused, uses: Uses::new() }
    }

    /// A static token, which was attached once.
    pub(super) fn of_static(prepared: Prepared) -> Self {
        Self { token: None, prepared, bytes: Bytes::Shared, uses: Uses::none() }
    }

    #[inline]
    pub(super) fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Returns what is to be attached once more.
    #[inline]
    pub(super) fn reuse(&mut self) -> &Prepared {
        match self.bytes {
            Bytes::Unused => self.bytes = Bytes::Shared,
            Bytes::Shared => {
                self.prepared = self.prepared.deep_copy();
                self.bytes = Bytes::Own;
            }
            Bytes::Own => {}
        }
        &self.prepared
    }

    /// Counts a use of the token.
    #[inline]
    pub(super) fn used(&self) {
        self.uses.used();
    }
}
