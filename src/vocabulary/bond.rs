//! The key that an access token is bound to.

use super::{Origin, location::DPOP};
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::{sync::Arc, time::SystemTime};

/// Proves the possession of a key
/// ([RFC 9449 §4](https://www.rfc-editor.org/rfc/rfc9449#section-4)).
pub(crate) trait Prove: Send + Sync {
    /// Returns a new proof.
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    fn prove(&self, request: Proved<'_>) -> Result<HeaderValue, &'static str>;

    /// Keeps the nonce in the headers of an answer for later proofs. Returns `true` if there is one.
    fn learn(&self, server: &Server, headers: &HeaderMap) -> bool;

    /// Returns the thumbprint of the key.
    fn thumbprint(&self) -> &str;

    /// Returns `true` if a token that is not bound to the key is taken too.
    fn allows_bearer(&self) -> bool;
}

/// What a proof is made for.
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "proofs are signed"))]
pub(crate) struct Proved<'p> {
    pub(crate) method: &'p Method,
    pub(crate) server: &'p Server,
    pub(crate) path: &'p str,
    /// The digest of the access token, if the request has one.
    pub(crate) ath: Option<&'p str>,
    pub(crate) now: SystemTime,
}

/// Who reads a proof, and gives nonces out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) origin: Origin,
}

/// An authorization server and a resource of one origin have nonces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Authorization,
    Resource,
}

/// The key of a token, and the digest of the token.
pub(crate) struct Bond {
    key: Arc<dyn Prove>,
    ath: Box<str>,
}

impl Bond {
    /// `ath` is the SHA-256 digest of the token, in base64url.
    pub(super) fn new(key: Arc<dyn Prove>, ath: Box<str>) -> Self {
        Self { key, ath }
    }

    /// Adds a proof to a request of `method` to `uri` at `server`.
    pub(crate) fn prove(
        &self,
        headers: &mut HeaderMap,
        (method, uri): (&Method, &Uri),
        server: &Server,
        now: SystemTime,
    ) -> Result<(), &'static str> {
        let (path, ath) = (uri.path(), Some(&*self.ath));
        headers.insert(DPOP, self.key.prove(Proved { method, server, path, ath, now })?);
        Ok(())
    }

    pub(crate) fn key(&self) -> &Arc<dyn Prove> {
        &self.key
    }
}

/// A key that is not here: its token was stored by another process.
pub(crate) struct AbsentKey(pub(crate) Box<str>);

impl Prove for AbsentKey {
    fn prove(&self, _: Proved<'_>) -> Result<HeaderValue, &'static str> {
        Err("the access token is bound to a key that is not known here")
    }

    fn learn(&self, _: &Server, _: &HeaderMap) -> bool {
        false
    }

    fn thumbprint(&self) -> &str {
        &self.0
    }

    fn allows_bearer(&self) -> bool {
        false
    }
}
