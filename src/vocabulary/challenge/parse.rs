use super::Challenge;
use crate::vocabulary::location::is_token_byte;
use std::{error::Error, fmt};

/// The longest field value that is parsed, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// The most challenges and parameters of a field value together. Each parameter is compared with
/// those before it.
const MAX_ELEMENTS: usize = 128;

/// The error of a field value that is not a list of challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeError {
    reason: &'static str,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for ChallengeError {}

fn error<T>(reason: &'static str) -> Result<T, ChallengeError> {
    Err(ChallengeError { reason })
}

/// Parses `#challenge`. Commas separate parameters and challenges, so each element is either a
/// parameter of the challenge before it or a new challenge.
pub(in crate::vocabulary::challenge) fn challenges(
    value: &[u8],
) -> Result<Vec<Challenge>, ChallengeError> {
    if value.len() > MAX_LEN {
        return error("the challenge is longer than 16 KiB");
    }
    let mut rest = Cursor { rest: value };
    let mut challenges: Vec<Challenge> = Vec::new();
    for _ in 0..MAX_ELEMENTS {
        rest.skip_empty_elements();
        if rest.is_at_end() {
            return Ok(challenges);
        }
        let word = rest.take_while(is_token_byte);
        if word.is_empty() {
            return error("a challenge begins with no scheme");
        }
        let before = rest.clone();
        if let Some(value) = rest.param_value()? {
            match challenges.last_mut() {
                Some(challenge) => challenge.add(word, value)?,
                None => return error("a parameter stands before any challenge"),
            }
        } else {
            rest = before;
            challenges.push(rest.challenge(word)?);
        }
        rest.skip_spaces();
        if !rest.is_at_end() && rest.peek() != Some(b',') {
            return error("two challenge parameters are not separated by a comma");
        }
    }
    rest.skip_empty_elements();
    match rest.is_at_end() {
        true => Ok(challenges),
        false => error("there are more than 128 challenges and parameters"),
    }
}

impl Challenge {
    fn add(&mut self, name: &[u8], value: String) -> Result<(), ChallengeError> {
        let name = text(name);
        if self.token68.is_some() {
            return error("a challenge has both a token68 and parameters");
        }
        if self.param(&name).is_some() {
            return error("a challenge has the same parameter twice");
        }
        self.params.push((name, value));
        Ok(())
    }
}

#[derive(Clone)]
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip_empty_elements(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
    }

    /// Takes `BWS "=" BWS ( token / quoted-string )`. Returns `None` when this is not a parameter
    /// but a scheme, or the end of a token68.
    fn param_value(&mut self) -> Result<Option<String>, ChallengeError> {
        self.skip_spaces();
        if !self.take(b'=') {
            return Ok(None);
        }
        self.skip_spaces();
        if self.take(b'"') {
            return self.quoted().map(Some);
        }
        let value = self.take_while(is_token_byte);
        Ok((!value.is_empty()).then(|| text(value)))
    }

    /// Takes the rest of a quoted string, after its opening quote.
    fn quoted(&mut self) -> Result<String, ChallengeError> {
        let mut value = Vec::new();
        loop {
            let Some((byte, rest)) = self.rest.split_first() else {
                return error("a quoted string has no end");
            };
            self.rest = rest;
            match byte {
                b'"' => return Ok(text(&value)),
                b'\\' => match self.rest.split_first() {
                    Some((escaped, rest)) if is_text(*escaped) => {
                        value.push(*escaped);
                        self.rest = rest;
                    }
                    _ => return error("a quoted string ends in a backslash"),
                },
                byte if is_text(*byte) => value.push(*byte),
                _ => return error("a quoted string holds a control character"),
            }
        }
    }

    /// Takes the rest of `auth-scheme [ 1*SP ( token68 / #auth-param ) ]`, after its scheme.
    fn challenge(&mut self, scheme: &[u8]) -> Result<Challenge, ChallengeError> {
        let mut challenge = Challenge { scheme: text(scheme), token68: None, params: Vec::new() };
        if self.take_while(|byte| matches!(byte, b' ' | b'\t')).is_empty() {
            return Ok(challenge);
        }
        let before = self.clone();
        let name = self.take_while(is_token_byte);
        if !name.is_empty()
            && let Some(value) = self.param_value()?
        {
            challenge.add(name, value)?;
            return Ok(challenge);
        }
        *self = before;
        let mut token68 = text(self.take_while(is_token68_byte));
        if token68.is_empty() {
            // `Scheme , next`: a bare scheme and an empty element.
            return Ok(challenge);
        }
        token68.push_str(&text(self.take_while(|byte| byte == b'=')));
        challenge.token68 = Some(token68);
        Ok(challenge)
    }
}

