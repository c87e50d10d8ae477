//! Foreign text for errors and challenges: bounded, on one line, without queries.

use std::error::Error;

/// The longest foreign text that an error or a challenge repeats, in bytes.
pub(crate) const MAX_TEXT: usize = 512;

/// Returns at most [`MAX_TEXT`] characters of `text`, in those of `error_description`
/// (RFC 6750 §3): quotes become apostrophes, other characters become `?`.
pub(crate) fn description(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(plain).collect()
}

/// Returns the [`description`] of a text without its secrets. `redact` removes them while they are
/// whole, so before a character is replaced or the end is cut off, and again afterwards, since the
/// replaced text may spell one.
pub(crate) fn redacted(text: &str, redact: impl Fn(&str) -> String) -> String {
    let plain: String = redact(text).chars().map(plain).collect();
    description(&redact(&plain))
}

fn plain(char: char) -> char {
    match char {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => char,
        _ => '?',
    }
}

/// Joins the messages of `error` and its sources, redacted by `redact`, and cuts every query
/// string.
///
/// HTTP clients print the URL of a failed request, whose query may have a secret.
pub(crate) fn chain(error: &(dyn Error + 'static), redact: impl Fn(&str) -> String) -> String {
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
    redacted(&without_queries(&redact(&text)), redact)
}

/// Cuts query strings and user names out of the URLs of `text`. A query is cut up to the next white
/// space: other characters that end a URL in prose may also be in a query.
fn without_queries(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let (url, cut) = match word.split_once('?') {
            Some((url, query)) => (url, query.ends_with(char::is_whitespace)),
            None => return without_users(word),
        };
        format!("{}?{}", without_users(url), if cut { " " } else { "" })
    });
    words.collect()
}

/// Cuts the user name and password out of every `scheme://user:password@host`.
pub(crate) fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (authority, path) = part.split_at(part.find('/').unwrap_or(part.len()));
        clean.push_str("://");
        clean.push_str(authority.rsplit('@').next().unwrap_or_default());
        clean.push_str(path);
    }
    clean
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
            ("https://a/b;via=http://id:secret@proxy:1/", "https://a/b;via=http://proxy:1/"),
        ] {
            assert_eq!(chain(&io::Error::other(text), str::to_owned), clean);
        }
    }

    #[test]
    fn a_secret_is_found_before_the_text_is_cut_or_its_characters_are_replaced() {
        for secret in ["quo\"ted", "se?cret", "secret"] {
            let redact = |text: &str| text.replace(secret, "X");
            for before in [0, MAX_TEXT - 3] {
                let text = format!("{} {secret} after", "y".repeat(before));
                for clean in [redacted(&text, redact), chain(&io::Error::other(text), redact)] {
                    assert!(clean.contains(" X") && !clean.contains("se"), "{clean}");
                    assert!(!clean.contains("quo") && clean.len() <= MAX_TEXT, "{clean}");
                }
            }
        }
    }

    #[test]
    fn hostile_text_is_one_bounded_line_of_plain_characters() {
        let text = description(&format!("a\r\n\u{1b}[31m\"x\"\\\u{e9}{}", "y".repeat(9999)));
        assert!(text.starts_with("a???[31m'x'/?y"), "{text}");
        assert_eq!(text.len(), MAX_TEXT);
    }
}
