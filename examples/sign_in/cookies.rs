//! What the browser keeps: cookies that no script reads and no other site sends along with a POST.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    rand,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::COOKIE};

/// A name in the browser's list.
#[derive(Clone, Copy)]
pub(crate) struct Cookie {
    name: &'static str,
    path: &'static str,
    max_age: u32,
}

/// Which session the browser is in.
pub(crate) const SESSION: Cookie =
    Cookie { name: "sign_in_session", path: "/", max_age: 12 * 60 * 60 };

/// The sign-in that the browser was sent away with, sealed.
pub(crate) const PENDING: Cookie =
    Cookie { name: "sign_in_pending", path: "/callback", max_age: 10 * 60 };

impl Cookie {
    /// The value that came with a request.
    pub(crate) fn of(self, headers: &HeaderMap) -> Option<&str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split("; "));
        pairs.find_map(|pair| pair.strip_prefix(self.name)?.strip_prefix('='))
    }

    /// `Set-Cookie`. On https it would be `Secure` too, under a name that begins with `__Host-`.
    pub(crate) fn set(self, value: &str) -> HeaderValue {
        self.header(value, self.max_age)
    }

    /// Takes it from the browser.
    pub(crate) fn clear(self) -> HeaderValue {
        self.header("", 0)
    }

    fn header(self, value: &str, max_age: u32) -> HeaderValue {
        let Self { name, path, .. } = self;
        let text =
            format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax");
        // Names, and base64url.
        let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// 43 characters that nobody can guess.
pub(crate) fn random_id() -> Result<String, Unspecified> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Encrypts what only this process may read and make. The key ends with the process.
pub(crate) struct Sealer(RandomizedNonceKey);

impl Sealer {
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Self)
    }

    pub(crate) fn seal(&self, text: &str) -> Result<String, Unspecified> {
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::empty(), &mut sealed)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref(), sealed.as_slice()].concat()))
    }

    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        let mut sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.0.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}
