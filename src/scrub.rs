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

/// Cuts what follows a `?` up to the end of the word.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut cutting = false;
    for char in text.chars() {
        if char.is_whitespace() || matches!(char, ')' | '>' | '"' | '\'') {
            cutting = false;
        }
        if !cutting {
            kept.push(char);
        }
        if char == '?' {
            cutting = true;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn queries_are_cut_and_the_rest_is_kept() {
        let error =
            io::Error::other("error for (https://as.example/t?client_secret=hunter2): reset");
        assert_eq!(chain(&error), "error for (https://as.example/t?): reset");
    }

    #[test]
    fn hostile_text_is_one_bounded_line_of_plain_characters() {
        let text = description(&format!("a\r\n\u{1b}[31m\"x\"\\\u{e9}{}", "y".repeat(9999)));
        assert!(text.starts_with("a???[31m'x'/?y"), "{text}");
        assert_eq!(text.len(), MAX_TEXT);
    }
}
