//! The secrets of one request, and their removal from errors.

use super::scrub;
use crate::vocabulary::{query::ESCAPED, secret::REDACTED};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Shorter texts are looked for as whole words only: inside words they are found by chance.
const MIN_INSIDE: usize = 8;

/// The secrets of a request, to be removed from errors about it. Few requests fail, so their forms
/// are made only then.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    secrets: Vec<Zeroizing<String>>,
}

impl Secrets {
    /// Adds `secret`. An empty one is ignored.
    pub(crate) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.secrets.push(Zeroizing::new(secret.to_owned()));
        }
    }

    /// Returns the forms in which a server or a proxy may repeat the secrets: plain, form-encoded,
    /// percent-encoded, and as base64. They are in lower case: `%2F` and `%2f` are the same escape.
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

    /// Replaces each secret in `text` by a marker, in upper or lower case. One of less than eight
    /// bytes is replaced where no letter, digit or underscore is next to it. Returns an empty text if
    /// the marker, alone or with the text around it, would spell a secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        // Every byte stays at its offset: only ASCII letters change.
        let folded = text.to_ascii_lowercase();
        let forms = self.forms();
        let mut found: Vec<_> = places(&forms, &folded).collect();
        found.sort_unstable();
        let (mut clean, mut copied_to) = (String::new(), 0);
        for (start, end) in found {
            // Forms may overlap: what any of them covers is left out.
            if start >= copied_to {
                clean.push_str(text.get(copied_to..start).unwrap_or_default());
                clean.push_str(REDACTED);
            }
            copied_to = copied_to.max(end);
        }
        clean.push_str(text.get(copied_to..).unwrap_or_default());
        let folded = clean.to_ascii_lowercase();
        match places(&forms, &folded).next() {
            Some(_) => String::new(),
            None => clean,
        }
    }

    /// Returns foreign text that is fit for an error: without the secrets, on one line, and at most
    /// [`MAX_TEXT`](scrub::MAX_TEXT) bytes.
    pub(crate) fn scrub(&self, text: &str) -> String {
        scrub::redacted(text, |text| self.redact(text))
    }
}

/// Returns where `forms` begin and end in `text`, which is in lower case.
fn places<'a>(
    forms: &'a [Zeroizing<String>],
    text: &'a str,
) -> impl Iterator<Item = (usize, usize)> {
    let found = forms.iter().flat_map(|form| text.match_indices(form.as_str()));
    let found = found.map(|(start, form)| (start, start + form.len()));
    found.filter(|(start, end)| end - start >= MIN_INSIDE || is_word(text, *start, *end))
}

/// Returns `true` if no letter, digit or underscore is next to this part of `text`, the escapes of
/// URLs aside.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..));
    let goes_on = |next: Option<char>| next.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let escaped =
        before.len().checked_sub(3).and_then(|at| before.as_bytes().get(at)) == Some(&b'%');
    (escaped || !goes_on(before.chars().next_back()))
        && !goes_on(after.unwrap_or_default().chars().next())
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
    fn overlapping_secrets_are_removed_whole() {
        let secrets = secrets(&["abcdefgh", "ghabcdefx", "bcdefghi"]);
        assert_eq!(secrets.redact("<abcdefgh>"), "<[redacted]>");
        assert_eq!(secrets.redact("<abcdefghabcdefx>"), "<[redacted]>");
        assert_eq!(secrets.redact("<bcdefghibcdefghi>"), "<[redacted][redacted]>");
    }

    #[test]
    fn a_short_secret_is_replaced_as_a_word_and_left_inside_words() {
        let secrets = secrets(&["2c8f", "client"]);
        for (text, clean) in [
            ("client_secret=2c8f", "client_secret=[redacted]"),
            ("a=b%262c8f%3D", "a=b%26[redacted]%3D"),
            ("the Client, '2C8F'", "the [redacted], '[redacted]'"),
            (
                "invalid_client for clients, 2c8fa, 12c8f",
                "invalid_client for clients, 2c8fa, 12c8f",
            ),
        ] {
            assert_eq!(secrets.redact(text), clean);
        }
    }

    #[test]
    fn a_text_is_emptied_if_the_marker_spells_a_secret() {
        assert_eq!(secrets(&["red", "redacted"]).redact("it is red"), "");
        assert_eq!(secrets(&["red", "redacted"]).redact("it is blue"), "it is blue");
    }

    #[test]
    fn a_secret_that_the_bound_cuts_does_not_show() {
        let secret = "s3cr3t".repeat(10);
        let secrets = secrets(&[&secret]);
        for before in scrub::MAX_TEXT - 70..scrub::MAX_TEXT {
            let clean = secrets.scrub(&format!("{}{secret}\n", "y".repeat(before)));
            assert!(clean.len() <= scrub::MAX_TEXT && !clean.contains('s'), "{clean}");
        }
    }

    /// Few characters, so that secrets occur, overlap, and meet the marker.
    const SECRET: &str = "[ab%\"'\\\\/?+ \u{e9}\\[\\]redct]{8,12}";

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
