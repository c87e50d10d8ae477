//! The secrets of one request, and their removal from errors.

use super::scrub;
use crate::vocabulary::{query::ESCAPED, secret::REDACTED};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// The secrets of a request, which must not show in an error about it. Few requests fail, so their
/// forms are made only then.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    secrets: Vec<Zeroizing<String>>,
}

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.secrets.push(Zeroizing::new(secret.to_owned()));
        }
    }

    /// Returns the forms in which a server or a proxy may repeat the secrets: in lower case, since
    /// escapes come in either.
    fn forms(&self) -> Vec<Zeroizing<String>> {
        let mut forms = Vec::new();
        for secret in self.secrets.iter().map(|secret| secret.as_str()) {
            for form in [
                secret.to_owned(),
                form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
                utf8_percent_encode(secret, ESCAPED).to_string(),
                utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
                BASE64_STANDARD.encode(secret),
                BASE64_STANDARD_NO_PAD.encode(secret),
                BASE64_URL_SAFE.encode(secret),
                BASE64_URL_SAFE_NO_PAD.encode(secret),
            ] {
                let mut form = Zeroizing::new(form);
                form.make_ascii_lowercase();
                if !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
        forms
    }

    /// Replaces the secrets in `text`, in any case, by a marker. Returns an empty text if the
    /// marker would spell a secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        // Lower case moves no byte of ASCII, and no other.
        let folded = text.to_ascii_lowercase();
        let forms = self.forms();
        let found = forms.iter().flat_map(|form| folded.match_indices(form.as_str()));
        let mut found: Vec<_> = found.map(|(start, form)| (start, start + form.len())).collect();
        found.sort_unstable();
        let (mut clean, mut done) = (String::new(), 0);
        for (start, end) in found {
            // Forms may overlap: what is covered by any of them is gone.
            if start >= done {
                clean.push_str(text.get(done..start).unwrap_or_default());
                clean.push_str(REDACTED);
            }
            done = done.max(end);
        }
        clean.push_str(text.get(done..).unwrap_or_default());
        let folded = clean.to_ascii_lowercase();
        match forms.iter().any(|form| folded.contains(form.as_str())) {
            true => String::new(),
            false => clean,
        }
    }

    /// Returns foreign text as an error may show it: without secrets, bounded, on one line.
    pub(crate) fn scrub(&self, text: &str) -> String {
        scrub::redacted(text, |text| self.redact(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(all: &[impl AsRef<str>]) -> Secrets {
        let mut secrets = Secrets::default();
        all.iter().for_each(|secret| secrets.add(secret.as_ref()));
        secrets
    }

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let secrets = secrets(&["s&c=r+t", "a b-c~"]);
        for (text, clean) in [
            ("raw s&c=r+t form s%26c%3Dr%2Bt", "raw [redacted] form [redacted]"),
            ("lower s%26c%3dr%2bt", "lower [redacted]"),
            ("base64 cyZjPXIrdA== and cyZjPXIrdA", "base64 [redacted] and [redacted]"),
            ("form a+b-c%7E", "form [redacted]"),
            (
                "RFC 3986 a%20b-c~ and all of it a%20b%2Dc%7e",
                "RFC 3986 [redacted] and all of it [redacted]",
            ),
            ("nothing", "nothing"),
        ] {
            assert_eq!(secrets.redact(text), clean);
        }
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        let secrets = secrets(&["abcde", "deabx", "bcd"]);
        assert_eq!(secrets.redact("<abcde>"), "<[redacted]>");
        assert_eq!(secrets.redact("<abcdeabx>"), "<[redacted]>");
        assert_eq!(secrets.redact("<bcdbcd>"), "<[redacted][redacted]>");
    }

    #[test]
    fn a_secret_that_the_marker_spells_leaves_nothing() {
        assert_eq!(secrets(&["red", "x"]).redact("it is red"), "");
        assert_eq!(secrets(&["red", "x"]).redact("it is blue"), "it is blue");
    }

    #[test]
    fn only_that_a_secret_was_there_shows_at_the_bound() {
        let secret = "s3cr3t".repeat(10);
        let secrets = secrets(&[&secret]);
        for before in scrub::MAX_TEXT - 70..scrub::MAX_TEXT {
            let clean = secrets.scrub(&format!("{}{secret}\n", "y".repeat(before)));
            assert!(clean.len() <= scrub::MAX_TEXT && !clean.contains('s'), "{clean}");
        }
    }

    /// Few characters, so that secrets occur, overlap, and meet the marker.
    const SECRET: &str = "[ab%\"'\\\\/?+ \u{e9}\\[\\]redct]{1,6}";

    proptest! {
        #[test]
        fn no_registered_secret_is_left(
            all in prop::collection::vec(SECRET, 1..4),
            pieces in prop::collection::vec((0..4_usize, 0..9_usize, SECRET), 0..8),
        ) {
            let secrets = secrets(&all);
            let mut text = String::new();
            for (secret, form, between) in pieces {
                let secret = all.get(secret).map_or("", String::as_str);
                let mut forms = Secrets::default();
                forms.add(secret);
                text.push_str(forms.forms().get(form).map_or(secret, |form| form.as_str()));
                text.push_str(&between);
            }
            for clean in [secrets.redact(&text), secrets.scrub(&text)] {
                let folded = clean.to_ascii_lowercase();
                for secret in all.iter().chain(secrets.forms().iter().map(|form| &**form)) {
                    prop_assert!(!clean.contains(secret), "{clean:?} shows {secret:?}");
                    prop_assert!(!folded.contains(secret), "{clean:?} shows {secret:?}");
                }
            }
        }
    }
}
