//! The secrets of one attempt, and their removal from whatever comes back.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::secret::REDACTED;

/// What must not show in an error about a request that held it.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    forms: Vec<Zeroizing<String>>,
}

impl Secrets {
    /// Adds `secret` in the forms in which a server or a proxy may repeat it.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let form = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        for shape in [secret.to_owned(), form, percent, BASE64_STANDARD.encode(secret)] {
            self.forms.push(Zeroizing::new(shape));
        }
        // The longest first: one form may be a part of another.
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// `text` without any of them.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), REDACTED);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let mut secrets = Secrets::default();
        secrets.add("s&c=r+t");
        let text = "raw s&c=r+t form s%26c%3Dr%2Bt base64 cyZjPXIrdA== end";
        let clean = secrets.redact(text);
        assert_eq!(clean, "raw [redacted] form [redacted] base64 [redacted] end");
    }
}
