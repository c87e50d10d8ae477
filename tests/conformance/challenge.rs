//! A strict reader of `WWW-Authenticate` (RFC 9110 §11.6.1) that shares nothing with the crate's.

/// One challenge that has parameters.
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) params: Vec<(String, String)>,
}

/// The challenges of one field line, each of which has parameters, separated by commas.
pub(crate) fn parse(line: &[u8]) -> Result<Vec<Challenge>, String> {
    let mut reader = Reader { rest: line };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        reader.skip_space();
        let name = reader.token()?;
        let spaces = reader.skip_space();
        match challenges.last_mut() {
            Some(last) if reader.takes(b'=') => last.params.push((name, reader.value()?)),
            _ if spaces > 0 => {
                let first = reader.token()?;
                if !reader.takes(b'=') {
                    return Err(format!("{first:?} has no value"));
                }
                let params = vec![(first, reader.value()?)];
                challenges.push(Challenge { scheme: name, params });
            }
            _ => return Err(format!("the scheme {name:?} stands alone")),
        }
        reader.skip_space();
        if reader.rest.is_empty() {
            return Ok(challenges);
        }
        if !reader.takes(b',') {
            return Err("no comma between two parameters".into());
        }
    }
}

impl Challenge {
    /// The first of `names` that is the name of more than one parameter.
    pub(crate) fn repeated<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        let count = |name: &str| {
            self.params.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).count()
        };
        names.iter().map(String::as_str).find(|name| count(name) > 1)
    }

    /// The parameter of a `Bearer` challenge that holds a character outside of RFC 6750 §3.
    pub(crate) fn invalid(&self) -> Option<&str> {
        if !self.scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let invalid = |(name, value): &&(String, String)| {
            let visible = |char| matches!(char, '!' | '#'..='[' | ']'..='~');
            match name.to_ascii_lowercase().as_str() {
                "error" | "error_description" => {
                    !value.chars().all(|char| char == ' ' || visible(char))
                }
                "error_uri" => !value.chars().all(visible),
                "scope" => {
                    let is_scope = |one: &str| !one.is_empty() && one.chars().all(visible);
                    !value.split(' ').all(is_scope)
                }
                _ => false,
            }
        };
        self.params.iter().find(invalid).map(|(name, _)| name.as_str())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Takes spaces and tabs, and counts them.
    fn skip_space(&mut self) -> usize {
        let count = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.rest = &self.rest[count..];
        count
    }

    fn takes(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn token(&mut self) -> Result<String, String> {
        let is_token =
            |byte: &&u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let length = self.rest.iter().take_while(is_token).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        match token {
            [] => Err(format!("no token before {:?}", String::from_utf8_lossy(rest))),
            token => Ok(String::from_utf8_lossy(token).into_owned()),
        }
    }

    /// A token or a quoted string, unescaped.
    fn value(&mut self) -> Result<String, String> {
        if !self.takes(b'"') {
            return self.token();
        }
        let mut value = Vec::new();
        loop {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err("a quoted string without end".into());
            };
            self.rest = rest;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&value).into_owned()),
                b'\\' => {
                    let Some((&escaped, rest)) = self.rest.split_first() else {
                        return Err("an escape of nothing".into());
                    };
                    self.rest = rest;
                    value.push(escaped);
                }
                b'\t' | b' '..=b'~' | 0x80.. => value.push(byte),
                _ => return Err(format!("the byte {byte:#x} in a quoted string")),
            }
        }
    }
}
