//! Rust sources as tokens, which is all that a reader of paths needs.

use std::{iter::Peekable, str::CharIndices};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Sign(char),
    /// `::`
    Then,
}

/// Returns the tokens of a source with their lines. Comments are left out; a string is one token.
pub(crate) fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut reader = Reader { source, chars: source.char_indices().peekable() };
    let mut line_ends = source.match_indices('\n').map(|(at, _)| at).peekable();
    let mut line = 1;
    let mut found = Vec::new();
    while let Some(&(at, _)) = reader.chars.peek() {
        while line_ends.next_if(|end| *end < at).is_some() {
            line += 1;
        }
        found.extend(reader.token().map(|token| (token, line)));
    }
    found
}

struct Reader<'a> {
    source: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn rest(&mut self) -> &str {
        self.chars.peek().map_or("", |(at, _)| &self.source[*at..])
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.chars.peek().map_or(0, |(at, _)| at + bytes);
        while self.chars.next_if(|(at, _)| *at < end).is_some() {}
    }

    /// Skips to behind `end`, and returns what was before it.
    fn until(&mut self, end: &str) -> String {
        let rest = self.rest();
        let text = rest.split_once(end).map_or(rest, |(text, _)| text).to_owned();
        self.skip(text.len() + end.len());
        text
    }

    fn token(&mut self) -> Option<Token> {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.until("\n");
            return None;
        }
        if rest.starts_with("/*") {
            self.block_comment();
            return None;
        }
        if let Some(raw) = raw_string(rest) {
            let (opening, closing) = (raw, format!("\"{}", "#".repeat(raw.matches('#').count())));
            let bytes = opening.len();
            self.skip(bytes);
            return Some(Token::Text(self.until(&closing)));
        }
        if rest.starts_with("::") {
            self.skip(2);
            return Some(Token::Then);
        }
        let (_, first) = self.chars.next()?;
        match first {
            '"' => Some(Token::Text(self.string())),
            '\'' => {
                self.char_or_lifetime();
                None
            }
            first if is_word(first) => {
                let mut word = String::from(first);
                while let Some((_, next)) = self.chars.next_if(|(_, next)| is_word(*next)) {
                    word.push(next);
                }
                // The prefix of a byte or C string is part of it.
                let prefix = matches!(&*word, "b" | "c") && self.rest().starts_with(['"', '\'']);
                (!prefix).then_some(Token::Word(word))
            }
            first if first.is_whitespace() => None,
            first => Some(Token::Sign(first)),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            let rest = self.rest();
            let bytes = match rest {
                _ if rest.starts_with("/*") => {
                    depth += 1;
                    2
                }
                _ if rest.starts_with("*/") => {
                    depth -= 1;
                    2
                }
                _ => rest.chars().next().map_or(0, char::len_utf8),
            };
            self.skip(bytes);
            if depth == 0 || bytes == 0 {
                return;
            }
        }
    }

    fn string(&mut self) -> String {
        let mut text = String::new();
        while let Some((_, next)) = self.chars.next() {
            match next {
                '"' => break,
                '\\' => {
                    self.chars.next();
                }
                next => text.push(next),
            }
        }
        text
    }

    /// Behind a quotation mark: `'a'`, `'\n'` or a lifetime.
    fn char_or_lifetime(&mut self) {
        let mut rest = self.rest().chars();
        match (rest.next(), rest.next()) {
            (Some('\\'), _) => {
                self.skip(2);
                self.until("'");
            }
            (Some(first), Some('\'')) => self.skip(first.len_utf8() + 1),
            _ => while self.chars.next_if(|(_, next)| is_word(*next)).is_some() {},
        }
    }
}

/// Returns the opening of a raw string if `rest` begins with one: `r"`, `br##"`.
fn raw_string(rest: &str) -> Option<&str> {
    let hashes = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let quote = hashes.find(|sign| sign != '#').filter(|at| hashes[*at..].starts_with('"'))?;
    Some(&rest[..rest.len() - hashes.len() + quote + 1])
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}
