//! The parameters of the URI that the browser comes back to.

use crate::client::{Error, ErrorKind};
use http::Uri;

/// The parameters of a callback, each at most once.
#[derive(Default)]
pub(super) struct Callback {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
}

impl Callback {
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