fn is_token68_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

/// Returns `true` for the characters of a quoted string: HTAB, SP, VCHAR and obs-text.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: &str) -> Vec<String> {
        let challenges = challenges(value.as_bytes()).unwrap();
        challenges.iter().map(|one| one.to_header_value().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn more_parameters_than_anybody_needs_are_an_error() {
        let params = |count: usize| {
            let params: Vec<_> = (0..count).map(|number| format!("p{number}=x")).collect();
            format!("Bearer {},", params.join(","))
        };
        // The scheme and its first parameter are one element.
        let most = params(MAX_ELEMENTS);
        assert_eq!(challenges(most.as_bytes()).unwrap()[0].params().count(), MAX_ELEMENTS);
        for many in [params(MAX_ELEMENTS + 1), "Bearer,".repeat(MAX_ELEMENTS + 1)] {
            assert!(challenges(many.as_bytes()).is_err());
        }
    }

    #[test]
    fn the_grammar_with_its_odd_corners() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("Negotiate", &["Negotiate"]),
            ("Basic realm=x", &["Basic realm=\"x\""]),
            ("Basic realm = \"x\" , Bearer", &["Basic realm=\"x\"", "Bearer"]),
            (
                "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"s\"",
                &[
                    "Newauth realm=\"apps\", type=\"1\", title=\"Login to \\\"apps\\\"\"",
                    "Basic realm=\"s\"",
                ],
            ),
            ("Negotiate a, NTLM b==, Bearer", &["Negotiate a", "NTLM b==", "Bearer"]),
            ("Negotiate a=", &["Negotiate a="]),
            ("Bearer ,realm=\"x\",", &["Bearer realm=\"x\""]),
            ("Bearer realm=\"a,b=c\"", &["Bearer realm=\"a,b=c\""]),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_not_of_the_grammar_is_an_error() {
        for value in [
            "realm=\"x\"",
            "Bearer realm=\"x",
            "Bearer realm=\"x\" error=\"y\"",
            "Bearer realm=\"x\\",
            "Bearer realm=a, REALM=b",
            "Negotiate abc==, realm=x",
            "Bearer a b",
            "\"Bearer\"",
            "Bearer realm=\"\u{1}\"",
            &format!("Bearer {}", "a".repeat(MAX_LEN)),
        ] {
            assert!(challenges(value.as_bytes()).is_err(), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(value: Vec<u8>) {
            let _ = challenges(&value);
        }

        #[test]
        fn what_is_written_reads_back(params in prop::collection::btree_map("[a-z]{1,8}", "[ -~]{0,20}", 0..5)) {
            let mut challenge = Challenge::bearer();
            for (name, value) in &params {
                challenge = challenge.with_param(name, value).unwrap();
            }
            let written = challenge.to_header_value();
            prop_assert_eq!(challenges(written.as_bytes()).unwrap(), vec![challenge]);
        }

        #[test]
        fn what_was_read_writes_and_reads_the_same(value in "(Bearer|Basic|,| |=|\"|\\\\|[a-c]){0,24}") {
            if let Ok(read) = challenges(value.as_bytes()) {
                let written: Vec<_> = read.iter()
                    .map(|one| String::from_utf8(one.to_header_value().as_bytes().to_vec()).unwrap())
                    .collect();
                prop_assert_eq!(challenges(written.join(", ").as_bytes()).unwrap(), read);
            }
        }
    }
}
