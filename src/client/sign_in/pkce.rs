//! The verifier of PKCE, and the random text that it and `state` consist of.

use crate::{
    Clock,
    client::{Error, ErrorKind},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A PKCE verifier ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
pub(super) struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    /// Returns a random verifier of 43 characters.
    ///
    /// # Errors
    ///
    /// As [`random_text`].
    pub(super) fn random(clock: &Clock) -> Result<Self, Error> {
        Ok(Self(random_text(clock)?))
    }

    /// Returns a verifier, or `None` if `text` is not 43 to 128 unreserved characters.
    pub(super) fn new(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_valid = (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
        is_valid.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the challenge of the method `S256` (RFC 7636 §4.2).
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

/// Returns 256 random bits as 43 characters of base64url.
///
/// # Errors
///
/// If the system gives no random numbers.
pub(super) fn random_text(clock: &Clock) -> Result<Zeroizing<String>, Error> {
    let bytes = Zeroizing::new(
        clock
            .secret()
            .ok_or_else(|| Error::new(ErrorKind::SignIn, "the system gives no random numbers"))?,
    );
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}
