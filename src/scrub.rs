//! Text from outside, made fit for errors and challenges: bounded, one line, without queries.

use std::error::Error;

/// The longest text from outside that an error or a challenge repeats, in bytes.
pub(crate) const MAX_TEXT: usize = 512;

/// `text` in the characters of `error_description` (RFC 6750 §3), at most [`MAX_TEXT`] of them:
/// quotes become apostrophes, everything else outside becomes `?`.
pub(crate) fn description(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT)
        .map(|char| match char {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => char,
            _ => '?',
        })
        .collect()
}

/// The messages of `error` and of everything below it, joined, with every query string cut.
///
/// HTTP clients print the URL of a failed call in their errors, and a query may hold a secret.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if text.len() > MAX_TEXT {
            break;
        }
        let message = error.to_string();
        // Many errors repeat the message of their cause.
        if !text.ends_with(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        next = error.source();
    }
    description(&without_queries(&text))
}

/// Cuts query strings and user names out of the URLs of `text`, each up to the end of its word:
/// whatever else may end a URL in prose may also stand in a query.
fn without_queries(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let (url, cut) = match word.split_once('?') {
            Some((url, query)) => (url, query.ends_with(char::is_whitespace)),
            None => return without_user(word),
        };
        format!("{}?{}", without_user(url), if cut { " " } else { "" })
    });
    words.collect()
}

/// Cuts the user name and password out of `scheme://user:password@host`.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn queries_and_user_names_are_cut_and_the_rest_is_kept() {
        for (text, clean) in [
            ("for (https://as.example/t?secret=x): reset", "for (https://as.example/t? reset"),
            ("at /t?a=')b&secret=x and more?", "at /t? and more?"),
            ("https://id:secret@as.example/t@v refused", "https://as.example/t@v refused"),
        ] {
            assert_eq!(chain(&io::Error::other(text)), clean);
        }
    }

    #[test]
    fn hostile_text_is_one_bounded_line_of_plain_characters() {
        let text = description(&format!("a\r\n\u{1b}[31m\"x\"\\\u{e9}{}", "y".repeat(9999)));
        assert!(text.starts_with("a???[31m'x'/?y"), "{text}");
        assert_eq!(text.len(), MAX_TEXT);
    }
}
