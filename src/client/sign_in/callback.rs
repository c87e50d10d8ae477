//! The parameters of a callback: the redirect URI to which the server sends the browser back.

use crate::client::{Error, ErrorKind};
use http::Uri;

/// The parameters of a callback, decoded. Their values are not checked yet.
#[derive(Default)]
pub(super) struct Callback {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    /// The `iss` of RFC 9207.
    pub(super) issuer: Option<String>,
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
}

impl Callback {
    /// Reads the query of `uri`. Unknown parameters are ignored (RFC 6749 §4.1.2).
    ///
    /// # Errors
    ///
    /// If a parameter is repeated (RFC 6749 §3.1).
    pub(super) fn read(uri: &Uri) -> Result<Self, Error> {
        let mut callback = Self::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let slot = match &*name {
                "code" => &mut callback.code,
                "state" => &mut callback.state,
                "iss" => &mut callback.issuer,
                "error" => &mut callback.error,
                "error_description" => &mut callback.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                let text = format!("the answer has the parameter {name} twice");
                return Err(Error::new(ErrorKind::SignIn, text));
            }
        }
        Ok(callback)
    }
}
